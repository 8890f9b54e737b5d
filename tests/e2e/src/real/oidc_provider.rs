//! npm `oidc-provider`: code + PKCE, device grant, rotating refresh tokens, revocation.

use std::process::{Command, Stdio};

use keyfob_sandbox::TrustedIssuer;
use serde_json::Value;

use super::http::{self, Answer};
use super::part::{Lines, Part};
use crate::{Output, Profile, Stage, run};

/// The public client that it knows, with `http://127.0.0.1/callback` at any port.
pub const CLIENT_ID: &str = "keyfob";

/// A running provider.
#[derive(Debug)]
pub struct OidcProvider {
    part: Part,
    counts: String,
    metadata: Value,
}

/// Calls of its token endpoint with a refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refreshes {
    /// Answered with tokens.
    pub granted: u64,
    /// Refused: a refresh token that is spent, revoked or past its end.
    pub refused: u64,
}

impl OidcProvider {
    /// Starts it; the head of `oidc-provider.mjs` says what the options are.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(options: &Value) -> Self {
        let stage = Stage::get();
        let mut command = Command::new(&stage.node);
        command.arg(stage.real("oidc-provider.mjs")).arg(options.to_string());
        let mut part = Part::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let stdout = part.child().stdout.take().expect("its standard output is piped");
        let line: Value =
            Lines::of(stdout).find("the provider's address", |line| serde_json::from_str(line).ok());
        let said = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}")).to_owned();
        let metadata =
            http::get(&format!("{}/.well-known/openid-configuration", said("issuer")), None).json();
        Self { part, counts: said("counts"), metadata }
    }

    /// The issuer, as its tokens name it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.endpoint("issuer")
    }

    /// What an STS must know to trust it.
    ///
    /// # Panics
    /// When its metadata is not as it should be.
    #[must_use]
    pub fn trusted(&self) -> TrustedIssuer {
        let jwks = self.endpoint("jwks_uri").parse().expect("the address of its keys is one");
        TrustedIssuer { issuer: self.issuer().to_owned(), jwks, audience: CLIENT_ID.to_owned() }
    }

    /// `[sso.NAME]` with this provider, for one host pattern.
    #[must_use]
    pub fn sso(&self, name: &str, host: &str) -> String {
        let issuer = self.issuer();
        format!("[sso.{name}]\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT_ID}\"\nhosts = [\"{host}\"]\n")
    }

    /// `keyfob login NAME` in a scripted browser, through the forms for login and consent.
    #[track_caller]
    pub fn sign_in(&self, profile: &Profile, name: &str) -> Output {
        let mut command = profile.keyfob(&["login", name]);
        command.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
        run(command, "").ok()
    }

    /// How often refresh tokens were spent so far.
    #[must_use]
    pub fn refreshes(&self) -> Refreshes {
        let counts = http::get(&self.counts, None).json();
        let count = |outcome: &str| counts[outcome]["refresh_token"].as_u64().unwrap_or_default();
        Refreshes { granted: count("granted"), refused: count("refused") }
    }

    /// Whether it takes an access token, by its userinfo endpoint.
    #[must_use]
    pub fn takes(&self, access_token: &str) -> bool {
        let bearer = format!("Bearer {access_token}");
        http::get(self.endpoint("userinfo_endpoint"), Some(("authorization", &bearer))).status == 200
    }

    /// Spends a refresh token, as a thief of it would.
    #[must_use]
    pub fn spend(&self, refresh_token: &str) -> Answer {
        let fields =
            [("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", refresh_token)];
        http::post(self.endpoint("token_endpoint"), &fields)
    }

    /// Ends the session that a token belongs to, as an administrator would: the whole grant goes with the token.
    pub fn revoke(&self, token: &str) {
        let answer =
            http::post(self.endpoint("revocation_endpoint"), &[("client_id", CLIENT_ID), ("token", token)]);
        assert_eq!(answer.status, 200, "the provider revokes: {}", answer.body);
    }

    /// The program, to halt and resume it.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    fn endpoint(&self, name: &str) -> &str {
        self.metadata[name].as_str().unwrap_or_else(|| panic!("the provider has no {name}"))
    }
}
