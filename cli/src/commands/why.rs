//! `keyfob why`.

use std::fmt::Write as _;

use clap::Args;
use keyfob_ipc::reply::{EntryReport, Why};
use keyfob_ipc::{Reply, ToolAsk, text};

use super::status::{capped, left, noted, state_paint, state_word};
use super::{DONE, Outcome, says};
use crate::life;
use crate::moment::Moment;
use crate::printer::{Printer, joined_step, next_step};
use crate::reach::unexpected;
use crate::world::World;

/// Tell which entry answers for an address or a name, and if none does, why.
///
/// Takes the address that a build failed on, a host, or an entry's name, and tells which entry answers, for whom, until
/// when, and the one next step if something stands in the way. Only scheme, host and port of an address are looked at.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob why https://cache.acme.dev/ac/1f2e
  keyfob why cache.acme.dev
  keyfob why aws.dev

EXIT CODES
  0 an entry answers; else the code that the tool would get: 1 refused,
  3 sign-in needed, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Options {
    /// An address, a host, or an entry's name.
    subject: String,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let Reply::Why(why) = world.reach.ask_tool(|| ToolAsk::Why { subject: options.subject.clone() })? else {
        return Err(unexpected());
    };
    if world.json {
        world.printer.json(&why);
    } else {
        let in_job = world.environment.unattended.is_some();
        let text = page(&why, world.now, in_job, &world.printer);
        world.printer.result(&text);
    }
    Ok(why.refusal.as_ref().map_or(DONE, |refusal| refusal.code.exit()))
}

fn page(why: &Why, now: Moment, in_job: bool, printer: &Printer) -> String {
    let mut page = format!("{}\n", text::escape(&why.say));
    let facts: Vec<_> = why.entry.iter().flat_map(|entry| facts(entry, now, in_job, printer)).collect();
    let widest = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().max(9);
    for (name, value) in facts {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "  {name:<widest$} {value}");
    }
    if let Some(entry) = &why.entry {
        page.extend(entry.notes.iter().map(|note| noted(&entry.name, note, printer)));
    }
    if let Some(refusal) = &why.refusal {
        let say = text::escape(refusal.say.trim_end_matches('.'));
        let repeated = why.say.contains(&refusal.say);
        match (repeated, next_step(&refusal.hint)) {
            (true, next) if next.is_empty() => {}
            (true, next) => page.push_str(&format!("{}\n", next.trim_start_matches(". "))),
            (false, _) => page.push_str(&format!("{say}{}\n", joined_step(&refusal.say, &refusal.hint))),
        }
    }
    page
}

fn facts(entry: &EntryReport, now: Moment, in_job: bool, printer: &Printer) -> Vec<(String, String)> {
    let mut facts = vec![
        ("entry".to_owned(), text::escape(&entry.name)),
        ("state".to_owned(), printer.paint(state_paint(entry, in_job), state_word(entry, in_job))),
    ];
    let mut add = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| (text::escape(name), text::escape(&value))));
    };
    add("who", entry.owner.clone());
    add("left", until(entry, now));
    add("through", entry.through.clone());
    add("hosts", (!entry.hosts.is_empty()).then(|| entry.hosts.join(", ")));
    for (name, value) in &entry.facts {
        add(name, words(entry, name, value));
    }
    facts
}

/// A fact as people say it; nothing where another one says it.
fn words(entry: &EntryReport, name: &str, value: &str) -> Option<String> {
    match name {
        "duration" => Some(capped(entry).unwrap_or_else(|| life::length(value))),
        "lifetime" => Some(life::length(value)),
        "duration_capped" => None,
        _ => Some(value.to_owned()),
    }
}

/// The remaining life, the end, and who told it.
fn until(entry: &EntryReport, now: Moment) -> Option<String> {
    let left = left(entry, now);
    let Some(until) = &entry.until else { return Some(left).filter(|left| left != "-") };
    let by = says(entry.until_by);
    Some(format!("{left} (until {until}{by})"))
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::EntryState;
    use keyfob_ipc::{Code, Refusal};

    use super::*;

    fn shown(why: &Why) -> String {
        let printer = Printer::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        page(why, "2026-11-21T08:00:00Z".parse().unwrap(), false, &printer)
    }

    #[test]
    fn the_entry_its_facts_and_the_next_step() {
        let refusal = Refusal::new(Code::TokenNeeded, "no token is held").hint("keyfob token add aspect");
        let why = Why {
            subject: "aw.acme.dev".to_owned(),
            entry: Some(EntryReport {
                name: "token.aspect".to_owned(),
                kind: "token".to_owned(),
                state: EntryState::SignedOut,
                until: Some("2026-11-27T08:00:00Z".to_owned()),
                until_assumed: true,
                until_by: None,
                owner: Some("ada".to_owned()),
                hosts: vec!["aw.acme.dev".to_owned()],
                through: None,
                facts: [("header".to_owned(), "X-Aspect".to_owned())].into(),
                refusal: None,
                notes: vec![],
                since: None,
                plan: Vec::new(),
                quiet_until: None,
            }),
            refusal: Some(refusal),
            say: "token.aspect answers for aw.acme.dev".to_owned(),
        };
        assert_eq!(
            shown(&why),
            "\
token.aspect answers for aw.acme.dev
  entry     token.aspect
  state     no token
  who       ada
  left      about 6 days (until 2026-11-27T08:00:00Z)
  hosts     aw.acme.dev
  header    X-Aspect
no token is held. Run: keyfob token add aspect
"
        );
    }

    #[test]
    fn lengths_are_words_and_what_aws_cuts_is_said() {
        let facts = |all: &[(&str, &str)]| {
            let facts = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let entry = EntryReport {
                name: "aws.audit".to_owned(),
                kind: "aws".to_owned(),
                state: EntryState::Live,
                until: None,
                until_assumed: false,
                until_by: None,
                owner: None,
                hosts: vec![],
                through: Some("aws.dev".to_owned()),
                facts,
                refusal: None,
                notes: vec![],
                since: None,
                plan: Vec::new(),
                quiet_until: None,
            };
            let say = "`aws.audit` answers".to_owned();
            let why = Why { subject: "audit".to_owned(), entry: Some(entry), refusal: None, say };
            let text = shown(&why);
            text.lines().skip(4).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            facts(&[("duration", "3600"), ("duration_capped", "14400"), ("may_assume", "arn:x, arn:y")]),
            [
                "  duration   1h, 4h is configured: AWS ends such sessions after an hour",
                "  may_assume arn:x, arn:y"
            ]
        );
        assert_eq!(
            facts(&[("duration", "3600"), ("lifetime", "43200")]),
            ["  duration  1h", "  lifetime  12h"]
        );
    }

    #[test]
    fn a_sentence_is_not_said_twice() {
        let why = Why {
            subject: "x.example".to_owned(),
            entry: None,
            refusal: Some(Refusal::new(Code::UnknownHost, "no entry has x.example").hint("keyfob status")),
            say: "no entry has x.example".to_owned(),
        };
        assert_eq!(shown(&why), "no entry has x.example\nRun: keyfob status\n");
    }
}
