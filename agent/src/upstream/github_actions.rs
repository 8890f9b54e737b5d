//! ID tokens of GitHub Actions: what a job gets that has `permissions: id-token: write`.
//!
//! As GitHub documents it (docs.github.com, "OpenID Connect reference") and its own toolkit asks (github.com/actions/toolkit,
//! `packages/core/src/oidc-utils.ts`): up to ten times where the service fails in passing.

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header};
use keyfob_ipc::{Code, Refusal, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::http::{Http, HttpError};
use crate::ambient::GithubRequest;

/// Tries of one request, the first included.
const TRIES: u32 = 10;
/// Pause after the first one; doubled each time.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// For all of them together: a build waits.
const WHOLE: Duration = Duration::from_secs(20);

/// Asks for an ID token for one audience.
///
/// # Errors
/// [`Code::ProviderRefused`] where the job may have none, [`Code::Offline`] where GitHub does not give one now.
pub async fn id_token(
    http: &Http,
    request: &GithubRequest,
    audience: &str,
) -> Result<Secret<String>, Refusal> {
    let mut last = None;
    let trying = async {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            match ask(http, request, audience).await {
                Err(Trouble::Passing(refusal)) if left > 0 => last = Some(refusal),
                Err(Trouble::Passing(refusal) | Trouble::Lasting(refusal)) => return Err(refusal),
                Ok(token) => return Ok(token),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(offline("GitHub gives no ID token now"))
    };
    match tokio::time::timeout(WHOLE, trying).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last.unwrap_or_else(|| offline("GitHub does not answer in time"))),
    }
}

enum Trouble {
    /// Another try may help.
    Passing(Refusal),
    /// It will not.
    Lasting(Refusal),
}

async fn ask(http: &Http, request: &GithubRequest, audience: &str) -> Result<Secret<String>, Trouble> {
    #[derive(Deserialize)]
    struct Answer {
        value: Secret<String>,
    }
    let answer = http.send(call(request, audience)?).await.map_err(|error| match error {
        HttpError::Unreachable { .. } | HttpError::Slow(_) | HttpError::Broken(_) => {
            Trouble::Passing(error.refusal())
        }
        other => Trouble::Lasting(other.refusal()),
    })?;
    match answer.status() {
        StatusCode::OK => serde_json::from_slice::<Answer>(answer.body())
            .ok()
            .map(|answer| answer.value)
            .filter(|token| !token.expose().is_empty())
            .ok_or_else(|| Trouble::Lasting(odd("GitHub answers without an ID token"))),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Err(Trouble::Passing(offline("GitHub gives no ID token now")))
        }
        status if status.is_server_error() => {
            Err(Trouble::Passing(offline(&format!("GitHub gives no ID token now ({})", status.as_u16()))))
        }
        status => {
            let say = format!("GitHub gives this job no ID token ({})", status.as_u16());
            Err(Trouble::Lasting(Refusal::new(Code::ProviderRefused, say).hint(
                "check `permissions: id-token: write` of the job; a pull request from a fork gets none",
            )))
        }
    }
}

fn call(request: &GithubRequest, audience: &str) -> Result<Request<Vec<u8>>, Trouble> {
    let parted = if request.url.contains('?') { '&' } else { '?' };
    let audience = utf8_percent_encode(audience, NON_ALPHANUMERIC);
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", request.token.expose()))
        .map_err(|_| Trouble::Lasting(malformed("ACTIONS_ID_TOKEN_REQUEST_TOKEN")))?;
    bearer.set_sensitive(true);
    Request::get(format!("{}{parted}audience={audience}", request.url))
        .header(header::AUTHORIZATION, bearer)
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|_| Trouble::Lasting(malformed("ACTIONS_ID_TOKEN_REQUEST_URL")))
}

fn malformed(variable: &str) -> Refusal {
    Refusal::new(Code::MachineIdentityMissing, format!("the variable {variable} of this job cannot be used"))
        .hint("leave it as GitHub sets it")
}

fn odd(say: &str) -> Refusal {
    Refusal::new(Code::ProviderUntrusted, say).hint("leave ACTIONS_ID_TOKEN_REQUEST_URL as GitHub sets it")
}

fn offline(say: &str) -> Refusal {
    Refusal::new(Code::Offline, say).hint("try again in a minute; www.githubstatus.com says how GitHub is")
}
