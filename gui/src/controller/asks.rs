//! What the page asks, one arm per ask.

use std::sync::Arc;

use keyfob_ipc::reply::Change as Place;
use keyfob_ipc::{ControlAsk, Refusal, Reply, limits};

use super::Running;
use super::owed::Owed;
use super::reach::SERVICE;
use crate::page::{Change, PageAsk, PageReply};
use crate::shell::Shell;
use crate::view;

/// Lines of the ledger that the page is given at once.
const LINES: u32 = 500;

impl<S: Shell> Running<S> {
    pub(super) fn page_asks(&mut self, ask: PageAsk, owed: Owed) {
        match ask {
            PageAsk::Begin => self.begin(owed),
            PageAsk::Permissions { again } => {
                self.look_up(ControlAsk::Permissions { name: None, again }, permissions, owed);
            }
            PageAsk::Activity => {
                self.window.wants_activity = true;
                self.look_up(ControlAsk::Log { last: LINES, name: None }, activity, owed);
            }
            PageAsk::Grants => self.look_up(ControlAsk::Grants, grants, owed),
            PageAsk::Revoke { id } => self.ask_for(ControlAsk::Revoke { which: Some(id) }, owed),
            PageAsk::SignIn { entry, device } => self.sign_in(entry, device, owed),
            PageAsk::OpenSignInPage => self.open_sign_in_page(owed),
            PageAsk::PutSignInAway => self.put_sign_in_away(owed),
            PageAsk::SignOut { entry } => self.ask_for(ControlAsk::Logout { name: Some(entry) }, owed),
            PageAsk::OpenConsole { entry } => self.open_console(entry, owed),
            PageAsk::OpenPortal { entry } => self.open_portal(&entry, owed),
            PageAsk::KeepToken { entry, value, ends, replaces } => {
                self.keep_token(entry, &value, ends, replaces, owed);
            }
            PageAsk::RotateToken { entry } => self.rotate_token(entry, owed),
            PageAsk::RemoveToken { entry, keep_at_service } => {
                self.ask_for(ControlAsk::TokenRemove { name: entry, keep_at_service }, owed);
            }
            PageAsk::SayEnd { entry, ends } => {
                self.ask_for(ControlAsk::TokenEnds { name: entry, ends }, owed);
            }
            PageAsk::Snooze { entry, days } => {
                self.ask_for(ControlAsk::TokenSnooze { name: entry, days: Some(days) }, owed);
            }
            PageAsk::PauseReminders { days } => self.pause_reminders(days, Some(owed)),
            PageAsk::Answer { id, approval } => self.answer(id, approval, owed),
            PageAsk::Lock => self.speak(ControlAsk::Lock, limits::CONTROL_PATIENCE, Some(owed)),
            PageAsk::Unlock { passphrase } => {
                self.speak(ControlAsk::Unlock { passphrase }, SERVICE, Some(owed));
            }
            PageAsk::Changes => {
                self.look_up(ControlAsk::ConfigConfirm { name: None, accept: None }, changes, owed);
            }
            PageAsk::AcceptChanges { changes } => self.accept(changes, owed),
            PageAsk::StartAgent => self.start_agent(owed),
            PageAsk::Tools => self.tools(owed),
            PageAsk::SetUp { tool } => self.set_up(tool, owed),
            PageAsk::StartAtSignIn { on } => self.start_at_sign_in(on, owed),
            PageAsk::SetReminders { steps } => self.set_reminders(steps, owed),
            PageAsk::OpenConfiguration => self.open_configuration(owed),
            PageAsk::PutNoTrayAway => self.put_no_tray_away(owed),
        }
    }

    /// Something that changes nothing.
    fn look_up(&self, ask: ControlAsk, read: fn(Reply) -> Option<PageReply>, owed: Owed) {
        let way = Arc::clone(&self.way);
        self.look_for(owed, move || read(way.ask_service(ask)?).ok_or_else(|| way.unexpected()));
    }

    /// Lets what is held go where the person was shown that it would go.
    fn accept(&self, shown: Vec<Change>, owed: Owed) {
        let accept = shown.into_iter().map(|Change { entry, places }| Place { entry, places }).collect();
        let say = self.say("say.accepted");
        let way = Arc::clone(&self.way);
        self.work_for(owed, move || {
            match way.ask(ControlAsk::ConfigConfirm { name: None, accept: Some(accept) })? {
                Reply::Changes(_) => Ok(PageReply::Done { say }),
                _ => Err(way.unexpected()),
            }
        });
    }

    /// `keyfob` starts an agent where none runs, and one that a person has stopped stays stopped.
    fn tools(&self, owed: Owed) {
        if self.link.open.is_none() {
            return owed.answer(Err(self.absence()));
        }
        let command_line = Arc::clone(&self.command_line);
        self.look_for(owed, move || command_line.tools().map(PageReply::Tools));
    }

    fn set_up(&self, tool: String, owed: Owed) {
        if self.link.open.is_none() {
            return owed.answer(Err(self.absence()));
        }
        let command_line = Arc::clone(&self.command_line);
        self.work_for(owed, move || {
            let say: Result<String, Refusal> = command_line.set_up(&tool);
            say.map(|say| PageReply::Done { say })
        });
    }
}

fn permissions(reply: Reply) -> Option<PageReply> {
    let Reply::Permissions(all) = reply else { return None };
    Some(PageReply::Permissions(all.iter().map(view::permissions::permissions).collect()))
}

fn activity(reply: Reply) -> Option<PageReply> {
    let Reply::Ledger(lines) = reply else { return None };
    Some(PageReply::Activity(lines.iter().rev().map(view::activity::line).collect()))
}

fn grants(reply: Reply) -> Option<PageReply> {
    let Reply::Grants(all) = reply else { return None };
    Some(PageReply::Grants(all.iter().map(view::trust::grant).collect()))
}

fn changes(reply: Reply) -> Option<PageReply> {
    let Reply::Changes(all) = reply else { return None };
    let shown = all.into_iter().map(|Place { entry, places }| Change { entry, places });
    Some(PageReply::Changes(shown.collect()))
}
