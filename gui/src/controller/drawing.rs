//! Drawing: the page and the tray follow from what is known, and are told only what is different.

use std::time::{Duration, Instant};

use keyfob_ipc::reply::{EntryReport, LedgerLine};
use keyfob_ipc::{Code, Refusal};

use super::Running;
use crate::page::{News, Page};
use crate::shell::Shell;
use crate::view;
use crate::view::page::{Heard, Known};

/// The longest wait for a moment of the wall clock: waits do not count the time that a machine sleeps, and a clock can be set.
const SLICE: Duration = Duration::from_secs(600);

impl<S: Shell> Running<S> {
    /// Draws what is different from what was last shown.
    pub(super) fn draw(&mut self) {
        if !std::mem::take(&mut self.window.is_stale) && self.window.tray.is_some() {
            return;
        }
        let now = (self.clock)();
        let page = self.page_now();
        let tray = view::tray::tray(&page, now, &self.texts);
        self.window.next_change = view::tray::next_change(&page, now);
        if self.window.tray.as_ref() != Some(&tray) {
            self.shell.draw_tray(&tray);
            self.window.tray = Some(tray);
        }
        if self.window.has_page && self.window.told.as_ref() != Some(&page) {
            self.shell.tell_page(&News::Page(Box::new(page.clone())));
            self.window.told = Some(page);
        }
    }

    /// Everything, as it is now.
    pub(super) fn page_now(&self) -> Page {
        let heard = match (&self.link.open, &self.status.failed, &self.status.status) {
            (Some(_), Some(refusal), _) => Heard::Absent(refusal),
            (Some(_), None, Some(status)) => Heard::Status(status),
            (Some(_), None, None) => Heard::Nothing,
            (None, ..) => self.link.absent.as_ref().map_or(Heard::Nothing, Heard::Absent),
        };
        let known = Known {
            heard,
            lock: self.lock.as_ref(),
            questions: self.questions.open(),
            sign_in: self.signing_in.shown.as_ref(),
            own: &self.own,
            texts: &self.texts,
        };
        view::page::page(&known, (self.clock)())
    }

    pub(super) fn tell_activity(&mut self, line: &LedgerLine) {
        if self.window.has_page && self.window.wants_activity {
            self.shell.tell_page(&News::Activity(Box::new(view::activity::line(line))));
        }
    }

    /// When something is to be drawn by the time alone.
    pub(super) fn next_drawing(&self, from: Instant) -> Instant {
        let now = (self.clock)();
        let wait = self
            .window
            .next_change
            .map_or(SLICE, |at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        // A moment that has come and goes on being named must not be waited for in circles.
        from + wait.clamp(Duration::from_millis(100), SLICE)
    }

    /// Entries that there are reminders about.
    pub(super) fn reminded(&self) -> impl Iterator<Item = &EntryReport> {
        let entries = self.status.status.iter().flat_map(|status| &status.entries);
        entries.filter(|entry| entry.kind == "token" && entry.until.is_some())
    }

    /// A text of our own.
    pub(super) fn say(&self, key: &str) -> String {
        self.texts.say(key, &[])
    }

    /// A refusal of our own.
    pub(super) fn refuse(&self, code: Code, key: &str, values: &[(&str, &str)]) -> Refusal {
        Refusal::new(code, self.texts.say(key, values))
    }
}
