//! `keyfob log --follow`: no line is shown twice, also across agents, and where lines are missing it is said: the agent keeps a
//! number of them for a reader who is slow, and then tells how many it did not show.
//!
//! The watch begins before the ledger is read, so what is written meanwhile comes both ways. A line has no number: lines that
//! are alike are counted, and each is shown as often as it was written.

use std::collections::VecDeque;
use std::time::Duration;

use keyfob_ipc::reply::{Event, LedgerLine};
use keyfob_ipc::{Client, Code, ControlAsk, Refusal, Reply, limits};

use super::Options;
use super::line::Lines;
use crate::commands::approve::is_named;
use crate::commands::{DONE, Outcome};
use crate::reach::unexpected;
use crate::world::World;

/// How many of the newest lines are read where a watch begins, at least: more than are written between two agents.
const BACK: u32 = 1000;
/// How many lines are remembered: those of two readings.
const REMEMBERED: usize = 4 * BACK as usize;
/// Between two looks whether anybody still reads.
const GLANCE: Duration = Duration::from_secs(1);
/// Between two looks whether an agent runs again.
const LOOK: Duration = Duration::from_millis(250);

pub fn run(options: &Options, lines: &mut Lines, world: &mut World) -> Outcome {
    let mut known = Known::default();
    let mut client = world.reach.control()?;
    let mut shows = usize::try_from(options.last()).unwrap_or(usize::MAX);
    loop {
        let followed = follow(client, options, shows, &mut known, lines, world);
        match followed {
            Ok(Reader::Gone) => return Ok(DONE),
            Ok(Reader::Waits) => {}
            Err(refusal) if refusal.code != Code::AgentUnreachable => return Err(refusal),
            // An agent that was there for a moment only: the next one may stay.
            Err(_) => {}
        }
        if world.is_watched && !world.json {
            world.printer.note("the agent has ended; what the next one writes is shown as soon as it runs");
        }
        let Some(next) = again(world)? else { return Ok(DONE) };
        client = next;
        // From here on everything that is new is shown.
        shows = usize::MAX;
    }
}

/// Whether somebody still reads what is shown.
enum Reader {
    Waits,
    Gone,
}

/// Until the agent ends, or nobody reads any more.
fn follow(
    mut client: Client,
    options: &Options,
    shows: usize,
    known: &mut Known,
    lines: &mut Lines,
    world: &mut World,
) -> Result<Reader, Refusal> {
    let watch = ControlAsk::Watch { notices: false, questions: false, ledger: true };
    client.send(watch, limits::CONTROL_PATIENCE)?;
    let Reply::Event(Event::Watching) = client.receive(limits::CONTROL_PATIENCE)? else {
        return Err(unexpected());
    };
    let last = options.last().max(BACK);
    let ask = ControlAsk::Log { last, name: options.name.clone() };
    let Reply::Ledger(newest) = world.reach.running()?.ask(ask, limits::CONTROL_PATIENCE)? else {
        return Err(unexpected());
    };
    let fresh = known.unseen(&newest);
    let mut written = known.begin(newest);
    if !lines.show(&fresh[fresh.len().saturating_sub(shows)..], world) {
        return Ok(Reader::Gone);
    }
    loop {
        let line = match client.event_within(GLANCE) {
            Ok(Some(Event::Ledger(line))) => line,
            Ok(_) if (world.is_read)() => continue,
            Ok(_) => return Ok(Reader::Gone),
            Err(refusal) if refusal.code == Code::AgentUnreachable => return Ok(Reader::Waits),
            Err(refusal) => return Err(refusal),
        };
        let is_meant = options.name.as_ref().is_none_or(|name| match &line.entry {
            Some(entry) => is_named(entry, name),
            // That lines are missing concerns whoever follows any of them.
            None => line.act == "ledger",
        });
        if !is_meant || take(&mut written, &line) {
            continue;
        }
        known.remember(line.clone());
        if !lines.show(std::slice::from_ref(&line), world) {
            return Ok(Reader::Gone);
        }
    }
}

/// The next agent, which somebody else starts: looking at a log is no reason for one to run. `None` where nobody reads any
/// more.
fn again(world: &World) -> Result<Option<Client>, Refusal> {
    while (world.is_read)() {
        match world.reach.running() {
            Err(refusal) if refusal.code == Code::AgentUnreachable => std::thread::sleep(LOOK),
            other => return other.map(Some),
        }
    }
    Ok(None)
}

/// Lines that were read or shown, the oldest first.
#[derive(Debug, Default)]
struct Known(VecDeque<LedgerLine>);

impl Known {
    /// Those of a reading that were never seen before.
    fn unseen(&self, newest: &[LedgerLine]) -> Vec<LedgerLine> {
        let mut seen: Vec<LedgerLine> = self.0.iter().cloned().collect();
        newest.iter().filter(|line| !take(&mut seen, line)).cloned().collect()
    }

    /// Remembers a reading. Returns its lines, as those that a watch may bring once more.
    fn begin(&mut self, newest: Vec<LedgerLine>) -> Vec<LedgerLine> {
        for line in self.unseen(&newest) {
            self.remember(line);
        }
        newest
    }

    fn remember(&mut self, line: LedgerLine) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

/// Takes one line that is like this one out of others; `false` where there is none.
fn take(lines: &mut Vec<LedgerLine>, line: &LedgerLine) -> bool {
    let found = lines.iter().rposition(|known| known == line);
    found.map(|at| lines.swap_remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Outcome;

    use super::*;

    fn line(at: &str) -> LedgerLine {
        LedgerLine {
            at: at.to_owned(),
            act: "get".to_owned(),
            outcome: Outcome::Given,
            entry: None,
            target: None,
            code: None,
            asking: None,
            note: None,
        }
    }

    fn ats(lines: &[LedgerLine]) -> Vec<&str> {
        lines.iter().map(|line| line.at.as_str()).collect()
    }

    #[test]
    fn lines_that_are_alike_are_counted() {
        let mut written = vec![line("1"), line("2"), line("2")];
        assert!(take(&mut written, &line("2")));
        assert!(take(&mut written, &line("2")));
        assert!(!take(&mut written, &line("2")), "a third one is new");
        assert!(take(&mut written, &line("1")));
    }

    #[test]
    fn a_second_reading_shows_what_is_new_alone() {
        let mut known = Known::default();
        let first = [line("1"), line("2"), line("2")];
        assert_eq!(ats(&known.unseen(&first)), ["1", "2", "2"]);
        known.begin(first.to_vec());
        known.remember(line("3"));
        let second = [line("2"), line("2"), line("2"), line("3"), line("4")];
        assert_eq!(ats(&known.unseen(&second)), ["2", "4"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        (0..REMEMBERED + 5).for_each(|at| known.remember(line(&at.to_string())));
        assert_eq!(known.0.len(), REMEMBERED);
        assert_eq!(known.0[0].at, "5");
    }
}
