//! Clients that are killed at any moment.

use std::time::{Duration, Instant};

use keyfob_e2e::{Company, Profile, start, wait_for};
use keyfob_sandbox::{IssuerOptions, Options};
use serde_json::json;

/// Every answer needs a new refresh: the tokens are worthless as soon as they are there, and each refresh token is good
/// once. A renewal that is given up half-way would lose the session.
#[test]
fn two_hundred_killed_clients_lose_no_session() {
    let issuer = IssuerOptions { access_token_seconds: 1, id_token_seconds: 1, ..IssuerOptions::default() };
    let company = Company::with(Options { issuer, ..Options::default() });
    let profile = Profile::new(&company.config());
    let agent = profile.start_agent();
    company.sign_in(&profile, "okta");
    let request = json!({"uri": "https://x.cache.acme.dev/a"}).to_string();
    let mut state = 20_261_121_u64;
    for _ in 0..200 {
        let mut client = start(profile.keyfob(&["get"]), request.as_str());
        let end = Instant::now() + Duration::from_micros(random(&mut state) % 30_000);
        wait_for("the moment to kill", Duration::from_secs(1), || Instant::now() >= end);
        client.kill();
    }
    assert_eq!(profile.agent_pid(), agent);
    assert_eq!(profile.state_of("sso.okta"), "live");
    assert!(company.counts().refreshes() > 0, "the clients lived long enough to cause refreshes");
    profile.get("https://x.cache.acme.dev/a").ok();
}

/// The step of a linear congruential generator (Knuth's MMIX constants): the same moments in every run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
