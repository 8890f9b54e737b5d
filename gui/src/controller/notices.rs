//! Notifications: notices of the agent, each shown once by whoever claims it first, and word of questions.

use std::sync::Arc;

use keyfob_ipc::reply::Notice;
use keyfob_ipc::{ControlAsk, Refusal};

use super::Running;
use super::threads::Said;
use crate::shell::{Notification, Shell};
use crate::view;

impl<S: Shell> Running<S> {
    /// The agent offers a notice. It shows by itself what nobody claims.
    pub(super) fn noticed(&mut self, notice: Notice) {
        if !self.notifies {
            return;
        }
        // Word of a question comes behind the question. Where that was not told, the agent has to.
        if notice.is_question && !self.is_told(&notice.entry) {
            return;
        }
        let Some(seat) = self.claims.take() else { return };
        let way = Arc::clone(&self.way);
        let lost = notice.clone();
        let failed = move |refusal| Said::Claimed(lost, Err(refusal));
        self.bring_back("notice", "say.fault-notice", failed, move || {
            let claimed = way.ask(ControlAsk::ClaimNotice { id: notice.id });
            drop(seat);
            Said::Claimed(notice, claimed.map(drop))
        });
    }

    pub(super) fn claimed(&mut self, notice: &Notice, claimed: Result<(), Refusal>) {
        match claimed {
            // It was told with its program and its words.
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
        true
    }
}
