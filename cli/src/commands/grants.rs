//! `keyfob grants`, `keyfob grants revoke`.

use clap::{Args, Subcommand};
use keyfob_ipc::reply::GrantReport;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};

use super::{DONE, Outcome, WRONG_USE, done};
use crate::life;
use crate::moment::Moment;
use crate::printer::Paint;
use crate::reach::unexpected;
use crate::table::{Cell, Column, table};
use crate::world::World;

/// Show which programs you have allowed or refused, and take that back.
///
/// One line for each answer that is in force (`keyfob approve`): the entry, the program, until when, and when and where you
/// gave it. An answer is `stale` where another file is at the program's path by now: the next call asks you again.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
EXAMPLES
  keyfob grants
  keyfob grants revoke aws.dev
  keyfob grants --json | jq '.[] | {id, entry, program}'

EXIT CODES
  0 shown, whether there are any or not; 4 agent not reachable"
)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Revoke(Revoke),
}

/// Take an answer back, so that the program is asked about again.
///
/// Names one answer by its id, or all answers about an entry by the entry's name. Without either nothing is revoked, unless
/// --all is given. What a program has already got stays good until its own end.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob grants revoke 3f9c
  keyfob grants revoke aws.dev
  keyfob grants revoke --all

EXIT CODES
  0 revoked, 1 there is no such answer, 2 wrong use, 4 agent not reachable")]
struct Revoke {
    /// An answer's id, or an entry: `aws.dev` or `dev`.
    #[arg(value_name = "ID|NAME")]
    which: Option<String>,
    /// Take every answer back.
    #[arg(long, conflicts_with = "which")]
    all: bool,
}

pub fn run(options: Options, world: &mut World) -> Outcome {
    match options.command {
        None => show(world),
        Some(Command::Revoke(Revoke { which: None, all: false })) => {
            let say = "say which answer to take back, by its id or its entry, or --all for every one";
            world.printer.refuse(&Refusal::new(Code::BadRequest, say).hint("keyfob grants"));
            Ok(WRONG_USE)
        }
        Some(Command::Revoke(revoke)) => {
            let reply = world.reach.ask_control(ControlAsk::Revoke { which: revoke.which })?;
            done(reply, world)
        }
    }
}

fn show(world: &mut World) -> Outcome {
    let Reply::Grants(grants) = world.reach.ask_control(ControlAsk::Grants)? else {
        return Err(unexpected());
    };
    if world.json {
        world.printer.json(&grants);
    } else if grants.is_empty() {
        world.printer.say("you have allowed or refused nothing that is still in force");
    } else {
        let rows: Vec<Vec<Cell>> = grants.iter().map(|grant| row(grant, world.now)).collect();
        let page = table(&COLUMNS, &rows, world.width, &world.printer);
        world.printer.result(&page);
    }
    Ok(DONE)
}

const COLUMNS: [Column; 6] = [
    Column::fixed("ID"),
    Column::yielding("ENTRY", 8),
    Column::yielding("PROGRAM", 16),
    Column::fixed("ANSWER"),
    Column::fixed("FOR"),
    Column::yielding("GIVEN", 10),
];

fn row(grant: &GrantReport, now: Moment) -> Vec<Cell> {
    let (answer, paint) = match (grant.is_stale, grant.is_allowed) {
        (true, true) => ("allowed, stale", Paint::Warning),
        (true, false) => ("never, stale", Paint::Warning),
        (false, true) => ("allowed", Paint::Good),
        (false, false) => ("never", Paint::Bad),
    };
    let lasting = match (&grant.until, grant.is_once) {
        (_, true) => "the next use".to_owned(),
        (Some(until), _) => life::remaining(now, until, false),
        (None, _) => "until revoked".to_owned(),
    };
    vec![
        (text::escape(&grant.id), None),
        (text::escape(&grant.entry), None),
        (text::escape(&grant.program), None),
        (answer.to_owned(), Some(paint)),
        (lasting, None),
        (format!("{}, {}", life::ago(now, &grant.given), text::escape(&grant.by)), None),
    ]
}
