//! Notifications: notices of the agent, each shown once by whoever claims it first, and word of questions.

use std::sync::Arc;

use keyfob_ipc::reply::Notice;
use keyfob_ipc::{ControlAsk, Refusal};

use super::Running;
use super::threads::{Said, bring_back, fault};
use crate::shell::{Notification, Shell};
use crate::view;

/// Notifications whose click is remembered.
const KEPT: usize = 64;

impl<S: Shell> Running<S> {
    /// The agent offers a notice. It shows by itself what nobody claims.
    pub(super) fn noticed(&mut self, notice: Notice) {
        if !self.notifies {
            return;
        }
        let Some(seat) = self.claims.take() else { return };
        let reach = Arc::clone(&self.reach);
        let failed = Said::Claimed(notice.clone(), Err(fault("the claim of a notice")));
        bring_back("notice", &self.sender, failed, move || {
            let claimed = reach.ask(ControlAsk::ClaimNotice { id: notice.id });
            drop(seat);
            Said::Claimed(notice, claimed.map(drop))
        });
    }

    pub(super) fn claimed(&mut self, notice: &Notice, claimed: Result<(), Refusal>) {
        match claimed {
            // Every question comes to us as such, and is told with its program and its words.
            Ok(()) if notice.is_question => {}
            Ok(()) => {
                self.notify(&view::notice::of_notice(notice));
            }
            Err(refusal) => tracing::debug!("a notice is not ours to show: {refusal}"),
        }
    }

    /// Whether it is shown. A desktop that shows none leaves notices to the agent until one is shown again:
    /// it knows other ways.
    pub(super) fn notify(&mut self, notification: &Notification) -> bool {
        if let Err(error) = self.shell.notify(notification) {
            tracing::warn!("{error}; notices are left to the agent");
            self.notifies = false;
            return false;
        }
        self.notifies = true;
        self.notifications.insert(notification.number, notification.opens);
        while self.notifications.len() > KEPT {
            self.notifications.pop_first();
        }
        true
    }

    pub(super) fn withdraw(&mut self, number: u64) {
        self.notifications.remove(&number);
        self.shell.withdraw(number);
    }
}
