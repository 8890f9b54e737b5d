//! Locked: nothing is given, little is kept, and only a person unlocks it.

#[path = "lock/again.rs"]
mod again;
#[cfg(target_os = "linux")]
#[path = "lock/logind.rs"]
mod logind;
#[path = "lock/under_way.rs"]
mod under_way;

use std::path::PathBuf;
use std::time::Duration;

use keyfob_agent::asker::Asker;
use keyfob_agent::config::EntryName;
use keyfob_agent::consent::Seat;
use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{Approval, EntryState, Event, LockReport, LockedBy, Outcome, Reply, Status};
use keyfob_ipc::{AdminAct, Code, ControlAsk, Flow, Refusal, Secret, ToolAsk};

use crate::company::{CACHE, CLUSTER, Company, HOUR, MINUTE, dev, eventually, okta};
use crate::person::Person;
use crate::programs::Programs;

/// Somebody who sits at a terminal, and somebody who does not.
fn people() -> (Asker, Asker) {
    let programs = Programs::new();
    (programs.on_a_terminal(), programs.asker("make"))
}

#[test]
fn what_locks_it_is_named_in_words_that_are_known() {
    let load = |lock_on: &str| {
        let limits = keyfob_agent::config::Limits { plain_loopback: false };
        keyfob_agent::config::load(&format!("[agent]\nlock_on = {lock_on}\n"), limits)
    };
    for (lock_on, screen, sleep) in [
        ("[]", false, false),
        ("[\"screen\"]", true, false),
        ("[\"sleep\", \"screen\", \"sleep\"]", true, true),
    ] {
        assert_eq!(load(lock_on).unwrap().agent.lock_on, keyfob_agent::config::LockOn { screen, sleep });
    }
    let errors = load("[\"screen\", \"lid\"]").unwrap_err();
    assert_eq!(errors, ["line 2: agent: `lock_on` does not know `lid`; it knows `screen` and `sleep`"]);
    let errors = load("\"screen\"").unwrap_err();
    assert!(errors[0].contains("a list"), "{errors:?}");
}

fn aspect() -> EntryName {
    EntryName { kind: "token", name: "aspect".to_owned() }
}

/// Everything is held, and was used.
async fn company() -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    give(&company).await;
    company
}

async fn give(company: &Company) {
    company.get(CLUSTER).await.unwrap();
    company.bearer().await.unwrap();
    company.keys("dev").await.unwrap();
}

async fn lock(company: &Company) -> String {
    done(company.control(ControlAsk::Lock).await).unwrap()
}

async fn unlock_of(
    company: &Company,
    asker: &Asker,
    is_window: bool,
    passphrase: Option<&str>,
) -> Result<String, Refusal> {
    let ask = ControlAsk::Unlock { passphrase: passphrase.map(Secret::from) };
    done(company.agent.control_of(ask, Seat(1), asker, is_window).await)
}

/// By a person at a terminal.
async fn unlock(company: &Company) -> String {
    unlock_of(company, &people().0, false, None).await.unwrap()
}

fn done(reply: Result<Reply, Refusal>) -> Result<String, Refusal> {
    match reply? {
        Reply::Done { say } => Ok(say),
        other => panic!("not done: {other:?}"),
    }
}

async fn status(company: &Company) -> Status {
    match company.control(ControlAsk::Status).await.unwrap() {
        Reply::Status(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

fn file(company: &Company) -> PathBuf {
    company.state().join("lock.json")
}

/// Whether nothing that the keychain has, and nothing that was bought, is in memory.
fn is_empty(company: &Company) -> bool {
    let names = [okta(), aspect(), dev()];
    let holdings = company.agent.holdings();
    names.iter().all(|name| {
        !holdings.is_read(name)
            && company.agent.leases.get(name).is_none()
            && company.agent.withheld.get(name).is_none()
    })
}

async fn assert_nothing_is_given(company: &Company) {
    for refusal in [
        company.get(CLUSTER).await.unwrap_err(),
        company.get(CACHE).await.unwrap_err(),
        company.keys("dev").await.unwrap_err(),
    ] {
        assert_eq!((refusal.code, refusal.code.exit()), (Code::Locked, 5));
        assert_eq!((&*refusal.say, &*refusal.hint), ("keyfob is locked", "keyfob unlock"));
    }
}

#[tokio::test]
async fn nothing_is_given_and_nothing_stays_in_memory_until_it_is_unlocked() {
    let company = company().await;
    assert!(!is_empty(&company));
    lock(&company).await;
    assert!(is_empty(&company));
    let (loads, calls) = (company.vault.loads(), (company.token_calls(), company.sts_calls()));
    assert_nothing_is_given(&company).await;
    // A host that is nobody's is nobody's secret, and `why` says what is the matter.
    assert!(company.get("https://unknown.example/").await.unwrap().headers.is_empty());
    assert_eq!(company.why("dev").await.unwrap().refusal.unwrap().code, Code::Locked);
    let seen = status(&company).await;
    assert!(seen.entries.iter().all(|entry| entry.state == EntryState::Waiting), "{seen:?}");
    // Neither the keychain nor anybody else was asked for anything.
    assert_eq!(company.vault.loads(), loads);
    assert_eq!((company.token_calls(), company.sts_calls()), calls);
    assert!(is_empty(&company));

    unlock(&company).await;
    give(&company).await;
    assert_eq!(status(&company).await.lock, None);
    assert!(!file(&company).exists());
}

#[tokio::test]
async fn what_reads_gives_or_changes_what_is_held_waits_and_the_rest_goes_on() {
    let company = company().await;
    lock(&company).await;
    let name = || "aspect".to_owned();
    let refused = [
        ControlAsk::Logout { name: None },
        ControlAsk::TokenAdd { name: name(), value: Secret::from("aw_2"), ends: None },
        ControlAsk::TokenRotate { name: name(), value: Some(Secret::from("aw_2")), ends: None },
        ControlAsk::TokenRemove { name: name(), keep_at_service: true },
        ControlAsk::TokenEnds { name: name(), ends: "2027-03-01".to_owned() },
        ControlAsk::TokenRescue { name: name() },
        ControlAsk::Permissions { name: None, again: false },
        ControlAsk::Admin { name: None, act: AdminAct::List { owner: None } },
        ControlAsk::Answer { id: "0".repeat(32), approval: Approval::Always, typed: Some(name()) },
        ControlAsk::ConfigConfirm { name: None, accept: None },
    ];
    for ask in refused {
        let asked = format!("{ask:?}");
        assert_eq!(company.control(ask).await.unwrap_err().code, Code::Locked, "{asked}");
    }
    let (mut person, mut seen) = Person::who_waits();
    let refusal = company.agent.sign_in(None, Flow::Browser, &mut person).await.unwrap_err();
    assert_eq!(refusal.code, Code::Locked);
    assert!(seen.was_left_alone());
    let goes_on = [
        ControlAsk::Status,
        ControlAsk::About,
        ControlAsk::Entry { name: name() },
        ControlAsk::Questions,
        ControlAsk::Grants,
        ControlAsk::Log { last: 10, name: None },
        ControlAsk::Doctor,
        ControlAsk::ConfigCheck,
        ControlAsk::Lock,
    ];
    for ask in goes_on {
        let asked = format!("{ask:?}");
        company.control(ask).await.unwrap_or_else(|refusal| panic!("{asked}: {refusal}"));
    }
    assert_eq!(company.vault.item("token.aspect").await.unwrap()["value"], "aw_1");
    assert!(is_empty(&company));
}

#[tokio::test]
async fn it_is_unlocked_on_a_terminal_or_in_a_window_alone() {
    let company = company().await;
    let (terminal, program) = people();
    for (asker, is_window, works) in [
        (&program, false, false),
        (&Asker::unknown(), false, false),
        (&terminal, false, true),
        (&program, true, true),
    ] {
        lock(&company).await;
        let unlocked = unlock_of(&company, asker, is_window, None).await;
        let passphrase = unlock_of(&company, asker, is_window, Some("correct horse")).await;
        for (how, unlocked) in [("by itself", unlocked), ("with the passphrase", passphrase)] {
            match unlocked {
                Ok(_) => assert!(works, "{how}"),
                Err(refusal) => {
                    assert!(!works && refusal.code == Code::Locked, "{how}: {refusal}");
                    assert!(refusal.hint.contains("on a terminal"), "{refusal:?}");
                    assert_nothing_is_given(&company).await;
                }
            }
        }
        unlock(&company).await;
        give(&company).await;
    }
}

#[tokio::test]
async fn a_restart_finds_it_locked_and_so_does_whatever_cannot_be_read() {
    let mut company = company().await;
    lock(&company).await;
    let report = status(&company).await.lock.unwrap();
    assert_eq!((&*report.since, report.by), ("2026-11-21T08:00:00Z", LockedBy::Person));
    company.pass(HOUR);
    company.restart();
    assert_nothing_is_given(&company).await;
    assert_eq!(status(&company).await.lock.unwrap(), LockReport { is_pause: true, ..report });
    unlock(&company).await;
    company.restart();
    give(&company).await;

    let ways: &[fn(&PathBuf)] = &[
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::write(path, "{\"format\":1}").unwrap(),
        |path| std::fs::write(path, "x".repeat(1024 * 1024)).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
        // On Windows only an administrator makes one.
        #[cfg(unix)]
        |path| std::os::unix::fs::symlink("/nowhere", path).unwrap(),
    ];
    for damage in ways {
        damage(&file(&company));
        company.restart();
        assert_nothing_is_given(&company).await;
        assert_eq!(status(&company).await.lock.unwrap().by, LockedBy::Unknown);
        if file(&company).is_dir() {
            std::fs::remove_dir(file(&company)).unwrap();
        }
        unlock(&company).await;
        company.restart();
        give(&company).await;
    }
}

#[tokio::test]
async fn it_says_whether_it_is_a_pause() {
    let company = company().await;
    let said = lock(&company).await;
    assert!(said.contains("this is a pause"), "{said}");
    assert!(status(&company).await.lock.unwrap().is_pause);
    let said = lock(&company).await;
    assert_eq!(said, "keyfob is locked already, since 2026-11-21T08:00:00Z");
    let said = unlock(&company).await;
    assert!(said.contains("this was a pause"), "{said}");

    company.vault.set(Some(KeychainError::Locked));
    let said = lock(&company).await;
    assert!(said.contains("asks for your password") && !said.contains("pause"), "{said}");
    assert!(!status(&company).await.lock.unwrap().is_pause);
    let (terminal, _) = people();
    // A keychain that does not open, a wrong passphrase, and the right one.
    let refusal = unlock_of(&company, &terminal, false, None).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainLocked);
    assert_nothing_is_given(&company).await;
    let refusal = unlock_of(&company, &terminal, false, Some("wrong")).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainDenied);
    assert_nothing_is_given(&company).await;
    assert!(file(&company).exists());
    let said = unlock_of(&company, &terminal, false, Some("correct horse")).await.unwrap();
    assert_eq!(said, "keyfob is unlocked");
    give(&company).await;

    // Opened by another hand since, it is one after all.
    lock(&company).await;
    company.vault.set(Some(KeychainError::Locked));
    assert!(!status(&company).await.lock.unwrap().is_pause);
    company.vault.set(None);
    assert!(status(&company).await.lock.unwrap().is_pause);
}

#[tokio::test]
async fn where_it_cannot_be_written_down_it_is_locked_until_the_agent_ends() {
    let mut company = company().await;
    let new = company.state().join("lock.json.new");
    std::fs::create_dir(&new).unwrap();
    let refusal = company.control(ControlAsk::Lock).await.unwrap_err();
    assert_eq!(refusal.code, Code::PlaceUnsafe);
    assert!(refusal.say.contains("until the agent ends"), "{refusal}");
    assert!(is_empty(&company));
    assert_nothing_is_given(&company).await;
    std::fs::remove_dir(&new).unwrap();
    lock(&company).await;
    assert!(file(&company).exists());
    company.restart();
    assert_nothing_is_given(&company).await;
}

#[tokio::test]
async fn whoever_watches_hears_of_it_and_the_ledger_has_it() {
    let company = company().await;
    let mut watch = company.agent.watchers.watch(false).unwrap();
    let mut next = async || loop {
        let event = tokio::time::timeout(MINUTE, watch.next()).await.unwrap().unwrap();
        if let Event::Lock(lock) = event {
            return lock;
        }
    };
    lock(&company).await;
    assert_eq!(next().await.map(|lock| lock.by), Some(LockedBy::Person));
    unlock_of(&company, &people().1, true, None).await.unwrap();
    assert_eq!(next().await, None);
    company.agent.lock(LockedBy::Screen).await.unwrap();
    assert_eq!(next().await.map(|lock| lock.by), Some(LockedBy::Screen));
    unlock_of(&company, &people().1, false, None).await.unwrap_err();
    unlock(&company).await;
    let lines = company.agent.log(10, None).await.unwrap();
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line.act == "lock" || line.act == "unlock")
        .map(|line| (line.act.as_str(), line.outcome, line.code, line.note.as_deref()))
        .collect();
    assert_eq!(
        lines,
        [
            ("lock", Outcome::Done, None, None),
            ("unlock", Outcome::Done, None, Some("in a window")),
            ("lock", Outcome::Done, None, Some("the screen was locked")),
            ("unlock", Outcome::Refused, Some(Code::Locked), None),
            ("unlock", Outcome::Done, None, Some("on a terminal")),
        ]
    );
    assert!(company.desktop.titles().is_empty(), "whoever locks it knows");
}

#[tokio::test]
async fn without_a_lock_a_keychain_is_opened_from_a_pipe_as_well() {
    let mut company = company().await;
    company.vault.set(Some(KeychainError::Locked));
    company.restart();
    let (_, program) = people();
    assert_eq!(unlock_of(&company, &program, false, None).await.unwrap_err().code, Code::KeychainLocked);
    unlock_of(&company, &program, false, Some("correct horse")).await.unwrap();
    give(&company).await;
}
