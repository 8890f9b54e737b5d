//! Signing in at a real OpenID provider (npm `oidc-provider`), and what becomes of the session afterwards.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyfob_e2e::real::{Lines, Moto, OidcProvider, Part, Refreshes, SessionBus, alone, together};
use keyfob_e2e::{
    Company, MEMORY, Output, PATIENCE, Profile, Stage, run, start, token, wait_for, wait_for_some,
};
use keyfob_sandbox::Options;
use serde_json::{Value, json};

const HOST: &str = "*.cache.acme.dev";
const URI: &str = "https://x.cache.acme.dev/google.bytestream.ByteStream";

/// What a tool's call may take, whatever happens behind the agent.
const SOON: Duration = Duration::from_secs(2);

/// The access token in an answer of `get`.
#[track_caller]
fn bearer(answer: &Output) -> String {
    let json = answer.json();
    let value =
        json["headers"]["Authorization"][0].as_str().unwrap_or_else(|| panic!("no token: {answer:?}"));
    value.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no bearer token: {answer:?}")).to_owned()
}

/// A company whose STS trusts the provider.
fn company(provider: &OidcProvider, moto: Option<&Moto>) -> Company {
    let mut options = Options::default();
    options.sts.trusted.push(provider.trusted());
    options.sts.forward = moto.map(|moto| moto.url().parse().expect("moto's address is one"));
    Company::with(options)
}

/// Does what a person does with a code from another device.
fn approve(address: &str, code: &str) {
    let mut browser = Command::new(Stage::get().bin("keyfob-sandbox-browser"));
    browser.args([address, code]);
    run(browser, "").ok();
}

/// A session in the encrypted file keychain, which opens by itself after a restart.
fn durable(config: &str) -> Profile {
    let mut profile = Profile::new(&format!("[agent]\nkeychain = \"file\"\n{config}"));
    let passphrase = profile.path().join("passphrase");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&passphrase);
    std::io::Write::write_all(&mut file.expect("a new file"), b"correct horse battery staple\n")
        .expect("room");
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    profile
}

/// A session in a desktop's keychain, where a test can look at it.
fn on_a_desktop(bus: &SessionBus, config: &str) -> Profile {
    let mut profile = Profile::new(config);
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile
}

/// The refresh token that rests in the keychain.
fn refresh_token(bus: &SessionBus, entry: &str) -> String {
    let item: Value = serde_json::from_str(&bus.item(entry)).expect("an item is JSON");
    let value: Value =
        serde_json::from_str(item["value"].as_str().expect("with a value")).expect("that is JSON");
    value["refresh_token"].as_str().expect("with a refresh token").to_owned()
}

#[test]
fn a_person_signs_in_through_login_and_consent_and_bazel_gets_the_token() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let profile = Profile::new(&[MEMORY, &provider.sso("okta", HOST)].concat());
    let refused = profile.get(URI).exits(3);
    assert!(refused.stderr.contains("keyfob login okta"), "{refused:?}");
    assert_eq!(refused.stdout, "");

    let said = provider.sign_in(&profile, "okta");
    assert!(said.stdout.contains("signed in to `sso.okta` as ada@example.com"), "{said:?}");
    let token = bearer(&profile.get(URI).ok());
    assert!(provider.takes(&token));
    assert!(!provider.takes(&format!("{token}x")), "the provider tells tokens apart");
    let shown = [said.stdout, said.stderr, profile.status().to_string()].concat();
    assert!(!shown.contains(&token), "a person is shown no token");
    assert_eq!(profile.state_of("sso.okta"), "live");
    assert_eq!(provider.refreshes(), Refreshes::default(), "the first token came with the sign-in");
}

#[test]
fn a_code_for_another_device_signs_in() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let profile = Profile::new(&[MEMORY, &provider.sso("okta", HOST)].concat());
    let mut command = profile.keyfob(&["--json", "login", "--device", "okta"]);
    let mut login = Part::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(login.child().stdout.take().expect("its output is piped"));
    let step = lines.find("the code", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["step"].get("device-code").cloned()
    });
    assert!(step["expires_in"].as_u64().is_some_and(|seconds| seconds > 60), "{step}");
    let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("no {name}: {step}"));
    approve(text("verification_uri"), text("user_code"));
    lines.find("the end", |line| line.contains(r#""done""#).then_some(()));
    assert_eq!(login.exit_code(), Some(0));
    assert!(provider.takes(&bearer(&profile.get(URI).ok())));
}

#[test]
fn over_ssh_a_code_is_shown_though_a_browser_is_there() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let profile = Profile::new(&[MEMORY, &provider.sso("okta", HOST)].concat());
    let mut command = profile.keyfob(&["login"]);
    command.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22").env("DISPLAY", ":0");
    // It would sign in by itself.
    command.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
    let mut login = Part::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
    let lines = Lines::of(login.child().stderr.take().expect("its words are piped"));
    let address =
        lines.find("the page", |line| line.trim().starts_with("http").then(|| line.trim().to_owned()));
    let code = lines.find("the code", |line| {
        let code = line.trim().strip_prefix('|')?.strip_suffix('|')?.trim();
        (!code.is_empty()).then(|| code.to_owned())
    });
    approve(&address, &code);
    assert_eq!(login.exit_code(), Some(0));
    assert_eq!(profile.state_of("sso.okta"), "live");
}

#[test]
fn without_a_display_a_code_is_shown_and_with_one_a_page() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let profile = Profile::new(&[MEMORY, &provider.sso("okta", HOST)].concat());
    let desk = [("DISPLAY", ":0")];
    let remote = [("DISPLAY", ":0"), ("SSH_TTY", "/dev/pts/0")];
    let cases: [(&[(&str, &str)], &str); 3] =
        [(&[], "device-code"), (&desk, "open-browser"), (&remote, "device-code")];
    for (variables, expected) in cases {
        let mut command = profile.keyfob(&["--json", "login"]);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut login = Part::start(&mut command);
        let lines = Lines::of(login.child().stdout.take().expect("its output is piped"));
        let step = lines.find("a step", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["step"].as_object()?.keys().next().cloned()
        });
        assert_eq!(step, expected, "{variables:?}");
    }
    // Each was called off by going away.
    assert_eq!(profile.state_of("sso.okta"), "signed-out");
}

#[test]
fn a_session_outlives_its_tokens_and_each_renewal_spends_the_newest_refresh_token() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({"ttl": {"AccessToken": 4, "IdToken": 4}}));
    let profile = Profile::new(&[MEMORY, &provider.sso("okta", HOST)].concat());
    provider.sign_in(&profile, "okta");
    let mut seen = std::collections::BTreeSet::new();
    wait_for("four renewals", PATIENCE, || {
        let token = bearer(&profile.get(URI).ok());
        assert!(provider.takes(&token), "a token that has ended was handed out");
        seen.insert(token);
        provider.refreshes().granted >= 4
    });
    // A spent one would have been refused, and the whole session with it.
    assert_eq!(provider.refreshes().refused, 0);
    assert!(seen.len() >= 4, "{} tokens", seen.len());
    assert_eq!(profile.state_of("sso.okta"), "live");
}

#[test]
fn two_hundred_cold_calls_make_one_refresh_and_one_call_of_sts() {
    let _turn = alone();
    let (provider, moto) = (OidcProvider::start(&json!({})), Moto::start());
    let company = company(&provider, Some(&moto));
    let role = company.addresses().roles[0].clone();
    let profile = durable(&[provider.sso("okta", HOST), company.aws("dev", "okta", &role)].concat());
    provider.sign_in(&profile, "okta");
    profile.run(&["agent", "stop"], "").ok();
    assert_eq!(profile.running_agent(), None);

    let calls: Vec<_> = (0..200).map(|_| start(profile.keyfob(&["credential-process", "dev"]), "")).collect();
    let answers: Vec<Output> = calls.into_iter().map(|call| call.output(PATIENCE).ok()).collect();
    assert_eq!(provider.refreshes(), Refreshes { granted: 1, refused: 0 });
    assert_eq!(company.counts().role(&role), 1);
    assert_eq!(company.counts().last_role_session_name.as_deref(), Some("ada@example.com"));
    let first = &answers[0];
    assert_eq!(first.json()["Version"], 1);
    assert!(answers.iter().all(|answer| answer.stdout == first.stdout), "all get the same keys");
    assert_eq!(bearer(&profile.get(URI).ok()), bearer(&profile.get(URI).ok()));
    assert_eq!(
        provider.refreshes(),
        Refreshes { granted: 1, refused: 0 },
        "the token came with that refresh"
    );
}

#[test]
fn an_agent_that_is_killed_has_kept_what_it_answered_with() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let profile = durable(&provider.sso("okta", HOST));
    provider.sign_in(&profile, "okta");
    let mut last = String::new();
    for rotations in 1..=3 {
        // Right after the sign-in, then right after each rotation.
        profile.kill_agent();
        let token = bearer(&profile.get(URI).ok());
        assert_ne!(token, last, "leases live in memory only");
        assert_eq!(provider.refreshes(), Refreshes { granted: rotations, refused: 0 });
        last = token;
    }
    assert_eq!(profile.state_of("sso.okta"), "live");
}

#[test]
fn signing_out_revokes_at_the_provider_and_takes_back_what_was_bought() {
    let _turn = together();
    let (provider, bus) = (OidcProvider::start(&json!({})), SessionBus::start());
    let company = company(&provider, None);
    let role = company.addresses().roles[0].clone();
    let config = [provider.sso("okta", HOST), company.aws("dev", "okta", &role)].concat();
    let profile = on_a_desktop(&bus, &config);
    provider.sign_in(&profile, "okta");
    let token = bearer(&profile.get(URI).ok());
    profile.credential_process("dev").ok();
    let refresh_token = refresh_token(&bus, "sso.okta");

    let said = profile.run(&["logout"], "").ok();
    assert!(said.stdout.contains("signed out of `sso.okta`"), "{said:?}");
    assert!(!said.stdout.contains("could not be told"), "{said:?}");
    assert_eq!(bus.item("sso.okta"), "", "the item is gone");
    let refused = provider.spend(&refresh_token);
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(!provider.takes(&token), "the whole grant is gone");
    for refused in [profile.get(URI), profile.credential_process("dev")] {
        let refused = refused.exits(3);
        assert!(refused.stderr.contains("keyfob login okta") && refused.stdout.is_empty(), "{refused:?}");
    }
    provider.sign_in(&profile, "okta");
    profile.get(URI).ok();
}

#[test]
fn a_refresh_token_that_is_not_revoked_can_be_spent() {
    let _turn = together();
    // The counterpart of the test before: what the provider refuses there, it takes here.
    let (provider, bus) = (OidcProvider::start(&json!({})), SessionBus::start());
    let profile = on_a_desktop(&bus, &provider.sso("okta", HOST));
    provider.sign_in(&profile, "okta");
    assert_eq!(provider.spend(&refresh_token(&bus, "sso.okta")).status, 200);
}

#[test]
fn a_session_that_ends_at_the_provider_is_said_and_nothing_else_is_touched() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({"ttl": {"AccessToken": 4, "IdToken": 4}}));
    let profile = Profile::new(
        &[
            MEMORY,
            &provider.sso("okta", HOST),
            &provider.sso("partner", "*.partner.example"),
            &token("aspect", "aw-remote-ext.acme.dev"),
        ]
        .concat(),
    );
    provider.sign_in(&profile, "okta");
    provider.sign_in(&profile, "partner");
    profile.add_token("aspect", "aw_0123456789abcdef");
    provider.revoke(&bearer(&profile.get(URI).ok()));

    let refused = wait_for_some("the end of the session to be noticed", PATIENCE, || {
        let answer = profile.get(URI);
        (answer.code != 0).then_some(answer)
    });
    let refused = refused.exits(3);
    assert!(refused.stderr.contains("keyfob login okta") && refused.stdout.is_empty(), "{refused:?}");
    assert_eq!(profile.state_of("sso.okta"), "signed-out");
    let asked = provider.refreshes();
    profile.get(URI).exits(3);
    assert!(provider.refreshes().refused == asked.refused, "a dead token is not spent again and again");

    assert!(provider.takes(&bearer(&profile.get("https://a.partner.example/").ok())));
    profile.get("https://aw-remote-ext.acme.dev/").ok();
    provider.sign_in(&profile, "okta");
    assert!(provider.takes(&bearer(&profile.get(URI).ok())));
}

#[test]
fn a_provider_that_stands_still_costs_nobody_the_session() {
    let _turn = alone();
    let provider = OidcProvider::start(&json!({}));
    let profile = durable(&provider.sso("okta", HOST));
    provider.sign_in(&profile, "okta");
    provider.part().halt();
    let answer = profile.get(URI).ok();
    assert!(answer.took < SOON, "with a live lease nobody waits: {answer:?}");

    profile.run(&["agent", "restart"], "").ok();
    for _ in 0..2 {
        let refused = profile.get(URI).exits(1);
        assert!(refused.took < SOON, "{refused:?}");
        assert!(refused.stdout.is_empty() && !refused.stderr.contains("keyfob login"), "{refused:?}");
    }
    provider.part().resume();
    let answer = wait_for_some("an answer without a sign-in", PATIENCE, || {
        let answer = profile.get(URI);
        (answer.code == 0).then_some(answer)
    });
    assert!(provider.takes(&bearer(&answer)));
    assert_eq!(provider.refreshes(), Refreshes { granted: 1, refused: 0 });
}

#[test]
fn a_provider_that_is_gone_signs_nobody_out() {
    let _turn = alone();
    let provider = OidcProvider::start(&json!({}));
    let profile = durable(&provider.sso("okta", HOST));
    provider.sign_in(&profile, "okta");
    drop(provider);
    let answer = profile.get(URI).ok();
    assert!(answer.took < SOON, "with a live lease nobody waits: {answer:?}");

    profile.run(&["agent", "restart"], "").ok();
    let refused = profile.get(URI).exits(1);
    assert!(refused.took < SOON, "{refused:?}");
    assert!(refused.stderr.contains("cannot be reached") && refused.stdout.is_empty(), "{refused:?}");
    assert_eq!(profile.state_of("sso.okta"), "waiting");
}

#[test]
fn a_provider_that_stands_still_holds_up_no_other() {
    let _turn = alone();
    let (still, other) = (OidcProvider::start(&json!({})), OidcProvider::start(&json!({})));
    let profile = durable(&[still.sso("still", HOST), other.sso("other", "*.partner.example")].concat());
    still.sign_in(&profile, "still");
    other.sign_in(&profile, "other");
    profile.run(&["agent", "restart"], "").ok();
    still.part().halt();
    profile.get(URI).exits(1);
    let answer = profile.get("https://a.partner.example/").ok();
    assert!(answer.took < SOON, "{answer:?}");
    assert!(other.takes(&bearer(&answer)));
}
