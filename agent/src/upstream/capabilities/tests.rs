//! What two answers mean, and what is sent where.

use prost::Message as _;

use super::message::{ActionCacheUpdateCapabilities, CacheCapabilities, ExecutionCapabilities};
use super::*;
use crate::config::Network;

const YES: Right = Right::Yes;
const NO: Right = Right::No;

fn answer(update: bool, execute: Option<bool>) -> ServerCapabilities {
    ServerCapabilities {
        cache: Some(CacheCapabilities {
            updates: Some(ActionCacheUpdateCapabilities { update_enabled: update }),
        }),
        execution: execute.map(|exec_enabled| ExecutionCapabilities { exec_enabled }),
    }
}

fn status(status: Status) -> Outcome {
    Err(Unanswered::Status(status, String::new()))
}

fn strange(status: u16) -> Outcome {
    Err(Unanswered::Error(ClusterError::Strange { origin: "https://a.b".to_owned(), status }))
}

fn rights(read: Right, write: Right, execute: Right) -> Rights {
    Rights { read, write, execute }
}

#[test]
fn whoever_is_refused_without_the_token_learns_something_with_it() {
    for refused in [
        status(Status::Unauthenticated),
        status(Status::PermissionDenied),
        status(Status::Unimplemented),
        // A gateway's own pages: the call with the token went through.
        strange(401),
        strange(403),
    ] {
        let said = judge(Ok(answer(true, Some(false))), refused).unwrap();
        assert_eq!(said, Said::OfToken(rights(YES, YES, NO)));
    }
}

#[test]
fn an_answer_that_everybody_gets_is_nobodys_permission() {
    let same = judge(Ok(answer(true, Some(true))), Ok(answer(true, Some(true)))).unwrap();
    assert_eq!(same, Said::ToEverybody(rights(YES, YES, YES)));
    let more = judge(Ok(answer(true, Some(true))), Ok(answer(false, Some(true)))).unwrap();
    assert_eq!(more, Said::OfToken(rights(YES, YES, YES)));
}

#[test]
fn a_cluster_without_remote_execution_is_told_from_a_token_without_the_right() {
    let refused = || status(Status::Unauthenticated);
    let idle = judge(Ok(answer(false, None)), refused()).unwrap();
    assert_eq!(idle, Said::OfToken(rights(YES, NO, Right::WithoutEffect)));
    let idle = judge(Ok(answer(false, None)), Ok(answer(false, None))).unwrap();
    assert_eq!(idle, Said::ToEverybody(rights(YES, NO, Right::WithoutEffect)));
    // It executes, but not for this token.
    let withheld = judge(Ok(answer(false, None)), Ok(answer(false, Some(true)))).unwrap();
    assert_eq!(withheld, Said::OfToken(rights(YES, NO, NO)));
    // Nothing said about updates is no permission.
    let silent = judge(Ok(ServerCapabilities::default()), refused()).unwrap();
    assert_eq!(silent, Said::OfToken(rights(YES, NO, Right::WithoutEffect)));
}

#[test]
fn only_unauthenticated_means_that_the_token_is_dead() {
    let open = || Ok(answer(true, None));
    assert!(matches!(judge(status(Status::Unauthenticated), open()), Err(ClusterError::Dead)));
    let nothing = judge(status(Status::PermissionDenied), open()).unwrap();
    assert_eq!(nothing, Said::OfToken(rights(NO, NO, NO)));
    assert_eq!(judge(status(Status::Unimplemented), open()).unwrap(), Said::Nothing);
    for other in [Status::Unavailable, Status::Unknown, Status::Internal, Status::DeadlineExceeded] {
        assert!(matches!(judge(status(other), open()), Err(ClusterError::Failed { .. })), "{other:?}");
    }
    for other in [401, 403, 502] {
        assert!(matches!(judge(strange(other), open()), Err(ClusterError::Strange { .. })), "{other}");
    }
}

#[test]
fn a_refusal_that_everybody_gets_says_nothing_about_the_token() {
    let denied = || status(Status::PermissionDenied);
    for everybody in [denied(), strange(403)] {
        assert!(matches!(judge(denied(), everybody), Err(ClusterError::Everybody)));
    }
    // Whoever has no token is somebody else there, or nobody.
    for different in [Ok(answer(true, None)), status(Status::Unauthenticated), strange(401)] {
        assert_eq!(judge(denied(), different).unwrap(), Said::OfToken(rights(NO, NO, NO)));
    }
    // Had the other call come through, it might have been refused just so.
    for unsure in [status(Status::Unavailable), status(Status::ResourceExhausted), strange(502)] {
        assert!(judge(denied(), unsure).is_err());
    }
}

#[test]
fn whether_a_cluster_tells_is_not_guessed() {
    for unsure in [status(Status::Unavailable), status(Status::ResourceExhausted), strange(502)] {
        assert!(judge(Ok(answer(true, Some(true))), unsure).is_err());
    }
}

#[test]
fn an_address_names_a_cluster_and_an_instance() {
    let http = Http::new(&Network::default(), true).unwrap();
    for (address, origin, instance) in [
        ("grpcs://aw.acme.dev", "https://aw.acme.dev/", ""),
        ("grpcs://aw.acme.dev/", "https://aw.acme.dev/", ""),
        ("grpcs://aw.acme.dev:8443/main", "https://aw.acme.dev:8443/", "main"),
        ("grpcs://aw.acme.dev/team%20a/main/", "https://aw.acme.dev/", "team a/main"),
        ("grpc://127.0.0.1:8980/main", "http://127.0.0.1:8980/", "main"),
        ("grpc://[::1]:8980", "http://[::1]:8980/", ""),
    ] {
        let cluster = Cluster::at(&http, &address.parse().unwrap()).unwrap();
        assert_eq!((cluster.origin.to_string().as_str(), cluster.instance.as_str()), (origin, instance));
    }
    for address in ["https://aw.acme.dev", "grpcs:main", "grpcs://aw.acme.dev/%ff"] {
        assert!(Cluster::at(&http, &address.parse().unwrap()).is_err(), "{address}");
    }
}

#[tokio::test]
async fn plain_grpc_is_for_loopback_of_a_profile_of_its_own() {
    let token = Secret::from("aw_1");
    for (plain_loopback, address) in [(false, "grpc://127.0.0.1:1"), (true, "grpc://aw.acme.dev")] {
        let http = Http::new(&Network::default(), plain_loopback).unwrap();
        let error = ask(&http, &address.parse().unwrap(), ("X-Aspect", &token)).await.unwrap_err();
        assert!(matches!(error, ClusterError::Http(HttpError::NotAllowed(_))), "{address}: {error}");
    }
}

#[test]
fn the_token_is_marked_and_never_said_back() {
    let value = Secret::from("Bearer aw_marked");
    let headers = carrying(("Authorization", &value)).unwrap();
    assert_eq!(headers["authorization"], "Bearer aw_marked");
    assert!(headers["authorization"].is_sensitive());
    assert!(!format!("{headers:?}").contains("marked"));

    let long = format!("{} aw_marked0123", "x".repeat(WORDS - 8));
    for said in ["no such token: aw_marked0123!", "no such token: aw_marke...", "...rked0123", &long] {
        let Unanswered::Status(_, say) = Unanswered::of(&tonic::Status::internal(said), "aw_marked0123")
        else {
            panic!()
        };
        assert_eq!(say, "", "{said}");
    }
    for (said, token) in [("try later", "aw_marked0123"), ("aw", "aw_"), ("anything", "")] {
        let error = ClusterError::from(Unanswered::of(&tonic::Status::data_loss(said), token));
        assert!(error.to_string().ends_with(&format!(": {said})")), "{error}");
    }
}

#[test]
fn words_from_a_cluster_are_cut_and_escaped() {
    let status = tonic::Status::internal(format!("\u{1b}[31m{}", "x".repeat(1000)));
    let Unanswered::Status(_, say) = Unanswered::of(&status, "aw_1") else { panic!() };
    assert!(say.starts_with("\\u{1b}[31m") && say.len() < WORDS + 20, "{say}");
}

/// As a server writes it that fills in everything: fields in any order, and some that are skipped here.
#[test]
fn the_fields_are_those_of_the_published_messages() {
    let whole = [
        // high_api_version 2.3
        0x2a, 4, 0x08, 2, 0x10, 3, //
        // execution_capabilities: digest_function SHA256, exec_enabled, priorities
        0x12, 10, 0x08, 1, 0x10, 1, 0x1a, 4, 0x0a, 2, 0x10, 9, //
        // cache_capabilities: digest_functions [SHA256], update_enabled, max_batch_total_size_bytes, compressors [ZSTD]
        0x0a, 13, 0x0a, 1, 1, 0x12, 2, 0x08, 1, 0x20, 0x80, 0x08, 0x32, 1, 1,
    ];
    let answer = ServerCapabilities::decode(whole.as_slice()).unwrap();
    assert!(answer.may_update() && answer.may_execute());
    assert!(ServerCapabilities::decode(&whole[..whole.len() - 1]).is_err());
    let ask = Ask { instance_name: "main".to_owned() };
    assert_eq!(ask.encode_to_vec(), b"\x0a\x04main");
}
