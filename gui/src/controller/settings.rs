//! Settings: what the window changes outside of the agent.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};

use super::Running;
use super::owed::Owed;
use super::reach::Way;
use crate::page::PageReply;
use crate::settings_file::{Configuration, MOST_REMINDERS, NotEdited, is_step, with_reminders};
use crate::shell::Shell;
use crate::texts::Texts;

impl<S: Shell> Running<S> {
    pub(super) fn start_at_sign_in(&mut self, on: bool, owed: Owed) {
        let set = self.shell.set_start_at_sign_in(on);
        self.own.starts_at_sign_in = self.shell.starts_at_sign_in();
        self.window.is_stale = true;
        owed.answer(set.map(|()| PageReply::Done { say: String::new() }));
    }

    /// Opens the configuration that the agent names, and makes none.
    pub(super) fn open_configuration(&mut self, owed: Owed) {
        let Some(path) = self.configuration() else { return owed.answer(Err(self.absence())) };
        if path.is_file() {
            owed.answer(self.shell.open_file(&path).map(|()| PageReply::Done { say: String::new() }));
        } else {
            owed.answer(Err(refuse(&NotEdited::Absent, &path, &self.texts)));
        }
    }

    pub(super) fn set_reminders(&self, steps: Vec<String>, owed: Owed) {
        let Some(path) = self.configuration() else { return owed.answer(Err(self.absence())) };
        if let Some(bad) = steps.iter().find(|step| !is_step(step)) {
            let refusal = self.refuse(Code::BadRequest, "say.no-step", &[("step", &text::escape(bad))]);
            return owed.answer(Err(refusal.hint(self.say("say.no-step-hint"))));
        }
        if steps.len() > MOST_REMINDERS {
            let most = MOST_REMINDERS.to_string();
            let refusal = self.refuse(Code::BadRequest, "say.many-steps", &[("most", &most)]);
            return owed.answer(Err(refusal.hint(self.say("say.many-steps-hint"))));
        }
        let (way, texts, editing) = (Arc::clone(&self.way), self.texts.clone(), Arc::clone(&self.editing));
        self.work_for(owed, move || {
            // From the first look to the last: another edit would be taken for somebody else's.
            let _alone = editing.lock().unwrap_or_else(PoisonError::into_inner);
            edit(&path, &steps, &way, &texts)
        });
    }

    /// The file of the configuration, by the agent's word.
    fn configuration(&self) -> Option<PathBuf> {
        self.status.status.as_ref().map(|status| PathBuf::from(&status.config.path))
    }
}

/// Edits the file, and puts back what was there where the agent finds an error that it did not find before.
fn edit(path: &Path, steps: &[String], way: &Way, texts: &Texts) -> Result<PageReply, Refusal> {
    let refuse = |why: NotEdited| refuse(&why, path, texts);
    let known = errors(way)?;
    let before = Configuration::read(path).map_err(refuse)?;
    let edited = with_reminders(before.text(), steps).map_err(refuse)?;
    if edited != before.text() {
        let after = before.replace(edited).map_err(refuse)?;
        let fresh = errors(way).map(|now| first_new(&known, &now));
        if let Ok(None) = fresh {
        } else {
            after.replace(before.text().to_owned()).map_err(refuse)?;
            // Nobody can say that it was good.
            let error = fresh?.unwrap_or_default();
            let say = texts.say("say.put-back", &[("error", &text::escape(&error))]);
            return Err(Refusal::new(Code::ConfigBroken, say).hint("keyfob config check"));
        }
    }
    let key = if steps.is_empty() { "say.reminders-off" } else { "say.reminders-set" };
    Ok(PageReply::Done { say: texts.say(key, &[]) })
}

/// What the agent finds wrong with the file as it is now.
fn errors(way: &Way) -> Result<Vec<String>, Refusal> {
    match way.look(|| ControlAsk::ConfigCheck)? {
        Reply::Config(report) => Ok(report.errors),
        _ => Err(way.unexpected()),
    }
}

/// The first error that was not there before; an edit may move the others to other lines.
fn first_new(known: &[String], now: &[String]) -> Option<String> {
    fn without_line(error: &str) -> &str {
        match error.split_once(": ") {
            Some((line, what)) if line.starts_with("line ") => what,
            _ => error,
        }
    }
    let mut known: Vec<&str> = known.iter().map(|error| without_line(error)).collect();
    let fresh = now.iter().find(|error| {
        let place = known.iter().position(|old| *old == without_line(error));
        place.map(|place| known.swap_remove(place)).is_none()
    });
    fresh.cloned()
}

fn refuse(why: &NotEdited, path: &Path, texts: &Texts) -> Refusal {
    let path = text::escape(&path.display().to_string());
    let values = [("path", path.as_str()), ("error", &why.to_string())];
    let (key, hint) = match why {
        NotEdited::Absent => ("say.no-configuration", texts.say("say.no-configuration-hint", &[])),
        NotEdited::Unreadable(_) => ("say.unreadable", texts.say("say.unreadable-hint", &values)),
        NotEdited::Broken => ("say.broken", "keyfob config check".to_owned()),
        NotEdited::Changed => ("say.changed", texts.say("say.changed-hint", &[])),
        NotEdited::Unwritable(_) => ("say.unwritable", texts.say("say.unwritable-hint", &values)),
    };
    Refusal::new(Code::ConfigBroken, texts.say(key, &values)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_on_another_line_is_the_same_error() {
        let all = |errors: &[&str]| errors.iter().map(|error| (*error).to_owned()).collect::<Vec<_>>();
        let known = all(&["line 4: unknown key `x`", "line 9: unknown key `x`"]);
        assert_eq!(first_new(&known, &all(&["line 5: unknown key `x`", "line 10: unknown key `x`"])), None);
        assert_eq!(first_new(&known, &all(&["line 5: unknown key `y`"])).unwrap(), "line 5: unknown key `y`");
        let third = all(&["line 1: unknown key `x`", "line 2: unknown key `x`", "line 3: unknown key `x`"]);
        assert!(first_new(&known, &third).is_some());
    }
}
