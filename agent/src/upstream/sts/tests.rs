//! Where requests go.

use std::sync::{Arc, Mutex};

use super::*;
use crate::config::Network;
use crate::upstream::http::{HttpError, StandIn};

/// The host that is asked for a role in this region.
async fn host(at: At<'_>) -> String {
    let seen = Arc::new(Mutex::new(String::new()));
    let hand = Arc::clone(&seen);
    let stand_in = StandIn::new(move |request| {
        *hand.lock().unwrap() = request.uri().host().unwrap_or_default().to_owned();
        Box::pin(async { Err(HttpError::Slow(String::new())) })
    });
    let http = Http::new(&Network::default(), false).unwrap().without_network(stand_in);
    let ask = RoleAsk {
        at,
        role_arn: "arn:aws:iam::123456789012:role/R",
        session_name: "ada",
        duration: Duration::from_secs(900),
        policy_arns: &[],
        by: By::Identity(&Secret::new("t.t.t".to_owned())),
        now: Timestamp::UNIX_EPOCH,
    };
    assume_role(&http, &ask).await.unwrap_err();
    seen.lock().unwrap().clone()
}

#[tokio::test]
async fn each_partition_has_its_endpoint_and_fips_its_own() {
    for (region, use_fips, expected) in [
        ("eu-west-1", false, "sts.eu-west-1.amazonaws.com"),
        ("us-east-1", true, "sts-fips.us-east-1.amazonaws.com"),
        ("cn-north-1", false, "sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", false, "sts.us-gov-west-1.amazonaws.com"),
        ("us-gov-west-1", true, "sts.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", false, "sts.us-iso-east-1.c2s.ic.gov"),
    ] {
        assert_eq!(host(At { region, endpoint: None, use_fips }).await, expected, "{region} {use_fips}");
    }
}
