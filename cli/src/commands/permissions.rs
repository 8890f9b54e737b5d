//! `keyfob permissions`.

use clap::Args;
use keyfob_ipc::reply::{EntryPermissions, Right, Teller, ToldFact};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};

use super::{DONE, Outcome, ask_service};
use crate::life;
use crate::moment::Moment;
use crate::printer::{Paint, sentence};
use crate::reach::unexpected;
use crate::table::{Cell, Column, labelled, table};
use crate::world::World;

/// Show what each entry may do, who says so, and how old that is.
///
/// One line for each cluster of a token: whether it may read the cache, write to the action cache, and execute remotely.
/// Below it are the other facts of each entry: owner, SSO scopes and groups, AWS account and role. Each names who told it:
/// the cluster, the token service, the identity provider, AWS, you, or the configuration. What nobody tells is `unknown`;
/// `no effect` is a permission that the cluster has no use for. Answers are kept for an hour.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob permissions
  keyfob permissions aspect --again
  keyfob permissions --json | jq '.[] | {name, clusters}'

EXIT CODES
  0 shown, whatever the permissions are; 1 refused, 2 wrong use,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Options {
    /// One entry; all of them where it is left out.
    name: Option<String>,
    /// Ask clusters and services again, although their last answer is younger than an hour.
    #[arg(long)]
    again: bool,
}

pub fn run(options: Options, world: &mut World) -> Outcome {
    let ask = ControlAsk::Permissions { name: options.name, again: options.again };
    let Reply::Permissions(mut entries) = ask_service(ask, "clusters and services", world)? else {
        return Err(unexpected());
    };
    if world.json {
        world.printer.json(&entries);
    } else {
        if world.environment.unattended.is_none() {
            entries.iter_mut().flat_map(|entry| &mut entry.refusals).for_each(calm);
        }
        let page = page(&entries, world);
        world.printer.result(&page);
    }
    Ok(DONE)
}

/// Where no job runs, what waits for the identity of one is as it should be.
fn calm(refusal: &mut Refusal) {
    if refusal.code == Code::MachineIdentityMissing {
        *refusal = Refusal::new(refusal.code, "no job here");
    }
}

fn page(entries: &[EntryPermissions], world: &World) -> String {
    if entries.is_empty() {
        return "no entry is configured. Run: keyfob status\n".to_owned();
    }
    let mut page = clusters(entries, Columns::All, world);
    for entry in entries {
        let facts: Vec<(String, String)> =
            entry.facts.iter().map(|fact| (text::escape(&fact.name), told(fact, world.now))).collect();
        if facts.is_empty() && (!entry.clusters.is_empty() || !entry.refusals.is_empty()) {
            continue;
        }
        if !page.is_empty() {
            page.push('\n');
        }
        page.push_str(&format!("{}\n", world.printer.paint(Paint::Strong, &text::escape(&entry.name))));
        page.push_str(&if facts.is_empty() {
            "  nothing is known about it\n".to_owned()
        } else {
            labelled(&facts, world.width)
        });
    }
    let remarks = remarks(entries);
    if !remarks.is_empty() && !page.is_empty() {
        page.push('\n');
    }
    page + &remarks
}

/// Which columns the table of clusters has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// With the entry.
    All,
    /// Without it: there is one only.
    OfOneEntry,
}

const COLUMNS: [Column; 7] = [
    Column::yielding("ENTRY", 12),
    Column::yielding("CLUSTER", 10),
    Column::fixed("READ"),
    Column::fixed("WRITE"),
    Column::fixed("EXECUTE"),
    Column::yielding("SAYS", 11),
    Column::fixed("AGE"),
];

/// The table of clusters; nothing where there is none.
pub fn clusters(entries: &[EntryPermissions], columns: Columns, world: &World) -> String {
    let skipped = usize::from(columns == Columns::OfOneEntry);
    let mut rows = Vec::new();
    for entry in entries {
        for told in &entry.clusters {
            let rights = &told.at.rights;
            let cells = [
                (text::escape(&entry.name), None),
                (text::escape(&told.at.cluster), None),
                right(rights.read),
                right(rights.write),
                right(rights.execute),
                (told.by.words().to_owned(), None),
                (age(told.when.as_deref(), world.now), None),
            ];
            rows.push(cells.into_iter().skip(skipped).collect());
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    table(&COLUMNS[skipped..], &rows, world.width, &world.printer)
}

fn right(right: Right) -> Cell {
    let (word, paint) = match right {
        Right::Yes => ("yes", Paint::Good),
        Right::No => ("no", Paint::Bad),
        Right::WithoutEffect => ("no effect", Paint::Faint),
        Right::Unknown => ("unknown", Paint::Warning),
    };
    (word.to_owned(), Some(paint))
}

fn age(when: Option<&str>, now: Moment) -> String {
    when.map_or_else(|| "-".to_owned(), |when| life::ago(now, when))
}

/// A fact, who told it, and how old it is.
pub fn told(fact: &ToldFact, now: Moment) -> String {
    let is_end = fact.name == "ends";
    let values: Vec<String> = fact
        .values
        .iter()
        .map(|value| {
            let is_assumed = fact.by == Teller::Configuration;
            match is_end {
                true => format!("{}, {}", life::day(value), life::remaining(now, value, is_assumed)),
                false => text::escape(value),
            }
        })
        .collect();
    // A statement has commas of its own.
    let has_lines = values.len() > 1 && ["allows", "denies"].contains(&fact.name.as_str());
    let values = match values.is_empty() {
        true => "none".to_owned(),
        false => values.join(if has_lines { "\n" } else { ", " }),
    };
    let end = if has_lines { "\n" } else { " " };
    match &fact.when {
        Some(when) => format!("{values}{end}({}, {})", fact.by.words(), life::ago(now, when)),
        None => format!("{values}{end}({})", fact.by.words()),
    }
}

/// Where rights alone would mislead, and who could not be asked.
pub fn remarks(entries: &[EntryPermissions]) -> String {
    let mut page = String::new();
    // Not broken into lines: a command must be copied whole.
    let mut add = |about: &str, sentence: String| page.push_str(&format!("{about}: {sentence}\n"));
    for entry in entries {
        let name = text::escape(&entry.name);
        for told in &entry.clusters {
            if let Some(note) = &told.note {
                let about = format!("{name} at {}", text::escape(&told.at.cluster));
                add(&about, sentence(note, ""));
            }
        }
        for refusal in &entry.refusals {
            add(&name, sentence(&refusal.say, &refusal.hint));
        }
    }
    page
}
