//! `keyfob approve`.

mod question;

use clap::Args;
use keyfob_ipc::reply::{Approval, Question};
use keyfob_ipc::{Client, Code, ControlAsk, Refusal, Reply, limits, text};
use serde::Serialize;

pub use self::question::is_named;
use self::question::{Said, lasting, names_of, page, reading};
use super::{DONE, FAILED, Outcome};
use crate::moment::Moment;
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Answer programs that wait for your approval.
///
/// An entry whose policy says `confirm` gives nothing to a program that you have not approved: the program is refused at
/// once, and a question about it is open for a minute. This shows every open question: which program asks, what started
/// it, and what for. Type the entry's name to allow it; Enter leaves the question open, and it closes by itself. Then let
/// the program ask again. Nothing is read from standard input: the question is put, and the answer typed, on the terminal
/// itself, so that no other program can answer in your place by a pipe.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob approve
  keyfob approve aws.dev --for 8h
  keyfob approve dev --never       refuse it until you revoke that
  keyfob grants                    what you have answered so far

EXIT CODES
  0 answered; 1 refused, or no question is open; 2 wrong use,
  4 agent not reachable, 5 a question was left open")]
pub struct Options {
    /// Only questions about this entry: `aws.dev` or `dev`.
    name: Option<String>,
    /// Allow the next use, and the calls that come together with it.
    #[arg(long, conflicts_with_all = ["for", "always", "never"])]
    once: bool,
    /// Allow it for a while: 30m, 8h, 7d, at most 1y.
    #[arg(long = "for", id = "for", value_name = "TIME", value_parser = question::seconds, conflicts_with_all = ["always", "never"])]
    for_: Option<u64>,
    /// Allow it until you revoke that, or the program is replaced.
    #[arg(long, conflicts_with = "never")]
    always: bool,
    /// Refuse it until you revoke that.
    #[arg(long)]
    never: bool,
}

impl Options {
    fn approval(&self) -> Option<Approval> {
        match self {
            Self { once: true, .. } => Some(Approval::Once),
            Self { for_: Some(seconds), .. } => Some(Approval::For { seconds: *seconds }),
            Self { always: true, .. } => Some(Approval::Always),
            Self { never: true, .. } => Some(Approval::Never),
            _ => None,
        }
    }
}

/// For programs.
#[derive(Debug, Serialize)]
struct Answered<'a> {
    entry: &'a str,
    program: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
    say: &'a str,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    prompt::present().map_err(|refusal| refusal.hint("run `keyfob approve` yourself, in a terminal"))?;
    let mut client = world.reach.control()?;
    let mut seen = Vec::new();
    let mut exit = DONE;
    // The list is asked for before each question: some close meanwhile, others come.
    while let Some(question) = next(&mut client, options.name.as_deref(), &mut seen)? {
        exit = match put(&question, options.approval(), &mut client, world) {
            Ok(true) => exit,
            Ok(false) if exit == DONE => Code::ApprovalPending.exit(),
            Ok(false) => exit,
            Err(refusal) if refusal.code == Code::CalledOff || refusal.code.exit() == 4 => {
                return Err(refusal);
            }
            Err(refusal) => {
                world.printer.refuse(&refusal);
                // A connection on which nobody says anything for a minute is closed, as the question is.
                client = world.reach.control()?;
                FAILED
            }
        };
    }
    Ok(exit)
}

/// What tells questions apart that the agent may give new ids.
type Known = (String, String, Option<u32>, String);

/// The next question that was not put yet.
fn next(client: &mut Client, name: Option<&str>, seen: &mut Vec<Known>) -> Result<Option<Question>, Refusal> {
    let Reply::Questions(all) = client.ask(ControlAsk::Questions, limits::CONTROL_PATIENCE)? else {
        return Err(unexpected());
    };
    let count = all.len();
    let known =
        |one: &Question| (one.entry.clone(), one.asking.program.clone(), one.asking.pid, one.opened.clone());
    let is_meant = |one: &Question| name.is_none_or(|name| is_named(&one.entry, name));
    let next = all.into_iter().find(|one| is_meant(one) && !seen.contains(&known(one)));
    match &next {
        Some(next) => seen.push(known(next)),
        None if seen.is_empty() => return Err(nothing_open(name, count)),
        None => {}
    }
    Ok(next)
}

fn nothing_open(name: Option<&str>, others: usize) -> Refusal {
    let hint = "run the tool again, then keyfob approve within a minute";
    match name {
        Some(name) if others > 0 => {
            let plural = if others == 1 { "another entry waits" } else { "other entries wait" };
            let say = format!("no question about `{}` is open, but one about {plural}", text::escape(name));
            Refusal::new(Code::BadRequest, say).hint("keyfob approve")
        }
        Some(name) => {
            let say = format!("no question about `{}` is open", text::escape(name));
            Refusal::new(Code::BadRequest, say).hint(hint)
        }
        None => Refusal::new(Code::BadRequest, "no question is open").hint(hint),
    }
}

/// Puts a question to the person, and hands on the answer; `false` where it stays open.
fn put(
    question: &Question,
    given: Option<Approval>,
    client: &mut Client,
    world: &mut World,
) -> Result<bool, Refusal> {
    if let Some(given) = given
        && !question::is_offered(given, &question.offers)
    {
        return Err(not_offered(question, given));
    }
    let mut text = page(question, (world.clock)(), world.width);
    for _ in 0..TRIES {
        text.push_str(&question::prompt(question, given));
        let typed = prompt::now(&text)?;
        text = match reading(&typed, question, given) {
            Said::Leave => {
                leave(question, world);
                return Ok(false);
            }
            Said::Answer { typed, approval } => {
                return answer(question, approval, &typed, client, world).map(|()| true);
            }
            Said::Unclear(why) => format!("{why}; nothing was answered.\n"),
        };
    }
    leave(question, world);
    Ok(false)
}

/// How often a person may mistype.
const TRIES: usize = 3;

fn not_offered(question: &Question, given: Approval) -> Refusal {
    let (name, _) = names_of(&question.entry);
    let offers: Vec<String> = question.offers.iter().map(|offer| lasting(*offer)).collect();
    let say = format!(
        "the policy of `{}` does not let it be allowed {}; what it offers is: {}",
        text::escape(&question.entry),
        lasting(given),
        offers.join(", ")
    );
    Refusal::new(Code::BadRequest, say).hint(format!("keyfob approve {name}"))
}

fn leave(question: &Question, world: &mut World) {
    let left = crate::life::remaining((world.clock)(), &question.closes, false);
    let say = match left.as_str() {
        "ended" => "nothing was answered, and the question has closed".to_owned(),
        left => format!("left open; it closes by itself in {left}, and nothing is given until then"),
    };
    report(question, None, &say, world);
}

fn answer(
    question: &Question,
    approval: Approval,
    typed: &str,
    client: &mut Client,
    world: &mut World,
) -> Result<(), Refusal> {
    let ask = ControlAsk::Answer { id: question.id.clone(), approval, typed: Some(typed.to_owned()) };
    match client.ask(ask, limits::CONTROL_PATIENCE) {
        Ok(Reply::Done { say }) => {
            report(question, Some(approval), &say, world);
            Ok(())
        }
        Ok(_) => Err(unexpected()),
        Err(refusal) => Err(kindly(question, refusal, (world.clock)())),
    }
}

/// A person reads and thinks; that the time was up meanwhile is nobody's fault.
fn kindly(question: &Question, refusal: Refusal, now: Moment) -> Refusal {
    let is_over = question.closes.parse::<Moment>().is_ok_and(|closes| now.since(closes) >= 0);
    if !is_over || !matches!(refusal.code, Code::BadRequest | Code::AgentUnreachable) {
        return refusal;
    }
    let say = format!(
        "the question about `{}` had closed before the answer came, so nothing is allowed",
        text::escape(&question.entry)
    );
    Refusal::new(Code::BadRequest, say).hint("run the tool again, then keyfob approve within a minute")
}

fn report(question: &Question, approval: Option<Approval>, say: &str, world: &mut World) {
    if world.json {
        let (entry, program) = (question.entry.as_str(), question.asking.program.as_str());
        world.printer.json(&Answered { entry, program, approval, say });
    } else {
        world.printer.say(say);
    }
}
