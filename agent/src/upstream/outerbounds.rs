//! A deployment of Outerbounds: the token of a service principal, the configuration of a perimeter, and a web identity for AWS.
//!
//! There is no public description of these endpoints. Paths, headers and members follow what the public clients send and read
//! (`outerbounds` 0.12 and `ob-metaflow-extensions` 1.6 on PyPI), down to a `GET` with a body.

use http::{HeaderValue, Request, Response, StatusCode};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::http::{Http, HttpError};
use super::secrets_manager::is_region;

/// The header that has the key.
pub const HEADER: &str = "x-api-key";

/// Longest token or key that is taken, in bytes: what STS takes of a token, and far above any key.
pub const LONGEST: usize = 20_000;

/// Where a deployment is asked. Both without a slash at the end.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// The client.
    pub http: &'a Http,
    /// `https://auth.DOMAIN`.
    pub auth: &'a str,
    /// `https://api.DOMAIN`.
    pub api: &'a str,
}

/// A service principal, as a deployment knows it.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// Its name.
    pub name: &'a str,
    /// The first label of the domain.
    pub deployment: &'a str,
    /// Its perimeter.
    pub perimeter: &'a str,
}

/// What AWS takes in place of keys, and for which roles.
#[derive(Debug)]
pub struct WebIdentity {
    /// An ID token.
    pub token: Secret<String>,
    /// The role of the platform's own tasks, which the token is for.
    pub role_arn: String,
    /// Where STS is asked, if it is said.
    pub region: Option<String>,
    /// A role of the customer's, which is assumed with the keys of the other one.
    pub customer_role: Option<String>,
}

/// Why a deployment does not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OuterboundsError {
    /// 401 or 403: by the client's own reading the key has ended.
    #[error("it does not take the key ({0})")]
    Key(u16),
    /// 404.
    #[error("it knows nothing of that name (404)")]
    NotThere,
    /// Another refusal.
    #[error("it refuses ({0})")]
    Refused(u16),
    /// Not now: a server that fails, or a network that answers in its place.
    #[error("{0}")]
    Passing(String),
    /// No answer.
    #[error(transparent)]
    Unanswered(#[from] HttpError),
    /// An answer without what it must have.
    #[error("it answers without {0}")]
    Odd(&'static str),
}

impl OuterboundsError {
    /// For people. What a key or a name that is not known means is for the caller to say.
    pub fn refusal(&self, entry: &str) -> Refusal {
        match self {
            Self::Unanswered(error) => error.refusal(),
            Self::Passing(why) => {
                let say = format!("Outerbounds gives `{entry}` nothing now: {why}");
                Refusal::new(Code::Offline, say).hint("check the network or the VPN, then try again")
            }
            Self::Odd(_) => Refusal::new(
                Code::ProviderUntrusted,
                format!("what stands for Outerbounds gives `{entry}` nothing: {self}"),
            )
            .hint(format!("check `domain` and `endpoint_url` under [{entry}]")),
            Self::Key(_) | Self::NotThere | Self::Refused(_) => {
                let say = format!("Outerbounds gives `{entry}` nothing: {self}");
                Refusal::new(Code::ServiceRefused, say)
                    .hint(format!("check `domain` and `perimeter` under [{entry}]"))
            }
        }
    }
}

impl Deployment<'_> {
    /// Asks for a key of a service principal, with a token of the identity provider that it trusts.
    ///
    /// # Errors
    /// [`OuterboundsError`].
    pub async fn principal_key(
        &self,
        token: &Secret<String>,
        principal: Principal<'_>,
    ) -> Result<Secret<String>, OuterboundsError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Secret<String>,
        }
        let body = json!({
            "servicePrincipalName": principal.name,
            "deploymentName": principal.deployment,
            "perimeter": principal.perimeter,
        });
        let url = format!("{}/generate/service-principal", self.auth);
        let answer: Answer = self.ask(&url, token, body.to_string().into_bytes(), "a token").await?;
        if is_key(answer.token.expose()) { Ok(answer.token) } else { Err(OuterboundsError::Odd("a token")) }
    }

    /// The configuration of a perimeter, as a JSON object.
    ///
    /// # Errors
    /// [`OuterboundsError`].
    pub async fn config(
        &self,
        key: &Secret<String>,
        perimeter: &str,
    ) -> Result<Map<String, Value>, OuterboundsError> {
        #[derive(Deserialize)]
        struct Answer {
            config: Map<String, Value>,
        }
        let url = config_url(self.api, perimeter);
        Ok(self.ask::<Answer>(&url, key, Vec::new(), "a configuration").await?.config)
    }

    /// A web identity for AWS.
    ///
    /// # Errors
    /// [`OuterboundsError`].
    pub async fn web_identity(&self, key: &Secret<String>) -> Result<WebIdentity, OuterboundsError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Secret<String>,
            role_arn: String,
            region: Option<String>,
            cspr_role_arn: Option<String>,
        }
        let url = format!("{}/generate/aws", self.auth);
        let answer: Answer = self.ask(&url, key, Vec::new(), "a web identity for AWS").await?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (region, customer_role) = (given(answer.region), given(answer.cspr_role_arn));
        if !is_key(answer.token.expose()) {
            return Err(OuterboundsError::Odd("a token for AWS"));
        }
        let mut roles = std::iter::once(&answer.role_arn).chain(&customer_role);
        if !roles.all(|arn| crate::kind::is_role(arn)) {
            return Err(OuterboundsError::Odd("the ARN of a role"));
        }
        // It becomes part of a host name.
        if region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(OuterboundsError::Odd("a region of AWS"));
        }
        Ok(WebIdentity { token: answer.token, role_arn: answer.role_arn, region, customer_role })
    }

    /// Tries a key as the client does, and says whose it is where the answer tells.
    ///
    /// # Errors
    /// [`OuterboundsError`].
    pub async fn try_key(&self, key: &Secret<String>) -> Result<Option<String>, OuterboundsError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Secret<String>,
        }
        let url = format!("{}/generate/k8s", self.auth);
        let answer: Answer = self.ask(&url, key, Vec::new(), "a token for Kubernetes").await?;
        let jwt = crate::kind::Jwt::claims_of(answer.token.expose());
        Ok(jwt.and_then(|claims| Some(escape(claims.get("username")?.as_str()?))))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        key: &Secret<String>,
        body: Vec<u8>,
        wanted: &'static str,
    ) -> Result<T, OuterboundsError> {
        // What cannot be a header is no key.
        let mut value = HeaderValue::from_str(key.expose()).map_err(|_| OuterboundsError::Key(401))?;
        value.set_sensitive(true);
        let request =
            Request::get(url).header(HEADER, value).header(http::header::ACCEPT, "application/json");
        let request = request.body(body).map_err(|_| OuterboundsError::Odd("an address"))?;
        let answer = judge(self.http.send(request).await?)?;
        serde_json::from_slice(&answer).map_err(|_| OuterboundsError::Odd(wanted))
    }
}

/// Where the configuration of a perimeter is.
pub fn config_url(api: &str, perimeter: &str) -> String {
    format!("{api}/v1/perimeters/{perimeter}/metaflowconfigs/default")
}

/// Whether a text can be a key or a token: visible ASCII, not too much of it.
pub fn is_key(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn judge(answer: Response<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, OuterboundsError> {
    let (status, body) = (answer.status(), Zeroizing::new(answer.into_body()));
    let code = status.as_u16();
    match status {
        // A page in the place of an answer is the network's, and says nothing about the key.
        _ if is_page(&body) => {
            Err(OuterboundsError::Passing(format!("a page answers in its place ({code})")))
        }
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(OuterboundsError::Key(code)),
        StatusCode::NOT_FOUND => Err(OuterboundsError::NotThere),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Err(OuterboundsError::Passing(format!("it is busy ({code})")))
        }
        status if status.is_server_error() => Err(OuterboundsError::Passing(format!("it fails ({code})"))),
        status if status.is_redirection() => {
            Err(OuterboundsError::Passing(format!("it leads elsewhere ({code})")))
        }
        _ => Err(OuterboundsError::Refused(code)),
    }
}

fn is_page(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Code {
        let answer = Response::builder().status(status).body(body.as_bytes().to_vec()).unwrap();
        judge(answer).map(|_| Code::Unknown).unwrap_or_else(|error| error.refusal("outerbounds.prod").code)
    }

    #[test]
    fn only_the_deployment_itself_ends_a_key() {
        let answer = |status: u16, body: &str| {
            judge(Response::builder().status(status).body(body.as_bytes().to_vec()).unwrap())
        };
        for status in [401, 403] {
            assert!(matches!(answer(status, "{}"), Err(OuterboundsError::Key(_))), "{status}");
            assert!(matches!(answer(status, " <html>"), Err(OuterboundsError::Passing(_))), "{status}");
        }
        for (status, body) in [(500, ""), (503, "{}"), (429, ""), (302, ""), (200, "<!DOCTYPE html>")] {
            assert_eq!(judged(status, body), Code::Offline, "{status} {body}");
        }
        assert_eq!(judged(400, ""), Code::ServiceRefused);
        assert_eq!(judged(404, "{}"), Code::ServiceRefused);
        assert_eq!(OuterboundsError::Odd("a token").refusal("x").code, Code::ProviderUntrusted);
    }

    #[test]
    fn a_key_is_what_can_be_a_header() {
        assert!(is_key("obk_marked") && is_key(&"x".repeat(LONGEST)));
        for no in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(LONGEST + 1)] {
            assert!(!is_key(no));
        }
    }
}
