//! A question as a person reads it, and what the person types.

use keyfob_ipc::reply::{Approval, Asking, Question};
use keyfob_ipc::text::escape;

use crate::life;
use crate::moment::Moment;
use crate::table::labelled;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// What a line is taken for.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing, or `no`: the question stays as it is.
    Leave,
    /// An answer.
    Answer {
        /// The entry's name as it was typed.
        typed: String,
        /// What follows it, or what a line without it stands for.
        approval: Approval,
    },
    /// Neither, and why.
    Unclear(String),
}

/// Everything that is known about who asks.
pub fn page(question: &Question, now: Moment, width: usize) -> String {
    let asking = &question.asking;
    let program =
        if asking.program.is_empty() { "an unknown program".to_owned() } else { escape(&asking.program) };
    let process = asking.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    let mut rows = vec![("program".to_owned(), format!("{program}{process}"))];
    let mut add = |name: &str, value: String| rows.push((name.to_owned(), value));
    if let Some(claims) = &asking.claims {
        add("claims", format!("to be `{}`; it says so itself, and any program could", escape(claims)));
    }
    for (index, behind) in asking.behind.iter().enumerate() {
        add(if index == 0 { "started by" } else { "" }, escape(behind));
    }
    add("wants", wants(question));
    let times = match question.count {
        0 | 1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let first = life::ago(now, &question.opened);
    add(
        "asked",
        format!("{times}, first {first}; closes in {}", life::remaining(now, &question.closes, false)),
    );
    for warning in warnings(asking) {
        add("careful", warning.to_owned());
    }
    format!("\n{} is asked for by:\n{}\n", escape(&question.entry), labelled(&rows, width))
}

fn wants(question: &Question) -> String {
    let what = match question.act.as_str() {
        "get" => "headers for a request (get)".to_owned(),
        "credential-process" => "AWS keys (credential-process)".to_owned(),
        act => escape(act),
    };
    match &question.target {
        Some(target) => format!("{what} to {}", escape(target)),
        None => what,
    }
}

/// What makes a path worth less than it looks.
pub fn warnings(asking: &Asking) -> impl Iterator<Item = &'static str> {
    let all = [
        (asking.is_replaced, "another file is at that path by now: the program was replaced while it ran"),
        (
            asking.is_unattested,
            "its path proves nothing: it runs where paths can be made to lie (a container), or hides itself",
        ),
    ];
    all.into_iter().filter_map(|(holds, say)| holds.then_some(say))
}

/// What can be typed, and what that does.
pub fn prompt(question: &Question, given: Option<Approval>) -> String {
    let (name, _) = names_of(&question.entry);
    let name = escape(name);
    let usual = given.or_else(|| question.offers.first().copied());
    let does = match usual {
        Some(Approval::Never) => "refuse it until you revoke that".to_owned(),
        Some(approval) => format!("allow it {}", lasting(approval)),
        None => "answer".to_owned(),
    };
    let mut others: Vec<String> = Vec::new();
    if given.is_none() {
        let offers = question.offers.iter().skip(1).chain(&[Approval::Never]);
        others.extend(offers.map(|offer| format!("`{name} {}`", word(*offer))));
    }
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    format!("Type `{name}` to {does}{others}, or nothing to leave it open: ")
}

/// Reads what was typed: the entry's name, alone or with how long.
pub fn reading(typed: &str, question: &Question, given: Option<Approval>) -> Said {
    let mut words = typed.split_whitespace();
    let Some(name) = words.next() else { return Said::Leave };
    let (short, full) = names_of(&question.entry);
    if name != short && name != full {
        return match name {
            "no" | "n" => Said::Leave,
            _ => Said::Unclear(format!("that is not `{}`", escape(short))),
        };
    }
    let approval = match (words.next(), given) {
        (None, Some(given)) => Ok(given),
        (None, None) => question.offers.first().copied().ok_or_else(|| "say how long".to_owned()),
        (Some(word), None) => read_word(word)
            .filter(|one| is_offered(*one, &question.offers))
            .ok_or_else(|| format!("`{}` is not among the answers", escape(word))),
        (Some(_), Some(_)) => Err("how long was said on the command line".to_owned()),
    };
    match (approval, words.next()) {
        (Ok(approval), None) => Said::Answer { typed: name.to_owned(), approval },
        (Err(why), _) => Said::Unclear(why),
        (Ok(_), Some(_)) => Said::Unclear("that is more than a name and how long".to_owned()),
    }
}

/// Whether an answer of this kind can be given; how long is the person's choice.
pub fn is_offered(approval: Approval, offers: &[Approval]) -> bool {
    let is_same_kind = |offer: &Approval| match (offer, approval) {
        (Approval::For { .. }, Approval::For { .. }) => true,
        (offer, approval) => *offer == approval,
    };
    approval == Approval::Never || offers.iter().any(is_same_kind)
}

/// The short and the full name of an entry. Where the short one would be read as something else, both are the full one.
pub fn names_of(entry: &str) -> (&str, &str) {
    let short = entry.split_once('.').map_or(entry, |(_, short)| short);
    (if matches!(short, "no" | "n") { entry } else { short }, entry)
}

/// Whether a person means this entry by that name.
pub fn is_named(entry: &str, name: &str) -> bool {
    entry == name || entry.split_once('.').is_some_and(|(_, short)| short == name)
}

/// How long an answer holds, behind `allow it`.
pub fn lasting(approval: Approval) -> String {
    match approval {
        Approval::Once => "once".to_owned(),
        Approval::For { seconds } => {
            format!("for {}", life::words(i64::try_from(seconds).unwrap_or(i64::MAX)))
        }
        Approval::Always => "until you revoke that".to_owned(),
        Approval::Never => "never".to_owned(),
    }
}

/// The word that is typed for it.
fn word(approval: Approval) -> String {
    match approval {
        Approval::Once => "once".to_owned(),
        Approval::Always => "always".to_owned(),
        Approval::Never => "never".to_owned(),
        Approval::For { seconds } => {
            let units = [(YEAR, 'y'), (DAY, 'd'), (HOUR, 'h'), (60, 'm')];
            let (length, unit) =
                units.into_iter().find(|(length, _)| seconds % length == 0).unwrap_or((1, 's'));
            format!("{}{unit}", seconds / length)
        }
    }
}

fn read_word(word: &str) -> Option<Approval> {
    match word {
        "once" => Some(Approval::Once),
        "always" => Some(Approval::Always),
        "never" => Some(Approval::Never),
        time => seconds(time).ok().map(|seconds| Approval::For { seconds }),
    }
}

/// Reads a length of time: `90s`, `30m`, `8h`, `7d`, `1y`; at least a second, at most a year.
pub fn seconds(text: &str) -> Result<u64, String> {
    let parse = || {
        let unit = match text.chars().last()? {
            's' => 1,
            'm' => 60,
            'h' => HOUR,
            'd' => DAY,
            'y' => YEAR,
            _ => return None,
        };
        let count = &text[..text.len() - 1];
        // `parse` takes a leading plus.
        let count: u64 = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok())??;
        count.checked_mul(unit).filter(|seconds| (1..=YEAR).contains(seconds))
    };
    parse().ok_or_else(|| "write 30m, 8h or 7d; at most 1y".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [Approval; 3] = [Approval::Once, Approval::For { seconds: 8 * HOUR }, Approval::Always];

    fn question(entry: &str) -> Question {
        Question {
            id: "0f".to_owned(),
            entry: entry.to_owned(),
            asking: Asking {
                program: "/usr/bin/terraform".to_owned(),
                pid: Some(4242),
                behind: vec!["/usr/bin/make".to_owned(), "/usr/bin/ba\u{1b}sh".to_owned()],
                ..Asking::default()
            },
            act: "credential-process".to_owned(),
            target: None,
            count: 3,
            opened: "2026-11-21T08:00:00Z".to_owned(),
            closes: "2026-11-21T08:01:00Z".to_owned(),
            offers: OFFERS.to_vec(),
        }
    }

    fn now() -> Moment {
        "2026-11-21T08:00:10Z".parse().unwrap()
    }

    #[test]
    fn everything_that_is_known_is_shown_and_escaped() {
        assert_eq!(
            page(&question("aws.dev"), now(), 80),
            "
aws.dev is asked for by:
  program     /usr/bin/terraform (process 4242)
  started by  /usr/bin/make
              /usr/bin/ba\\u{1b}sh
  wants       AWS keys (credential-process)
  asked       3 times, first just now; closes in 50 seconds

"
        );
    }

    #[test]
    fn a_claim_a_replaced_program_and_a_hidden_one_are_said_plainly() {
        let mut question = question("token.aspect");
        question.asking.claims = Some("bazel(ws)".to_owned());
        question.asking.is_replaced = true;
        question.asking.is_unattested = true;
        question.act = "get".to_owned();
        question.target = Some("https://aw.acme.dev".to_owned());
        let page = page(&question, now(), 200);
        for part in [
            "  claims      to be `bazel(ws)`; it says so itself, and any program could\n",
            "  wants       headers for a request (get) to https://aw.acme.dev\n",
            "  careful     another file is at that path by now",
            "  careful     its path proves nothing",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn the_prompt_names_every_answer_once() {
        let ask = |offers: &[Approval], given| {
            prompt(&Question { offers: offers.to_vec(), ..question("aws.dev") }, given)
        };
        assert_eq!(
            ask(&OFFERS, None),
            "Type `dev` to allow it once (`dev 8h`, `dev always`, `dev never`), or nothing to leave it open: "
        );
        assert_eq!(
            ask(&[Approval::Once], Some(Approval::Once)),
            "Type `dev` to allow it once, or nothing to leave it open: "
        );
        assert_eq!(
            ask(&OFFERS, Some(Approval::Never)),
            "Type `dev` to refuse it until you revoke that, or nothing to leave it open: "
        );
        assert!(ask(&OFFERS, Some(Approval::For { seconds: 8 * HOUR })).contains("allow it for 8 hours,"));
    }

    #[test]
    fn only_the_name_answers() {
        let dev = question("aws.dev");
        let says = |text: &str, approval| {
            assert_eq!(
                reading(text, &dev, None),
                Said::Answer { typed: text.split(' ').next().unwrap().to_owned(), approval },
                "{text}"
            );
        };
        says("dev", Approval::Once);
        says("aws.dev always", Approval::Always);
        says("dev 30m", Approval::For { seconds: 1800 });
        says("dev never", Approval::Never);
        for leave in ["", "  ", "no", "n"] {
            assert_eq!(reading(leave, &dev, None), Said::Leave, "{leave}");
        }
        for unclear in ["y", "yes", "de", "DEV", "aws.prod", "dev forever", "dev always please", "dev 2y"] {
            assert!(matches!(reading(unclear, &dev, None), Said::Unclear(_)), "{unclear}");
        }
    }

    #[test]
    fn what_the_command_line_says_is_not_said_again() {
        let dev = question("aws.dev");
        let always = Some(Approval::Always);
        assert_eq!(
            reading("dev", &dev, always),
            Said::Answer { typed: "dev".to_owned(), approval: Approval::Always }
        );
        assert!(matches!(reading("dev once", &dev, always), Said::Unclear(_)));
    }

    #[test]
    fn an_entry_that_is_called_no_is_not_approved_by_a_no() {
        let odd = question("token.no");
        assert_eq!(reading("no", &odd, None), Said::Leave);
        assert!(matches!(reading("token.no", &odd, None), Said::Answer { .. }));
        assert!(prompt(&odd, None).starts_with("Type `token.no` to"));
    }

    #[test]
    fn what_is_not_offered_is_no_answer() {
        let mut strict = question("aws.dev");
        strict.offers = vec![Approval::Once];
        assert!(matches!(reading("dev always", &strict, None), Said::Unclear(_)));
        assert!(matches!(reading("dev never", &strict, None), Said::Answer { .. }));
        assert!(is_offered(Approval::For { seconds: 60 }, &OFFERS));
    }

    #[test]
    fn lengths_of_time() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("8h", 8 * HOUR), ("7d", 7 * DAY), ("1y", YEAR)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
            assert_eq!(word(Approval::For { seconds: expected }), text);
        }
        for bad in [
            "",
            "h",
            "8",
            "0h",
            "2y",
            "366d",
            "-1h",
            "+1h",
            "1.5h",
            "8 h",
            "8\u{e9}",
            "99999999999999999999d",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
