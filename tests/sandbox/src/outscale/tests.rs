//! The stand-in keeps the rules that the tests of others stand on.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;

use super::*;
use crate::common::system_clock;
use crate::door::Call;

fn outscale() -> Outscale {
    Outscale::new(Common::new(system_clock()))
}

#[test]
fn nobody_gets_in_without_a_signature() {
    let outscale = outscale();
    let uri = "/api/v1/ReadAccessKeys".parse().unwrap();
    let call = Call { method: Method::POST, uri, headers: HeaderMap::new(), body: Bytes::from("{}") };
    assert_eq!(outscale.api(&call).status(), StatusCode::UNAUTHORIZED);
    assert_eq!(outscale.calls("ReadAccessKeys"), 0);
}

#[test]
fn a_user_may_do_what_its_policy_allows_and_no_more() {
    let outscale = outscale();
    let key = outscale.add_user("bot", &["api:Read*", "api:CreateAccessKey"], None);
    let account = locked(&outscale.account);
    assert!(account.may(&key.id, "api:ReadAccessKeys") && account.may(&key.id, "api:CreateAccessKey"));
    assert!(!account.may(&key.id, "api:DeleteAccessKey") && !account.may(&key.id, "iam:GetUser"));
    assert!(account.may(&account.root.id, "iam:CreateUser"));
}

#[test]
fn a_key_that_has_ended_signs_nothing() {
    let outscale = outscale();
    let key = outscale.add_user("bot", &[], Some(Timestamp::UNIX_EPOCH));
    assert!(!outscale.signs(&key.id) && outscale.signs(&outscale.root().id));
}
