//! A job with a token: what it gets, and what is never shown of it.

use std::fs;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, Profile};
use keyfob_sandbox::circleci::Version;
use keyfob_sandbox::{Endpoint, Fault};

use super::{URI, config, in_github};

#[test]
fn a_job_of_github_serves_bazel_and_aws_without_anybody_signing_in() {
    let _turn = together();
    let company = Company::start();
    let mut profile = Profile::new(&config(&company));
    in_github(&mut profile, &company);
    company.faults().set_times(Endpoint::GithubIdToken, Fault::Status(500), 2);
    let headers = profile.get(URI).ok().json();
    let bearer = headers["headers"]["Authorization"][0].as_str().expect("a header").to_owned();
    assert!(bearer.starts_with("Bearer eyJ"));
    let keys = profile.credential_process("deploy").ok().json();
    assert!(keys["AccessKeyId"].as_str().is_some_and(|key| key.starts_with("ASIA")));
    assert_eq!(company.github_actions().audiences(), ["sts.amazonaws.com"], "one token for both");

    // Whoever is not in CI is told why, too.
    profile.unset("CI");
    let refused = profile.run(&["login", "company"], "").exits(1);
    assert!(refused.stderr.contains("nobody to sign in"), "{refused:?}");
    assert_eq!(profile.state_of("machine.ci"), "live");

    // Nothing of the token is in what it leaves behind.
    let (_, request) = company.github_actions().request();
    let token = bearer.trim_start_matches("Bearer ");
    let claims = profile.run(&["machine", "claims", "ci"], "").ok().stdout;
    let mut left = claims + &profile.status().to_string();
    for name in ["ledger.jsonl", "keyfobd.log"] {
        left += &fs::read_to_string(profile.state().join(name)).unwrap_or_default();
    }
    assert!(left.contains("aws.deploy"), "there is something to look through: {left}");
    for secret in [request.as_str(), token, token.rsplit('.').next().expect("a signature")] {
        assert!(!left.contains(secret), "{left}");
    }
}

#[test]
fn a_job_without_the_permission_is_told_the_line_that_it_lacks() {
    let _turn = together();
    let company = Company::start();
    let mut profile = Profile::new(&config(&company));
    profile.set("GITHUB_ACTIONS", "true");
    for refused in [profile.get(URI), profile.credential_process("deploy")] {
        let refused = refused.exits(1);
        assert!(refused.stderr.contains("permissions: id-token: write"), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(company.counts().arrived(Endpoint::Sts), 0);
}

#[test]
fn claims_are_told_in_all_forms() {
    let _turn = together();
    let company = Company::start();
    let mut profile = Profile::new(&config(&company));
    in_github(&mut profile, &company);
    let page = profile.run(&["machine", "claims", "ci"], "").ok().stdout;
    for part in [
        "machine.ci: github-actions",
        "repo:acme/payments:ref:refs/heads/main",
        "organisation",
        "token.actions.githubusercontent.com:sub",
        "sts:AssumeRoleWithWebIdentity",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // The policy can be copied as it is.
    let begin = page.find("\n{").expect("a policy");
    let end = page.find("\n}").expect("its end");
    let policy: serde_json::Value = serde_json::from_str(&page[begin..end + 2]).expect("whole JSON");
    let report = profile.run(&["machine", "claims", "ci", "--json"], "").ok().json();
    let same: serde_json::Value =
        serde_json::from_str(report["trust_policy"].as_str().expect("a policy")).expect("JSON");
    assert_eq!(policy, same);

    let mut profile = Profile::new(&config(&company));
    profile.set("CIRCLECI", "true");
    profile.set("CIRCLE_OIDC_TOKEN", company.circleci().token(Version::First));
    profile.set("CIRCLE_OIDC_TOKEN_V2", company.circleci().token(Version::Second));
    let page = profile.run(&["machine", "claims", "ci"], "").ok().stdout;
    for part in ["machine.ci: circleci", "github.com/acme/payments", "oidc.circleci.com/org/"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    profile.credential_process("deploy").ok();

    let refused = Profile::new(&config(&company)).run(&["machine", "claims", "ci"], "").exits(1);
    assert!(refused.stderr.contains("has no identity here"), "{refused:?}");
    assert!(refused.stderr.contains("keyfob run"), "{refused:?}");
}
