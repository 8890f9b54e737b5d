//! Who asks, and what the person has said to it.

use keyfob_ipc::reply::{self, Asking, GrantReport};

use super::safe;
use crate::page::{Approval, Grant, Question};
use crate::texts::Texts;

/// A question as a person reads it.
pub fn question(question: &reply::Question, texts: &Texts) -> Question {
    let asking = &question.asking;
    Question {
        id: question.id.clone(),
        entry: safe::text(&question.entry),
        program: safe::path(&asking.program),
        pid: asking.pid,
        behind: asking.behind.iter().map(|path| safe::path(path)).collect(),
        claims: asking.claims.as_deref().map(safe::text),
        warnings: warnings(asking, texts),
        act: safe::text(&question.act),
        target: question.target.as_deref().map(safe::text),
        count: u32::try_from(question.count).unwrap_or(u32::MAX),
        closes: question.closes.clone(),
        offers: question.offers.iter().filter_map(|offer| offered(*offer)).collect(),
    }
}

/// What makes a path, or a name, worth less than it looks.
fn warnings(asking: &Asking, texts: &Texts) -> Vec<String> {
    let warnings = [
        asking.program.is_empty().then(|| texts.say("say.warn-unknown", &[])),
        asking.is_replaced.then(|| texts.say("say.warn-replaced", &[])),
        asking.is_unattested.then(|| texts.say("say.warn-unattested", &[])),
        asking
            .claims
            .as_deref()
            .map(|claims| texts.say("say.warn-claims", &[("claims", &safe::text(claims))])),
    ];
    warnings.into_iter().flatten().collect()
}

/// An offer of the agent as the page has it; saying no is never an offer.
fn offered(approval: reply::Approval) -> Option<Approval> {
    match approval {
        reply::Approval::Once => Some(Approval::Once),
        reply::Approval::For { .. } => Some(Approval::Today),
        reply::Approval::Always => Some(Approval::Always),
        reply::Approval::Never => None,
    }
}

/// What the agent is told for what the person clicked: one of its own offers, or a no. `None` where it does not offer that.
pub fn approval(said: Approval, offers: &[reply::Approval]) -> Option<reply::Approval> {
    if said == Approval::Never {
        return Some(reply::Approval::Never);
    }
    offers.iter().copied().find(|offer| offered(*offer) == Some(said))
}

/// An answer that is in force.
pub fn grant(grant: &GrantReport) -> Grant {
    Grant {
        id: grant.id.clone(),
        entry: safe::text(&grant.entry),
        program: safe::path(&grant.program),
        allowed: grant.is_allowed,
        once: grant.is_once,
        given: grant.given.clone(),
        until: grant.until.clone(),
        stale: grant.is_stale,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn asked(asking: Asking) -> Question {
        question(&reply::Question { asking, ..samples::question("aws.dev") }, &Texts::english())
    }

    #[test]
    fn an_ordinary_question_warns_of_nothing() {
        let question = question(&samples::question("aws.dev"), &Texts::english());
        assert_eq!((&*question.program, question.pid), ("/usr/bin/terraform", Some(4242)));
        assert_eq!(question.offers, [Approval::Always, Approval::Today, Approval::Once]);
        assert!(question.warnings.is_empty());
    }

    #[test]
    fn what_is_not_proved_is_warned_of() {
        let terraform = samples::question("aws.dev").asking;
        for (asking, warning) in [
            (Asking { is_replaced: true, ..terraform.clone() }, "was replaced"),
            (Asking { is_unattested: true, ..terraform.clone() }, "proves nothing"),
            (Asking { claims: Some("bazel(\u{1b}ws)".to_owned()), ..terraform.clone() }, "bazel(\\u{1b}ws)"),
            (Asking { program: String::new(), ..terraform }, "does not tell"),
        ] {
            let warnings = asked(asking).warnings;
            assert!(warnings.len() == 1 && warnings[0].contains(warning), "{warnings:?}");
        }
    }

    #[test]
    fn programs_are_escaped_and_keep_the_end_of_their_path() {
        let question = asked(Asking {
            program: format!("/tmp/{}/terra\u{200b}form", "x".repeat(4000)),
            behind: vec!["/bin/ba\u{1b}sh".to_owned()],
            ..Asking::default()
        });
        assert!(question.program.ends_with("/terra\\u{200b}form") && question.program.len() < 300);
        assert_eq!(question.behind, ["/bin/ba\\u{1b}sh"]);
    }

    #[test]
    fn a_click_becomes_what_the_agent_offers_or_nothing() {
        use reply::Approval as Wire;
        let (day, strict) = (Wire::For { seconds: 28_800 }, [Wire::Once]);
        let all = [Wire::Always, day, Wire::Once];
        for (said, offers, expected) in [
            (Approval::Once, &all[..], Some(Wire::Once)),
            (Approval::Today, &all, Some(day)),
            (Approval::Always, &all, Some(Wire::Always)),
            (Approval::Never, &all, Some(Wire::Never)),
            (Approval::Once, &strict, Some(Wire::Once)),
            (Approval::Today, &strict, None),
            (Approval::Always, &strict, None),
            (Approval::Never, &[], Some(Wire::Never)),
            (Approval::Once, &[Wire::Never], None),
        ] {
            assert_eq!(approval(said, offers), expected, "{said:?} of {offers:?}");
        }
    }

    #[test]
    fn a_question_that_is_asked_for_ever_does_not_overflow() {
        let asked = reply::Question { count: u64::MAX, ..samples::question("aws.dev") };
        assert_eq!(question(&asked, &Texts::english()).count, u32::MAX);
    }

    #[test]
    fn a_grant_is_shown_with_its_program_made_safe() {
        let shown = grant(&GrantReport {
            id: "g1".to_owned(),
            entry: "aws.dev".to_owned(),
            program: "/tmp/a\nb".to_owned(),
            is_allowed: false,
            is_once: true,
            given: "2026-11-21T08:00:00Z".to_owned(),
            until: None,
            by: "window".to_owned(),
            is_stale: true,
        });
        assert_eq!(
            (&*shown.program, shown.allowed, shown.once, shown.stale),
            ("/tmp/a\\u{a}b", false, true, true)
        );
    }
}
