//! Values that no command shows but the two that exist to hand them out.

use keyfob_e2e::{Company, Profile, token};
use serde_json::Value;

use crate::refused;

const VALUE: &str = "aw_1234567890abcdef";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[test]
fn secrets_appear_in_the_answers_of_tools_and_nowhere_else() {
    let company = Company::start();
    let profile = Profile::new(&[company.config(), token("other", "other.example")].concat());
    company.sign_in(&profile, "okta");
    profile.add_token("aspect", VALUE);
    let uri = "https://x.cache.acme.dev/";
    let bearer = text(&profile.get(uri).ok().json()["headers"]["Authorization"][0]);
    let keys = profile.credential_process("dev").ok().json();
    let secrets = [
        VALUE.to_owned(),
        bearer.strip_prefix("Bearer ").unwrap().to_owned(),
        text(&keys["SecretAccessKey"]),
        text(&keys["SessionToken"]),
    ];
    assert!(secrets.iter().all(|secret| secret.len() >= 10), "they can be looked for");
    let commands: [&[&str]; 16] = [
        &["status"],
        &["status", "--json"],
        &["why", uri],
        &["why", "aws.dev", "--json"],
        &["why", "token.aspect"],
        &["config", "check"],
        &["config", "confirm"],
        &["agent", "status", "--json"],
        &["credential-process", VALUE],
        &["why", "nobody.example"],
        &["token", "add", "other"],
        &["token", "add", "nobody"],
        &["login", "nobody"],
        &["unlock"],
        &["token", "remove", "aspect"],
        &["logout", "okta"],
    ];
    for command in commands {
        let output = profile.run(command, VALUE);
        // What a person typed as a name is theirs to see again.
        let named = command.contains(&VALUE);
        for secret in secrets.iter().filter(|secret| !(named && *secret == VALUE)) {
            assert!(!output.stderr.contains(secret) && !output.stdout.contains(secret), "{output:?}");
        }
    }
    let log = std::fs::read_to_string(profile.state().join("keyfobd.log")).unwrap();
    assert!(secrets.iter().all(|secret| !log.contains(secret)), "{log}");
}

#[test]
fn a_token_that_cannot_be_one_is_refused_without_repeating_it() {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    profile.start_agent();
    let long = format!("aw_{}", "s3cr3t".repeat(4000));
    let cases = [
        ("", "no token was given"),
        (" \n", "no token was given"),
        ("gh_s3cr3t", "does not begin with `aw_`"),
        ("aw_s3cr3t s3cr3t", "characters that no token holds"),
        ("aw_s3cr3t\nHost: evil", "characters that no token holds"),
        ("aw_s3cr3t\u{e9}", "characters that no token holds"),
        ("aw_s3cr3t\u{1b}[2J", "characters that no token holds"),
        (&long, "has more than"),
    ];
    for (value, reason) in cases {
        let output = profile.run(&["token", "add", "aspect"], value).exits(1);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains(reason) && !output.stderr.contains("s3cr3t"), "{output:?}");
    }
    refused(profile.get("https://aw-remote-ext.acme.dev/"), 3);
    profile.add_token("aspect", " aw_s3cr3t\r\n");
    let answer = profile.get("https://aw-remote-ext.acme.dev/").ok().json();
    assert_eq!(answer["headers"]["X-Aspect"][0], "aw_s3cr3t");
}
