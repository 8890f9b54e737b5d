//! Services that others run: what they tell, and how each of them replaces a token.

use jiff::tz::TimeZone;
use keyfob_e2e::{Company, MEMORY, Profile};
use keyfob_sandbox::jfrog::NewToken;
use serde_json::json;

use crate::{ADA, entry, in_days, refused, text};

const URI: &str = "https://code.acme.dev/";

/// `[token.code]`, sent as `Authorization: Bearer …`.
fn profile(service: &str, api: &str) -> Profile {
    let table =
        format!("[token.code]\nhosts = [\"code.acme.dev\"]\nservice = \"{service}\"\napi = \"{api}\"\n");
    Profile::new(&[MEMORY, &table].concat())
}

#[track_caller]
fn bearer(profile: &Profile) -> String {
    let header = text(&profile.get(URI).ok().json()["headers"]["Authorization"][0]);
    header.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no bearer")).to_owned()
}

#[test]
fn gitlab_tells_rotates_and_revokes() {
    let company = Company::start();
    let gitlab = company.gitlab();
    let profile = profile("gitlab", &company.addresses().gitlab_api_url);
    let day = in_days(60).to_zoned(TimeZone::UTC).date();
    let old = gitlab.issue_token("ada", &["api"], Some(day));
    profile.add_token("code", &old);
    let status = entry(&profile, "token.code");
    assert_eq!((text(&status["owner"]), text(&status["until"])), ("ada".into(), format!("{day}T00:00:00Z")));
    let permissions = profile.run(&["permissions", "code"], "").ok().stdout;
    assert!(permissions.contains("api") && permissions.contains("the token service"), "{permissions}");

    profile.run(&["token", "rotate", "code"], "").ok();
    let new = bearer(&profile);
    assert!(new != old && gitlab.is_live(&new) && !gitlab.is_live(&old));
    assert_ne!(text(&entry(&profile, "token.code")["until"]), format!("{day}T00:00:00Z"));
    profile.run(&["token", "remove", "code"], "").ok();
    assert!(!gitlab.is_live(&new));
    refused(profile.get(URI), 3);

    // One that may not rotate itself says so, and serves on.
    let weak = gitlab.issue_token("ada", &["read_user"], Some(day));
    profile.add_token("code", &weak);
    refused(profile.run(&["token", "rotate", "code"], ""), 1);
    assert_eq!(bearer(&profile), weak);
    assert!(gitlab.is_live(&weak));
}

#[test]
fn github_tells_and_is_rotated_by_hand() {
    let company = Company::start();
    let github = company.github();
    let profile = profile("github", &company.addresses().github_api_url);
    let end = in_days(60);
    let old = github.issue_token("octocat", Some(&["repo", "read:packages"]), Some(end));
    profile.add_token("code", &old);
    let status = entry(&profile, "token.code");
    assert_eq!((text(&status["owner"]), text(&status["until"])), ("octocat".into(), end.to_string()));
    let permissions = profile.run(&["permissions", "code"], "").ok().stdout;
    assert!(permissions.contains("repo") && permissions.contains("read:packages"), "{permissions}");

    let new = github.issue_token("octocat", Some(&["repo"]), Some(end));
    let output = profile.run(&["token", "rotate", "code"], &*new).ok();
    assert!(output.stderr.contains("LOST") && output.stderr.contains("read:packages"), "{output:?}");
    assert_eq!(bearer(&profile), new);
    profile.run(&["token", "remove", "code"], "").ok();
    assert!(!github.is_live(&new));

    // What a fine-grained one may do nobody tells, and an end that is not told is not "never".
    let fine = github.issue_token("octocat", None, None);
    profile.add_token("code", &fine);
    assert_eq!(entry(&profile, "token.code")["until_assumed"], true);
}

#[test]
fn jfrog_is_rotated_with_the_refresh_token_that_was_pasted_along() {
    let company = Company::start();
    let jfrog = company.jfrog();
    let profile = profile("jfrog", &company.addresses().jfrog_api_url);
    let old = jfrog.issue_token(NewToken::of(ADA));
    let pasted = json!({"access_token": old.access_token, "refresh_token": old.refresh_token});
    profile.add_token("code", &pasted.to_string());
    assert_eq!(bearer(&profile), old.access_token);
    let output = profile.run(&["token", "rotate", "code"], "").ok();
    let new = jfrog.newest_pair(ADA).expect("a second pair");
    assert_ne!(new, old);
    assert_eq!(bearer(&profile), new.access_token);
    let refresh_token = new.refresh_token.expect("it can be rotated again");
    assert!(jfrog.is_refreshable(&refresh_token));
    for secret in [&new.access_token, &refresh_token] {
        assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "a secret is shown");
    }
}
