//! The desktop's keychain as it is on Linux: a real gnome-keyring on a session bus of the test's own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "keychain/desktop.rs"]
mod desktop;
#[path = "keychain/prompt.rs"]
mod prompt;

use std::sync::Arc;
use std::time::Duration;

use keyfob_agent::keychain::{Deadline, Keychain, KeychainError};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;

use desktop::{Desktop, eventually};

/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

fn value(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn what_is_stored_is_seen_from_outside_and_can_be_replaced_and_removed() {
    let desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    assert_eq!(keychain.load("sso.okta").await, Ok(None));

    keychain.store("sso.okta", &value("first")).await.unwrap();
    keychain.store("sso.okta", &value("second")).await.unwrap();
    assert_eq!(keychain.load("sso.okta").await, Ok(Some(value("second"))));
    let outside = ["application", "keyfob", "profile", "default", "item", "sso.okta"];
    assert_eq!(desktop.secret_tool(&[&["lookup"], &outside[..]].concat()), "second");
    let found = desktop.secret_tool(&[&["search", "--all"], &outside[..]].concat());
    assert!(found.contains("label = Keyfob: sso.okta"), "{found}");

    keychain.remove("sso.okta").await.unwrap();
    keychain.remove("sso.okta").await.unwrap();
    assert_eq!(keychain.load("sso.okta").await, Ok(None));
    assert_eq!(desktop.secret_tool(&[&["lookup"], &outside[..]].concat()), "");
}

#[tokio::test]
async fn any_bytes_up_to_the_limit_come_back() {
    let desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    let all_bytes: Vec<u8> = (0..=255).collect();
    for bytes in [Vec::new(), vec![0], all_bytes, vec![0xfe; 256 * 1024]] {
        let wanted = Secret::new(bytes);
        keychain.store("token.bytes", &wanted).await.unwrap();
        assert!(keychain.load("token.bytes").await == Ok(Some(wanted)));
    }
}

#[tokio::test]
async fn profiles_do_not_see_each_other() {
    let desktop = Desktop::signed_in().await;
    let (own, second) = (desktop.keychain(None), desktop.keychain(Some("6f1c")));
    own.store("aws.dev", &value("own")).await.unwrap();
    assert_eq!(second.load("aws.dev").await, Ok(None));
    second.store("aws.dev", &value("second")).await.unwrap();
    second.remove("aws.dev").await.unwrap();
    assert_eq!(own.load("aws.dev").await, Ok(Some(value("own"))));
}

#[tokio::test]
async fn a_locked_keychain_is_a_state_and_no_call_waits_for_the_person() {
    let desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    keychain.store("aws.dev", &value("one")).await.unwrap();

    desktop.secret_tool(&["lock", "--collection=login"]);
    assert_eq!(keychain.state().await, KeychainState::Locked);
    for item in ["aws.dev", "aws.never"] {
        assert_eq!(keychain.load(item).await, Err(KeychainError::Locked));
        assert_eq!(keychain.store(item, &value("two")).await, Err(KeychainError::Locked));
        assert_eq!(keychain.remove(item).await, Err(KeychainError::Locked));
    }

    desktop.unlock();
    assert_eq!(keychain.state().await, KeychainState::Present);
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn without_a_service_or_a_collection_there_is_no_keychain() {
    let mut desktop = Desktop::with_bus_only();
    let keychain = desktop.keychain(None);
    assert_eq!(keychain.state().await, KeychainState::Missing);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Missing));
    assert_eq!(keychain.store("aws.dev", &value("one")).await, Err(KeychainError::Missing));

    // Without a password, as after a sign-in by a fingerprint or an automatic one, no login collection is made.
    desktop.start_keyring("");
    desktop.until_owned().await;
    assert_eq!(keychain.state().await, KeychainState::Missing);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Missing));
    assert_eq!(keychain.store("aws.dev", &value("one")).await, Err(KeychainError::Missing));
}

#[tokio::test]
async fn a_keychain_that_stands_still_is_slow_and_then_works_again() {
    let desktop = Desktop::signed_in().await;
    let keychain = Deadline::new(desktop.keychain(None), Duration::from_millis(300));
    let patient = desktop.keychain(None);
    patient.store("aws.dev", &value("one")).await.unwrap();

    desktop.stop_keyring();
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Slow));
    assert_eq!(keychain.store("aws.dev", &value("two")).await, Err(KeychainError::Slow));
    assert_eq!(keychain.state().await, KeychainState::Failing);
    desktop.continue_keyring();
    assert_eq!(
        patient.load("aws.dev").await,
        Ok(Some(value("one"))),
        "a save that never began changed nothing"
    );
    patient.store("aws.dev", &value("three")).await.unwrap();
    assert_eq!(patient.load("aws.dev").await, Ok(Some(value("three"))));
}

#[tokio::test]
async fn the_service_and_the_bus_may_go_and_come_back() {
    let mut desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    keychain.store("aws.dev", &value("one")).await.unwrap();

    desktop.kill_keyring();
    eventually("the service is gone", async || keychain.state().await == KeychainState::Missing).await;
    desktop.start_keyring(desktop::PASSWORD);
    eventually("the service is back", async || keychain.state().await == KeychainState::Present).await;
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))), "it was on the disk");

    desktop.kill_bus();
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Missing));
    desktop.kill_keyring();
    desktop.start_bus();
    desktop.start_keyring(desktop::PASSWORD);
    eventually("the bus is back", async || keychain.state().await == KeychainState::Present).await;
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn calls_at_once_leave_one_item_and_no_connection() {
    let desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    let before = desktop.connections().await;
    let calls: Vec<_> = (0..30)
        .map(|number| {
            let keychain = Arc::clone(&keychain);
            tokio::spawn(async move {
                let wanted = value(&number.to_string());
                keychain.store("aws.shared", &wanted).await.unwrap();
                keychain.store(&format!("aws.{number}"), &wanted).await.unwrap();
                assert_eq!(keychain.load(&format!("aws.{number}")).await, Ok(Some(wanted)));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let found = desktop.secret_tool(&["search", "--all", "item", "aws.shared"]);
    assert_eq!(found.matches("label = ").count(), 1, "{found}");
    eventually("every connection is closed", async || desktop.connections().await == before).await;
}

#[tokio::test]
async fn whoever_listens_hears_what_other_hands_do_and_nothing_else() {
    let mut desktop = Desktop::signed_in().await;
    let keychain = desktop.keychain(None);
    let mut stirring = keychain.stirring().await.unwrap();
    let mut heard = async |what: &str, expected: KeychainState| {
        loop {
            assert!(tokio::time::timeout(DEADLINE, stirring.next()).await.expect(what), "{what}");
            if keychain.state().await == expected {
                return;
            }
        }
    };
    desktop.secret_tool(&["lock", "--collection=login"]);
    heard("it is locked", KeychainState::Locked).await;
    desktop.unlock();
    heard("it is open again", KeychainState::Present).await;
    desktop.kill_keyring();
    heard("it has gone", KeychainState::Missing).await;
    desktop.start_keyring(desktop::PASSWORD);
    heard("it is back", KeychainState::Present).await;
    desktop.kill_bus();
    let is_told = tokio::time::timeout(DEADLINE, async { while stirring.next().await {} }).await;
    assert!(is_told.is_ok(), "nobody tells any more");
    assert!(keychain.stirring().await.is_none());
}
