//! The keys that AWS gives to a machine itself: in variables, for a web identity, by a container's endpoint (ECS, EKS), or by the
//! metadata service of a virtual machine (IMDSv2, never the first version of it).
//!
//! In the order in which the SDKs look, and as they ask. What is configured and fails is said; nothing else is tried in its place.

use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, Method, Request, StatusCode, header};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;

use super::http::{Http, HttpError};
use crate::ambient::{Ambient, AwsContainer};
use crate::lease::AwsKeys;

/// Tries of one call, the first included.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Where the metadata service is.
const METADATA: &str = "http://169.254.169.254";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Life of a token of the metadata service, in seconds: it is used at once.
const TOKEN_LIFE: &str = "300";
/// Longest authorization token of a container that is read, in bytes.
const AUTHORIZATION: u64 = 16 * 1024;

/// Keys of the machine.
#[derive(Debug)]
pub struct MachineKeys {
    /// The keys; temporary ones but where variables hold others.
    pub keys: AwsKeys,
    /// Where they come from, for people.
    pub from: &'static str,
}

/// The keys that the surroundings give, but for a web identity, which STS turns into keys.
///
/// # Errors
/// [`Code::MachineIdentityMissing`] where there are none, and what a place that should have some answered instead.
pub async fn keys(http: &Http, ambient: &Ambient) -> Result<MachineKeys, Refusal> {
    let http = &http.at_machine();
    if let Some(keys) = &ambient.aws_keys {
        let keys = AwsKeys {
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.clone(),
            session_token: keys.session_token.clone(),
            assumed: None,
        };
        return Ok(MachineKeys { keys, from: "variables" });
    }
    if let Some(container) = &ambient.aws_container {
        return of_container(http, container).await;
    }
    if ambient.aws_metadata {
        let base = ambient.aws_metadata_endpoint.as_deref().unwrap_or(METADATA);
        return of_metadata(http, base.trim_end_matches('/')).await;
    }
    Err(none("no variable names one, and its metadata service is switched off"))
}

/// `AWS_CONTAINER_CREDENTIALS_…`; the token goes as it is, without a scheme before it.
async fn of_container(http: &Http, container: &AwsContainer) -> Result<MachineKeys, Refusal> {
    const WHERE: &str = "the container's endpoint";
    let token = match &container.token_file {
        Some(path) => Some(authorization(path).await?),
        None => container.token.clone(),
    };
    let mut request = Request::get(&container.url).header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        let value = HeaderValue::from_str(token.expose()).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        request = request.header(header::AUTHORIZATION, value.map_err(|_| unusable("authorization token"))?);
    }
    let request = request.body(Vec::new()).map_err(|_| unusable("address"))?;
    let answer = send(http, WHERE, &request).await?;
    read(WHERE, &answer)
}

/// Read each time: who gives it renews it.
async fn authorization(path: &Path) -> Result<Secret<String>, Refusal> {
    let owned = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut text = String::new();
        let file = std::fs::File::open(owned)?;
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::other("it is no plain file"));
        }
        file.take(AUTHORIZATION).read_to_string(&mut text)?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    });
    let outcome = reading.await.unwrap_or_else(|_| Err(std::io::Error::other("it was not read")));
    outcome.map_err(|error| {
        let shown = escape(&path.display().to_string());
        Refusal::new(
            Code::MachineIdentityMissing,
            format!("the container's token file `{shown}` cannot be read ({error})"),
        )
        .hint("leave AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE as AWS sets it")
    })
}

async fn of_metadata(http: &Http, base: &str) -> Result<MachineKeys, Refusal> {
    const WHERE: &str = "the metadata service of this machine";
    let call = |method: Method, path: &str, (name, value): (&str, &str)| {
        let value = HeaderValue::from_str(value).map_err(|_| unusable("token"))?;
        let request = Request::builder().method(method).uri(format!("{base}{path}")).header(name, value);
        request.body(Vec::new()).map_err(|_| unusable("address"))
    };
    let ask = call(Method::PUT, "/latest/api/token", ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFE))?;
    let token = match exchange(http, &ask).await {
        Ok((StatusCode::OK, body)) => text(WHERE, body)?,
        // Nobody is there on any other machine, and 404 is what a proxy in between would say.
        Ok((StatusCode::NOT_FOUND, _)) | Err(HttpError::Unreachable { .. } | HttpError::Slow(_)) => {
            return Err(none("it is no container and no virtual machine of AWS"));
        }
        Ok((status, _)) => return Err(answered(WHERE, status)),
        Err(error) => return Err(failed(WHERE, &error)),
    };
    let token = ("x-aws-ec2-metadata-token", token.expose().as_str());
    let (status, roles) =
        exchange(http, &call(Method::GET, ROLES, token)?).await.map_err(|error| failed(WHERE, &error))?;
    let role = match status {
        StatusCode::OK => text(WHERE, roles)?,
        StatusCode::NOT_FOUND => return Err(none("the virtual machine has no instance profile")),
        status => return Err(answered(WHERE, status)),
    };
    let role = role.expose().lines().next().unwrap_or_default().trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if role.is_empty() || role.len() > 64 || !role.bytes().all(is_plain) {
        return Err(none("the virtual machine has no instance profile"));
    }
    let answer = send(http, WHERE, &call(Method::GET, &format!("{ROLES}{role}"), token)?).await?;
    read(WHERE, &answer)
}

/// The body of an answer that is one.
async fn send(http: &Http, whom: &'static str, request: &Request<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
    let (status, body) = exchange(http, request).await.map_err(|error| failed(whom, &error))?;
    if status == StatusCode::OK { Ok(body) } else { Err(answered(whom, status)) }
}

/// Asks again where it fails in passing.
async fn exchange(http: &Http, request: &Request<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), HttpError> {
    let mut left = TRIES;
    loop {
        left -= 1;
        let outcome = http.send(request.clone()).await;
        let is_passing = match &outcome {
            Ok(answer) => {
                answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS
            }
            Err(error) => matches!(error, HttpError::Broken(_)),
        };
        if !is_passing || left == 0 {
            return outcome.map(|answer| (answer.status(), answer.into_body()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn read(whom: &'static str, body: &[u8]) -> Result<MachineKeys, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        access_key_id: String,
        secret_access_key: Secret<String>,
        token: Secret<String>,
    }
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let answer = answer.filter(|keys| {
        let is_plain = keys.access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_plain && !keys.access_key_id.is_empty() && !keys.secret_access_key.expose().is_empty()
    });
    let answer = answer.ok_or_else(|| {
        Refusal::new(Code::ProviderUntrusted, format!("{whom} answers without keys"))
            .hint("check the role of this container or virtual machine")
    })?;
    let keys = AwsKeys {
        access_key_id: answer.access_key_id,
        secret_access_key: answer.secret_access_key,
        session_token: Some(answer.token).filter(|token| !token.expose().is_empty()),
        assumed: None,
    };
    Ok(MachineKeys { keys, from: whom })
}

fn text(whom: &str, body: Vec<u8>) -> Result<Secret<String>, Refusal> {
    String::from_utf8(body)
        .map(Secret::new)
        .map_err(|_| Refusal::new(Code::ProviderUntrusted, format!("{whom} does not answer in text")))
}

fn answered(whom: &str, status: StatusCode) -> Refusal {
    let say = format!("{whom} gives no keys ({})", status.as_u16());
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Refusal::new(Code::Offline, say).hint("try again in a minute")
    } else {
        Refusal::new(Code::MachineIdentityMissing, say)
            .hint("check the role of this container or virtual machine")
    }
}

fn failed(whom: &str, error: &HttpError) -> Refusal {
    match error {
        HttpError::NotAllowed(origin) => {
            let say = format!(
                "{whom} is said to be at {origin}, which is neither https nor an IP address of this machine"
            );
            Refusal::new(Code::MachineIdentityMissing, say)
                .hint("name it by https, or by its address (127.0.0.1 for localhost)")
        }
        error => error.refusal(),
    }
}

fn unusable(what: &str) -> Refusal {
    Refusal::new(
        Code::MachineIdentityMissing,
        format!("the {what} for the keys of this machine cannot be used"),
    )
    .hint("leave the AWS_CONTAINER_ and AWS_EC2_ variables as AWS sets them")
}

fn none(why: &str) -> Refusal {
    Refusal::new(Code::MachineIdentityMissing, format!("this machine has no AWS role: {why}"))
        .hint("give the container, the pod or the virtual machine a role, then try again")
}
