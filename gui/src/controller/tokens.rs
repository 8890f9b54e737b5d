//! Tokens: kept, replaced, looked after. A value goes from the page into one frame, and nowhere else.

use std::sync::Arc;

use keyfob_ipc::reply::EntryPermissions;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret};

use super::Running;
use super::owed::Owed;
use super::reach::{Way, is_web_address};
use crate::page::PageReply;
use crate::shell::Shell;
use crate::view;

impl<S: Shell> Running<S> {
    pub(super) fn keep_token(
        &self,
        entry: String,
        value: &Secret<String>,
        ends: Option<String>,
        replaces: bool,
        owed: Owed,
    ) {
        // People paste line ends along.
        let value = Secret::from(value.expose().trim());
        let way = Arc::clone(&self.way);
        self.work_for(owed, move || {
            let before = if replaces { before(&way, &entry) } else { None };
            let ask = if replaces {
                ControlAsk::TokenRotate { name: entry, value: Some(value), ends }
            } else {
                ControlAsk::TokenAdd { name: entry, value, ends }
            };
            outcome(&way, ask, before.as_ref())
        });
    }

    /// Through its service, which makes the new value.
    pub(super) fn rotate_token(&self, entry: String, owed: Owed) {
        let way = Arc::clone(&self.way);
        self.work_for(owed, move || {
            let before = before(&way, &entry);
            let ask = ControlAsk::TokenRotate { name: entry, value: None, ends: None };
            outcome(&way, ask, before.as_ref())
        });
    }

    /// Opens the page on which a person makes the token; the agent says where that is, not the page.
    pub(super) fn open_portal(&mut self, entry: &str, owed: Owed) {
        let entries = self.status.status.iter().flat_map(|status| &status.entries);
        let portal = entries
            .filter(|report| report.name == entry)
            .find_map(|report| report.facts.get("portal"))
            .filter(|portal| is_web_address(portal))
            .cloned();
        match portal {
            Some(portal) => self.open(&portal, owed),
            None => {
                let entry = keyfob_ipc::text::escape(entry);
                let refusal = self.refuse(Code::BadRequest, "say.no-portal", &[("entry", &entry)]);
                owed.answer(Err(refusal.hint(self.texts.say("say.no-portal-hint", &[("entry", &entry)]))));
            }
        }
    }

    /// No reminders about any token for so many days, or again. Without `owed` it is a click in the menu, and is only noted.
    pub(super) fn pause_reminders(&self, days: u32, owed: Option<Owed>) {
        let names: Vec<String> = self.reminded().map(|entry| entry.name.clone()).collect();
        let owed = owed.unwrap_or_else(|| Owed::new(Box::new(note), &self.texts));
        if names.is_empty() {
            let refusal = self.refuse(Code::BadRequest, "say.no-reminders", &[]);
            return owed.answer(Err(refusal.hint(self.say("say.no-reminders-hint"))));
        }
        let key = if days == 0 { "say.resumed" } else { "say.paused" };
        let life = self.texts.count("say.days", u64::from(days), &[]);
        let say = self.texts.count(key, names.len() as u64, &[("life", &life)]);
        let way = Arc::clone(&self.way);
        self.work_for(owed, move || {
            let snooze = |name| way.ask(ControlAsk::TokenSnooze { name, days: Some(days) });
            // One that refuses does not keep the others from it.
            let refused = names.into_iter().map(snooze).filter_map(Result::err).next();
            refused.map_or(Ok(PageReply::Done { say }), Err)
        });
    }

    /// Something that the agent answers with one sentence, where it may ask others first.
    pub(super) fn ask_for(&self, ask: ControlAsk, owed: Owed) {
        let way = Arc::clone(&self.way);
        self.work_for(owed, move || {
            let said = way.ask_service(ask).and_then(|reply| way.said(reply));
            said.map(|say| PageReply::Done { say })
        });
    }
}

fn note(answer: Result<PageReply, crate::page::Trouble>) {
    if let Err(trouble) = answer {
        tracing::warn!(code = trouble.code, "a click in the menu was refused: {}", trouble.say);
    }
}

/// What the token of now can do; `None` where nobody knows, which keeps nobody from replacing it.
fn before(way: &Way, entry: &str) -> Option<EntryPermissions> {
    let ask = ControlAsk::Permissions { name: Some(entry.to_owned()), again: false };
    match way.ask_service(ask) {
        Ok(Reply::Permissions(all)) => all.into_iter().find(|permissions| permissions.name == entry),
        _ => None,
    }
}

fn outcome(way: &Way, ask: ControlAsk, before: Option<&EntryPermissions>) -> Result<PageReply, Refusal> {
    match way.ask_service(ask)? {
        Reply::Token(report) => {
            Ok(PageReply::Token(Box::new(view::permissions::token_outcome(&report, before))))
        }
        _ => Err(way.unexpected()),
    }
}
