//! What the person allows: open questions and the answers to them.
//!
//! Nobody waits for a person. Without an answer in force a call is refused at once, and a question is opened beside it; once
//! that is answered, the next call is given. Whatever asks for the same entry with the same program meanwhile is the same
//! question. Why it is so stands in `docs/decisions/2026-11-21-consent.md`.

mod answer;
mod book;
mod file;
mod question;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_ipc::reply::{GrantReport, Weight};
use keyfob_ipc::{Code, Refusal};

use crate::agent::Agent;
use crate::asker::{Asker, Errand, aside, file_at};
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName};
use crate::ledger::Deed;
use crate::notices::Told;
use crate::policy::{Chain, Grant, Permit, Policy, Rules, Verdict, decide, grant_for, named};
use book::{Book, Opening};

/// On which connection a question was asked or is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seat(pub u64);

/// The questions and the answers of one agent.
#[derive(Debug)]
pub struct Consent {
    path: PathBuf,
    book: Mutex<Book>,
    /// What is in the file.
    saved: Mutex<Vec<Grant>>,
    /// Held from the look at what is known to the end of its writing, so that nothing older ever follows something newer.
    writing: tokio::sync::Mutex<()>,
}

impl Consent {
    /// Over a file, read at once. One that is damaged or not ours is put aside: then everything is asked again.
    pub fn open(path: PathBuf) -> Self {
        let grants = file::read(&path).unwrap_or_else(|error| {
            file::put_aside(&path);
            tracing::warn!(file = %path.display(), "the person's answers are put aside, and asked for again: {error}");
            Vec::new()
        });
        let saved = Mutex::new(grants.clone());
        Self { path, book: Mutex::new(Book::of(grants)), saved, writing: tokio::sync::Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what is to be known after a restart.
    pub(crate) async fn save(&self) -> std::io::Result<()> {
        let _turn = self.writing.lock().await;
        let (path, grants) = (self.path.clone(), self.book().to_keep());
        let written = tokio::task::spawn_blocking(move || file::write(&path, &grants).map(|()| grants)).await;
        *self.saved() = written.map_err(std::io::Error::other).flatten()?;
        Ok(())
    }

    /// Whether the next program would find every answer as it is now, and none that was taken back.
    #[cfg(any(unix, test))]
    pub(crate) fn is_saved(&self) -> bool {
        self.book().to_keep() == *self.saved()
    }

    fn saved(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn remove_file(&self) -> std::io::Result<()> {
        let _turn = self.writing.lock().await;
        let path = self.path.clone();
        let removed = tokio::task::spawn_blocking(move || crate::own_file::remove(&path)).await;
        removed.map_err(std::io::Error::other).flatten()?;
        self.saved().clear();
        Ok(())
    }
}

/// What was found out about a request to an entry that has a policy.
struct Case {
    rules: Rules,
    chain: Arc<Chain>,
}

impl Agent {
    /// Decides whether this asker may have what an entry gives. Nobody is waited for.
    ///
    /// # Errors
    /// [`Code::NotAllowed`], [`Code::ApprovalPending`]; [`Code::Busy`] where it cannot be seen in time who asks.
    pub async fn permit(
        self: &Arc<Self>,
        config: &Config,
        entry: &Entry,
        asker: &Asker,
        deed: &Deed,
    ) -> Result<Permit, Refusal> {
        asker.rest_on(0);
        asker.rest_on_grant(None);
        let policies = Rules::texts(config, entry);
        if policies.is_empty() {
            return Ok(Permit::new());
        }
        let case = examine(entry, policies, asker).await?;
        match self.judge(&case) {
            (Verdict::Give, grant) => {
                asker.rest_on_grant(grant);
                asker.rest_on(case.rules.rest_on(&case.chain));
                Ok(Permit::new())
            }
            (Verdict::Ask, _) => Err(self.ask(&case, deed)),
            (Verdict::Refuse(reason), _) => {
                Err(in_words(move || reason.refusal(&case.rules, &case.chain)).await)
            }
        }
    }

    /// What [`Agent::permit`] would say, without a question and without using anything up. `None` where no policy has a say.
    ///
    /// # Errors
    /// As [`Agent::permit`].
    pub async fn would_permit(
        &self,
        config: &Config,
        entry: &Entry,
        asker: &Asker,
    ) -> Option<Result<(), Refusal>> {
        let policies = Rules::texts(config, entry);
        if policies.is_empty() {
            return None;
        }
        let case = match examine(entry, policies, asker).await {
            Ok(case) => case,
            Err(refusal) => return Some(Err(refusal)),
        };
        Some(match self.judge(&case).0 {
            Verdict::Give => Ok(()),
            Verdict::Ask => {
                let say =
                    format!("{} needs your approval at its next use of `{}`", asker_of(&case), entry.name);
                Err(Refusal::new(Code::ApprovalPending, say).hint(format!("keyfob approve {}", entry.name)))
            }
            Verdict::Refuse(reason) => Err(in_words(move || reason.refusal(&case.rules, &case.chain)).await),
        })
    }

    /// The decision, and the answer of the person's that it rests on.
    fn judge(&self, case: &Case) -> (Verdict, Option<String>) {
        let now = self.clock.now();
        let book = self.swept();
        let verdict = decide(&case.rules, &case.chain, &book.grants, now);
        let grant = grant_for(&case.rules, &case.chain, &book.grants, now).map(|grant| grant.id.clone());
        (verdict, grant)
    }

    /// What was decided for this asker is given: an answer for one use is used now, and not by what fails.
    pub(crate) fn count_use(&self, asker: &Asker) {
        let Some(grant) = asker.rest_on_grant(None) else { return };
        self.consent.book().use_up(&grant, self.clock.now());
    }

    /// Opens a question, or counts on in the one that is open. The refusal is for the tool.
    fn ask(self: &Arc<Self>, case: &Case, deed: &Deed) -> Refusal {
        let now = self.clock.now();
        let (who, entry) = (asker_of(case), &case.rules.entry);
        let say = format!("{who} needs your approval to use `{entry}`");
        let refusal = |say| Refusal::new(Code::ApprovalPending, say).hint(format!("keyfob approve {entry}"));
        let mut book = self.consent.book();
        let opening = book.ask(&case.rules, &case.chain, deed, now);
        let number = match &opening {
            Opening::New(number) | Opening::Again(number) => *number,
            Opening::Full => {
                let say =
                    format!("{say}, and {} other questions wait for an answer already", book::QUESTIONS);
                return refusal(say);
            }
            // The decision names the asker before it asks.
            Opening::Impossible => return refusal(say),
        };
        if let Some(open) = book.question(number) {
            self.watchers.question(|seat| open.to(seat));
        }
        drop(book);
        if let Opening::New(number) = opening {
            self.announce(&who, entry);
            self.close_in_time(number, now);
        }
        refusal(say)
    }

    /// Tells the person that there is a question, wherever they look.
    fn announce(&self, who: &str, entry: &EntryName) {
        let who = who.replace('`', "");
        drop(self.notices.tell(Told {
            entry: entry.to_string(),
            weight: Weight::Due,
            title: format!("{who} asks for {entry}"),
            body: format!("Approve it with: keyfob approve {entry}"),
            is_question: true,
        }));
    }

    /// Closes a question when its time is up: by the wall clock, or by the runtime's where that one was set back.
    fn close_in_time(self: &Arc<Self>, number: u64, opened: jiff::Timestamp) {
        let agent = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = agent.clock.wait_until(question::closes(opened)) => {}
                () = tokio::time::sleep(question::OPEN) => {}
            }
            let mut book = agent.consent.book();
            book.close(number);
            agent.tell_closed(&mut book);
        });
    }

    /// The state without what is over by now.
    fn swept(&self) -> MutexGuard<'_, Book> {
        let mut book = self.consent.book();
        if book.sweep(self.clock.now()) {
            self.write_down();
        }
        self.tell_closed(&mut book);
        book
    }

    /// Tells windows which questions are over.
    fn tell_closed(&self, book: &mut Book) {
        for (seat, id) in book.take_closed() {
            self.watchers.question_closed(seat, id);
        }
    }

    /// Writes down what ended by itself, in the background: it is over in memory already.
    fn write_down(&self) {
        let consent = Arc::clone(&self.consent);
        tokio::spawn(async move {
            if let Err(error) = consent.save().await {
                tracing::warn!(file = %consent.path.display(), %error, "the person's answers cannot be written down");
            }
        });
    }

    /// Every answer in force.
    pub async fn grants(&self) -> Vec<GrantReport> {
        let grants = self.swept().grants.clone();
        let programs: Vec<_> = grants.iter().map(|grant| grant.program.clone()).collect();
        let look = move || programs.iter().map(|program| file_at(program)).collect::<Vec<_>>();
        // Where a disk does not answer, it is not said that a program is another one.
        let files = aside(Errand::Person, look).await;
        let file = |place: usize| files.as_ref().map(|files| files[place]);
        let is_stale =
            |(place, grant): (usize, &Grant)| file(place).is_some_and(|now| now != Some(grant.file));
        grants
            .iter()
            .enumerate()
            .map(|(place, grant)| answer::report(grant, is_stale((place, grant))))
            .collect()
    }
}

/// Reads who asks, and the files that the policies name.
async fn examine(entry: &Entry, policies: Vec<(EntryName, Policy)>, asker: &Asker) -> Result<Case, Refusal> {
    let name = entry.name.clone();
    match asker.chain_and(move || Rules::read(name, &policies)).await {
        Some((chain, rules)) => Ok(Case { rules, chain }),
        None => Err(unseen()),
    }
}

async fn in_words(say: impl FnOnce() -> Refusal + Send + 'static) -> Refusal {
    aside(Errand::Decision, say).await.unwrap_or_else(unseen)
}

fn unseen() -> Refusal {
    let say = "it takes too long to see which program asks: a disk, or the program itself, does not answer";
    Refusal::new(Code::Busy, say).hint("keyfob doctor")
}

fn asker_of(case: &Case) -> String {
    match case.chain.asking() {
        Some((_, link)) => named(&link.path, &link.role),
        None => "this program".to_owned(),
    }
}

/// `until 2026-11-21T16:00:00Z`.
fn until(moment: jiff::Timestamp) -> String {
    format!("until {}", rfc3339(moment))
}
