//! News that no question brings: what other hands do to the configuration file and to the keychain.
//!
//! A tool's question looks at both anyway, so this is for those who watch, who ask nothing until they are told something.
//! While nobody watches, nothing here is open and nothing wakes up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::ConfigReport;

use crate::agent::Agent;
use crate::keychain::Stirring;
use crate::sight::{Sight, View};

/// Between two looks at a keychain that nobody tells of.
const LOOK: Duration = Duration::from_secs(60);

impl Agent {
    /// Tells those who watch, for as long as the agent lives.
    pub async fn tell_news(self: Arc<Self>) {
        let mut watching = self.watchers.watching();
        loop {
            // The sender is ours.
            let _ = watching.wait_for(|count| *count > 0).await;
            tokio::select! {
                () = self.look_out() => {}
                _ = watching.wait_for(|count| *count == 0) => {}
            }
        }
    }

    async fn look_out(&self) {
        let mut sight = Sight::new();
        let mut errors = None;
        let mut holdings = self.holdings();
        let (mut state, mut stirring) = (holdings.state(), holdings.stirring().await);
        holdings.report().await;
        state.mark_unchanged();
        loop {
            self.look_at_configuration(&mut sight, &mut errors);
            if !self.holdings().is_same(&holdings) {
                holdings = self.holdings();
                (state, stirring) = (holdings.state(), holdings.stirring().await);
                holdings.report().await;
            }
            tokio::select! {
                () = sight.stirred() => {}
                is_told = stirs(&mut stirring) => {
                    if !is_told {
                        stirring = holdings.stirring().await;
                    }
                    holdings.report().await;
                }
                _ = state.changed() => {
                    let config = self.config().unwrap_or_default();
                    self.watchers.changed_all(config.entries.iter().map(|entry| &entry.name));
                }
            }
        }
    }

    /// An edit that is good is told of where it is put in force.
    fn look_at_configuration(&self, sight: &mut Sight, before: &mut Option<ConfigReport>) {
        sight.look_at(&views(&self.places().config));
        let config = self.config().unwrap_or_default();
        let report = self.store().report();
        if before.as_ref().is_some_and(|before| *before != report) {
            self.watchers.changed_all(config.entries.iter().map(|entry| &entry.name));
        }
        *before = Some(report);
    }
}

/// The file, its folder, which may be still to come, and where a link leads.
fn views(path: &Path) -> Vec<View> {
    let behind = std::fs::canonicalize(path).ok();
    let mut views: Vec<View> = Vec::new();
    for view in [Some(path), path.parent(), behind.as_deref()].into_iter().flatten().filter_map(View::of) {
        match views.iter_mut().find(|known| known.folder == view.folder) {
            Some(known) => known.names.extend(view.names),
            None => views.push(view),
        }
    }
    views
}

/// Whether something may have happened to the keychain; `false` after a while where nobody tells.
async fn stirs(stirring: &mut Option<Box<dyn Stirring>>) -> bool {
    if let Some(telling) = stirring {
        if telling.next().await {
            return true;
        }
        *stirring = None;
    }
    tokio::time::sleep(LOOK).await;
    false
}
