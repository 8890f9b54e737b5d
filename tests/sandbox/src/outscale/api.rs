//! The actions of the OUTSCALE API on access keys; refusals by its list of errors.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Outscale;
use super::account::{Account, Key};
use crate::common::{locked, random_uuid};
use crate::door::Call;
use crate::faults::{Endpoint, Fault};
use crate::sigv4;

/// A refusal: status, code, type.
type Refused = (u16, u32, &'static str);

const BAD_KEY: Refused = (401, 1, "AccessDenied");
const NOT_ALLOWED: Refused = (401, 5, "AccessDenied");
const RULES: Refused = (401, 14, "AccessDenied");
const MISSING: Refused = (400, 7000, "MissingParameter");
const WRONG: Refused = (400, 4047, "InvalidParameterValue");
const NO_USER: Refused = (400, 5005, "InvalidResource");
const NO_KEY: Refused = (400, 5029, "InvalidResource");
const FULL: Refused = (400, 10022, "TooManyResources (QuotaExceded)");
const STILL_ACTIVE: Refused = (409, 6004, "InvalidState");

impl Outscale {
    pub(super) fn api(&self, call: &Call) -> Response {
        let action = call.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        match self.answered(call, &action) {
            Ok(answer) => Json(answer).into_response(),
            Err(refused) => refusal(refused),
        }
    }

    fn answered(&self, call: &Call, action: &str) -> Result<Value, Refused> {
        let endpoint = match action {
            "ReadAccessKeys" => Endpoint::OutscaleRead,
            "CreateAccessKey" => Endpoint::OutscaleCreate,
            "UpdateAccessKey" => Endpoint::OutscaleUpdate,
            "DeleteAccessKey" => Endpoint::OutscaleDelete,
            _ => Endpoint::OutscalePolicy,
        };
        let forced = |fault: &Fault| if let Fault::Outscale(code) = fault { Some(*code) } else { None };
        if let Some(code) = self.common.faults.take(endpoint, forced) {
            return Err(match code {
                24 | 25 => (429, code, "AccessDenied"),
                1..=20 => (401, code, "AccessDenied"),
                code => (400, code, "InvalidParameterValue"),
            });
        }
        let now = self.common.now();
        let account = &mut *locked(&self.account);
        if !account.lets_in {
            return Err(RULES);
        }
        let by = {
            let account = std::cell::RefCell::new(&mut *account);
            sigv4::verify(call, "api", now, |id| account.borrow_mut().secret(id, now)).map_err(|_| BAD_KEY)?
        };
        *account.calls.entry(action.to_owned()).or_default() += 1;
        if !account.may(&by, &format!("api:{action}")) {
            return Err(NOT_ALLOWED);
        }
        let body: Value = serde_json::from_slice(&call.body).map_err(|_| WRONG)?;
        let own = account.key(&by).map(|key| key.user.clone()).unwrap_or_default();
        let user = body["UserName"].as_str().map_or(own, str::to_owned);
        let mut answer = match action {
            "ReadApiAccessPolicy" => {
                let seconds = account.longest_life;
                json!({"ApiAccessPolicy": {"MaxAccessKeyExpirationSeconds": seconds, "RequireTrustedEnv": false}})
            }
            "ReadAccessKeys" => read(account, &user, &body)?,
            "CreateAccessKey" => create(account, &user, &body, now)?,
            "UpdateAccessKey" => update(account, &user, &body, now)?,
            _ => delete(account, &user, &body)?,
        };
        answer["ResponseContext"] = json!({"RequestId": random_uuid()});
        Ok(answer)
    }
}

fn read(account: &Account, user: &str, body: &Value) -> Result<Value, Refused> {
    let keys = &account.user(user).ok_or(NO_USER)?.keys;
    let wanted = |key: &&Key| body["Tag"].as_str().is_none_or(|tag| key.tag.as_deref() == Some(tag));
    Ok(json!({"AccessKeys": keys.iter().filter(wanted).map(shown).collect::<Vec<_>>()}))
}

fn create(account: &mut Account, user: &str, body: &Value, now: Timestamp) -> Result<Value, Refused> {
    let ends = end(body, now)?;
    if account.longest_life > 0 {
        let longest = SignedDuration::from_secs(account.longest_life.try_into().unwrap_or(i64::MAX));
        let latest = now.saturating_add(longest).map_err(|_| WRONG)?;
        if ends.is_none_or(|ends| ends > latest) {
            return Err(WRONG);
        }
    }
    let tag = body["Tag"].as_str().map(str::to_owned);
    if tag.as_ref().is_some_and(|tag| tag.len() > 255) {
        return Err(WRONG);
    }
    let (quota, unknown_to) = (account.quota, account.propagation);
    let owner = account.user_mut(user).ok_or(NO_USER)?;
    if owner.keys.len() >= quota {
        return Err(FULL);
    }
    let key = Key { unknown_to, ..Key::new(user, tag, ends, now) };
    let mut answer = shown(&key);
    answer["SecretKey"] = json!(key.secret);
    owner.keys.push(key);
    Ok(json!({"AccessKey": answer}))
}

fn update(account: &mut Account, user: &str, body: &Value, now: Timestamp) -> Result<Value, Refused> {
    let id = body["AccessKeyId"].as_str().ok_or(MISSING)?;
    let is_active = match body["State"].as_str() {
        Some("ACTIVE") => true,
        Some("INACTIVE") => false,
        Some(_) => return Err(WRONG),
        None => return Err(MISSING),
    };
    let ends = end(body, now)?;
    let keys = &mut account.user_mut(user).ok_or(NO_USER)?.keys;
    let key = keys.iter_mut().find(|key| key.id == id).ok_or(NO_KEY)?;
    key.is_active = is_active;
    let loses = key.ends.is_some() && ends.is_none();
    key.ends = ends;
    let answer = json!({"AccessKey": shown(key)});
    account.expiries_lost += u64::from(loses);
    Ok(answer)
}

fn delete(account: &mut Account, user: &str, body: &Value) -> Result<Value, Refused> {
    let id = body["AccessKeyId"].as_str().ok_or(MISSING)?;
    let keys = &mut account.user_mut(user).ok_or(NO_USER)?.keys;
    let at = keys.iter().position(|key| key.id == id).ok_or(NO_KEY)?;
    if keys[at].is_active {
        return Err(STILL_ACTIVE);
    }
    keys.remove(at);
    Ok(json!({}))
}

/// The end that a request names, which is to come.
fn end(body: &Value, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = body["ExpirationDate"].as_str() else { return Ok(None) };
    let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let end = text.parse().ok().or_else(day).ok_or(WRONG)?;
    if end <= now { Err(WRONG) } else { Ok(Some(end)) }
}

fn shown(key: &Key) -> Value {
    let written =
        |moment: Timestamp| moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
    let mut shown = json!({
        "AccessKeyId": key.id,
        "State": if key.is_active { "ACTIVE" } else { "INACTIVE" },
        "CreationDate": written(key.created),
        "LastModificationDate": written(key.created),
    });
    if let Some(ends) = key.ends {
        shown["ExpirationDate"] = json!(written(ends));
    }
    if let Some(tag) = &key.tag {
        shown["Tag"] = json!(tag);
    }
    shown
}

fn refusal((status, code, kind): Refused) -> Response {
    let body = json!({
        "Errors": [{"Code": code.to_string(), "Type": kind, "Details": ""}],
        "ResponseContext": {"RequestId": random_uuid()},
    });
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(body)).into_response()
}
