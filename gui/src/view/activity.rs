//! A line of the ledger.

use keyfob_ipc::reply::{Asking, LedgerLine};

use super::{safe, word};
use crate::page::ActivityLine;

/// As the window shows it.
pub fn line(line: &LedgerLine) -> ActivityLine {
    let asking = line.asking.as_ref();
    let asker = asking.filter(|asking| !asking.program.is_empty());
    ActivityLine {
        at: line.at.clone(),
        act: safe::text(&line.act),
        outcome: word(line.outcome),
        entry: line.entry.as_deref().map(safe::text),
        target: line.target.as_deref().map(safe::text),
        code: line.code.map(word),
        program: asker.map(|asking| safe::path(&asking.program)),
        pid: asking.and_then(|asking| asking.pid),
        behind: asking.iter().flat_map(|asking| &asking.behind).map(|path| safe::path(path)).collect(),
        verified: asker.is_some_and(is_verified),
        claims: asking.and_then(|asking| asking.claims.as_deref()).map(safe::text),
        note: line.note.as_deref().map(safe::text),
    }
}

/// Whether the path is the kernel's word for what asks.
fn is_verified(asking: &Asking) -> bool {
    !asking.is_replaced && !asking.is_unattested
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Code;
    use keyfob_ipc::reply::Outcome;

    use super::*;

    fn written(asking: Option<Asking>) -> LedgerLine {
        LedgerLine {
            at: "2026-11-21T08:00:00.123Z".to_owned(),
            act: "get".to_owned(),
            outcome: Outcome::Refused,
            entry: Some("token.aspect".to_owned()),
            target: Some("aw.acme.dev".to_owned()),
            code: Some(Code::NotAllowed),
            asking,
            note: None,
        }
    }

    fn bazel() -> Asking {
        Asking { program: "/usr/bin/bazel".to_owned(), pid: Some(7), ..Asking::default() }
    }

    #[test]
    fn a_program_is_verified_where_the_kernel_vouches_for_its_path() {
        let unknown = Asking { program: String::new(), ..bazel() };
        for (asking, expected) in [
            (Some(bazel()), true),
            (Some(Asking { claims: Some("bazel(ws)".to_owned()), ..bazel() }), true),
            (Some(Asking { is_replaced: true, ..bazel() }), false),
            (Some(Asking { is_unattested: true, ..bazel() }), false),
            (Some(unknown), false),
            (None, false),
        ] {
            assert_eq!(line(&written(asking.clone())).verified, expected, "{asking:?}");
        }
    }

    #[test]
    fn outcome_and_code_are_words() {
        let shown = line(&written(Some(bazel())));
        assert_eq!((&*shown.outcome, shown.code.as_deref()), ("refused", Some("not_allowed")));
        assert_eq!((shown.program.as_deref(), shown.pid), (Some("/usr/bin/bazel"), Some(7)));
        assert_eq!(line(&written(Some(Asking::default()))).program, None);
    }

    #[test]
    fn paths_claims_and_notes_are_escaped_and_cut() {
        let odd = Asking {
            program: "/tmp/\u{1b}]0;x\u{7}sh".to_owned(),
            behind: vec![format!("/{}/make", "d".repeat(9000))],
            claims: Some("bazel(\u{202e}ws)".to_owned()),
            ..bazel()
        };
        let shown = line(&LedgerLine { note: Some("a\r\nb".to_owned()), ..written(Some(odd)) });
        assert_eq!(shown.program.unwrap(), "/tmp/\\u{1b}]0;x\\u{7}sh");
        assert!(shown.behind[0].len() < 300 && shown.behind[0].ends_with("/make"));
        assert_eq!(
            (shown.claims.unwrap(), shown.note.unwrap()),
            ("bazel(\\u{202e}ws)".into(), "a\\u{d}\\u{a}b".into())
        );
    }
}
