//! What a notification says. Nothing in it answers or approves anything: a click opens a view.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use keyfob_ipc::reply::{Notice, Question, Weight};

use super::safe;
use crate::shell::Notification;
use crate::texts::Texts;

/// For a notice of the agent, which has escaped its text.
pub fn of_notice(notice: &Notice) -> Notification {
    Notification {
        number: notice_number(notice),
        title: notice.title.clone(),
        body: notice.body.clone(),
        is_urgent: notice.weight == Weight::Urgent,
    }
}

/// For a question. It closes after a minute, so it stays until the person has seen it.
pub fn of_question(question: &Question, texts: &Texts) -> Notification {
    let entry = safe::text(&question.entry);
    let path = &question.asking.program;
    let unknown = || texts.say("say.unknown-program", &[]);
    let name = safe::program_name(path).unwrap_or_else(unknown);
    let program = if path.is_empty() { unknown() } else { safe::path(path) };
    let target = question.target.as_deref().map(safe::text).unwrap_or_default();
    let values = [("program", &*program), ("entry", &*entry), ("target", &*target)];
    Notification {
        number: question_number(&question.id),
        title: texts.say("notice.question-title", &[("program", &name), ("entry", &entry)]),
        body: if target.is_empty() {
            texts.say("notice.question-body", &values)
        } else {
            texts.say("notice.question-body-target", &values)
        },
        is_urgent: true,
    }
}

/// The number of a notice's notification: even. Two agents, one after the other, count their notices alike, so it stands for
/// what the notice says as well.
pub fn notice_number(notice: &Notice) -> u64 {
    hash((notice.id, &notice.entry, &notice.title, &notice.body)) << 1
}

/// The number of the notification of the question with that id: odd.
pub fn question_number(id: &str) -> u64 {
    hash(id) << 1 | 1
}

/// The same for the same value, for as long as this process lives.
fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use keyfob_ipc::reply::Asking;

    use super::super::samples;
    use super::*;

    fn notice(id: u64, weight: Weight) -> Notice {
        Notice {
            id,
            entry: "token.aspect".to_owned(),
            weight,
            title: "Token aspect ends in 3 days".to_owned(),
            body: "Rotate it: keyfob token rotate <aspect>".to_owned(),
            is_question: false,
        }
    }

    #[test]
    fn a_notice_says_what_the_agent_says() {
        let shown = of_notice(&notice(1, Weight::Due));
        assert_eq!(shown.title, "Token aspect ends in 3 days");
        assert_eq!(shown.body, "Rotate it: keyfob token rotate <aspect>");
    }

    #[test]
    fn only_what_is_urgent_stays() {
        let urgent = |weight| of_notice(&notice(1, weight)).is_urgent;
        assert_eq!([Weight::Urgent, Weight::Due, Weight::Known].map(urgent), [true, false, false]);
    }

    #[test]
    fn a_question_names_program_and_entry_and_sends_to_the_window() {
        let texts = Texts::english();
        let mut asked = samples::question("aws.dev");
        let shown = of_question(&asked, &texts);
        assert_eq!(shown.title, "terraform asks for aws.dev");
        assert_eq!(shown.body, "/usr/bin/terraform wants to use aws.dev. Open Keyfob to answer.");
        assert!(shown.is_urgent);
        asked.target = Some("aw.acme.dev".to_owned());
        assert_eq!(
            of_question(&asked, &texts).body,
            "/usr/bin/terraform wants to use aws.dev for aw.acme.dev. Open Keyfob to answer."
        );
    }

    #[test]
    fn a_program_cannot_write_into_the_notification() {
        let texts = Texts::english();
        let mut asked = samples::question("aws.dev");
        let of = |program: String| Asking { program, ..Asking::default() };
        asked.asking = of("/tmp/\u{202e}x\n{entry}\u{1b}[1m".to_owned());
        let shown = of_question(&asked, &texts);
        assert_eq!(shown.title, "\\u{202e}x\\u{a}{entry}\\u{1b}[1m asks for aws.dev");
        asked.asking = of(format!("/{}", "x".repeat(100_000)));
        let shown = of_question(&asked, &texts);
        assert!(shown.title.len() < 100 && shown.body.len() < 400);
        asked.asking = of(String::new());
        assert!(of_question(&asked, &texts).body.starts_with("an unknown program wants"));
    }

    #[test]
    fn numbers_never_collide() {
        let notices = (0..1000).map(|id| notice_number(&notice(id, Weight::Due)));
        let questions = (0..1000).map(|id| question_number(&format!("{id:032x}")));
        let all: BTreeSet<u64> = notices.chain(questions).collect();
        assert_eq!(all.len(), 2000);
        assert!((0..1000).all(|id| notice_number(&notice(id, Weight::Due)).is_multiple_of(2)));
        assert!((0..1000).all(|id| question_number(&id.to_string()) % 2 == 1));
    }

    #[test]
    fn the_same_question_keeps_its_number_and_another_agents_notice_has_its_own() {
        assert_eq!(question_number("0f0f"), question_number("0f0f"));
        let other = Notice { title: "Token npm ends in 3 days".to_owned(), ..notice(1, Weight::Due) };
        assert_ne!(notice_number(&notice(1, Weight::Due)), notice_number(&other));
    }
}
