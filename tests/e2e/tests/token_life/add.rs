//! Adding: whose a token is, until when, and what is not taken.

use keyfob_e2e::{Company, MEMORY, Output, Profile, token};
use keyfob_sandbox::{Endpoint, Fault, Issue, Permissions};

use crate::{ADA, HOST, URI, entry, given, in_days, issue, profile, refused, report, served, text};

/// The next step after a token that is none.
const AGAIN: &str = "keyfob token add aspect";

#[track_caller]
fn add(profile: &Profile, value: &str) -> Output {
    profile.run(&["token", "add", "aspect"], value)
}

#[test]
fn a_token_is_kept_with_what_its_service_says_of_it() {
    let company = Company::start();
    let profile = profile(&company);
    let end = in_days(90);
    let value = company.portal().issue_token(ADA, Permissions::READ, end);
    let output = add(&profile, &format!(" {value}\r\n")).ok();
    let said = [&*output.stdout, &*output.stderr].concat();
    assert!(said.contains(ADA) && said.contains(&end.to_string()[..10]), "owner and end: {said}");

    let status = entry(&profile, "token.aspect");
    assert_eq!((text(&status["state"]), text(&status["owner"])), ("live".into(), ADA.into()));
    assert_eq!(
        (text(&status["until"]), text(&status["until_by"])),
        (end.to_string(), "token-service".into())
    );
    assert_eq!(status["until_assumed"], false);
    assert_eq!(given(&profile), value);
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("token.aspect") && page.contains(ADA), "{page}");
    let why = profile.run(&["why", URI], "").ok();
    assert!(why.stdout.contains("token.aspect"), "{why:?}");
}

#[test]
fn programs_get_the_same_facts() {
    let company = Company::start();
    let profile = profile(&company);
    let value = issue(&company, ADA, Permissions::READ, 20);
    let report = report(profile.run(&["token", "add", "aspect", "--json"], &*value));
    assert_eq!((text(&report["owner"]), text(&report["until_by"])), (ADA.into(), "token-service".into()));
    assert!(text(&report["until"]).starts_with(&in_days(20).to_string()[..10]), "{report}");
    // Its end is near enough to be shown so.
    assert_eq!(profile.state_of("token.aspect"), "ending");
}

#[test]
fn a_wrong_token_is_refused_with_the_reason_and_the_one_before_serves_on() {
    let company = Company::start();
    let profile = profile(&company);
    let good = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &good);
    let revoked = issue(&company, ADA, Permissions::READ, 90);
    company.portal().revoke(&revoked);
    let cases = [
        (
            issue(&company, "eve@example.com", Permissions::ALL, 90),
            "eve@example.com, not to ada@example.com",
            "owner =",
        ),
        (issue(&company, ADA, Permissions::READ, -1), "ended", AGAIN),
        (revoked, "does not accept", AGAIN),
        ("aw_never_made_0123456789".to_owned(), "does not accept", AGAIN),
        ("gh_0123456789".to_owned(), "aw_", AGAIN),
    ];
    for (value, reason, next) in cases {
        let said = refused(add(&profile, &value), 1);
        assert!(said.contains(reason) && said.contains(next), "no `{reason}` or `{next}`: {said}");
        assert!(!said.contains(&value), "the value is repeated");
        let answer = profile.run(&["token", "add", "aspect", "--json"], &*value).exits(1).json();
        assert_eq!(answer["refused"]["code"], "token_invalid", "{answer}");
        assert_eq!(given(&profile), good);
    }
}

#[test]
fn a_token_of_somebody_else_than_who_is_signed_in_is_refused() {
    let company = Company::start();
    let config =
        [MEMORY, &company.sso("okta", "*.cache.acme.dev"), &served(&company, "aspect", HOST)].concat();
    let profile = Profile::new(&config);
    company.sign_in(&profile, "okta");
    let said = refused(add(&profile, &issue(&company, "eve@example.com", Permissions::ALL, 90)), 1);
    assert!(said.contains("eve@example.com"), "{said}");
    // A machine has no mail address.
    add(&profile, &issue(&company, "bot-ci", Permissions::READ, 90)).ok();
    profile.run(&["token", "remove", "aspect"], "").ok();
    add(&profile, &issue(&company, ADA, Permissions::READ, 90)).ok();

    // The configuration has the last word.
    profile.configure(&format!("{config}owner = \"eve@example.com\"\n"));
    profile.run(&["token", "remove", "aspect"], "").ok();
    refused(add(&profile, &issue(&company, ADA, Permissions::READ, 90)), 1);
    add(&profile, &issue(&company, "eve@example.com", Permissions::READ, 90)).ok();
}

#[test]
fn a_token_is_not_lost_because_its_service_is_down() {
    let company = Company::start();
    let profile = profile(&company);
    for fault in [Fault::Status(503), Fault::Html, Fault::Reset] {
        company.faults().set(Endpoint::TokenSelf, fault.clone());
        let value = issue(&company, ADA, Permissions::READ, 90);
        let output = add(&profile, &value).ok();
        let said = [&*output.stdout, &*output.stderr].concat();
        assert!(said.contains("keyfob permissions aspect"), "{fault:?}: {said}");
        assert_eq!(given(&profile), value, "{fault:?}");
        let status = entry(&profile, "token.aspect");
        assert_eq!((&status["until_assumed"], &status["owner"]), (&true.into(), &serde_json::Value::Null));
        company.faults().clear(Endpoint::TokenSelf);
        profile.run(&["token", "remove", "aspect"], "").ok();
    }
}

#[test]
fn an_end_that_nobody_tells_is_assumed_until_the_person_says_it() {
    let company = Company::start();
    let profile = profile(&company);
    let permissions = Permissions::READ.everywhere();
    let issue = Issue { owner: ADA.to_owned(), admin: false, permissions, ends: None };
    profile.add_token("aspect", &company.portal().issue(issue));
    let status = entry(&profile, "token.aspect");
    assert_eq!((&status["until_assumed"], text(&status["until_by"])), (&true.into(), "configuration".into()));

    let day = in_days(40).to_string()[..10].to_owned();
    profile.run(&["token", "ends", "aspect", &day], "").ok();
    let status = entry(&profile, "token.aspect");
    let said = (format!("{day}T00:00:00Z"), "person".to_owned());
    assert_eq!((text(&status["until"]), text(&status["until_by"])), said);
    for wrong in ["soon", "2020-01-01", "2027-02-30"] {
        let output = profile.run(&["token", "ends", "aspect", wrong], "");
        assert!(output.code != 0 && output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn what_the_service_says_of_the_end_is_not_contradicted() {
    let company = Company::start();
    let profile = profile(&company);
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 90));
    let day = in_days(40).to_string()[..10].to_owned();
    refused(profile.run(&["token", "ends", "aspect", &day], ""), 1);
    // A service without an API says nothing, so the person may with the value itself.
    let profile = Profile::new(&[MEMORY, &token("aspect", HOST)].concat());
    profile.run(&["token", "add", "aspect", "--ends", &day], "aw_0123456789").ok();
    assert_eq!(text(&entry(&profile, "token.aspect")["until"]), format!("{day}T00:00:00Z"));
}
