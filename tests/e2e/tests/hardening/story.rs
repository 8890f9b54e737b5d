//! Everything that an agent can hold, and the commands that bring it there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use keyfob_e2e::needles::Secret;
use keyfob_e2e::{Company, Profile, token};
use keyfob_sandbox::Permissions;
use serde_json::Value;

/// An address of `[sso.okta]`.
const SESSION: &str = "https://x.cache.acme.dev/";
/// An address of `[token.aspect]`.
const TOKEN: &str = "https://aw-remote-ext.acme.dev/";

/// A session, a role that it gets, and a token that its service can renew.
pub fn config(company: &Company) -> String {
    let at = company.addresses();
    [
        company.sso("okta", "*.cache.acme.dev"),
        company.aws("dev", "okta", &at.roles[0]),
        token("aspect", "aw-remote-ext.acme.dev").replace("dev\"]", "dev\", \"127.0.0.1\"]"),
        format!("service = \"keyfob\"\napi = \"{}\"\n", at.token_api_url),
        format!("clusters = {{ aw-remote-ext = \"{}\" }}\n", at.cluster_url.replace("http://", "grpc://")),
    ]
    .concat()
}

/// Lets the encrypted file open by itself.
pub fn add_passphrase(profile: &mut Profile, passphrase: &str) {
    let path = profile.path().join("passphrase");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(passphrase.as_bytes())).expect("room for a file");
    profile.set("KEYFOB_PASSPHRASE_FILE", path);
}

/// Signs in, asks for all there is, pastes a token and has it renewed. Gives what is held now, and what no longer is.
pub fn live(company: &Company, profile: &Profile) -> (Vec<Secret>, Vec<Secret>) {
    company.sign_in(profile, "okta");
    profile.get(SESSION).ok();
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20 * 24);
    let first = company.portal().issue_token("ada@example.com", Permissions::ALL, ends);
    profile.add_token("aspect", &first);
    profile.get(TOKEN).ok();
    profile.run(&["token", "rotate", "aspect"], "").ok();
    let second = text(&profile.get(TOKEN).ok().json()["headers"]["X-Aspect"][0]);
    assert_ne!(first, second, "it was renewed");
    let keys = profile.credential_process("dev").ok().json();
    let issued = company.issuer().issued();
    let [answer] = issued.as_slice() else { panic!("{} answers of the issuer", issued.len()) };
    let held = vec![
        Secret::new("the token", &second),
        Secret::new("the refresh token", &text(&answer["refresh_token"])),
        Secret::new("the access token", &text(&answer["access_token"])),
        Secret::new("the ID token", &text(&answer["id_token"])),
        Secret::new("the secret key of AWS", &text(&keys["SecretAccessKey"])),
        Secret::new("the session token of AWS", &text(&keys["SessionToken"])),
    ];
    (held, vec![Secret::new("the token before it was renewed", &first)])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
