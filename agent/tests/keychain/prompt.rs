//! The keychain's own prompt, shown when a person asks for it and never else. The service is a double: who answers a real
//! one sits at a screen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use zbus::Connection;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value as Variant};

use super::*;

const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/1";

/// What the person and the service share.
#[derive(Default)]
struct State {
    is_locked: AtomicBool,
    /// Whether the person dismisses the prompt.
    dismisses: AtomicBool,
    /// Whether the service says that it is unlocked, and it is not.
    lies: AtomicBool,
    prompts: AtomicUsize,
}

impl State {
    fn is(&self, flag: &AtomicBool) -> bool {
        flag.load(Ordering::SeqCst)
    }
}

struct Service;

#[expect(clippy::needless_pass_by_value, reason = "the interface hands arguments over")]
#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    fn open_session(
        &self,
        algorithm: &str,
        _input: Variant<'_>,
    ) -> zbus::fdo::Result<(OwnedValue, OwnedObjectPath)> {
        if algorithm != "plain" {
            return Err(zbus::fdo::Error::NotSupported("plain alone".to_owned()));
        }
        Ok((Variant::from("").try_into().unwrap(), path("/org/freedesktop/secrets/session/1")))
    }

    fn read_alias(&self, _name: &str) -> OwnedObjectPath {
        path(COLLECTION)
    }

    fn unlock(&self, objects: Vec<ObjectPath<'_>>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        assert_eq!(objects[0].as_str(), COLLECTION);
        (Vec::new(), path(PROMPT))
    }

    #[zbus(property)]
    fn collections(&self) -> Vec<OwnedObjectPath> {
        vec![path(COLLECTION)]
    }
}

struct Collection(Arc<State>);

#[zbus::interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0.is(&self.0.is_locked)
    }
}

struct Prompt(Arc<State>);

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    async fn prompt(&self, _window: &str, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        let state = &self.0;
        state.prompts.fetch_add(1, Ordering::SeqCst);
        let is_dismissed = state.is(&state.dismisses);
        if !is_dismissed && !state.is(&state.lies) {
            state.is_locked.store(false, Ordering::SeqCst);
        }
        Self::completed(&emitter, is_dismissed, Variant::from("")).await.unwrap();
    }

    #[zbus(signal)]
    async fn completed(
        emitter: &SignalEmitter<'_>,
        is_dismissed: bool,
        result: Variant<'_>,
    ) -> zbus::Result<()>;
}

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text).unwrap()
}

/// A desktop with a locked collection.
async fn locked() -> (Desktop, Connection, Arc<State>) {
    let desktop = Desktop::with_bus_only();
    let state = Arc::new(State { is_locked: AtomicBool::new(true), ..State::default() });
    let builder = zbus::connection::Builder::address(desktop.address().as_str()).unwrap();
    let service = builder
        .serve_at("/org/freedesktop/secrets", Service)
        .unwrap()
        .serve_at(COLLECTION, Collection(state.clone()))
        .unwrap()
        .serve_at(PROMPT, Prompt(state.clone()))
        .unwrap()
        .name("org.freedesktop.secrets")
        .unwrap()
        .build()
        .await
        .unwrap();
    (desktop, service, state)
}

#[tokio::test]
async fn a_person_who_asks_for_it_is_prompted_and_opens_it() {
    let (desktop, _service, state) = locked().await;
    let keychain = desktop.keychain(None);
    keychain.open().await.unwrap();
    assert!(!state.is(&state.is_locked));
    assert_eq!(state.prompts.load(Ordering::SeqCst), 1);
    // What is open is not asked for again.
    keychain.open().await.unwrap();
    assert_eq!(state.prompts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_prompt_that_is_dismissed_opens_nothing_and_a_word_alone_does_not_either() {
    let (desktop, _service, state) = locked().await;
    let keychain = desktop.keychain(None);
    state.dismisses.store(true, Ordering::SeqCst);
    assert_eq!(keychain.open().await, Err(KeychainError::Denied));
    state.dismisses.store(false, Ordering::SeqCst);
    state.lies.store(true, Ordering::SeqCst);
    assert_eq!(keychain.open().await, Err(KeychainError::Locked));
    state.lies.store(false, Ordering::SeqCst);
    keychain.open().await.unwrap();
}

#[tokio::test]
async fn nobody_is_prompted_who_did_not_ask() {
    let (desktop, _service, state) = locked().await;
    let keychain = desktop.keychain(None);
    let _ = keychain.state().await;
    let _ = keychain.load("token.a").await;
    let _ = keychain.store("token.a", &value("one")).await;
    let _ = keychain.remove("token.a").await;
    let _ = keychain.opens_by_itself().await;
    keychain.close().await;
    assert_eq!(state.prompts.load(Ordering::SeqCst), 0);
}
