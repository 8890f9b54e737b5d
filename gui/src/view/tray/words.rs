//! A few words about an entry, and what it is called in the menu.

use jiff::Timestamp;

use crate::page::{Page, Row, RowState};
use crate::texts::Texts;
use crate::view::row::short;
use crate::view::{life, safe};

/// `aspect`; in full where several entries are called so.
pub(super) fn name(name: &str, page: &Page) -> String {
    let is_alone = page.rows.iter().filter(|row| row.short == short(name)).count() <= 1;
    safe::text(if is_alone { short(name) } else { name })
}

/// `12 days`, `not signed in`.
pub(super) fn about(row: &Row, page: &Page, now: Timestamp, texts: &Texts) -> String {
    if let Some((end, is_assumed)) = end(row, page) {
        return life::coarse(end, is_assumed, now, texts);
    }
    let trouble = row.trouble.as_ref().map(|trouble| trouble.code.as_str());
    let key = match (row.state, trouble) {
        (_, Some("locked" | "keychain_locked")) => "tray.entry-locked",
        (_, Some("offline")) => "tray.entry-offline",
        (RowState::Idle, _) => "tray.entry-idle",
        (RowState::SignedOut, _) if row.what == "secret" => "tray.entry-no-value",
        (RowState::SignedOut, _) if !["token", "outscale", "outerbounds"].contains(&row.kind.as_str()) => {
            "tray.entry-not-signed-in"
        }
        (RowState::SignedOut, _) if row.until.is_some() => "say.ended",
        (RowState::SignedOut, _) if row.kind == "outscale" => "tray.entry-no-key",
        (RowState::SignedOut, _) => "tray.entry-no-token",
        (RowState::Waiting, _) => "tray.entry-waits",
        (RowState::Refused, _) => "tray.entry-refused",
        (RowState::Live | RowState::Ending, _) if row.what == "sso" => "tray.entry-signed-in",
        (RowState::Live | RowState::Ending, _) => "tray.entry-ready",
    };
    texts.say(key, &[])
}

/// The end that a person counts with, and whether it is assumed: of what is obtained through a session, the session's, because
/// the agent renews everything before that. `None` where it does not serve, or no end is known; a secret has none.
pub(super) fn end(row: &Row, page: &Page) -> Option<(Timestamp, bool)> {
    if !matches!(row.state, RowState::Live | RowState::Ending) || row.kind == "secret" {
        return None;
    }
    let mut holder = row;
    // The agent refuses circles; whoever it is that we hear, this ends.
    for _ in &page.rows {
        let Some(through) = &holder.through else { break };
        holder = page.rows.iter().find(|row| row.name == *through)?;
    }
    Some((life::moment(holder.until.as_deref()?)?, holder.until_assumed))
}
