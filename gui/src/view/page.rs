//! The whole window from all that is known.

use jiff::Timestamp;
use keyfob_ipc::reply::{
    ConfigReport, EntryReport, KeychainReport, KeychainState, LockReport, Question, Settings, Status,
};
use keyfob_ipc::{Code, Refusal};

use super::row::Among;
use super::{life, safe, trouble, trust, word};
use crate::page::{AgentState, Configuration, Keychain, Lock, Own, Page, Row, SignIn};
use crate::texts::Texts;

/// All that is known at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The newest word of the agent, or about it.
    pub heard: Heard<'a>,
    /// The lock as it is by now, which may be newer than the status.
    pub lock: Option<&'a LockReport>,
    /// What is open.
    pub questions: &'a [Question],
    /// A sign-in under way.
    pub sign_in: Option<&'a SignIn>,
    /// What belongs to this program; [`Own::paused_until`] is found out here.
    pub own: &'a Own,
    /// Words.
    pub texts: &'a Texts,
}

/// The newest word of the agent, or about it.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// None yet.
    Nothing,
    /// Its state.
    Status(&'a Status),
    /// It does not run, or cannot be used.
    Absent(&'a Refusal),
}

/// What the window draws. It is good until something is heard, or until [`super::tray::next_change`].
pub fn page(known: &Known<'_>, now: Timestamp) -> Page {
    let status = match known.heard {
        Heard::Status(status) => Some(status),
        Heard::Nothing | Heard::Absent(_) => None,
    };
    let among = status.map(Among::new);
    let rows: Vec<Row> = among.iter().flat_map(|among| among.rows(now)).collect();
    let mut questions: Vec<&Question> = known.questions.iter().collect();
    questions.sort_by_key(|question| life::moment(&question.opened));
    let is_file = status.is_some_and(|status| status.keychain.kind == "file");
    let mut page = Page {
        needs: 0,
        agent: agent(known.heard),
        lock: known.lock.map(|report| lock(report, is_file)),
        keychain: status.map(|status| keychain(&status.keychain)),
        configuration: status.map(|status| configuration(&status.config, &status.settings)),
        questions: questions.into_iter().map(|one| trust::question(one, known.texts)).collect(),
        sign_in: known.sign_in.cloned(),
        own: Own {
            paused_until: status.and_then(|status| paused_until(&status.entries, now)),
            ..known.own.clone()
        },
        rows,
    };
    // Without an agent, what was known of its entries needs nobody.
    page.needs = u32::try_from(super::tray::needs(&page)).unwrap_or(u32::MAX);
    page
}

fn agent(heard: Heard<'_>) -> AgentState {
    match heard {
        Heard::Nothing => AgentState::Awaited,
        Heard::Status(status) => AgentState::Running {
            version: safe::text(&status.agent.version),
            since: status.agent.started.clone(),
            socket: safe::path(&status.agent.socket),
            own_profile: status.agent.own_profile,
        },
        Heard::Absent(refusal) => AgentState::Absent {
            say: refusal.say.clone(),
            hint: refusal.hint.clone(),
            // Somebody else holds the place, or an agent of another version runs there.
            can_start: !matches!(
                refusal.code,
                Code::AgentForeign | Code::PlaceUnsafe | Code::VersionMismatch
            ),
        },
    }
}

fn lock(report: &LockReport, is_file: bool) -> Lock {
    Lock { since: report.since.clone(), by: word(report.by), needs_passphrase: is_file && !report.is_pause }
}

fn keychain(report: &KeychainReport) -> Keychain {
    Keychain {
        kind: safe::text(&report.kind),
        state: word(report.state),
        trouble: report.refusal.as_ref().map(trouble),
        needs_passphrase: report.kind == "file"
            // A file that is missing gets its passphrase by being unlocked.
            && matches!(report.state, KeychainState::Locked | KeychainState::Missing | KeychainState::Denied),
        is_new: report.kind == "file" && report.state == KeychainState::Missing,
    }
}

fn configuration(report: &ConfigReport, settings: &Settings) -> Configuration {
    Configuration {
        path: safe::path(&report.path),
        exists: report.exists,
        errors: safe::texts(&report.errors),
        in_force: report.in_force,
        reminders: safe::texts(&settings.reminders),
        lock_on: safe::texts(&settings.lock_on),
    }
}

/// Until when no token is spoken of; `None` where at least one is.
fn paused_until(entries: &[EntryReport], now: Timestamp) -> Option<String> {
    let with_end = entries.iter().filter(|entry| entry.kind == "token" && entry.until.is_some());
    let quiet: Option<Vec<Timestamp>> = with_end
        .map(|entry| entry.quiet_until.as_deref().and_then(life::moment).filter(|until| *until > now))
        .collect();
    quiet?.into_iter().min().map(|until| until.to_string())
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::{EntryState, LockedBy};

    use super::super::samples::{Sample, entry, now, question, status};
    use super::*;

    fn page_of(heard: Heard<'_>, lock: Option<&LockReport>) -> Page {
        let (own, texts) = (Own::default(), Texts::english());
        page(&Known { heard, lock, questions: &[], sign_in: None, own: &own, texts: &texts }, now())
    }

    #[test]
    fn before_anything_is_heard_nothing_is_claimed() {
        let page = page_of(Heard::Nothing, None);
        assert_eq!((page.agent, page.keychain, page.rows), (AgentState::Awaited, None, vec![]));
    }

    #[test]
    fn an_agent_that_is_absent_can_be_started_unless_that_cannot_help() {
        for (code, expected) in [
            (Code::AgentUnreachable, true),
            (Code::Internal, true),
            (Code::AgentForeign, false),
            (Code::PlaceUnsafe, false),
            (Code::VersionMismatch, false),
        ] {
            let refusal = Refusal::new(code, "no").hint("do this");
            let AgentState::Absent { say, hint, can_start } = page_of(Heard::Absent(&refusal), None).agent
            else {
                panic!("it is absent");
            };
            assert_eq!((say.as_str(), hint.as_str(), can_start), ("no", "do this", expected), "{code:?}");
        }
    }

    #[test]
    fn the_lock_that_was_heard_of_last_counts() {
        let locked =
            LockReport { since: "2026-11-21T07:00:00Z".to_owned(), by: LockedBy::Screen, is_pause: false };
        let mut status = status([]);
        assert_eq!(page_of(Heard::Status(&status), Some(&locked)).lock.unwrap().by, "screen");
        status.lock = Some(locked);
        assert_eq!(page_of(Heard::Status(&status), None).lock, None);
    }

    #[test]
    fn a_passphrase_is_asked_for_where_the_file_keychain_needs_one() {
        for (kind, state, is_pause, lock_needs, keychain_needs) in [
            ("file", KeychainState::Locked, false, true, true),
            ("file", KeychainState::Missing, false, true, true),
            ("file", KeychainState::Denied, false, true, true),
            ("file", KeychainState::Present, true, false, false),
            ("system", KeychainState::Locked, false, false, false),
            ("memory", KeychainState::Present, true, false, false),
        ] {
            let mut status = status([]);
            (status.keychain.kind, status.keychain.state) = (kind.to_owned(), state);
            let locked = LockReport { since: String::new(), by: LockedBy::Person, is_pause };
            let page = page_of(Heard::Status(&status), Some(&locked));
            let needs = (page.lock.unwrap().needs_passphrase, page.keychain.unwrap().needs_passphrase);
            assert_eq!(needs, (lock_needs, keychain_needs), "{kind} {state:?}");
        }
    }

    #[test]
    fn reminders_are_paused_only_where_every_token_with_an_end_is_quiet() {
        let token = |name, until: Option<&str>, quiet: Option<&str>| {
            entry(name, EntryState::Live).until(until).quiet(quiet)
        };
        let (later, sooner) = (Some("2026-12-21T08:00:00Z"), Some("2026-12-01T08:00:00Z"));
        let end = Some("2027-11-21T08:00:00Z");
        let cases: [(Vec<EntryReport>, Option<&str>); 6] = [
            (vec![token("token.a", end, later), token("token.b", end, sooner)], sooner),
            (vec![token("token.a", end, later), token("token.b", end, None)], None),
            (vec![token("token.a", end, later), token("token.b", None, None)], later),
            (vec![token("token.a", end, Some("2026-11-21T08:00:00Z"))], None),
            (vec![token("token.a", None, None), token("sso.okta", end, later)], None),
            (vec![], None),
        ];
        for (entries, expected) in cases {
            let status = status(entries);
            let page = page_of(Heard::Status(&status), None);
            assert_eq!(page.own.paused_until.as_deref(), expected);
        }
    }

    #[test]
    fn the_oldest_question_comes_first() {
        let (status, own, texts) = (status([]), Own::default(), Texts::english());
        let mut questions = [question("aws.dev"), question("aws.prod")];
        questions[0].opened = "2026-11-21T07:59:59Z".to_owned();
        questions[1].opened = "2026-11-21T07:59:30Z".to_owned();
        let heard = Heard::Status(&status);
        let known =
            Known { heard, lock: None, questions: &questions, sign_in: None, own: &own, texts: &texts };
        let entries: Vec<String> = page(&known, now()).questions.into_iter().map(|one| one.entry).collect();
        assert_eq!(entries, ["aws.prod", "aws.dev"]);
    }

    #[test]
    fn errors_and_settings_of_the_configuration_are_shown() {
        let mut status = status([]);
        status.config.errors = vec!["line 4: \u{1b}[2J".to_owned()];
        status.settings.reminders = vec!["30d".to_owned()];
        let configuration = page_of(Heard::Status(&status), None).configuration.unwrap();
        assert_eq!(configuration.errors, ["line 4: \\u{1b}[2J"]);
        assert_eq!(configuration.reminders, ["30d"]);
    }
}
