//! A keychain that takes its time and fails now and then, before or after it did what it was asked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use keyfob_agent::keychain::{Keychain, KeychainError, Pending};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;
use serde_json::Value;

use crate::world::{Eye, pause, strikes};

/// One item.
pub struct Vault {
    state: Mutex<State>,
    eye: Arc<Eye>,
}

#[derive(Default)]
struct State {
    item: Option<Secret<Vec<u8>>>,
    /// Every refresh token that was ever in it.
    ever: HashSet<String>,
    fails: bool,
}

impl Vault {
    pub fn seen_by(eye: &Arc<Eye>) -> Self {
        Self { state: Mutex::default(), eye: eye.clone() }
    }

    pub fn fail_sometimes(&self, fails: bool) {
        self.state().fails = fails;
    }

    /// The refresh token that is in it.
    pub fn refresh_token(&self) -> Option<String> {
        self.state().item.as_ref().map(refresh_token)
    }

    pub fn ever_had(&self, token: &str) -> bool {
        self.state().ever.contains(token)
    }

    /// Does something in the middle of a while.
    async fn call<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, KeychainError> {
        self.step().await;
        self.fail()?;
        let done = act(&mut self.state());
        self.step().await;
        self.fail()?;
        Ok(done)
    }

    fn fail(&self) -> Result<(), KeychainError> {
        if self.state().fails && strikes(8) { Err(KeychainError::Locked) } else { Ok(()) }
    }

    async fn step(&self) {
        self.eye.look();
        pause(3).await;
        self.eye.look();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn refresh_token(item: &Secret<Vec<u8>>) -> String {
    let item: Value = serde_json::from_slice(item.expose()).unwrap();
    let value: Value = serde_json::from_str(item["value"].as_str().unwrap()).unwrap();
    value["refresh_token"].as_str().unwrap().to_owned()
}

impl Keychain for Vault {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(std::future::ready(KeychainState::Present))
    }

    fn load<'a>(&'a self, _item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        Box::pin(self.call(|state| state.item.clone()))
    }

    fn store<'a>(
        &'a self,
        _item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(self.call(|state| {
            state.ever.insert(refresh_token(value));
            state.item = Some(value.clone());
        }))
    }

    fn remove<'a>(&'a self, _item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(self.call(|state| state.item = None))
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.call(|state| state.item = None))
    }

    fn unlock<'a>(&'a self, _passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
