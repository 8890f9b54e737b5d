//! What STS says when it refuses, and what becomes of it.

use keyfob_ipc::Code;
use keyfob_ipc::reply::EntryState;
use keyfob_sandbox::{Endpoint, Fault, StsError};

use crate::company::{A_MOMENT, CONFIG, Company, ROLE};

async fn signed_in_with(error: StsError, times: u32) -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.faults().set_times(Endpoint::Sts, Fault::StsError(error), times);
    company
}

#[tokio::test]
async fn an_id_token_that_is_taken_for_expired_is_renewed_once_and_tried_once_more() {
    let company = signed_in_with(StsError::ExpiredToken, 1).await;
    company.keys("dev").await.unwrap();
    assert_eq!((company.sts_calls(), company.counts().refreshes()), (2, 1));

    let company = signed_in_with(StsError::ExpiredToken, 100).await;
    let refusal = company.keys("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.contains("aws.dev") && refusal.hint.contains("clock"), "{refusal:?}");
    assert_eq!((company.sts_calls(), company.counts().refreshes()), (2, 1));
}

#[tokio::test]
async fn faults_that_pass_are_tried_three_times() {
    let cases: Vec<_> = [
        StsError::VerificationKeyUnavailable,
        StsError::IdpCommunicationError,
        StsError::ServiceUnavailable,
        StsError::InternalFailure,
        StsError::Throttling,
    ]
    .into_iter()
    .map(|error| {
        tokio::spawn(async move {
            let company = signed_in_with(error, 2).await;
            company.keys_patiently("dev").await.unwrap_or_else(|refusal| panic!("{error:?}: {refusal}"));
            assert_eq!(company.sts_calls(), 3, "{error:?}");
        })
    })
    .collect();
    for case in cases {
        case.await.unwrap();
    }
}

#[tokio::test]
async fn a_fault_that_does_not_pass_ends_after_three_tries_as_offline() {
    for error in [StsError::VerificationKeyUnavailable, StsError::IdpCommunicationError] {
        let company = signed_in_with(error, 100).await;
        let refusal = company.keys_patiently("dev").await.unwrap_err();
        assert_eq!(refusal.code, Code::Offline, "{error:?}");
        assert_eq!(company.sts_calls(), 3, "{error:?}");
        assert_eq!(company.counts().refreshes(), 0, "{error:?}");
    }
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_tried_once_and_named() {
    for (error, code, words) in [
        (StsError::AccessDenied, Code::RoleRefused, "does not let you have the role"),
        (StsError::NoProvider, Code::RoleRefused, "does not accept the identity provider"),
        (StsError::WrongAudience, Code::RoleRefused, "Incorrect token audience"),
        (StsError::IdpRejectedClaim, Code::SignInNeeded, "rejected the session"),
        (StsError::RegionDisabled, Code::RoleRefused, "eu-west-1 is switched off"),
        (StsError::MalformedPolicyDocument, Code::RoleRefused, "policy"),
        (StsError::PackedPolicyTooLarge, Code::RoleRefused, "policy"),
    ] {
        let company = signed_in_with(error, 100).await;
        let refusal = company.keys("dev").await.unwrap_err();
        assert_eq!(refusal.code, code, "{error:?}: {refusal}");
        assert!(refusal.say.contains(ROLE), "{error:?}: {refusal}");
        assert!(refusal.say.contains(words), "{error:?}: {refusal}");
        assert!(!refusal.hint.is_empty(), "{error:?}");
        assert_eq!(company.sts_calls(), 1, "{error:?}");
        // The session is none the worse for it.
        company.bearer().await.unwrap();
        assert_eq!(company.report("okta").await.state, EntryState::Live, "{error:?}");
    }
}

#[tokio::test]
async fn a_role_that_allows_less_than_is_asked_for_is_named() {
    let edited = CONFIG.replace("role/OktaRole", "role/ReadOnlyRole");
    let config = edited.replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nduration = \"12h\"");
    let company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    let refusal = company.keys("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.contains("ReadOnlyRole") && refusal.hint.contains("duration"), "{refusal:?}");
}

#[tokio::test]
async fn a_failure_answers_for_itself_for_two_seconds() {
    let company = signed_in_with(StsError::AccessDenied, 100).await;
    for _ in 0..10 {
        assert_eq!(company.keys("dev").await.unwrap_err().code, Code::RoleRefused);
    }
    assert_eq!(company.sts_calls(), 1);
    company.pass(A_MOMENT);
    company.keys("dev").await.unwrap_err();
    assert_eq!(company.sts_calls(), 2);
    // Whoever signs in has acted: no waiting.
    company.faults().clear_all();
    company.sign_in().await.unwrap();
    company.keys("dev").await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_taken_for_keys() {
    for fault in [Fault::Html, Fault::Status(400), Fault::Endless] {
        let company = Company::open().await;
        company.sign_in().await.unwrap();
        company.faults().set(Endpoint::Sts, fault.clone());
        let refusal = company.keys_patiently("dev").await.unwrap_err();
        assert!(!refusal.hint.is_empty(), "{fault:?}: {refusal:?}");
        assert_ne!(refusal.code, Code::SignInNeeded, "{fault:?}");
        company.faults().clear_all();
        company.pass(A_MOMENT);
        company.keys("dev").await.unwrap_or_else(|refusal| panic!("{fault:?}: {refusal}"));
    }
}
