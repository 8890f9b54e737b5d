//! What the token API reads: strict, for a member that is misspelt must not pass for one that is absent.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use axum::http::{StatusCode, header};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::{Permissions, Problem};
use crate::cluster::NAMES;
use crate::door::Call;

/// Most bytes of a body.
const LIMIT: usize = 64 * 1024;
/// The furthest end that may be asked for.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The body of a rotation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    #[serde(default, deserialize_with = "present")]
    pub(super) expires_at: Option<String>,
}

/// The body of a change of permissions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) permissions: Vec<Object<Permission>>,
}

/// The body of a new machine token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub(super) owner: String,
    pub(super) permissions: Vec<Object<Permission>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) expires_at: Option<String>,
}

/// What a token may do at one cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Permission {
    cluster: String,
    read: bool,
    write: bool,
    execute: bool,
}

/// The body, where there must be one.
pub(super) fn required<T: DeserializeOwned>(call: &Call) -> Result<T, Problem> {
    optional(call)?.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "the body is missing"))
}

/// The body, where there is one.
pub(super) fn optional<T: DeserializeOwned>(call: &Call) -> Result<Option<T>, Problem> {
    if call.body.is_empty() {
        return Ok(None);
    }
    if call.body.len() > LIMIT {
        return Err(Problem::too_large());
    }
    let kind = call.header(header::CONTENT_TYPE.as_str()).and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Object(read)) => Ok(Some(read)),
        Err(error) if error.classify() == Category::Data => {
            Err(Problem::invalid("the body does not have the members that it should have"))
        }
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body is not JSON")),
    }
}

/// The permissions, by cluster.
pub(super) fn by_cluster(list: Vec<Object<Permission>>) -> Result<BTreeMap<String, Permissions>, Problem> {
    let mut permissions = BTreeMap::new();
    for Object(Permission { cluster, read, write, execute }) in list {
        if !is_name(&cluster) {
            return Err(Problem::invalid("that cannot be the name of a cluster"));
        }
        if !NAMES.contains(&&*cluster) {
            return Err(Problem::conflict(format!("there is no cluster {cluster}")));
        }
        if permissions.insert(cluster, Permissions { read, write, execute }).is_some() {
            return Err(Problem::conflict("one cluster is there twice"));
        }
    }
    Ok(permissions)
}

/// The owner of a machine token.
pub(super) fn is_machine(owner: &str) -> bool {
    owner.strip_prefix("bot-").is_some_and(is_name)
}

/// Letters, digits, dots, hyphens and underscores, at most 63 of them, the first a letter or digit.
fn is_name(text: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric();
    text.len() <= 63
        && text.bytes().next().is_some_and(is_one)
        && text.bytes().all(|byte| is_one(byte) || b"._-".contains(&byte))
}

/// The end that is asked for, if it may be had.
pub(super) fn end(asked: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = asked else { return Ok(None) };
    if !is_date_time(text) {
        return Err(Problem::invalid("`expires_at` is not a date and time of RFC 3339"));
    }
    match text.parse::<Timestamp>() {
        Ok(end) if end > now && end.duration_since(now) <= LONGEST => Ok(Some(end)),
        _ => Err(Problem::conflict("`expires_at` is in the past, or more than 366 days away")),
    }
}

/// RFC 3339 section 5.6 alone, of which jiff reads much more.
fn is_date_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let Some((local, rest)) = text.split_at_checked(FORM.len()) else { return false };
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte.eq_ignore_ascii_case(form),
    };
    let zone = rest.strip_prefix('.').map_or(rest, |fraction| {
        let zone = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
        if zone.len() < fraction.len() { zone } else { "" }
    });
    local.bytes().zip(FORM).all(fits) && local.parse::<DateTime>().is_ok() && is_zone(zone)
}

fn is_zone(zone: &str) -> bool {
    let two = |from: usize, most: u8| {
        let digits = zone.get(from..from + 2).filter(|two| two.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|two| two.parse::<u8>().ok()).is_some_and(|number| number <= most)
    };
    let offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':';
    zone.eq_ignore_ascii_case("z") || (offset && two(1, 23) && two(4, 59))
}

/// A member that may be absent, but not `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

/// A JSON object: serde by itself takes an array of the members' values too.
#[derive(Debug)]
pub(super) struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OfObject(PhantomData)).map(Self)
    }
}

struct OfObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_is_a_date_and_time() {
        for good in ["2027-01-31T23:59:59Z", "2027-01-31t00:00:00.123z", "9999-12-31T23:59:59-23:59"] {
            assert!(is_date_time(good), "{good}");
        }
        let bad = [
            "",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "2027-02-30T00:00:00Z",
            "2027-01-31T00:00:00.Z",
            "2027-01-31 00:00:00Z",
            "2027-01-31T00:00:00+24:00",
            "2027-01-31T00:00:00+0100",
            "2027-01-31T00:00:00Z[UTC]",
            "20270131T000000Z",
            "2027-01-31T00:00:00\u{e9}",
        ];
        for bad in bad {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        assert!(serde_json::from_str::<Object<Rotation>>("{}").is_ok());
        for bad in [
            "[]",
            "null",
            r#"{"expires_at":null}"#,
            r#"{"expires":"x"}"#,
            r#"{"expires_at":"","expires_at":""}"#,
        ] {
            assert!(serde_json::from_str::<Object<Rotation>>(bad).is_err(), "{bad}");
        }
    }
}
