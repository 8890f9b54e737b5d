//! A desktop that notes what it is told, and a command line that does what a test wants.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keyfob_gui::page::{News, Page, Tool};
use keyfob_gui::shell::{CommandLine, NotShown, Notification, Shell};
use keyfob_gui::view::tray::Tray;
use keyfob_ipc::Refusal;

use crate::fake_agent::DEADLINE;

/// All that it was told, and how it is.
#[derive(Debug, Default)]
pub struct Seen {
    pub trays: Vec<Tray>,
    pub windows: usize,
    pub news: Vec<News>,
    pub notifications: Vec<Notification>,
    pub withdrawn: Vec<u64>,
    pub addresses: Vec<String>,
    pub files: Vec<PathBuf>,
    pub starts_at_sign_in: bool,
    pub has_quit: bool,
    pub has_no_browser: bool,
    pub has_no_notifications: bool,
    /// How often it could not show a notification.
    pub not_shown: usize,
}

impl Seen {
    /// What the page shows, if it was told anything since it began.
    pub fn page(&self) -> Option<&Page> {
        self.news.iter().rev().find_map(|news| match news {
            News::Page(page) => Some(&**page),
            News::Activity(_) | News::Go { .. } => None,
        })
    }
}

/// The desktop. Clones are the same.
#[derive(Clone, Default)]
pub struct FakeShell(Arc<(Mutex<Seen>, Condvar)>);

impl FakeShell {
    /// What it has seen by now.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has seen this.
    pub fn await_seen<T>(&self, what: &str, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = self.seen();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never seen: {what}; instead: {:#?}", seen.trays.last());
            seen = self.0.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    fn note<T>(&self, note: impl FnOnce(&mut Seen) -> T) -> T {
        let noted = note(&mut self.seen());
        self.0.1.notify_all();
        noted
    }
}

impl Shell for FakeShell {
    fn draw_tray(&mut self, tray: &Tray) {
        self.note(|seen| seen.trays.push(tray.clone()));
    }

    fn show_window(&mut self) {
        self.note(|seen| seen.windows += 1);
    }

    fn tell_page(&mut self, news: &News) {
        self.note(|seen| seen.news.push(news.clone()));
    }

    fn notify(&mut self, notification: &Notification) -> Result<(), NotShown> {
        self.note(|seen| {
            if seen.has_no_notifications {
                seen.not_shown += 1;
                return Err(NotShown);
            }
            seen.notifications.push(notification.clone());
            Ok(())
        })
    }

    fn withdraw(&mut self, number: u64) {
        self.note(|seen| seen.withdrawn.push(number));
    }

    fn open_address(&mut self, address: &str) -> bool {
        self.note(|seen| {
            seen.addresses.push(address.to_owned());
            !seen.has_no_browser
        })
    }

    fn open_file(&mut self, file: &Path) -> Result<(), Refusal> {
        self.note(|seen| seen.files.push(file.to_owned()));
        Ok(())
    }

    fn starts_at_sign_in(&self) -> Option<bool> {
        Some(self.seen().starts_at_sign_in)
    }

    fn set_start_at_sign_in(&mut self, on: bool) -> Result<(), Refusal> {
        self.note(|seen| seen.starts_at_sign_in = on);
        Ok(())
    }

    fn quit(&mut self) {
        self.note(|seen| seen.has_quit = true);
    }
}

/// A command line of which a test plays one call.
pub struct FakeCommandLine(pub fn() -> Result<Vec<Tool>, Refusal>);

impl CommandLine for FakeCommandLine {
    fn tools(&self) -> Result<Vec<Tool>, Refusal> {
        (self.0)()
    }

    fn set_up(&self, tool: &str) -> Result<String, Refusal> {
        Ok(format!("{tool} is set up"))
    }
}
