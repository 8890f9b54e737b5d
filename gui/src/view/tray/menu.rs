//! The lines of the menu.

use jiff::Timestamp;

use super::needs::{Needs, is_urgent};
use super::{Item, MenuAct, words};
use crate::page::{AgentState, Deed, Page, Row, RowState, View};
use crate::texts::Texts;
use crate::view::{life, safe};

/// So many entries, and so many things to do, are listed: a menu must fit on a screen.
const LISTED: usize = 12;

/// From top to bottom.
pub(super) fn menu(
    page: &Page,
    needs: &Needs<'_>,
    state: String,
    now: Timestamp,
    texts: &Texts,
) -> Vec<Item> {
    let mut menu = vec![Item::Text(state)];
    match &page.agent {
        AgentState::Awaited => {}
        AgentState::Absent { can_start: true, .. } => {
            menu.push(act(texts.say("tray.start", &[]), MenuAct::StartAgent));
        }
        AgentState::Absent { can_start: false, .. } => {}
        AgentState::Running { .. } => {
            menu.extend(limited(to_do(page, needs, texts), texts));
            if !page.rows.is_empty() {
                menu.push(Item::Separator);
                menu.extend(entries(page, now, texts));
            }
        }
    }
    menu.push(Item::Separator);
    if matches!(page.agent, AgentState::Running { .. }) {
        let before = menu.len();
        menu.extend(reminders(page, texts));
        if !needs.unlock {
            menu.push(act(texts.say("tray.lock", &[]), MenuAct::Lock));
        }
        if menu.len() > before {
            menu.push(Item::Separator);
        }
    }
    menu.push(open(texts.say("tray.open", &[]), View::Overview));
    if matches!(page.agent, AgentState::Running { .. }) {
        // Each view is one click away.
        menu.push(open(texts.say("view.permissions", &[]), View::Permissions));
        menu.push(open(texts.say("view.timeline", &[]), View::Timeline));
        menu.push(open(texts.say("view.activity", &[]), View::Activity));
        menu.push(open(texts.say("view.settings", &[]), View::Settings));
        menu.push(Item::Separator);
    }
    menu.push(act(texts.say("tray.quit", &[]), MenuAct::Quit));
    menu
}

/// The entries that are listed: all, or the most urgent of many, in the order of the page, so that a line stays where it is.
pub(super) fn shown(page: &Page) -> Vec<&Row> {
    let mut ranked: Vec<(usize, &Row)> = page.rows.iter().enumerate().collect();
    ranked.sort_by_key(|(_, row)| rank(row, page));
    ranked.truncate(LISTED);
    ranked.sort_by_key(|(place, _)| *place);
    ranked.into_iter().map(|(_, row)| row).collect()
}

/// What comes first where not all fit: what wants a person, what does not serve, and then what ends first.
fn rank(row: &Row, page: &Page) -> (bool, bool, i64) {
    let wants = row.due.is_some() || is_urgent(row);
    let serves = matches!(row.state, RowState::Live | RowState::Ending | RowState::Idle);
    let end = words::end(row, page).map_or(i64::MAX, |(end, _)| end.as_second());
    (!wants, serves, end)
}

/// One line for each thing that needs a person, questions first.
fn to_do(page: &Page, needs: &Needs<'_>, texts: &Texts) -> Vec<Item> {
    let mut items = Vec::new();
    for question in &page.questions {
        let program =
            safe::program_name(&question.program).unwrap_or_else(|| texts.say("say.unknown-program", &[]));
        let values = [("program", program.as_str()), ("entry", &question.entry)];
        items.push(open(texts.say("tray.question", &values), View::Overview));
    }
    if needs.unlock {
        items.push(act(texts.say("tray.unlock", &[]), MenuAct::Begin(Deed::Unlock)));
    }
    if needs.keychain {
        items.push(open(texts.say("tray.keychain", &[]), View::Settings));
    }
    if needs.configuration {
        items.push(open(texts.say("tray.configuration", &[]), View::Settings));
    }
    for deed in &needs.deeds {
        items.extend(label(deed, page, texts).map(|label| act(label, MenuAct::Begin((*deed).clone()))));
    }
    for row in &needs.urgent {
        let entry = words::name(&row.name, page);
        items.push(open(texts.say("tray.look", &[("entry", &entry)]), View::Overview));
    }
    items
}

/// What a deed is called; `None` for those that are never due.
fn label(deed: &Deed, page: &Page, texts: &Texts) -> Option<String> {
    let (key, entry) = match deed {
        Deed::SignIn { entry } => ("tray.sign-in", entry),
        Deed::AddToken { entry } if entry.starts_with("outscale.") => ("tray.add-key", entry),
        Deed::AddToken { entry } => ("tray.add-token", entry),
        Deed::RotateToken { entry } => ("tray.rotate", entry),
        Deed::SayEnd { entry } => ("tray.say-end", entry),
        Deed::ConfirmPlaces { entry } => ("tray.confirm-places", entry),
        Deed::Unlock
        | Deed::SignOut { .. }
        | Deed::RemoveToken { .. }
        | Deed::Snooze { .. }
        | Deed::OpenConsole { .. } => return None,
    };
    Some(texts.say(key, &[("entry", &words::name(entry, page))]))
}

fn entries(page: &Page, now: Timestamp, texts: &Texts) -> Vec<Item> {
    let shown = shown(page);
    let more = page.rows.len() - shown.len();
    let line = |row: &Row| {
        let (entry, life) = (words::name(&row.name, page), words::about(row, page, now, texts));
        open(texts.say("tray.entry", &[("entry", &entry), ("life", &life)]), View::Overview)
    };
    let more = (more > 0).then(|| and_more(more, texts));
    shown.into_iter().map(line).chain(more).collect()
}

fn reminders(page: &Page, texts: &Texts) -> Option<Item> {
    if !page
        .rows
        .iter()
        .any(|row| row.kind == "token" && row.until.as_deref().and_then(life::moment).is_some())
    {
        return None;
    }
    if page.own.paused_until.is_some() {
        return Some(act(texts.say("tray.resume", &[]), MenuAct::PauseReminders(0)));
    }
    let items = [("tray.pause-day", 1), ("tray.pause-week", 7), ("tray.pause-month", 30)];
    let items = items.map(|(key, days)| act(texts.say(key, &[]), MenuAct::PauseReminders(days))).to_vec();
    Some(Item::Menu { label: texts.say("tray.pause", &[]), items })
}

fn limited(mut items: Vec<Item>, texts: &Texts) -> Vec<Item> {
    let more = items.len().saturating_sub(LISTED);
    if more > 0 {
        items.truncate(LISTED);
        items.push(and_more(more, texts));
    }
    items
}

fn and_more(more: usize, texts: &Texts) -> Item {
    open(texts.count("tray.more", more as u64, &[]), View::Overview)
}

fn open(label: String, view: View) -> Item {
    act(label, MenuAct::Open(view))
}

fn act(label: String, act: MenuAct) -> Item {
    Item::Act { label, act }
}
