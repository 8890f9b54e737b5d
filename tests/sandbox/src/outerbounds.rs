//! A deployment of Outerbounds, as far as its own clients and ours call it.
//!
//! Written from how the public clients behave (`outerbounds` 0.12 and `ob-metaflow-extensions` 1.6: what they send, and which members of
//! the answers they read), and tried by running those clients against it. What the real service does beyond that is not public.
//! `auth.DOMAIN` and `api.DOMAIN` are both here, so nothing looks at `Host`.

mod answers;
mod magic;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Map, Value, json};
use url::Url;

use crate::common::{Common, locked, random_name, random_uuid};
use crate::door::{door, plain_door};
use crate::faults::Endpoint;
use crate::jwt::SigningKey;
use crate::sts::{Role, TrustedIssuer};

/// The domain that the deployment is of.
pub const DOMAIN: &str = "foo.obp.acme.test";
/// The perimeter that there is at first.
pub const PERIMETER: &str = "default";
/// The service principal that there is at first.
pub const PRINCIPAL: &str = "my-cicd";
/// The role that web identities are for at first.
pub const TASK_ROLE: &str = "arn:aws:iam::123456789012:role/obp-task";
/// A role behind it, of a customer; no answer names it at first.
pub const CSPR_ROLE: &str = "arn:aws:iam::210987654321:role/obp-customer";
/// Both.
pub(crate) const ROLES: [&str; 2] = [TASK_ROLE, CSPR_ROLE];
const REGION: &str = "eu-west-1";
/// The issuer of web identities.
const ISSUER: &str = "https://auth.foo.obp.acme.test";
const AUDIENCE: &str = "sts.amazonaws.com";
const JWKS: &str = "/.well-known/jwks.json";
const KUBERNETES: &str = "https://k8s.foo.obp.acme.test";

/// Whose a key is, and until when it is taken.
#[derive(Clone, Debug)]
struct Key {
    owner: String,
    perimeter: String,
    /// In seconds since 1970.
    ends: Option<i64>,
}

#[derive(Clone, Debug)]
struct Principal {
    perimeter: String,
    /// The `sub` that tokens must have; any, where it is absent.
    subject: Option<String>,
}

#[derive(Clone, Debug)]
struct Integration {
    resource: String,
    backend: String,
}

#[derive(Debug)]
struct State {
    keys: HashMap<String, Key>,
    principals: HashMap<String, Principal>,
    /// The configuration of each perimeter.
    perimeters: HashMap<String, Map<String, Value>>,
    /// By perimeter and name.
    integrations: HashMap<(String, String), Integration>,
    /// Life of the tokens of service principals.
    origin_life: i64,
    origin_is_jwt: bool,
    identity_life: i64,
    task_role: String,
    customer_role: Option<String>,
    region: Option<String>,
}

/// The running deployment.
#[derive(Debug)]
pub struct Outerbounds {
    common: Common,
    base: String,
    signing: SigningKey,
    issuers: [TrustedIssuer; 2],
    state: Mutex<State>,
}

impl Outerbounds {
    /// `issuers`: GitHub, whose tokens are to be for this deployment, and CircleCI, whose tokens are for their organisation.
    pub(crate) fn new(
        common: Common,
        base: String,
        issuers: [TrustedIssuer; 2],
    ) -> Result<Self, ring::error::Unspecified> {
        let [github, circleci] = issuers;
        let github = TrustedIssuer { audience: format!("https://{DOMAIN}"), ..github };
        let principal = Principal { perimeter: PERIMETER.to_owned(), subject: None };
        let state = State {
            keys: HashMap::new(),
            principals: HashMap::from([(PRINCIPAL.to_owned(), principal)]),
            perimeters: HashMap::from([(PERIMETER.to_owned(), usual_config(PERIMETER))]),
            integrations: HashMap::new(),
            origin_life: 3600,
            origin_is_jwt: true,
            identity_life: 3600,
            task_role: TASK_ROLE.to_owned(),
            customer_role: None,
            region: Some(REGION.to_owned()),
        };
        let signing = SigningKey::generate()?;
        Ok(Self { common, base, signing, issuers: [github, circleci], state: Mutex::new(state) })
    }

    /// What an STS needs that trusts the web identities of this deployment.
    #[must_use]
    pub fn trust(&self) -> TrustedIssuer {
        let jwks = Url::parse(&format!("{}{JWKS}", self.base)).expect("our own address is one");
        TrustedIssuer { issuer: ISSUER.to_owned(), jwks, audience: AUDIENCE.to_owned() }
    }

    /// Where all of it is: no slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// A new service key of a person, for the perimeter that there is at first; it does not end.
    pub fn issue_key(&self, owner: &str) -> String {
        self.issue_key_in(PERIMETER, owner)
    }

    /// A new service key of a person for a perimeter.
    pub fn issue_key_in(&self, perimeter: &str, owner: &str) -> String {
        let value = format!("obk_{}", random_name());
        let key = Key { owner: owner.to_owned(), perimeter: perimeter.to_owned(), ends: None };
        locked(&self.state).keys.insert(value.clone(), key);
        value
    }

    /// A key is not taken any more: 403.
    pub fn revoke(&self, key: &str) {
        locked(&self.state).keys.remove(key);
    }

    /// Whether a key is taken now.
    #[must_use]
    pub fn is_live(&self, key: &str) -> bool {
        self.owner_of(key).is_some()
    }

    /// One more service principal of the perimeter that there is at first; `subject`: the `sub` that its tokens must have.
    pub fn add_principal(&self, name: &str, subject: Option<&str>) {
        let principal = Principal { perimeter: PERIMETER.to_owned(), subject: subject.map(str::to_owned) };
        locked(&self.state).principals.insert(name.to_owned(), principal);
    }

    /// There is no such service principal any more.
    pub fn remove_principal(&self, name: &str) {
        locked(&self.state).principals.remove(name);
    }

    /// Tokens of service principals live so many seconds from now on.
    pub fn set_origin_life(&self, seconds: i64) {
        locked(&self.state).origin_life = seconds;
    }

    /// Tokens of service principals are JWTs (as at first), or texts that nobody can read.
    pub fn set_origin_is_jwt(&self, is_jwt: bool) {
        locked(&self.state).origin_is_jwt = is_jwt;
    }

    /// Web identities for AWS live so many seconds from now on.
    pub fn set_identity_life(&self, seconds: i64) {
        locked(&self.state).identity_life = seconds;
    }

    /// Web identities are for this role from now on.
    pub fn set_task_role(&self, arn: &str) {
        arn.clone_into(&mut locked(&self.state).task_role);
    }

    /// Answers name this role of a customer from now on; `None`: none.
    pub fn set_customer_role(&self, arn: Option<&str>) {
        locked(&self.state).customer_role = arn.map(str::to_owned);
    }

    /// Answers name this region from now on; `None`: none.
    pub fn set_region(&self, region: Option<&str>) {
        locked(&self.state).region = region.map(str::to_owned);
    }

    /// One more perimeter, with the usual configuration.
    pub fn add_perimeter(&self, name: &str) {
        locked(&self.state).perimeters.insert(name.to_owned(), usual_config(name));
    }

    /// The configuration of every perimeter says this from now on; `null`: nothing.
    pub fn set_config(&self, name: &str, value: &Value) {
        for config in locked(&self.state).perimeters.values_mut() {
            if value.is_null() {
                config.remove(name);
            } else {
                config.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// One more integration of the perimeter that there is at first: `resource` is where its values are at that `backend`
    /// (`aws-secrets-manager`).
    pub fn add_integration(&self, name: &str, resource: &str, backend: &str) {
        let integration = Integration { resource: resource.to_owned(), backend: backend.to_owned() };
        locked(&self.state).integrations.insert((PERIMETER.to_owned(), name.to_owned()), integration);
    }

    /// What the page offers to copy, for a key: where the configuration is, and the key.
    #[must_use]
    pub fn magic_string(&self, key: &str) -> String {
        self.magic_string_at(key, &format!("https://api.{DOMAIN}"))
    }

    /// The same with another address of the API.
    #[must_use]
    pub fn magic_string_at(&self, key: &str, api: &str) -> String {
        let perimeter = locked(&self.state).keys.get(key).map(|key| key.perimeter.clone());
        let perimeter = perimeter.unwrap_or_else(|| PERIMETER.to_owned());
        magic::string(&json!({
            "OB_CONFIG_TYPE": "inline",
            "OBP_METAFLOW_CONFIG_URL": format!("{api}/v1/perimeters/{perimeter}/metaflowconfigs/default"),
            "OBP_PERIMETER": perimeter,
            "METAFLOW_SERVICE_AUTH_KEY": key,
        }))
    }

    /// What the page offers to copy for a machine user of IAM: which secret has the configuration.
    #[must_use]
    pub fn pointer_string(&self, secret_arn: &str, region: &str) -> String {
        magic::string(&json!({
            "OB_CONFIG_TYPE": "aws-secrets-manager",
            "AWS_SECRETS_MANAGER_SECRET_ARN": secret_arn,
            "AWS_SECRETS_MANAGER_REGION": region,
        }))
    }

    /// Any configuration, as a string to copy.
    #[must_use]
    pub fn string_of(config: &Value) -> String {
        magic::string(config)
    }

    /// The whole configuration of a perimeter with a key in it, as the page offered it before there were addresses.
    #[must_use]
    pub fn whole_config(&self, key: &str) -> Value {
        let mut config = locked(&self.state).perimeters.get(PERIMETER).cloned().unwrap_or_default();
        config.insert("METAFLOW_SERVICE_AUTH_KEY".to_owned(), json!(key));
        Value::Object(config)
    }

    fn owner_of(&self, key: &str) -> Option<Key> {
        let now = self.common.second();
        locked(&self.state).keys.get(key).filter(|key| key.ends.is_none_or(|ends| now < ends)).cloned()
    }

    /// A token of a service principal, which serves as a key for its while.
    fn origin_token(&self, name: &str, perimeter: &str) -> String {
        let now = self.common.second();
        let mut state = locked(&self.state);
        let ends = now + state.origin_life;
        let value = if state.origin_is_jwt {
            let claims = json!({
                "iss": ISSUER, "sub": name, "username": name, "perimeter": perimeter,
                "jti": random_uuid(), "iat": now, "exp": ends,
            });
            self.signing.sign(&claims)
        } else {
            format!("obt_{}", random_name())
        };
        let key = Key { owner: name.to_owned(), perimeter: perimeter.to_owned(), ends: Some(ends) };
        state.keys.insert(value.clone(), key);
        value
    }
}

/// A role as the STS is to have it.
pub(crate) fn role(arn: &str) -> Role {
    let trusted = if arn == CSPR_ROLE { vec![TASK_ROLE.to_owned()] } else { Vec::new() };
    Role { arn: arn.to_owned(), max_session_seconds: 43200, trusted_principals: trusted, ..Role::default() }
}

/// What clients look for: `outerbounds check` names most of it.
fn usual_config(perimeter: &str) -> Map<String, Value> {
    let config = json!({
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER": "obp",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://obp-acme-metaflow/metaflow",
        "METAFLOW_DATATOOLS_S3ROOT": "s3://obp-acme-metaflow/data",
        "METAFLOW_KUBERNETES_NAMESPACE": "jobs-default",
        "METAFLOW_KUBERNETES_SANDBOX_INIT_SCRIPT": "cp -R /opt/mf/. .",
        "METAFLOW_SERVICE_URL": format!("https://metadata.{DOMAIN}/"),
        "METAFLOW_UI_URL": format!("https://ui.{DOMAIN}/"),
        "OBP_AUTH_SERVER": format!("auth.{DOMAIN}"),
        "OBP_API_SERVER": format!("api.{DOMAIN}"),
        "OBP_PERIMETER": perimeter,
        "OBP_INTEGRATIONS_URL": format!("https://api.{DOMAIN}/integrations"),
    });
    if let Value::Object(config) = config { config } else { Map::new() }
}

pub(crate) fn routes(common: &Common, outerbounds: &Arc<Outerbounds>) -> Router {
    let plain = |endpoint, answer| get(plain_door(common, endpoint, outerbounds, answer));
    Router::new()
        .route(
            "/generate/service-principal",
            get(door(common, Endpoint::OuterboundsPrincipal, outerbounds, Outerbounds::principal)),
        )
        .route(
            "/v1/perimeters/{perimeter}/metaflowconfigs/default",
            plain(Endpoint::OuterboundsConfig, Outerbounds::config),
        )
        .route("/generate/aws", plain(Endpoint::OuterboundsAws, Outerbounds::aws))
        // As one of the clients writes it.
        .route("//generate/aws", plain(Endpoint::OuterboundsAws, Outerbounds::aws))
        .route("/generate/k8s", plain(Endpoint::OuterboundsK8s, Outerbounds::kubernetes))
        .route("/secrets/metadata", plain(Endpoint::OuterboundsSecrets, Outerbounds::secret))
        .route("/integrations/secrets/metadata", plain(Endpoint::OuterboundsSecrets, Outerbounds::secret))
        .route("/v1/me/perimeters", plain(Endpoint::OuterboundsApi, Outerbounds::perimeters))
        .route("/v1/workstations", plain(Endpoint::OuterboundsApi, Outerbounds::workstations))
        .route(JWKS, plain(Endpoint::OuterboundsKeys, Outerbounds::jwks))
        .fallback(async || StatusCode::NOT_FOUND)
}
