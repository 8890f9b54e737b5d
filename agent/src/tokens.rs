//! What a person does with a personal access token.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::TokenReport;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::Ask;

impl Agent {
    /// Takes a value in.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub async fn token_add(
        self: &Arc<Self>,
        name: &str,
        value: Secret<String>,
        _ends: Option<&str>,
    ) -> Result<TokenReport, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?;
        let now = self.clock.now();
        let mut holding = entry.source.accept_value(&entry.name, value, &footing.config, now)?;
        // A value that cannot be kept is refused whole: the person still has it, and is not surprised by it later.
        footing.holdings.prove().await?;
        let ends = holding.facts.ends;
        let waiting = self.inherit_destination(&footing, entry, &mut holding).await;
        footing.holdings.put(&entry.name, holding).await?;
        self.drop_bought_with(&entry.name);
        self.states.held(&entry.name, ends);
        Ok(report(format!("`{}` is kept{waiting}", entry.name), ends))
    }

    /// Replaces a value.
    ///
    /// # Errors
    /// Why not.
    pub async fn token_rotate(
        self: &Arc<Self>,
        _name: &str,
        _value: Option<Secret<String>>,
        _ends: Option<&str>,
    ) -> Result<TokenReport, Refusal> {
        Err(Refusal::new(Code::Internal, "not built yet"))
    }

    /// Says when a token ends.
    ///
    /// # Errors
    /// Why not.
    pub async fn token_ends(self: &Arc<Self>, _name: &str, _ends: &str) -> Result<TokenReport, Refusal> {
        Err(Refusal::new(Code::Internal, "not built yet"))
    }

    /// Forgets a value.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn token_remove(
        self: &Arc<Self>,
        name: &str,
        _keep_at_service: bool,
    ) -> Result<String, Refusal> {
        let config = self.config()?;
        let entry = config.find(name, Ask::Value)?;
        let was_there = self.holdings().get(&entry.name).await.is_ok_and(|holding| holding.is_some());
        self.holdings().remove(&entry.name).await?;
        self.drop_bought_with(&entry.name);
        Ok(if was_there {
            format!("`{}` is removed here; delete it on its portal too if it should stop working", entry.name)
        } else {
            format!("`{}` held nothing", entry.name)
        })
    }

    /// A value that the keychain has not taken yet.
    ///
    /// # Errors
    /// Where there is none.
    pub fn token_rescue(&self, _name: &str) -> Result<Secret<String>, Refusal> {
        Err(Refusal::new(Code::Internal, "not built yet"))
    }
}

fn report(say: String, ends: Option<Timestamp>) -> TokenReport {
    TokenReport {
        say,
        owner: None,
        until: ends.map(rfc3339),
        until_by: None,
        lost: Vec::new(),
        gained: Vec::new(),
        notes: Vec::new(),
        permissions: None,
    }
}
