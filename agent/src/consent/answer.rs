//! The person's side: answering, looking at what was answered, and taking it back.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{Approval, GrantReport, Question, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use super::question::Open;
use super::{Seat, until};
use crate::agent::Agent;
use crate::asker::Asker;
use crate::clock::{after, rfc3339};
use crate::ledger::{Deed, Ending};
use crate::notices::Told;
use crate::policy::{Given, Grant, Span, UNUSED};

impl Agent {
    /// Every open question, with ids for one connection.
    pub fn questions(&self, seat: Seat) -> Vec<Question> {
        self.swept().questions().map(|open| open.to(seat)).collect()
    }

    /// Sends every open question to a window that has just come.
    pub fn ask_again(&self, seat: Seat) {
        let _ = seat;
        // Those who know one already see it again, under the same id.
        for open in self.swept().questions() {
            self.watchers.question(|seat| open.to(seat));
        }
    }

    /// A connection has closed: the ids that it was sent are worth nothing any more.
    pub fn leave(&self, seat: Seat) {
        self.consent.book().leave(seat);
    }

    /// How many questions are open.
    pub fn open_questions(&self) -> usize {
        self.swept().questions().count()
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`Code::BadRequest`] where the id is not this connection's, the name is not the entry's or the answer cannot be given
    /// to it; [`Code::NotAllowed`] where the asker may not answer there; [`Code::Busy`] where there are too many answers.
    pub async fn answer(
        self: &Arc<Self>,
        seat: Seat,
        asker: &Asker,
        is_window: bool,
        id: &str,
        approval: Approval,
        typed: Option<&str>,
    ) -> Result<String, Refusal> {
        let by = if is_window { Given::Window } else { Given::Terminal };
        let (who, grant) = self.accept(seat, asker, by, id, approval, typed)?;
        let unsaved = match grant.span {
            Span::Once { .. } => None,
            Span::Until(_) | Span::Always => self.consent.save().await.err(),
        };
        let what = how_long(&grant);
        let deed = Deed {
            entry: Some(grant.entry.clone()),
            note: Some(format!("{} {what}, {}", escape(&grant.program.display().to_string()), given(by))),
            ..Deed::new(if grant.is_allowed { "approve" } else { "deny" })
        };
        if !self.ledger.note_now(asker, deed, Ending::DONE).await && grant.is_allowed {
            self.swept().take_out(Some(&grant.id));
            let say = "nothing is approved, for the ledger cannot be written";
            return Err(Refusal::new(Code::PlaceUnsafe, say).hint("keyfob doctor"));
        }
        let (say, revoke) = (sentence(&who, &grant), format!("keyfob grants revoke {}", grant.id));
        let told = who.replace('`', "");
        let (verb, answer) =
            if grant.is_allowed { ("may use", "Allowed") } else { ("may not use", "Refused") };
        drop(self.notices.tell(Told {
            entry: grant.entry.to_string(),
            weight: Weight::Known,
            title: format!("{told} {verb} {}", grant.entry),
            body: format!("{answer} {what}. Take it back with: {revoke}"),
            is_question: false,
        }));
        Ok(match unsaved {
            None => say,
            Some(error) => {
                format!("{say}; it could not be written down ({error}), so it ends with the agent")
            }
        })
    }

    /// The answer, if it may be given; from here on it counts, and its question is over.
    fn accept(
        &self,
        seat: Seat,
        asker: &Asker,
        by: Given,
        id: &str,
        approval: Approval,
        typed: Option<&str>,
    ) -> Result<(String, Grant), Refusal> {
        let now = self.clock.now();
        let mut book = self.swept();
        let Some(open) = book.asked(seat, id) else {
            let say = "there is no such question on this connection: it is answered, or its time is up";
            return Err(Refusal::new(Code::BadRequest, say).hint("keyfob approve"));
        };
        if by == Given::Terminal {
            check_terminal(open, asker, typed)?;
        }
        if !open.takes(approval) {
            let say = format!(
                "this cannot be said about `{}`, whose policy has confirm = \"{}\"",
                open.entry, open.confirm
            );
            return Err(Refusal::new(Code::BadRequest, say).hint(format!("keyfob approve {}", open.entry)));
        }
        let grant = Grant {
            id: book.fresh_id().ok_or_else(no_numbers)?,
            entry: open.entry.clone(),
            program: open.program.clone(),
            file: open.file,
            is_allowed: approval != Approval::Never,
            span: match approval {
                Approval::Once => Span::Once { used: None },
                Approval::For { seconds } => Span::Until(after(now, Duration::from_secs(seconds))),
                Approval::Always | Approval::Never => Span::Always,
            },
            given: now,
            by,
        };
        let (number, who) = (open.number, open.who.clone());
        if !book.put(grant.clone()) {
            let say = "there are too many answers in force";
            return Err(Refusal::new(Code::Busy, say).hint("keyfob grants"));
        }
        book.close(number);
        self.tell_closed(&mut book);
        Ok((who, grant))
    }

    /// Takes answers back: one by its id, those about an entry, or all. Open questions stay open, and what a program has got
    /// already it has until that ends.
    ///
    /// # Errors
    /// [`Code::BadRequest`] where there is no such answer; [`Code::PlaceUnsafe`] where the file cannot be changed: the answers
    /// are taken back until the agent ends.
    pub async fn take_back(self: &Arc<Self>, asker: &Asker, which: Option<&str>) -> Result<String, Refusal> {
        let gone = self.swept().take_out(which);
        match (which, gone.len()) {
            (None, 0) => return Ok("no answer is in force".to_owned()),
            (Some(which), 0) => {
                let say =
                    format!("there is no answer `{}`, and none about an entry of that name", escape(which));
                return Err(Refusal::new(Code::BadRequest, say).hint("keyfob grants"));
            }
            _ => {}
        }
        // Where the disk is full, removing the file is what still works: then all of it is asked again after a restart.
        let saved = match self.consent.save().await {
            Ok(()) => Ok(()),
            Err(error) => self.consent.remove_file().await.map_err(|_| error),
        };
        for grant in &gone {
            let deed = Deed {
                entry: Some(grant.entry.clone()),
                note: Some(escape(&grant.program.display().to_string())),
                ..Deed::new("revoke")
            };
            self.ledger.note(asker, deed, Ending::DONE).await;
        }
        self.announce_end(&gone);
        if let Err(error) = saved {
            let path = self.consent.path.display();
            let say = format!("taken back until the agent ends, for `{path}` cannot be changed ({error})");
            return Err(Refusal::new(Code::PlaceUnsafe, say).hint(format!("remove {path}")));
        }
        Ok(match gone.as_slice() {
            [one] => format!("{} is asked about `{}` again", program(one), one.entry),
            several => format!("{} answers are taken back", several.len()),
        })
    }

    fn announce_end(&self, gone: &[Grant]) {
        let [first, ..] = gone else { return };
        let told = program(first).replace('`', "");
        let (title, body) = match gone.len() {
            1 => (
                format!("{told} is asked about {} again", first.entry),
                "The answer was taken back.".to_owned(),
            ),
            count => (format!("{count} answers were taken back"), "Each is asked for again.".to_owned()),
        };
        drop(self.notices.tell(Told {
            entry: first.entry.to_string(),
            weight: Weight::Known,
            title,
            body,
            is_question: false,
        }));
    }
}

/// Whether somebody who is no window may answer this: with a controlling terminal, by the kernel's word, and by typing the
/// entry's name.
fn check_terminal(open: &Open, asker: &Asker, typed: Option<&str>) -> Result<(), Refusal> {
    if !asker.is_alive() || !asker.has_terminal() {
        let say = "an approval is given in a window of Keyfob, or typed on a terminal";
        let hint = format!("keyfob approve {} (in a terminal)", open.entry);
        return Err(Refusal::new(Code::NotAllowed, say).hint(hint));
    }
    if !typed.is_some_and(|typed| open.is_called(typed)) {
        let say = format!("that is not the name of the entry, which is `{}`", open.entry);
        return Err(Refusal::new(Code::BadRequest, say).hint(format!("keyfob approve {}", open.entry)));
    }
    Ok(())
}

/// For people.
pub(super) fn report(grant: &Grant, is_stale: bool) -> GrantReport {
    let end = match grant.span {
        Span::Always => None,
        Span::Until(until) => Some(until),
        Span::Once { used: None } => Some(after(grant.given, UNUSED)),
        Span::Once { used: Some(used) } => Some(after(used, crate::policy::AT_ONCE)),
    };
    GrantReport {
        id: grant.id.clone(),
        entry: grant.entry.to_string(),
        program: escape(&grant.program.display().to_string()),
        is_allowed: grant.is_allowed,
        is_once: matches!(grant.span, Span::Once { .. }),
        given: rfc3339(grant.given),
        until: end.map(rfc3339),
        by: grant.by.word().to_owned(),
        is_stale,
    }
}

fn sentence(who: &str, grant: &Grant) -> String {
    let (entry, id) = (&grant.entry, &grant.id);
    if grant.is_allowed {
        format!("{who} may use `{entry}` {}; take it back with: keyfob grants revoke {id}", how_long(grant))
    } else {
        format!(
            "{who} is refused `{entry}` {}; take it back with: keyfob grants revoke {id}",
            how_long(grant)
        )
    }
}

fn how_long(grant: &Grant) -> String {
    match grant.span {
        Span::Once { .. } => "once, within ten minutes".to_owned(),
        Span::Until(moment) => until(moment),
        Span::Always => "until it is revoked".to_owned(),
    }
}

fn given(by: Given) -> &'static str {
    match by {
        Given::Terminal => "typed on a terminal",
        Given::Window => "in a window",
    }
}

fn program(grant: &Grant) -> String {
    crate::policy::named(&grant.program, &crate::policy::Role::Program)
}

fn no_numbers() -> Refusal {
    Refusal::new(Code::Internal, "the system gives no random numbers").hint("try again")
}
