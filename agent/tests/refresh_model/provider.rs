//! A provider that rotates refresh tokens and takes a second use of one for a theft.

use std::sync::{Arc, Mutex, MutexGuard};

use http::{Request, Response};
use keyfob_agent::keychain::Pending;
use keyfob_agent::upstream::http::{HttpError, StandIn, Whole};
use serde_json::{Value, json};

use crate::world::{Eye, pause, strikes};

pub const ISSUER: &str = "https://id.acme.test";

/// Sessions are numbered from one, and so are the refresh tokens of each.
#[derive(Default)]
pub struct Provider {
    state: Mutex<State>,
    eye: Arc<Eye>,
}

#[derive(Default)]
struct State {
    sessions: Vec<Session>,
    spending: u32,
    fails: bool,
}

struct Session {
    /// The refresh token that is good.
    current: u32,
    revoked: bool,
}

pub fn refresh_token(session: u32, number: u32) -> String {
    format!("s{session}.{number}")
}

impl Provider {
    pub fn seen_by(eye: &Arc<Eye>) -> Self {
        Self { eye: eye.clone(), ..Self::default() }
    }

    pub fn fail_sometimes(&self, fails: bool) {
        self.state().fails = fails;
    }

    /// The number of a new session.
    pub fn begin_session(&self) -> u32 {
        let mut state = self.state();
        state.sessions.push(Session { current: 1, revoked: false });
        u32::try_from(state.sessions.len()).unwrap()
    }

    /// The refresh token that is good.
    pub fn current(&self, session: u32) -> String {
        refresh_token(session, self.state().session(session).current)
    }

    pub fn as_stand_in(self: &Arc<Self>) -> StandIn {
        let this = self.clone();
        StandIn::new(move |request| {
            let this = this.clone();
            let answer: Pending<'static, Result<Whole, HttpError>> =
                Box::pin(async move { Ok(this.answer(&request).await) });
            answer
        })
    }

    async fn answer(&self, request: &Request<Vec<u8>>) -> Whole {
        let (status, body) = match request.uri().path() {
            "/.well-known/openid-configuration" => (200, metadata()),
            "/jwks" => (200, json!({ "keys": [] })),
            "/token" => self.refresh(&field(request.body(), "refresh_token")).await,
            "/revoke" => self.revoke(&field(request.body(), "token")).await,
            other => panic!("nobody is at {other}"),
        };
        let body = (body.to_string().into_bytes(), None);
        Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
    }

    async fn refresh(&self, token: &str) -> (u16, Value) {
        let (session, number) = parse(token);
        self.enter();
        self.step(2).await;
        let fails = self.state().fails && strikes(8);
        let answer = if fails { (503, Value::Null) } else { self.rotate(session, number) };
        self.step(4).await;
        self.state().spending -= 1;
        answer
    }

    fn enter(&self) {
        let mut state = self.state();
        state.spending += 1;
        assert_eq!(state.spending, 1, "two spend at a time");
    }

    fn rotate(&self, session: u32, number: u32) -> (u16, Value) {
        let mut state = self.state();
        let known = state.session(session);
        if known.revoked {
            return (400, json!({ "error": "invalid_grant" }));
        }
        assert_eq!(known.current, number, "a refresh token of session {session} is spent twice");
        known.current += 1;
        let answer = json!({
            "access_token": format!("a{session}.{}", known.current),
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh_token(session, known.current),
        });
        (200, answer)
    }

    async fn revoke(&self, token: &str) -> (u16, Value) {
        self.step(3).await;
        let (session, _) = parse(token);
        self.state().session(session).revoked = true;
        (200, json!({}))
    }

    async fn step(&self, at_most: u32) {
        self.eye.look();
        pause(at_most).await;
        self.eye.look();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn session(&mut self, number: u32) -> &mut Session {
        let index = usize::try_from(number).unwrap() - 1;
        &mut self.sessions[index]
    }
}

/// Session and number, of `s1.2` or `a1.2`.
pub fn parse(token: &str) -> (u32, u32) {
    let (session, number) = token[1..].split_once('.').unwrap();
    (session.parse().unwrap(), number.parse().unwrap())
}

fn field(form: &[u8], name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(form);
    pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "revocation_endpoint": format!("{ISSUER}/revoke"),
        "jwks_uri": format!("{ISSUER}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}
