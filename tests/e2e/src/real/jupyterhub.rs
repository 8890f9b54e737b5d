//! PyPI `jupyterhub` behind npm `configurable-http-proxy`: a token service whose tokens make and delete tokens.
//!
//! # What it says
//! `Authorization: token VALUE` or `Bearer VALUE`. Answers are JSON but for 204, and for the proxy's own 503 in HTML while
//! the hub is away.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /user` | 200 `{"kind": "user", "name": "ada", "token_id": "a3", "scopes": ["tokens!user=ada", …], …}`, to any live token |
//! | | 403 `{"status": 403, "message": null}`: the value is revoked, expired or wrong; it says no more than that |
//! | `GET /users/ada/tokens/a3` | 200 `{"user": "ada", "id": "a3", "kind": "api_token", "scopes": […], "created": TIME, "last_activity": TIME or null, "expires_at": TIME or null, "note": "…", …}` |
//! | | 403 `"Missing or invalid credentials."`: the value is dead |
//! | | 403 `"Action is not authorized with current scopes; requires any of [read:tokens]"`: it lives, and may not read itself |
//! | | 404: no such token, or somebody else's |
//! | `GET /users/ada/tokens` | 200 `{"api_tokens": […]}`; those that have expired are deleted by this |
//! | `POST /users/ada/tokens` with `{"expires_in": 3600, "note": "…", "scopes": ["tokens!user"]}` | 201 as above, and `"token": VALUE`, this once |
//! | | 400 `"Not assigning requested scopes … not held by User ada"`: nothing is made |
//! | | 403 `"User ada not found or no permissions to generate tokens"`: the value lives, and has no `tokens` |
//! | `DELETE /users/ada/tokens/a3` | 204; the value is dead at once. 404 for one that is gone |
//!
//! * Times are RFC 3339 in UTC with microseconds: `2026-11-21T12:56:09.750936Z`. `expires_at: null` never expires, which is
//!   what `expires_in` of `null` asks for; zero and less are refused.
//! * A new token may do what its user may, also where the token that makes it may less. Without `scopes` it gets all of it.
//! * Scopes are shown expanded, in no order, and can be given back as they are shown: `tokens!user` comes back as
//!   `tokens!user=ada`, `read:tokens!user=ada`, `read:users:name!user=ada` and `read:users:groups!user=ada`.
//! * A token outlives the token that made it, and can delete it.
//! * A number is given again once the newest token is deleted: it names a token only together with `created`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{self, Answer};
use super::part::{Lines, Part};
use crate::{PATIENCE, Stage, folder};

/// Between the hub and its proxy.
const PROXY_TOKEN: &str = "keyfob-tests-proxy-0123456789";
/// May do everything with everybody's tokens.
const ADMINISTRATOR: &str = "keyfob-tests-administrator-0123456789";

/// A running hub. Users are made when they are first named; everything that it writes is gone with it.
#[derive(Debug)]
pub struct JupyterHub {
    // Dropped in this order: processes before the folder that they write into.
    hub: Part,
    proxy: Part,
    folder: TempDir,
    url: String,
}

impl JupyterHub {
    /// Starts it on a port that the system chooses.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = folder();
        let stage = Stage::get();
        let mut command = Command::new(&stage.node);
        command.arg(stage.real("jupyterhub-proxy.mjs")).current_dir(folder.path());
        command.env("CONFIGPROXY_AUTH_TOKEN", PROXY_TOKEN);
        let mut proxy = Part::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let stdout = proxy.child().stdout.take().expect("its standard output is piped");
        let line: Value =
            Lines::of(stdout).find("the proxy's address", |line| serde_json::from_str(line).ok());
        let proxy_url = line["url"].as_str().unwrap_or_else(|| panic!("no url: {line}"));

        let mut command = Command::new(stage.python("jupyterhub"));
        command.arg("--config").arg(stage.real("jupyterhub_config.py")).current_dir(folder.path());
        command.env("CONFIGPROXY_AUTH_TOKEN", PROXY_TOKEN);
        command.env("KEYFOB_TEST_HUB_URL", proxy_url).env("KEYFOB_TEST_HUB_TOKEN", ADMINISTRATOR);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut hub = Part::start(&mut command);
        let stderr = hub.child().stderr.take().expect("its standard error is piped");
        // Said once the proxy knows the way to it.
        Lines::of(stderr).find("word that JupyterHub runs", |line| {
            line.contains("JupyterHub is now running").then_some(())
        });
        Self { hub, proxy, url: format!("{proxy_url}/hub/api"), folder }
    }

    /// The base of its API, with no slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a token of a user, as the hub's page does, and returns its id and its value. `expires_in` is in seconds; with
    /// `None` it never expires. `["tokens!user"]` is enough for a token to see, replace and delete itself.
    ///
    /// # Panics
    /// When the hub refuses.
    #[must_use]
    #[track_caller]
    pub fn issue_token(
        &self,
        user: &str,
        scopes: &[&str],
        expires_in: Option<u64>,
        note: &str,
    ) -> (String, String) {
        let made = self.ask("POST", &format!("/users/{user}"), "");
        assert!([201, 409].contains(&made.status), "the hub makes no user {user}: {}", made.body);
        let wanted = json!({"scopes": scopes, "expires_in": expires_in, "note": note});
        let answer = self.ask("POST", &format!("/users/{user}/tokens"), &wanted.to_string());
        assert_eq!(answer.status, 201, "the hub makes no token: {}", answer.body);
        let token = answer.json();
        let said = |name: &str| token[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        (said("id"), said("token"))
    }

    /// Deletes a token, as its user does on the hub's page.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn delete_token(&self, user: &str, id: &str) {
        let answer = self.ask("DELETE", &format!("/users/{user}/tokens/{id}"), "");
        assert_eq!(answer.status, 204, "the hub does not delete: {}", answer.body);
    }

    /// Whether a user has a token with this id. Ids are given again: [`Self::takes`] knows a value.
    #[must_use]
    #[track_caller]
    pub fn token_exists(&self, user: &str, id: &str) -> bool {
        self.tokens(user).iter().any(|token| token["id"] == id)
    }

    /// The user's tokens that have not expired, as the hub shows them.
    ///
    /// # Panics
    /// When there is no such user.
    #[must_use]
    #[track_caller]
    pub fn tokens(&self, user: &str) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/users/{user}/tokens"), "");
        assert_eq!(answer.status, 200, "the hub lists no tokens of {user}: {}", answer.body);
        answer.json()["api_tokens"].as_array().cloned().unwrap_or_else(|| panic!("no list: {}", answer.body))
    }

    /// Whether it takes a value, asked as anybody may.
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        let header = format!("token {value}");
        http::get(&format!("{}/user", self.url), Some(("authorization", &header))).status == 200
    }

    /// The proxy, to halt and resume what reaches the hub; the other methods here but `takes` pass it by.
    #[must_use]
    pub fn proxy(&self) -> &Part {
        &self.proxy
    }

    /// The hub itself, to halt and resume it behind a proxy that goes on.
    #[must_use]
    pub fn hub(&self) -> &Part {
        &self.hub
    }

    /// Asks as the administrator, at the hub's own socket, so that there is an answer also while the proxy stands still.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let socket = self.folder.path().join("hub.sock");
        let mut stream = UnixStream::connect(socket).expect("the hub listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is taken");
        let request = format!(
            "{method} /hub/api{path} HTTP/1.0\r\nhost: hub\r\nauthorization: token {ADMINISTRATOR}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("the hub takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the hub answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("the hub gives a whole answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer { status: status.expect("the hub gives a status"), body: body.to_owned() }
    }
}
