//! The desktop, as the controller sees it: everything that is seen or heard outside of this process is behind one port.
//!
//! The real one is [`crate::desktop`]; tests have one that notes what it is told. No call waits for a person or for another
//! program longer than a blink; what a person does comes back as an [`Input`](crate::controller::Input).

use std::path::Path;

use keyfob_ipc::Refusal;

use crate::page::{News, Tool};
use crate::view::tray::Tray;

/// The desktop.
pub trait Shell: Send + 'static {
    /// Draws the icon and the menu as they are to be from now on. Where the system has no tray, nothing happens.
    fn draw_tray(&mut self, tray: &Tray);

    /// Makes the window, or raises the one that is there. A new page asks where to begin ([`crate::page::PageAsk::Begin`]); one
    /// that is there already is told by [`Shell::tell_page`].
    fn show_window(&mut self);

    /// Sends something to the page, if there is one by now.
    fn tell_page(&mut self, news: &News);

    /// Shows a notification, in the place of the one with the same number. Clicked, it comes back as
    /// [`Input::NotificationOpened`](crate::controller::Input::NotificationOpened), which opens a view and does nothing else:
    /// any program on the bus can forge that.
    ///
    /// # Errors
    /// Where no notification server shows it.
    fn notify(&mut self, notification: &Notification) -> Result<(), NotShown>;

    /// Takes a notification back, if it is still there.
    fn withdraw(&mut self, number: u64);

    /// Opens an address in the person's browser; `http` and `https` only. `false` where none could be opened.
    fn open_address(&mut self, address: &str) -> bool;

    /// Opens a file of the person's own in whatever edits such files.
    ///
    /// # Errors
    /// Where nothing could be opened.
    fn open_file(&mut self, file: &Path) -> Result<(), Refusal>;

    /// Whether this program starts when the person signs in to the computer; `None` where the system does not tell.
    fn starts_at_sign_in(&self) -> Option<bool>;

    /// Sets that.
    ///
    /// # Errors
    /// Where it cannot be set.
    fn set_start_at_sign_in(&mut self, on: bool) -> Result<(), Refusal>;

    /// Ends this program. The agent goes on.
    fn quit(&mut self);
}

/// The command line beside this program, for what it does best: writing the configuration of other tools. Calls block for
/// as long as the program runs; the controller makes them on a thread of their own.
pub trait CommandLine: Send + Sync + 'static {
    /// Looks at the tools (`keyfob doctor --json`).
    ///
    /// # Errors
    /// Where `keyfob` cannot be run, or says no.
    fn tools(&self) -> Result<Vec<Tool>, Refusal>;

    /// Sets a tool up (`keyfob setup NAME --json`), and says what was done in one sentence.
    ///
    /// # Errors
    /// Where the tool is unknown, `keyfob` cannot be run, or says no.
    fn set_up(&self, tool: &str) -> Result<String, Refusal>;
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Ours; another one with the same number takes its place.
    pub number: u64,
    /// A few words, plain text.
    pub title: String,
    /// One or two sentences, plain text: the shell escapes what the server reads as markup.
    pub body: String,
    /// Whether it stays until the person has seen it.
    pub is_urgent: bool,
}

/// Why a notification was not shown.
#[derive(Debug, thiserror::Error)]
#[error("no notification server has shown it")]
pub struct NotShown;
