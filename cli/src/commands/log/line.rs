//! A line of the ledger, for people and for programs.

use keyfob_ipc::reply::{Asking, LedgerLine, Outcome};
use keyfob_ipc::text::escape;

use crate::commands::status::short_role;
use crate::printer::{Paint, Printer};
use crate::world::World;
use crate::zone::Zone;

/// Lines that come one after the other, in columns that never get narrower: what was printed cannot be moved.
pub struct Lines {
    zone: Zone,
    program: usize,
    act: usize,
    what: usize,
}

/// A column that is wider than this is not waited for.
const WIDEST: usize = 44;

impl Lines {
    /// For the time zone of this machine.
    pub fn new(world: &World) -> Self {
        Self { zone: Zone::of_this_machine(world.environment.zone.as_deref()), program: 0, act: 0, what: 0 }
    }

    /// Writes lines; `false` where nobody reads them any more.
    pub fn show(&mut self, lines: &[LedgerLine], world: &mut World) -> bool {
        if world.json {
            return lines.iter().all(|line| world.printer.json_is_read(line));
        }
        let rows: Vec<[String; 5]> = lines.iter().map(|line| self.cells(line, &world.printer)).collect();
        for [_, program, act, what, _] in &rows {
            for (widest, cell) in [(&mut self.program, program), (&mut self.act, act), (&mut self.what, what)]
            {
                *widest = cell.chars().count().min(WIDEST).max(*widest);
            }
        }
        let Self { program: first, act: second, what: third, .. } = self;
        let text: String = rows
            .iter()
            .map(|[time, program, act, what, end]| {
                format!("{time}  {program:<first$}  {act:<second$}  {what:<third$}  {end}\n")
            })
            .collect();
        text.is_empty() || world.printer.result_is_read(&text)
    }

    fn cells(&self, line: &LedgerLine, printer: &Printer) -> [String; 5] {
        let what = match (&line.entry, &line.target) {
            (Some(entry), Some(target)) => format!("{} {}", named(entry), escape(target)),
            (Some(entry), None) => named(entry),
            (None, Some(target)) => escape(target),
            (None, None) => "-".to_owned(),
        };
        [self.zone.show(&line.at), program(line.asking.as_ref()), escape(&line.act), what, end(line, printer)]
    }
}

/// An entry by its name. A role that a caller has named is shown as `aws.dev 123456789012 Audit`, and cut where that is wider than
/// the column: with --json it is whole.
fn named(entry: &str) -> String {
    let Some((base, role)) = entry.split_once('/').filter(|(_, role)| role.starts_with("arn:")) else {
        return escape(entry);
    };
    let name = escape(&format!("{base} {}", short_role(role)));
    match name.char_indices().nth(WIDEST) {
        Some(_) => name.chars().take(WIDEST - 1).chain(['…']).collect(),
        None => name,
    }
}

fn program(asking: Option<&Asking>) -> String {
    let Some(asking) = asking.filter(|asking| !asking.program.is_empty()) else { return "-".to_owned() };
    let mut program = escape(&asking.program);
    if let Some(claims) = &asking.claims {
        program.push_str(&format!(" (says {})", escape(claims)));
    }
    if asking.is_replaced {
        program.push_str(" (replaced)");
    }
    if asking.is_unattested {
        program.push_str(" (unattested)");
    }
    program
}

/// What became of it, why, and what else there is to say.
fn end(line: &LedgerLine, printer: &Printer) -> String {
    let (word, paint) = match line.outcome {
        Outcome::Given => ("given", Paint::Good),
        Outcome::Empty => ("empty", Paint::Faint),
        Outcome::Refused => ("refused", Paint::Bad),
        Outcome::Done => ("done", Paint::Good),
        Outcome::Gone => ("gone", Paint::Warning),
        Outcome::Unknown => ("?", Paint::Faint),
    };
    let mut end = printer.paint(paint, word);
    if let Some(code) = line.code {
        // A code is written as the wire has it, so that it can be searched for.
        let code = serde_json::to_string(&code).unwrap_or_default();
        end.push_str(&format!(" ({})", code.trim_matches('"')));
    }
    if let Some(note) = &line.note {
        end.push_str(&format!(": {}", escape(note)));
    }
    end
}
