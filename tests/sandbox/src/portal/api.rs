//! The open token API, as `docs/token-api/openapi.yaml` describes it.

use std::sync::{Arc, MutexGuard};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::{self, Change, Machine, Rotation};
use super::tokens::{Token, Tokens, whole_seconds};
use super::{Issue, Permissions, Portal, Problem, YEAR};
use crate::common::{Common, locked};
use crate::door::{Call, plain_door};
use crate::faults::{Endpoint, Lie};

/// Whose the tokens are where [`Lie::OtherOwner`] is told.
const STRANGER: &str = "mallory";

type Outcome = Result<Response, Problem>;

pub(super) fn routes(common: &Common, portal: &Arc<Portal>) -> Router {
    macro_rules! door {
        ($endpoint:ident, $handler:path) => {
            plain_door(common, Endpoint::$endpoint, portal, |portal, call| {
                $handler(portal, call).unwrap_or_else(IntoResponse::into_response)
            })
        };
    }
    let own = get(door!(TokenSelf, Portal::show_self)).delete(door!(TokenDelete, Portal::delete_self));
    let any = get(door!(TokenAdmin, Portal::show)).delete(door!(TokenAdmin, Portal::delete));
    Router::new()
        .route("/tokens/self", own)
        .route("/tokens/self/rotate", post(door!(TokenRotate, Portal::rotate_self)))
        .route("/tokens", get(door!(TokenAdmin, Portal::list)))
        .route("/tokens/{id}", any)
        .route("/tokens/{id}/permissions", put(door!(TokenAdmin, Portal::change)))
        .route("/tokens/{id}/rotate", post(door!(TokenAdmin, Portal::rotate)))
        .route("/machines", post(door!(TokenAdmin, Portal::new_machine)))
        .method_not_allowed_fallback(|| {
            std::future::ready(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        })
        .fallback(|| std::future::ready(Problem::new(StatusCode::NOT_FOUND, "there is nothing here")))
}

/// What the bearer of a token does with that token.
impl Portal {
    fn show_self(&self, call: &Call) -> Outcome {
        let mut shown = self.token_json(bearer(&locked(&self.tokens), call, self.common.now())?);
        if self.common.faults.take_lie(Endpoint::TokenSelf, Lie::OtherOwner) {
            shown["owner"] = STRANGER.into();
        }
        Ok(answer(StatusCode::OK, &shown))
    }

    fn rotate_self(&self, call: &Call) -> Outcome {
        let now = self.common.now();
        let mut tokens = locked(&self.tokens);
        let id = bearer(&tokens, call, now)?.id.clone();
        let Rotation { expires_at } = body::optional(call)?.unwrap_or_default();
        let token = tokens.get_mut(&id).ok_or_else(Problem::unknown)?;
        token.rotate(body::end(expires_at.as_deref(), now)?, now);
        self.common.counts.rotation();
        let lies = |lie| self.common.faults.take_lie(Endpoint::TokenRotate, lie);
        if lies(Lie::FewerPermissions) {
            for permissions in token.permissions.values_mut() {
                *permissions = Permissions { write: false, execute: false, ..*permissions };
            }
        }
        if lies(Lie::OtherOwner) {
            token.owner = STRANGER.into();
        }
        Ok(answer(StatusCode::OK, &self.value_json(token)))
    }

    fn delete_self(&self, call: &Call) -> Outcome {
        let mut tokens = locked(&self.tokens);
        let id = bearer(&tokens, call, self.common.now())?.id.clone();
        tokens.forget(&id);
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// What administrators do.
impl Portal {
    fn list(&self, call: &Call) -> Outcome {
        const MOST: usize = 200;
        let tokens = self.as_administrator(call)?;
        let one = |name: &str| match call.query().only(name) {
            Ok(text) => Ok(text.map(str::to_owned)),
            Err(()) => Err(Problem::invalid(format!("`{name}` is there more than once"))),
        };
        let (owner, cursor, limit) = (one("owner")?, one("cursor")?, one("limit")?);
        if owner.as_deref() == Some("") {
            return Err(Problem::invalid("`owner` is empty"));
        }
        let limit = limit.map_or(Some(50), |text| limit_of(&text).filter(|limit| (1..=MOST).contains(limit)));
        let limit = limit.ok_or_else(|| Problem::invalid("`limit` is not a number from 1 to 200"))?;
        let wanted = |token: &&Token| owner.as_ref().is_none_or(|owner| token.owner == *owner);
        let mut found = tokens.after(cursor.as_deref().unwrap_or_default()).filter(wanted);
        let page: Vec<&Token> = found.by_ref().take(limit).collect();
        let mut shown =
            json!({"tokens": page.iter().map(|token| self.token_json(token)).collect::<Vec<_>>()});
        if let (Some(last), Some(_)) = (page.last(), found.next()) {
            shown["next_cursor"] = last.id.clone().into();
        }
        Ok(answer(StatusCode::OK, &shown))
    }

    fn show(&self, call: &Call) -> Outcome {
        let tokens = self.as_administrator(call)?;
        let token = tokens.get(id_in(call)).ok_or_else(Problem::unknown)?;
        Ok(answer(StatusCode::OK, &self.token_json(token)))
    }

    fn delete(&self, call: &Call) -> Outcome {
        let mut tokens = self.as_administrator(call)?;
        if tokens.forget(id_in(call)) {
            Ok(StatusCode::NO_CONTENT.into_response())
        } else {
            Err(Problem::unknown())
        }
    }

    fn change(&self, call: &Call) -> Outcome {
        let mut tokens = self.as_administrator(call)?;
        let change: Change = body::required(call)?;
        let token = tokens.get_mut(id_in(call)).ok_or_else(Problem::unknown)?;
        token.permissions = body::by_cluster(change.permissions)?;
        Ok(answer(StatusCode::OK, &self.token_json(token)))
    }

    fn rotate(&self, call: &Call) -> Outcome {
        let now = self.common.now();
        let mut tokens = self.as_administrator(call)?;
        let Rotation { expires_at } = body::optional(call)?.unwrap_or_default();
        let token = tokens.get_mut(id_in(call)).ok_or_else(Problem::unknown)?;
        token.rotate(body::end(expires_at.as_deref(), now)?, now);
        self.common.counts.rotation();
        Ok(answer(StatusCode::OK, &self.value_json(token)))
    }

    fn new_machine(&self, call: &Call) -> Outcome {
        let now = self.common.now();
        let mut tokens = self.as_administrator(call)?;
        let Machine { owner, permissions, expires_at } = body::required(call)?;
        if !body::is_machine(&owner) {
            return Err(Problem::invalid("`owner` is not `bot-` and a name"));
        }
        let permissions = body::by_cluster(permissions)?;
        let ends = body::end(expires_at.as_deref(), now)?.or_else(|| now.saturating_add(YEAR).ok());
        let token = tokens.issue(Issue { owner, admin: false, permissions, ends }, now);
        let location = [(header::LOCATION, format!("{}/tokens/{}", super::API, token.id))];
        Ok((location, answer(StatusCode::CREATED, &self.value_json(token))).into_response())
    }

    /// The tokens, for a caller who is an administrator at this moment.
    fn as_administrator(&self, call: &Call) -> Result<MutexGuard<'_, Tokens>, Problem> {
        let tokens = locked(&self.tokens);
        let is_administrator = bearer(&tokens, call, self.common.now())?.admin;
        if is_administrator { Ok(tokens) } else { Err(Problem::not_an_administrator()) }
    }
}

/// What is answered.
impl Portal {
    fn token_json(&self, token: &Token) -> Value {
        let permissions: Vec<_> = token
            .permissions
            .iter()
            .map(|(cluster, Permissions { read, write, execute })| {
                json!({"cluster": cluster, "read": read, "write": write, "execute": execute})
            })
            .collect();
        let mut shown = json!({
            "id": token.id,
            "owner": token.owner,
            "machine": token.is_machine(),
            "admin": token.admin,
            "prefix": super::PREFIX,
            "last_four": token.value[token.value.len() - 4..],
            "created_at": whole_seconds(token.created),
            "permissions": permissions,
            "clusters_cache_seconds": self.cache_seconds,
        });
        let times = [("expires_at", token.ends), ("rotated_at", token.rotated), ("last_used_at", token.used)];
        for (name, time) in times {
            if let Some(time) = time {
                shown[name] = whole_seconds(time).to_string().into();
            }
        }
        shown
    }

    fn value_json(&self, token: &Token) -> Value {
        let mut shown = self.token_json(token);
        shown["value"] = token.value.clone().into();
        shown
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The live token that the caller bears.
fn bearer<'tokens>(tokens: &'tokens Tokens, call: &Call, now: Timestamp) -> Result<&'tokens Token, Problem> {
    let known = call.bearer().and_then(|value| tokens.of_value(value));
    known.filter(|token| token.is_live(now)).ok_or_else(Problem::unauthenticated)
}

/// `/tokens/ID` and `/tokens/ID/…`, below the base.
fn id_in(call: &Call) -> &str {
    call.uri.path().split('/').nth(2).unwrap_or_default()
}

/// Decimal digits without a sign.
fn limit_of(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
