//! AWS says no, or nothing.

use std::time::Duration;

use keyfob_e2e::{Company, Output, Profile, at_once, wait_for, wait_for_some};
use keyfob_sandbox::sts::StsError;
use keyfob_sandbox::{Endpoint, Fault};

use crate::{WAITED, refused, refused_within};

/// Until the last try of a flight is over.
const LANDED: Duration = Duration::from_secs(40);

fn signed_in() -> (Company, Profile) {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    (company, profile)
}

/// The refusal once the flight has landed. Meanwhile each call is told in time that it goes on.
#[track_caller]
fn landed(profile: &Profile) -> Output {
    wait_for_some("the end of the tries", LANDED, || {
        let output = profile.credential_process("dev");
        let is_pending = output.stderr.contains("the credential is being renewed");
        if is_pending {
            refused_within(WAITED, output, 1);
            return None;
        }
        Some(output)
    })
}

#[track_caller]
fn works_again(company: &Company, profile: &Profile) {
    company.faults().clear_all();
    wait_for("keys after the fault", LANDED, || profile.credential_process("dev").code == 0);
    assert_eq!(profile.state_of("sso.okta"), "live");
}

/// Each with a part of its own sentence and its exit code.
const REFUSALS: [(StsError, &str, i32); 13] = [
    (StsError::ExpiredToken, "AWS takes a new ID token for expired", 1),
    (StsError::VerificationKeyUnavailable, "Couldn't retrieve verification key", 1),
    (StsError::NoProvider, "AWS does not accept the identity provider for the role", 1),
    (StsError::WrongAudience, "Incorrect token audience", 1),
    (StsError::IdpCommunicationError, "Could not reach the identity provider", 1),
    (StsError::IdpRejectedClaim, "the identity provider rejected the session for the role", 3),
    (StsError::MalformedPolicyDocument, "The policy is not in the valid JSON format", 1),
    (StsError::PackedPolicyTooLarge, "PackedPolicySize exceeded", 1),
    (StsError::RegionDisabled, "the region eu-west-1 is switched off", 1),
    (StsError::AccessDenied, "AWS does not let you have the role", 1),
    (StsError::Throttling, "Rate exceeded", 1),
    (StsError::InternalFailure, "We encountered an internal error", 1),
    (StsError::ServiceUnavailable, "Service Unavailable", 1),
];

#[test]
fn every_refusal_of_aws_names_the_role_and_the_next_step() {
    at_once(REFUSALS, |(error, sentence, code)| {
        let (company, profile) = signed_in();
        let role = &company.addresses().roles[0];
        company.faults().set(Endpoint::Sts, Fault::StsError(error));
        let said = refused(landed(&profile), code);
        assert!(said.contains(role) || said.contains("aws.dev"), "{error:?} names no role: {said}");
        assert!(said.contains(sentence), "{error:?}: {said}");
        works_again(&company, &profile);
    });
}

#[test]
fn an_sts_that_does_not_answer_as_one_costs_no_session() {
    let faults = [
        Fault::Slow(Duration::from_secs(5)),
        Fault::Status(500),
        Fault::Status(404),
        Fault::Html,
        Fault::Reset,
        Fault::Endless,
    ];
    at_once(faults, |fault| {
        let (company, profile) = signed_in();
        company.faults().set(Endpoint::Sts, fault.clone());
        let begun = profile.credential_process("dev");
        if matches!(fault, Fault::Slow(_)) {
            refused(begun, 1);
        } else {
            refused(landed(&profile), 1);
        }
        // Bazel's hosts need no STS.
        profile.get("https://x.cache.acme.dev/").ok();
        works_again(&company, &profile);
    });
}

#[test]
fn an_sts_that_is_gone_is_named() {
    let (company, profile) = signed_in();
    let other = Company::start();
    let role = &company.addresses().roles[0];
    let sts = other.addresses().sts_url.clone();
    profile.configure(&company.config().replace(&company.addresses().sts_url, &sts));
    profile.run(&["config", "confirm", "--yes"], "").ok();
    drop(other);
    let said = refused(landed(&profile), 1);
    assert!(said.contains("cannot be reached"), "{said}");
    assert!(said.contains(&sts) || said.contains(role), "{said}");
    profile.configure(&company.config());
    profile.run(&["config", "confirm", "--yes"], "").ok();
    profile.credential_process("dev").ok();
}

/// A role that is not there, or asks for more time than it may: nothing was forced, this is what AWS answers.
#[test]
fn a_role_that_does_not_exist_and_one_that_is_too_long_are_refused() {
    let company = Company::start();
    let missing = "arn:aws:iam::123456789012:role/Missing";
    let long = company.addresses().roles[1].clone();
    let config = [
        company.config(),
        company.aws("missing", "okta", missing),
        company.aws("long", "okta", &long),
        "duration = \"12h\"\n".to_owned(),
    ];
    let profile = Profile::new(&config.concat());
    company.sign_in(&profile, "okta");
    for (name, role) in [("missing", missing), ("long", long.as_str())] {
        let said = refused(profile.credential_process(name), 1);
        assert!(said.contains(role), "{said}");
    }
    profile.credential_process("readonly").ok();
}
