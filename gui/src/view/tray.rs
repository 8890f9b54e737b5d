//! The tray: which icon, and what the menu says.

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

/// A line of the menu.
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
    Begin(crate::page::Deed),
    /// No reminders for so many days; 0: again.
    PauseReminders(u32),
    /// Locks Keyfob.
    Lock,
    /// Starts the agent.
    StartAgent,
    /// Ends this program; the agent goes on.
    Quit,
}
