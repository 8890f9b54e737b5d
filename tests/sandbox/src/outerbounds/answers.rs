//! What each endpoint answers.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AUDIENCE, DOMAIN, ISSUER, KUBERNETES, Key, Outerbounds};
use crate::common::{locked, random_uuid};
use crate::door::Call;
use crate::jwt::{KeySet, Unverified};
use crate::sts;

impl Outerbounds {
    /// `GET /generate/service-principal`: a token of an identity provider for a token of a service principal. The body is JSON,
    /// although the method is `GET`.
    pub(super) async fn principal(self: Arc<Self>, call: Call) -> Response {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Asked {
            service_principal_name: String,
            deployment_name: String,
            perimeter: String,
        }
        let Some(token) = call.header("x-api-key") else { return refused(StatusCode::UNAUTHORIZED) };
        let Ok(asked) = serde_json::from_slice::<Asked>(&call.body) else {
            return refused(StatusCode::BAD_REQUEST);
        };
        if DOMAIN.split('.').next() != Some(asked.deployment_name.as_str()) {
            return refused(StatusCode::NOT_FOUND);
        }
        let Some(subject) = self.subject_of(token).await else { return refused(StatusCode::UNAUTHORIZED) };
        let principal = locked(&self.state).principals.get(&asked.service_principal_name).cloned();
        let fits = principal.is_some_and(|principal| {
            principal.perimeter == asked.perimeter && principal.subject.is_none_or(|known| known == subject)
        });
        if !fits {
            return refused(StatusCode::FORBIDDEN);
        }
        let token = self.origin_token(&asked.service_principal_name, &asked.perimeter);
        Json(json!({ "token": token })).into_response()
    }

    /// Whom a token of an identity provider is about, if it is believed.
    async fn subject_of(&self, token: &str) -> Option<String> {
        let token = Unverified::parse(token)?;
        let issuer = self.issuers.iter().find(|issuer| token.text("iss") == Some(&issuer.issuer))?;
        let keys = sts::fetch(&issuer.jwks).await?;
        let is_believed = token.is_for(&issuer.audience) && token.verify(&keys).is_ok();
        let is_now = token.claims["exp"].as_i64().is_some_and(|end| self.common.second() < end);
        (is_believed && is_now).then(|| token.text("sub").map(str::to_owned)).flatten()
    }

    /// Whose the key of a call is, or the refusal.
    fn caller(&self, call: &Call) -> Result<Key, Box<Response>> {
        let key = call.header("x-api-key").ok_or_else(|| Box::new(refused(StatusCode::UNAUTHORIZED)))?;
        self.owner_of(key).ok_or_else(|| Box::new(refused(StatusCode::FORBIDDEN)))
    }

    /// `GET /v1/perimeters/PERIMETER/metaflowconfigs/default`.
    pub(super) fn config(&self, call: &Call) -> Response {
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let perimeter = call.uri.path().split('/').nth(3).unwrap_or_default();
        let Some(mut config) = locked(&self.state).perimeters.get(perimeter).cloned() else {
            return refused(StatusCode::NOT_FOUND);
        };
        if caller.perimeter != perimeter {
            return refused(StatusCode::FORBIDDEN);
        }
        // The key is in it: clients read it from there.
        config.insert("METAFLOW_SERVICE_AUTH_KEY".to_owned(), json!(call.header("x-api-key")));
        Json(json!({ "config": config })).into_response()
    }

    /// `GET /generate/aws`.
    pub(super) fn aws(&self, call: &Call) -> Response {
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let state = locked(&self.state);
        let mut answer = json!({
            "token": self.signed(&caller, AUDIENCE, state.identity_life),
            "role_arn": state.task_role,
        });
        if let Some(region) = &state.region {
            answer["region"] = json!(region);
        }
        if let Some(role) = &state.customer_role {
            answer["cspr_role_arn"] = json!(role);
        }
        Json(answer).into_response()
    }

    /// `GET /generate/k8s`.
    pub(super) fn kubernetes(&self, call: &Call) -> Response {
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let token = self.signed(&caller, KUBERNETES, locked(&self.state).identity_life);
        Json(json!({ "token": token, "endpoint": KUBERNETES })).into_response()
    }

    fn signed(&self, caller: &Key, audience: &str, life: i64) -> String {
        let now = self.common.second();
        self.signing.sign(&json!({
            "iss": ISSUER, "aud": audience, "sub": caller.owner, "username": caller.owner,
            "perimeter": caller.perimeter, "jti": random_uuid(), "iat": now, "exp": now + life,
        }))
    }

    /// `GET …/secrets/metadata`, with a JSON body as well.
    pub(super) fn secret(&self, call: &Call) -> Response {
        #[derive(Deserialize)]
        struct Asked {
            perimeter_name: String,
            integration_name: String,
        }
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let Ok(asked) = serde_json::from_slice::<Asked>(&call.body) else {
            return refused(StatusCode::BAD_REQUEST);
        };
        let name = (asked.perimeter_name, asked.integration_name);
        if caller.perimeter != name.0 {
            return refused(StatusCode::FORBIDDEN);
        }
        match locked(&self.state).integrations.get(&name) {
            None => refused(StatusCode::NOT_FOUND),
            Some(integration) => Json(json!({
                "secret_resource_id": integration.resource,
                "secret_backend_type": integration.backend,
            }))
            .into_response(),
        }
    }

    /// `GET /v1/me/perimeters`.
    pub(super) fn perimeters(&self, call: &Call) -> Response {
        if let Err(refusal) = self.caller(call) {
            return *refusal;
        }
        let mut names: Vec<String> = locked(&self.state).perimeters.keys().cloned().collect();
        names.sort_unstable();
        let perimeter = |name: &String| {
            let url = format!("https://api.{DOMAIN}/v1/perimeters/{name}/metaflowconfigs/default");
            json!({ "perimeter": name, "remote_config_url": url })
        };
        Json(json!({ "perimeters": names.iter().map(perimeter).collect::<Vec<Value>>() })).into_response()
    }

    /// `GET /v1/workstations`.
    pub(super) fn workstations(&self, call: &Call) -> Response {
        match self.caller(call) {
            Ok(_) => Json(json!({ "workstations": [] })).into_response(),
            Err(refusal) => *refusal,
        }
    }

    pub(super) fn jwks(&self, _: &Call) -> Response {
        Json(KeySet { keys: vec![self.signing.public()] }).into_response()
    }
}

/// In the form that clients look into.
fn refused(status: StatusCode) -> Response {
    let message = status.canonical_reason().unwrap_or_default();
    let error = json!({
        "statusCode": status.as_u16(),
        "message": message,
        "details": { "kind": message.replace(' ', ""), "message": message },
    });
    (status, Json(json!({ "error": error }))).into_response()
}
