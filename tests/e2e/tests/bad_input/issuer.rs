//! An identity provider that is down, slow or broken: nobody is signed out by that.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use keyfob_e2e::{Company, Profile, at_once, wait_for, wait_for_some};
use keyfob_sandbox::{Endpoint, Fault, IssuerOptions, Options};

use crate::refused;

const URI: &str = "https://x.cache.acme.dev/";
/// Until a provider that answers again is noticed: a running try may first have to end, by the limit of one call.
const AGAIN: Duration = Duration::from_secs(25);

/// What goes wrong, what a person is told, and the state in which the entry is meanwhile.
fn faults() -> [(Fault, &'static [&'static str], &'static str); 5] {
    [
        // The flight goes on without the tool.
        (Fault::Slow(Duration::from_secs(6)), &["the credential is being renewed"], "live"),
        (Fault::Status(500), &["answers, but not as an identity provider"], "waiting"),
        (Fault::Html, &["answers, but not as an identity provider"], "waiting"),
        (Fault::Reset, &["the connection to http://127.0.0.1:", "broke"], "waiting"),
        (Fault::Endless, &["the answer of http://127.0.0.1:", "is too large"], "refused"),
    ]
}

/// Tokens that end at once, and refresh tokens that stay good where an answer with a new one is lost (Okta's default).
fn company() -> Company {
    let issuer = IssuerOptions {
        access_token_seconds: 1,
        id_token_seconds: 1,
        rotate_refresh_tokens: false,
        ..IssuerOptions::default()
    };
    Company::with(Options { issuer, ..Options::default() })
}

#[track_caller]
fn nobody_was_signed_out(company: &Company, profile: &Profile, state: &str) {
    assert_eq!(profile.state_of("sso.okta"), state);
    company.faults().clear_all();
    wait_for("an answer after the fault", AGAIN, || profile.get(URI).code == 0);
    assert_eq!(profile.state_of("sso.okta"), "live");
}

#[track_caller]
fn contains_all(said: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn a_broken_token_endpoint_signs_nobody_out() {
    at_once(faults(), |(fault, parts, state)| {
        let company = company();
        let profile = Profile::new(&company.config());
        company.sign_in(&profile, "okta");
        company.faults().set(Endpoint::Token, fault);
        // The tokens of the sign-in are good for a moment.
        let output = wait_for_some("a call that needs the provider", Duration::from_secs(10), || {
            Some(profile.get(URI)).filter(|output| output.code != 0)
        });
        contains_all(&refused(output, 1), parts);
        // A role needs the same session.
        refused(profile.credential_process("dev"), 1);
        nobody_was_signed_out(&company, &profile, state);
        // A build asks at once and often, so a failure answers for itself for a moment.
        wait_for("keys after the fault", AGAIN, || profile.credential_process("dev").code == 0);
    });
}

/// After a restart the agent knows nothing of the provider but the session in the keychain.
#[test]
fn broken_metadata_and_keys_sign_nobody_out() {
    at_once([Endpoint::Discovery, Endpoint::Jwks], |endpoint| {
        let company = company();
        let mut profile = Profile::new("");
        let passphrase = profile.path().join("passphrase");
        let mut file = fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(&passphrase).unwrap();
        std::io::Write::write_all(&mut file, b"correct horse battery staple\n").unwrap();
        profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
        profile.configure(&company.config().replace("\"memory\"", "\"file\""));
        company.sign_in(&profile, "okta");
        for (fault, parts, state) in faults() {
            profile.run(&["agent", "restart"], "").ok();
            wait_for("an open keychain", Duration::from_secs(20), || {
                profile.status()["keychain"]["state"] == "present"
            });
            company.faults().set(endpoint, fault);
            contains_all(&refused(profile.get(URI), 1), parts);
            nobody_was_signed_out(&company, &profile, state);
        }
    });
}

#[test]
fn an_issuer_that_is_gone_is_named_and_the_session_kept() {
    let company = company();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    let issuer = company.addresses().issuer_url.clone();
    drop(company);
    let output = wait_for_some("a call that needs the provider", Duration::from_secs(10), || {
        Some(profile.get(URI)).filter(|output| output.code != 0)
    });
    let said = refused(output, 1);
    contains_all(&said, &[&issuer, "cannot be reached"]);
    assert_eq!(profile.state_of("sso.okta"), "waiting");
    let why = profile.run(&["why", URI], "").exits(1);
    contains_all(&why.stdout, &["sso.okta", "cannot be reached"]);
}

/// The other way round: an end of the session at the provider is an end, and says how to begin anew.
#[test]
fn a_session_that_the_provider_ended_needs_a_sign_in() {
    let company = company();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    company.issuer().end_all_sessions();
    let output = wait_for_some("a call that needs the provider", Duration::from_secs(10), || {
        Some(profile.get(URI)).filter(|output| output.code != 0)
    });
    assert!(output.stderr.contains("Run: keyfob login okta"), "{output:?}");
    contains_all(&refused(output, 3), &["the session of `sso.okta` has ended"]);
    assert_eq!(profile.state_of("sso.okta"), "signed-out");
    company.sign_in(&profile, "okta");
    profile.get(URI).ok();
}
