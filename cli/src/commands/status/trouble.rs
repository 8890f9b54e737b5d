//! What stands above everything else: the lock, open questions, trouble with the keychain or the configuration.

use std::fmt::Write as _;

use keyfob_ipc::reply::{KeychainState, LockReport, LockedBy, Status};
use keyfob_ipc::text;

use crate::life;
use crate::moment::Moment;
use crate::printer::{Paint, Printer, joined_step};

/// One line for each; nothing where there is none.
pub fn trouble(status: &Status, now: Moment, printer: &Printer) -> String {
    let mut text = String::new();
    if let Some(lock) = &status.lock {
        let _ = writeln!(text, "{}: {}", printer.paint(Paint::Bad, "locked"), locked(lock, now));
    }
    if status.questions > 0 {
        let label = printer.paint(Paint::Warning, "approval");
        let _ = writeln!(text, "{label}: {}. Run: keyfob approve", waiting(status.questions));
    }
    let keychain = &status.keychain;
    if keychain.state != KeychainState::Present {
        let (say, next) = match &keychain.refusal {
            Some(refusal) => (refusal.say.clone(), joined_step(&refusal.say, &refusal.hint)),
            None => (
                format!("the {} keychain is {}", keychain.kind, keychain_word(keychain.state)),
                String::new(),
            ),
        };
        let _ = writeln!(text, "{}: {}{next}", printer.paint(Paint::Bad, "keychain"), text::escape(&say));
    }
    if let Some((first, more)) = status.config.errors.split_first() {
        let label = printer.paint(Paint::Bad, "configuration");
        let count = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
        let say = format!("`{}` does not load: {first}{count}", status.config.path);
        let next = joined_step(&say, "keyfob config check");
        let _ = writeln!(text, "{label}: {}{next}", text::escape(&say));
    }
    if !status.config.errors.is_empty() && !status.entries.is_empty() {
        let _ = writeln!(
            text,
            "configuration: the last good version stays in force until `{}` is mended",
            text::escape(&status.config.path)
        );
    }
    text
}

fn locked(lock: &LockReport, now: Moment) -> String {
    let by = match lock.by {
        LockedBy::Person => "by you",
        LockedBy::Screen => "with the screen",
        LockedBy::Sleep => "before the machine slept",
        LockedBy::Unknown => "by the agent",
    };
    let pause = if lock.is_pause { " (a pause: unlocking it asks for nothing)" } else { "" };
    format!("nothing is given to anybody, {by}, {}{pause}. Run: keyfob unlock", life::ago(now, &lock.since))
}

fn waiting(questions: usize) -> String {
    match questions {
        1 => "1 program waits for your approval".to_owned(),
        count => format!("{count} programs wait for your approval"),
    }
}

fn keychain_word(state: KeychainState) -> &'static str {
    match state {
        KeychainState::Present => "present",
        KeychainState::Missing => "missing",
        KeychainState::Locked => "locked",
        KeychainState::Denied => "denied",
        KeychainState::Failing => "failing",
    }
}
