//! `keyfob`: the command line of Keyfob, and the helper that Bazel and AWS tools run.
//!
//! This file is the only one that reads the environment, the arguments and the standard streams; everything else gets them
//! by parameter. `get` and `credential-process` are told apart before clap sees the arguments ([`dispatch`]) and answered
//! by [`helper`], because a build runs them by the hundred.

mod block;
mod browser;
mod commands;
mod dispatch;
mod dotfile;
mod endpoint;
mod helper;
mod json_file;
mod life;
mod metaflow_file;
mod moment;
mod panics;
mod printer;
mod prompt;
mod reach;
mod table;
mod unattended;
mod world;
mod zone;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::SystemTime;

use keyfob_ipc::Surroundings;
use keyfob_ipc::start::Launch;

use crate::dispatch::Invocation;
use crate::moment::Moment;
use crate::printer::Printer;
use crate::reach::Reach;
use crate::unattended::Unattended;
use crate::world::{Environment, Input, World};

fn main() -> ExitCode {
    panics::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let reach = Reach { surroundings: Surroundings::of_this_process(), launch: Launch::of_this_process };
    let mut printer = Printer::new(Box::new(io::stdout()), Box::new(io::stderr()));
    let is_watched = io::stderr().is_terminal();
    if is_watched {
        printer.show_all();
    }
    if let Some(why) = Unattended::of(|name| std::env::var_os(name)) {
        prompt::ask_nobody(why);
    }
    ExitCode::from(match dispatch::invocation(&arguments) {
        Invocation::Get => helper::get(&reach, &mut io::stdin().lock(), &mut printer),
        Invocation::CredentialProcess(role) => helper::credential_process(&reach, &role, &mut printer),
        Invocation::Help(text) => {
            printer.result(text);
            0
        }
        Invocation::Usage(text) => {
            printer.aside(&text);
            1
        }
        Invocation::Commands => {
            let environment = Environment::read(|name| std::env::var_os(name));
            let is_shown = io::stdout().is_terminal();
            if is_shown && !environment.plain {
                printer.allow_colour();
            }
            if is_watched && !environment.plain {
                printer.allow_alarm_colour();
            }
            let shown = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
            let width = environment.columns.or(shown).unwrap_or(table::USUAL).max(table::NARROWEST);
            let mut world = World {
                reach,
                environment,
                now: now(),
                clock: now,
                is_read,
                program: keyfob_ipc::start::own_file().ok(),
                input: Input { is_terminal: io::stdin().is_terminal(), reader: Box::new(io::stdin()) },
                printer,
                json: false,
                is_watched,
                is_shown,
                width,
            };
            commands::run(arguments, &mut world)
        }
    })
}

fn now() -> Moment {
    Moment::of(SystemTime::now())
}

/// `keyfob log --follow | head` must not wait for a line that nobody will read.
fn is_read() -> bool {
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let output = io::stdout();
        // Asked for nothing, it tells of the other end alone. Files and terminals have none that goes.
        let mut looked = [PollFd::new(&output, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_known = poll(&mut looked, Some(&now)).is_ok();
        !(is_known && looked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP))
    }
    #[cfg(windows)]
    true
}
