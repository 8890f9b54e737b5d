//! Keys near their end, and past it.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_e2e::real::{Sdk, alone, together};
use keyfob_e2e::{PATIENCE, Profile, wait_for_some};

use crate::forged::Forged;
use crate::{
    DEV, Recorder, assert_everybody_is, assert_everybody_reads, company, cut_off, left, line, refused, sdk,
    signed_in, signed_in_with, write_default,
};

/// Case 3: keys that have ended as they come are not passed on, and the next ones are taken.
#[test]
fn case_03_keys_that_ended_long_ago_are_never_given_and_new_ones_are_at_once() {
    let _turn = together();
    let forged = Forged::start();
    let company = company(&[], None);
    let profile = signed_in_with(&company, &forged.entry("f0"));
    forged.set_but("Expiration", Some("2016-01-01T00:00:00Z"));
    refused(profile.credential_process("f0"));
    let tomorrow = Timestamp::now().as_second() + 24 * 3600;
    let tomorrow = Timestamp::from_second(tomorrow).expect("a time");
    forged.set_but("Expiration", Some(&tomorrow.to_string()));
    let given = wait_for_some("new keys", PATIENCE, || {
        let answer = profile.credential_process("f0");
        assert!(answer.code == 0 || answer.stdout.is_empty(), "{answer:?}");
        (answer.code == 0).then_some(answer)
    });
    assert!(left(&given) > 23 * 3600);
    write_default(&profile, &line("aws.f0"), "");
    for one in Sdk::ALL {
        let keys = sdk(&profile, one, &company.addresses().sts_url).ask("keys");
        assert_eq!(keys["Expiration"], tomorrow.as_second(), "{one:?}");
    }
}

/// Case 4.
#[test]
fn case_04_with_ended_keys_and_no_network_every_client_reads_our_sentence() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    write_default(&profile, &line("aws.dev"), "");
    let sts = &company.addresses().sts_url;
    company.sts().set_credential_seconds(Some(4));
    profile.credential_process("dev").ok();
    cut_off(&company);
    // Who comes while STS is being asked again is told that.
    let sentences =
        ["keyfob: the AWS security token service in eu-west-1 ", "keyfob: the credential is being renewed"];
    let output = wait_for_some("the end of the keys", PATIENCE, || {
        let answer = profile.credential_process("dev");
        assert!(answer.code != 0 || left(&answer) >= 0, "{answer:?}");
        answer.stderr.starts_with(sentences[0]).then_some(answer)
    });
    refused(output);
    assert_everybody_reads(&profile, sts, &sentences);
    // The network is back, and nobody does anything about it.
    company.faults().clear_all();
    company.sts().set_credential_seconds(None);
    wait_for_some("keys again", PATIENCE, || (profile.credential_process("dev").code == 0).then_some(()));
    assert_everybody_is(&profile, sts, DEV);
}

/// How often an SDK starts us for five calls, one after the other.
#[track_caller]
fn starts(profile: &Profile, recorder: &Recorder, one: Sdk, endpoint: &str) -> usize {
    recorder.take_starts();
    let mut client = sdk(profile, one, endpoint);
    for _ in 0..5 {
        client.ask("identity");
    }
    recorder.take_starts().len()
}

/// Case 5: each SDK has a span before the end in which it starts us for every call. Ours lies before all of them.
#[test]
fn case_05_with_sixteen_minutes_left_every_sdk_starts_us_once_and_no_life_is_cut_below_that() {
    let _turn = alone();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let recorder = Recorder::new(&profile);
    write_default(&profile, &recorder.line("credential-process aws.dev"), "");
    let sts = &company.addresses().sts_url;
    company.sts().set_credential_seconds(Some(17 * 60));
    for one in Sdk::ALL {
        assert_eq!(starts(&profile, &recorder, one, sts), 1, "{one:?}");
        assert!(left(&profile.credential_process("dev").ok()) > 16 * 60);
    }
    // The control: what these SDKs do with less, where STS has no more to give.
    write_default(&profile, &recorder.line("credential-process aws.readonly"), "");
    company.sts().set_credential_seconds(Some(14 * 60));
    assert!(starts(&profile, &recorder, Sdk::Boto, sts) >= 5, "boto3 asks at every call below 15 minutes");
    assert_eq!(starts(&profile, &recorder, Sdk::Rust, sts), 1, "Rust does not");
    company.sts().set_credential_seconds(None);
    let better = wait_for_some("an hour", Duration::from_secs(30), || {
        let answer = profile.credential_process("readonly").ok();
        (left(&answer) > 15 * 60).then_some(answer)
    });
    assert!(left(&better) > 3500);
    for one in Sdk::ALL {
        assert_eq!(starts(&profile, &recorder, one, sts), 1, "{one:?}");
    }
}

/// Case 6.
#[test]
fn case_06_who_is_not_signed_in_reads_what_to_do_in_the_error_of_every_client() {
    let _turn = together();
    let company = company(&[], None);
    let profile = Profile::new(&company.config());
    write_default(&profile, &line("aws.dev"), "");
    let output = refused(profile.credential_process("dev")).exits(3);
    assert!(!output.stderr.contains('\u{1b}'), "no colours in an error message");
    let sts = &company.addresses().sts_url;
    assert_everybody_reads(&profile, sts, &["you are not signed in to `sso.okta`. Run: keyfob login okta"]);
    assert!(company.counts().sts_actions.is_empty(), "nobody asked STS");
    assert_eq!(company.counts().arrived(keyfob_sandbox::Endpoint::Authorize), 0, "nobody opened a browser");
}
