//! The tray: which icon, and what the menu says.

mod menu;
mod needs;
mod words;

use jiff::Timestamp;

use self::needs::Needs;
use super::life;
use crate::page::{AgentState, Deed, Page, Row, RowState};
use crate::texts::Texts;

/// What the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tray {
    /// The icon.
    pub icon: Icon,
    /// One line about it, for systems that show one.
    pub tooltip: String,
    /// From top to bottom.
    pub menu: Vec<Item>,
}

/// The four states of the icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Icon {
    /// Everything serves.
    Fine,
    /// Something is to be done: an end is near, a question is open, a lock is on.
    NeedsYou,
    /// Nothing serves until the person signs in or adds a token.
    SignedOut,
    /// The agent does not run, or its providers cannot be reached.
    Offline,
}

/// A line of the menu. What it says is plain text: whatever a toolkit reads as a mnemonic in it is for the shell to escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Says something, and cannot be clicked.
    Text(String),
    /// Does something.
    Act {
        /// What it says.
        label: String,
        /// What it does.
        act: MenuAct,
    },
    /// Opens further lines.
    Menu {
        /// What it says.
        label: String,
        /// The lines.
        items: Vec<Item>,
    },
    /// A line across.
    Separator,
}

/// What a click in the menu does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuAct {
    /// Shows the window with this view.
    Open(crate::page::View),
    /// Shows the window, and begins this there: signing in, rotating, unlocking.
    Begin(Deed),
    /// No reminders for so many days; 0: again.
    PauseReminders(u32),
    /// Locks Keyfob.
    Lock,
    /// Starts the agent.
    StartAgent,
    /// Ends this program; the agent goes on.
    Quit,
}

/// The tray at this moment.
pub fn tray(page: &Page, now: Timestamp, texts: &Texts) -> Tray {
    let needs = Needs::of(page);
    let icon = icon(page, &needs);
    let state = state(page, icon, &needs, texts);
    Tray {
        icon,
        tooltip: texts.say("tray.tooltip", &[("state", &state)]),
        menu: menu::menu(page, &needs, state, now, texts),
    }
}

/// When something in the menu changes by time alone: the page and the tray are to be made anew then. Each entry that is shown
/// changes at most hourly.
pub fn next_change(page: &Page, now: Timestamp) -> Option<Timestamp> {
    let lives = menu::shown(page).into_iter().filter_map(|row| words::end(row, page));
    let lives = lives.filter_map(|(end, _)| life::next_change(end, now));
    let quiet = page.rows.iter().map(|row| &row.quiet_until).chain([&page.own.paused_until]);
    let quiet = quiet.filter_map(|until| life::moment(until.as_deref()?)).filter(|until| *until > now);
    lives.chain(quiet).min()
}

/// How many things need the person: the number that the menu and the window say.
pub fn needs(page: &Page) -> usize {
    Needs::of(page).count()
}

fn icon(page: &Page, needs: &Needs<'_>) -> Icon {
    if !matches!(page.agent, AgentState::Running { .. }) {
        return Icon::Offline;
    }
    // Its time is short.
    if !page.questions.is_empty() {
        return Icon::NeedsYou;
    }
    let is_held = |row: &&Row| !matches!(row.state, RowState::SignedOut | RowState::Idle);
    let mut held = page.rows.iter().filter(is_held).peekable();
    if held.peek().is_some() && held.all(is_offline) {
        return Icon::Offline;
    }
    let serves = |row: &Row| matches!(row.state, RowState::Live | RowState::Ending);
    let is_obtained = |deed: &&Deed| matches!(deed, Deed::SignIn { .. } | Deed::AddToken { .. });
    if !needs.unlock && !page.rows.iter().any(serves) && needs.deeds.iter().any(is_obtained) {
        return Icon::SignedOut;
    }
    if needs.count() > 0 { Icon::NeedsYou } else { Icon::Fine }
}

fn is_offline(row: &Row) -> bool {
    row.state == RowState::Waiting && row.trouble.as_ref().is_some_and(|trouble| trouble.code == "offline")
}

/// The state in words.
fn state(page: &Page, icon: Icon, needs: &Needs<'_>, texts: &Texts) -> String {
    let key = match (&page.agent, icon) {
        (AgentState::Awaited, _) => "tray.awaited",
        (AgentState::Absent { can_start: true, .. }, _) => "tray.absent",
        (AgentState::Absent { can_start: false, .. }, _) => "tray.unusable",
        (_, Icon::Offline) => "tray.offline",
        (_, Icon::SignedOut) => "tray.signed-out",
        (_, Icon::NeedsYou) => return texts.count("tray.needs-you", needs.count() as u64, &[]),
        (_, Icon::Fine) if page.rows.is_empty() => "tray.nothing",
        (_, Icon::Fine) => "tray.fine",
    };
    texts.say(key, &[])
}

#[cfg(test)]
mod tests;
