//! Notifications that are shown, and who waits for a click on each.
//!
//! A click is a signal on the bus that anybody can forge, so all it does is to open the window.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::send;
use crate::controller::Input;
use crate::shell::{NotShown, Notification};

mod server;

/// So many can be clicked; each has a connection to the bus. An older one is taken back.
const MOST: usize = 16;

/// What is shown.
pub struct Notifications {
    shown: BTreeMap<u64, Shown>,
    inputs: Sender<Input>,
    icon: Option<PathBuf>,
}

/// A notification that is there, as far as is known.
pub(super) struct Shown {
    /// The server's number.
    id: u32,
    /// Closes it. Dropped, nobody listens for its click any more, and it stays. Closed from the other end once it is gone.
    close: oneshot::Sender<()>,
}

impl Notifications {
    /// None yet. `icon` is a picture file.
    pub fn new(inputs: Sender<Input>, icon: Option<PathBuf>) -> Self {
        Self { shown: BTreeMap::new(), inputs, icon }
    }

    /// Shows one, in the place of the one with its number.
    pub fn show(&mut self, notification: &Notification) -> Result<(), NotShown> {
        self.shown.retain(|_, shown| !shown.close.is_closed());
        while self.shown.len() >= MOST && !self.shown.contains_key(&notification.number) {
            let Some((_, oldest)) = self.shown.pop_first() else { break };
            // It may be gone by now.
            let _ = oldest.close.send(());
        }
        let before = self.shown.remove(&notification.number).map(|shown| shown.id);
        let (number, inputs) = (notification.number, self.inputs.clone());
        let opened = move || send(&inputs, Input::NotificationOpened(number));
        let shown = server::show(notification, before, self.icon.as_deref(), opened)?;
        self.shown.insert(number, shown);
        Ok(())
    }

    /// Takes one back.
    pub fn withdraw(&mut self, number: u64) {
        if let Some(shown) = self.shown.remove(&number) {
            let _ = shown.close.send(());
        }
    }
}
