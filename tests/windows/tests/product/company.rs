//! Signing in, and keys for AWS.

use keyfob_sandbox::browser::Browser;
use keyfob_sandbox::{Options, Sandbox};
use keyfob_windows_tests::{Lines, MEMORY, Profile, Running, start};
use serde_json::Value;

/// `[sso.okta]` and `[aws.dev]` of a company, over a keychain in memory.
fn config(company: &Sandbox) -> String {
    let addresses = company.addresses();
    format!(
        "{MEMORY}[sso.okta]\nissuer = \"{}\"\nclient_id = \"{}\"\nhosts = [\"*.cache.acme.dev\"]\n\
         [aws.dev]\nsso = \"okta\"\nrole_arn = \"{}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n",
        addresses.issuer_url, addresses.client_id, addresses.roles[0], addresses.sts_url
    )
}

/// `keyfob login --json` with one more argument, and the step of this name that it comes to.
#[track_caller]
fn login(profile: &Profile, argument: &str, step: &str) -> (Running, Lines, Value) {
    let mut login = start(profile.keyfob(&["--json", "login", argument, "okta"]), "");
    let lines = login.lines();
    let found = lines.find(step, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["step"].get(step).cloned()
    });
    (login, lines, found)
}

/// Does what a person does in a browser.
fn visit(mut browser: Browser, url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let page = runtime.expect("there is room for one").block_on(browser.visit(url)).expect("a page");
    assert!(page.status < 400, "{page:?}");
}

#[test]
fn a_person_signs_in_by_a_code_and_tools_get_token_and_keys() {
    let company = Sandbox::start_blocking(Options::default()).unwrap();
    let profile = Profile::new(&config(&company));
    profile.run(&["credential-process", "dev"], "").exits(3);
    let (login, lines, step) = login(&profile, "--device", "device-code");
    let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("no {name}: {step}"));
    visit(Browser::new("ada").with_user_code(text("user_code")), text("verification_uri"));
    lines.find("the end", |line| line.contains(r#""done""#).then_some(()));
    login.output().ok();

    let answer = profile.get("https://x.cache.acme.dev/a").ok().json();
    assert!(answer["headers"]["Authorization"][0].as_str().is_some_and(|value| value.starts_with("Bearer ")));
    let keys = profile.run(&["credential-process", "dev"], "").ok();
    assert!(!keys.stdout.contains('\r'), "{:?}", keys.stdout);
    let keys = keys.json();
    assert_eq!(keys["Version"], 1);
    for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
        assert!(keys[name].as_str().is_some_and(|value| !value.is_empty()), "no {name}");
    }
    assert!(keys["Expiration"].as_str().is_some_and(|end| end.len() == 20 && end.ends_with('Z')));
    profile.run(&["logout", "okta"], "").ok();
    profile.run(&["credential-process", "dev"], "").exits(3);
}

#[test]
fn a_person_signs_in_by_the_browser_which_comes_back_over_loopback() {
    let company = Sandbox::start_blocking(Options::default()).unwrap();
    let profile = Profile::new(&config(&company));
    let (login, lines, step) = login(&profile, "--browser", "open-browser");
    visit(Browser::new("ada"), step["url"].as_str().unwrap_or_else(|| panic!("no address: {step}")));
    lines.find("the end", |line| line.contains(r#""done""#).then_some(()));
    login.output().ok();
    profile.run(&["credential-process", "dev"], "").ok();
}
