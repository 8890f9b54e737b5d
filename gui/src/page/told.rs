//! What the page is told: answers and news.

use serde::Serialize;
use ts_rs::TS;

#[cfg(doc)]
use super::PageAsk;
use super::{ActivityLine, Change, Deed, Grant, Page, Permissions, TokenOutcome, Tool, View};

/// What the page gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(tag = "is", content = "it", rename_all = "kebab-case")]
pub enum PageReply {
    /// For [`PageAsk::Begin`].
    Begin {
        /// What to draw.
        page: Box<Page>,
        /// Where to begin.
        view: View,
        /// What to begin there.
        deed: Option<Deed>,
    },
    /// For [`PageAsk::Permissions`].
    Permissions(Vec<Permissions>),
    /// For [`PageAsk::Activity`].
    Activity(Vec<ActivityLine>),
    /// For [`PageAsk::Grants`].
    Grants(Vec<Grant>),
    /// For [`PageAsk::KeepToken`] and [`PageAsk::RotateToken`].
    Token(Box<TokenOutcome>),
    /// For [`PageAsk::Changes`].
    Changes(Vec<Change>),
    /// For [`PageAsk::Tools`].
    Tools(Vec<Tool>),
    /// Done.
    Done {
        /// One sentence; may be empty where the page shows it by itself.
        say: String,
    },
}

/// What is sent to the page without being asked for, under the name of the event `news`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(tag = "is", content = "it", rename_all = "kebab-case")]
pub enum News {
    /// Something changed: draw this.
    Page(Box<Page>),
    /// A line was added to the ledger.
    Activity(Box<ActivityLine>),
    /// The tray or a notification was clicked.
    Go {
        /// The view to go to.
        view: View,
        /// What to begin there.
        deed: Option<Deed>,
    },
}
