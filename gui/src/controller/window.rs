//! The window: where it opens, and what a click outside of it may do. Menus, notifications and a second start come over a
//! bus on which any program speaks: they open the window, pause reminders, lock, start the agent and quit, and no more.

use jiff::Timestamp;
use keyfob_ipc::{ControlAsk, limits};

use super::Running;
use super::owed::Owed;
use crate::page::{Deed, News, Page, PageReply, View};
use crate::shell::Shell;
use crate::view::tray::{MenuAct, Tray};

/// What is seen, and where the window begins.
#[derive(Default)]
pub(super) struct Window {
    /// Whether there is a page that can be told something.
    pub(super) has_page: bool,
    /// Whether it is in front: only where the shell says so.
    is_in_front: bool,
    /// Whether this page has asked for the ledger: lines are for those who look at it.
    pub(super) wants_activity: bool,
    /// Whether it is on its way out, and whether somebody has asked for it since.
    closing: Option<IsWanted>,
    /// Where the next page begins.
    begins: (View, Option<Deed>),
    /// What the page has drawn.
    pub(super) told: Option<Page>,
    /// What the tray has drawn.
    pub(super) tray: Option<Tray>,
    /// Whether something is not drawn yet.
    pub(super) is_stale: bool,
    /// When a word in the tray changes by the time alone.
    pub(super) next_change: Option<Timestamp>,
}

/// Whether somebody wants the window again.
type IsWanted = bool;

impl Window {
    /// Whether the person has it before them.
    pub(super) fn is_looked_at(&self) -> bool {
        self.has_page && self.is_in_front
    }

    pub(super) fn focused(&mut self, is_focused: bool) {
        self.is_in_front = is_focused;
    }

    /// From here on nothing reaches its page. What begins is for the next one.
    pub(super) fn closing(&mut self) {
        (self.has_page, self.is_in_front, self.wants_activity, self.told) = (false, false, false, None);
        self.begins = (View::default(), None);
        self.closing = Some(false);
    }

    /// Whether it was asked for while it was on its way out.
    fn closed(&mut self) -> IsWanted {
        let is_wanted = self.closing.unwrap_or_default();
        if !is_wanted {
            self.closing();
        }
        self.closing = None;
        is_wanted
    }
}

impl<S: Shell> Running<S> {
    /// A new page asks what to draw.
    pub(super) fn begin(&mut self, owed: Owed) {
        (self.window.has_page, self.window.wants_activity) = (true, false);
        let page = self.page_now();
        self.window.told = Some(page.clone());
        let (view, deed) = std::mem::take(&mut self.window.begins);
        owed.answer(Ok(PageReply::Begin { page: Box::new(page), view, deed }));
    }

    /// Shows the window with this view, and lets it begin this there.
    fn go(&mut self, view: View, deed: Option<Deed>) {
        self.show_window();
        if self.window.has_page {
            self.shell.tell_page(&News::Go { view, deed });
        } else {
            self.window.begins = (view, deed);
        }
    }

    /// Whoever starts the program again wants to see it, as it is.
    pub(super) fn raised(&mut self) {
        self.show_window();
        self.connect(false);
    }

    /// Shows it, or waits with that until the last one is gone: its web view takes a moment to come down.
    fn show_window(&mut self) {
        match &mut self.window.closing {
            Some(is_wanted) => *is_wanted = true,
            None => self.shell.show_window(),
        }
    }

    pub(super) fn window_closed(&mut self) {
        if self.window.closed() {
            self.shell.show_window();
        }
    }

    pub(super) fn clicked(&mut self, act: MenuAct) {
        match act {
            MenuAct::Open(view) => self.go(view, None),
            MenuAct::Begin(deed) => self.go(View::Overview, Some(deed)),
            MenuAct::PauseReminders(days) => self.pause_reminders(days, None),
            MenuAct::Lock => self.speak(ControlAsk::Lock, limits::CONTROL_PATIENCE, None),
            MenuAct::StartAgent => self.connect(true),
            // Taken before anything else ([`Running::take`]).
            MenuAct::Quit => {}
        }
    }

    /// Each leads to the same place, whatever its number: it may be older than this run, or made up.
    pub(super) fn notification_opened(&mut self) {
        self.go(View::Overview, None);
    }

    pub(super) fn tray_host(&mut self, is_there: bool) {
        self.own.has_tray = Some(is_there);
        self.own.says_no_tray = !is_there && !self.tray_file.said_no_tray();
        self.window.is_stale = true;
    }

    /// The person has read that there is no icon: it is said once ever.
    pub(super) fn put_no_tray_away(&mut self, owed: Owed) {
        self.own.says_no_tray = false;
        self.window.is_stale = true;
        if let Err(error) = self.tray_file.say_no_tray() {
            tracing::warn!("it cannot be noted that the remark about the icon was read: {error}");
        }
        owed.done();
    }
}
