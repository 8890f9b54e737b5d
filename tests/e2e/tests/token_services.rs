//! Personal access tokens of services, through the real programs: a real JupyterHub, and GitLab, GitHub and JFrog as their
//! documentation has them.

#![cfg(target_os = "linux")]

use jiff::{SignedDuration, Timestamp};
use keyfob_e2e::real::JupyterHub;
use keyfob_e2e::{Company, MEMORY, Output, Profile};
use keyfob_sandbox::jfrog::NewToken;
use serde_json::{Value, json};

/// Enough for a token to see, replace and delete itself.
const OWN_TOKENS: &[&str] = &["tokens!user"];
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// `[token.mine]` of a service, for `mine.acme.dev`, with lines of the test's own.
fn profile(service: &str, api: &str, more: &str) -> Profile {
    let entry = format!(
        "[token.mine]\nhosts = [\"mine.acme.dev\"]\nservice = \"{service}\"\napi = \"{api}\"\nlifetime = \"60d\"\n"
    );
    Profile::new(&[MEMORY, &entry, more].concat())
}

/// What a tool gets.
#[track_caller]
fn served(profile: &Profile) -> String {
    let answer = profile.get("https://mine.acme.dev/").ok().json();
    let header =
        answer["headers"]["Authorization"][0].as_str().unwrap_or_else(|| panic!("no header: {answer}"));
    header.strip_prefix("Bearer ").unwrap_or_else(|| panic!("another scheme: {header}")).to_owned()
}

#[track_caller]
fn entry(profile: &Profile) -> Value {
    let status = profile.status();
    let found =
        status["entries"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "token.mine"));
    found.cloned().unwrap_or_else(|| panic!("no token.mine: {status}"))
}

#[track_caller]
fn add(profile: &Profile, value: &str) -> Value {
    profile.run(&["token", "add", "mine", "--json"], value).ok().json()
}

fn rotate(profile: &Profile) -> Output {
    profile.run(&["token", "rotate", "mine", "--json"], "")
}

/// Neither of the streams.
#[track_caller]
fn silent_about(output: &Output, value: &str) {
    assert!(!output.stdout.contains(value) && !output.stderr.contains(value), "a value is shown: {output:?}");
}

#[track_caller]
fn moment(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no moment: {value}"))
}

/// Whole seconds, as everything that is shown.
fn seconds(moment: Timestamp) -> i64 {
    moment.as_second()
}

fn in_sixty_days(moment: Timestamp) -> bool {
    let off = moment.duration_since(Timestamp::now()) - DAY * 60;
    off.abs() < SignedDuration::from_mins(5)
}

#[test]
fn a_token_of_jupyterhub_lives_its_whole_life_through_keyfob() {
    let hub = JupyterHub::start();
    let (_, other) = hub.issue_token("ada", OWN_TOKENS, None, "another machine's");
    let (_, first) = hub.issue_token("ada", OWN_TOKENS, Some(40 * 24 * 3600), "by hand");
    let profile = profile("jupyterhub", hub.url(), "");

    let added = add(&profile, &first);
    let known = hub.tokens("ada").into_iter().find(|token| token["note"] == "by hand").expect("it is there");
    assert_eq!((&added["owner"], &added["until_by"]), (&json!("ada"), &json!("token-service")));
    assert_eq!(seconds(moment(&added["until"])), seconds(moment(&known["expires_at"])));
    let shown = entry(&profile);
    assert_eq!((&shown["state"], &shown["until"]), (&json!("live"), &added["until"]));
    assert_eq!((&shown["owner"], &shown["until_assumed"]), (&json!("ada"), &json!(false)));
    assert_eq!(served(&profile), first);

    let rotated = rotate(&profile).ok();
    let second = served(&profile);
    silent_about(&rotated, &second);
    silent_about(&rotated, &first);
    assert!(second != first && hub.takes(&second) && !hub.takes(&first));
    let rotated = rotated.json();
    assert_eq!(rotated["lost"].as_array().map_or(0, Vec::len), 0, "{rotated}");
    assert!(in_sixty_days(moment(&rotated["until"])), "{rotated}");
    let left = hub.tokens("ada");
    assert_eq!(left.len(), 2, "one of ours, and the other machine's: {left:?}");
    let scopes = |token: &Value| {
        let mut scopes: Vec<String> = serde_json::from_value(token["scopes"].clone()).expect("a list");
        scopes.sort();
        scopes
    };
    assert_eq!(scopes(&left[0]), scopes(&left[1]));

    profile.run(&["token", "remove", "mine"], "").ok();
    assert!(!hub.takes(&second) && hub.takes(&other));
    assert_eq!(entry(&profile)["state"], "signed-out");
}

#[test]
fn what_a_hub_knows_to_be_wrong_is_not_kept() {
    let hub = JupyterHub::start();
    let (id, dead) = hub.issue_token("ada", OWN_TOKENS, None, "dead");
    hub.delete_token("ada", &id);
    let (_, graces) = hub.issue_token("grace", OWN_TOKENS, None, "grace's");
    let profile = profile("jupyterhub", hub.url(), "owner = \"ada\"\n");
    for (value, why) in [(&dead, "does not accept"), (&graces, "grace")] {
        let refused = profile.run(&["token", "add", "mine"], value.as_str()).exits(1);
        assert!(refused.stderr.contains(why), "{refused:?}");
        silent_about(&refused, value);
        assert_eq!(entry(&profile)["state"], "signed-out");
    }
    assert!(hub.takes(&graces));
}

#[test]
fn a_token_that_may_do_little_keeps_what_it_has() {
    let hub = JupyterHub::start();
    let (_, weak) = hub.issue_token("ada", &[], Some(3600), "weak");
    let profile = profile("jupyterhub", hub.url(), "");
    let added = add(&profile, &weak);
    assert_eq!((&added["owner"], &added["until_by"]), (&json!("ada"), &json!("configuration")), "{added}");
    assert_eq!(entry(&profile)["until_assumed"], true, "an unknown end is not told as known");

    let refused = rotate(&profile).exits(1);
    assert!(refused.stderr.contains("no permissions to generate tokens"), "{refused:?}");
    assert_eq!(served(&profile), weak);
    assert!(hub.takes(&weak) && hub.tokens("ada").len() == 1);

    let removed = profile.run(&["token", "remove", "mine"], "").ok();
    assert!(removed.stdout.contains("not at its service"), "{removed:?}");
    assert!(hub.takes(&weak));
    assert_eq!(entry(&profile)["state"], "signed-out");
}

#[test]
fn a_hub_that_stands_still_costs_no_token() {
    let hub = JupyterHub::start();
    let (_, first) = hub.issue_token("ada", OWN_TOKENS, Some(3600), "by hand");
    let profile = profile("jupyterhub", hub.url(), "");
    add(&profile, &first);
    hub.proxy().halt();
    let failed = rotate(&profile);
    assert_ne!(failed.code, 0, "{failed:?}");
    assert_eq!(served(&profile), first);
    hub.proxy().resume();
    rotate(&profile).ok();
    let second = served(&profile);
    assert!(hub.takes(&second) && !hub.takes(&first));
    assert_eq!(hub.tokens("ada").len(), 1);
}

#[test]
fn a_token_of_gitlab_is_rotated_to_the_day() {
    let company = Company::start();
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let gitlab = company.gitlab();
    let first = gitlab.issue_token("ada", &["api"], Some(today.saturating_add(jiff::Span::new().days(50))));
    let profile = profile("gitlab", &company.addresses().gitlab_api_url, "");
    let added = add(&profile, &first);
    assert_eq!((&added["owner"], &added["until_by"]), (&json!("ada"), &json!("token-service")));
    assert!(added["until"].as_str().is_some_and(|until| until.ends_with("T00:00:00Z")), "{added}");

    let rotated = rotate(&profile).ok().json();
    let day = (Timestamp::now() + DAY * 60).to_zoned(jiff::tz::TimeZone::UTC).date();
    assert_eq!(rotated["until"], format!("{day}T00:00:00Z"));
    assert_eq!(rotated["owner"], "ada");
    let second = served(&profile);
    assert!(gitlab.is_live(&second) && !gitlab.is_live(&first));
    profile.run(&["token", "remove", "mine"], "").ok();
    assert!(!gitlab.is_live(&second));
}

#[test]
fn a_token_of_github_is_replaced_by_the_persons_hand() {
    let company = Company::start();
    let github = company.github();
    let ends = Timestamp::now() + DAY * 50;
    let first = github.issue_token("ada", Some(&["repo", "gist"]), Some(ends));
    let second = github.issue_token("ada", Some(&["repo"]), None);
    let profile = profile("github", &company.addresses().github_api_url, "");
    let added = add(&profile, &first);
    assert_eq!((&added["owner"], seconds(moment(&added["until"]))), (&json!("ada"), seconds(ends)));

    let replaced = profile.run(&["token", "rotate", "mine", "--json"], second.as_str()).ok().json();
    assert!(replaced["lost"].to_string().contains("gist"), "{replaced}");
    assert_eq!(replaced["until_by"], "configuration", "the second one has an end that GitHub does not tell");
    assert_eq!(served(&profile), second);
    profile.run(&["token", "remove", "mine"], "").ok();
    assert!(!github.is_live(&second) && github.is_live(&first));
}

#[test]
fn a_token_of_jfrog_is_refreshed_where_its_refresh_token_came_along() {
    let company = Company::start();
    let jfrog = company.jfrog();
    let pair = jfrog.issue_token(NewToken { life: Some(DAY * 50), ..NewToken::of("ada") });
    let profile = profile("jfrog", &company.addresses().jfrog_api_url, "");
    // As JFrog shows it, in several lines.
    let shown = json!({"access_token": pair.access_token, "refresh_token": pair.refresh_token, "token_type": "Bearer"});
    let added = add(&profile, &serde_json::to_string_pretty(&shown).expect("it can be written"));
    assert_eq!((&added["owner"], &added["until_by"]), (&json!("ada"), &json!("token-service")));
    assert_eq!(served(&profile), pair.access_token);
    for _ in 0..2 {
        let before = served(&profile);
        let rotated = rotate(&profile).ok();
        let after = served(&profile);
        silent_about(&rotated, &after);
        assert!(jfrog.is_live(&after) && !jfrog.is_live(&before));
    }

    let alone = jfrog.issue_token(NewToken::of("ada")).access_token;
    add(&profile, &alone);
    let refused = rotate(&profile).exits(1);
    assert!(refused.stderr.contains("no refresh token"), "{refused:?}");
    assert_eq!(served(&profile), alone);
    profile.run(&["token", "remove", "mine"], "").ok();
    assert!(!jfrog.is_live(&alone));
}
