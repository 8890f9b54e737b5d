//! What stands on our standard output, and what does not.

use jiff::Timestamp;
use keyfob_e2e::Profile;
use keyfob_e2e::real::{Sdk, together};
use serde_json::{Value, json};

use crate::forged::{Forged, GOOD};
use crate::{company, end, line, refused, sdk, shell, signed_in, signed_in_with, write_default};

/// The most that Java reads of a `credential_process`, in bytes.
const JAVA: usize = 64_000;

/// A signed-in profile with entries `aws.f0` to `aws.fN` over one forged STS, so that each is asked for anew.
fn forgeries(forged: &Forged, count: usize) -> (keyfob_e2e::Company, Profile) {
    let company = company(&[], None);
    let entries: String = (0..count).map(|number| forged.entry(&format!("f{number}"))).collect();
    let profile = signed_in_with(&company, &entries);
    (company, profile)
}

/// Case 1.
#[test]
fn case_01_every_sdk_reads_the_keys_that_we_give() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    write_default(&profile, &line("aws.dev"), "");
    let given = profile.credential_process("dev").ok();
    let mut expected = given.json();
    let members = expected.as_object_mut().expect("an object");
    members.remove("Version");
    members.insert("Expiration".to_owned(), json!(end(&given).as_second()));
    for one in Sdk::ALL {
        assert_eq!(sdk(&profile, one, &company.addresses().sts_url).ask("keys"), expected, "{one:?}");
    }
}

/// Case 7, and the form of everything else that SDKs are strict about.
#[test]
fn case_07_the_version_is_the_number_one_and_stands_first_without_a_banner() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    for entry in ["aws.dev", "dev", "aws.readonly"] {
        let answer = profile.credential_process(entry).ok();
        assert!(answer.stdout.starts_with("{\"Version\":1,\""), "no mark of byte order and no banner");
        assert!(answer.stdout.ends_with("}\n") && answer.stdout.lines().count() == 1);
        assert!(
            answer.stdout.is_ascii() && !answer.stdout.contains("null") && !answer.stdout.contains("\"\"")
        );
        assert_eq!(answer.stderr, "");
    }
}

/// Case 8, over everything that an STS can leave out.
#[test]
fn case_08_keys_in_part_are_never_given() {
    let _turn = together();
    let forged = Forged::start();
    let members = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
    // Each set of members that is wanting, missing or empty; the empty set is the control.
    let wanting = (0..1_usize << members.len()).flat_map(|set| [(set, None), (set, Some(""))]);
    let cases: Vec<(usize, Option<&str>)> = wanting.skip(1).collect();
    let (_company, profile) = forgeries(&forged, cases.len());
    for (number, (set, value)) in cases.into_iter().enumerate() {
        let keys = GOOD.iter().filter_map(|(name, good)| {
            let place = members.iter().position(|member| member == name)?;
            if set & 1 << place == 0 { Some((*name, *good)) } else { Some((*name, value?)) }
        });
        forged.set(&keys.collect::<Vec<_>>());
        let calls = forged.calls();
        let output = profile.credential_process(&format!("f{number}"));
        assert!(forged.calls() > calls, "f{number} asked nobody");
        if set == 0 {
            let json = output.ok().json();
            assert!(members.iter().all(|member| json[member].is_string()), "the control: {json}");
        } else {
            refused(output);
        }
    }
}

/// Case 10.
#[test]
fn case_10_the_account_of_the_role_wins_over_the_one_of_the_profile() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    write_default(&profile, &line("aws.dev"), "aws_account_id = 999999999999\n");
    for one in Sdk::ALL {
        let keys = sdk(&profile, one, &company.addresses().sts_url).ask("keys");
        assert_eq!(keys["AccountId"], "123456789012", "{one:?}");
    }
}

/// Case 11.
#[test]
fn case_11_session_tokens_of_eight_kilobytes_arrive_whole_and_far_from_any_limit() {
    let _turn = together();
    let forged = Forged::start();
    let (company, profile) = forgeries(&forged, 2);
    for (number, length) in [1100, 8192].into_iter().enumerate() {
        // As of STS: all of base64's alphabet.
        let token = "IQoJb3Jp/Z2luX2Vj+A9".repeat(length / 20 + 1)[..length].to_owned();
        forged.set_but("SessionToken", Some(&token));
        let entry = format!("aws.f{number}");
        let answer = keyfob_e2e::run(shell(&profile, &line(&entry)), "").ok();
        assert_eq!(answer.json()["SessionToken"], token.as_str());
        assert!(answer.stdout.len() < JAVA / 4, "{} bytes", answer.stdout.len());
        write_default(&profile, &line(&entry), "");
        for one in Sdk::ALL {
            let keys = sdk(&profile, one, &company.addresses().sts_url).ask("keys");
            assert_eq!(keys["SessionToken"], token.as_str(), "{one:?}");
        }
    }
}

/// Case 14: however STS writes an end, ours is `YYYY-MM-DDTHH:MM:SSZ`, or there is none and no keys.
#[test]
fn case_14_an_end_is_written_in_the_one_form_that_all_sdks_take() {
    const ENDS: [&str; 12] = [
        "2999-01-01T00:00:00Z",
        "2999-01-01T00:00:00.999Z",
        "2999-01-01T00:00:00.123456789Z",
        "2039-01-19T03:14:08Z",
        "2040-02-29T23:59:59Z",
        "2999-01-01T00:00:00+00:00",
        "2999-01-01T05:30:00+05:30",
        // Not what STS writes, and not what every SDK takes.
        "2999-01-01T00:00:00.000+0000",
        "2999-01-01T00:00:00",
        "2999-01-01",
        "32472144000",
        "never",
    ];
    /// So many of them are written as STS may write them.
    const GOOD_ENDS: usize = 5;
    let _turn = together();
    let forged = Forged::start();
    let (_company, profile) = forgeries(&forged, ENDS.len());
    for (number, written) in ENDS.into_iter().enumerate() {
        forged.set_but("Expiration", Some(written));
        let output = profile.credential_process(&format!("f{number}"));
        if number < GOOD_ENDS || output.code == 0 {
            let output = output.ok();
            let meant: Timestamp =
                written.parse().unwrap_or_else(|_| panic!("`{written}` was taken: {output:?}"));
            assert_eq!(end(&output).as_second(), meant.as_second(), "{written}");
            let form = output.json()["Expiration"].as_str().map(str::len);
            assert_eq!(form, Some("2999-01-01T00:00:00Z".len()), "{written}");
        } else {
            refused(output);
        }
    }
    // What all of them have in common is a form that every SDK takes.
    write_default(&profile, &line("aws.f1"), "");
    let far: Timestamp = ENDS[0].parse().expect("a time");
    for one in Sdk::ALL {
        let keys = sdk(&profile, one, "http://127.0.0.1:9").ask("keys");
        assert_eq!(keys["Expiration"], Value::from(far.as_second()), "{one:?}");
    }
}
