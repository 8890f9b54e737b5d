//! `cargo xtask setup`: what the end-to-end tests need and Rust does not bring. What is there is left alone.

pub mod parts;
pub mod python;
pub mod system;
mod users;

use std::io::{IsTerminal as _, Write as _, stdin};
use std::process::{Command, Stdio};

use clap::Args;
use rustix::process::geteuid;

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::{Checkout, say};

pub use parts::{Parts, installed};
pub use system::{Package, Probe};
pub use users::{Account, FOREIGNER, TESTER};

#[derive(Args, Default)]
pub struct Arguments {
    /// Use sudo without asking first
    #[arg(long)]
    yes: bool,
}

/// Installs what is missing and says where the locked parts are.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<Parts, Failure> {
    let packages = packages_script("the end-to-end tests", system::PACKAGES)?;
    let script = [packages, users::create_script()?].concat();
    if !script.is_empty() {
        run_as_root(&script, arguments.yes)?;
    }
    parts::install(checkout)
}

/// Installs those of the packages whose part is not there. `what` needs them.
pub fn install_packages(what: &str, packages: &[Package]) -> Result<(), Failure> {
    let script = packages_script(what, packages)?;
    if script.is_empty() { Ok(()) } else { run_as_root(&script, false) }
}

fn packages_script(what: &str, packages: &[Package]) -> Result<Vec<String>, Failure> {
    let packages = system::missing(packages);
    if !packages.is_empty() && !system::is_debian() {
        return Err(Failure::wrong_use(format!(
            "{what} need these, by their names in Debian: {}; install them and run this again",
            packages.join(" ")
        )));
    }
    Ok(system::install_script(&packages))
}

/// Runs lines of shell as root: directly, or through sudo after a yes.
fn run_as_root(script: &[String], yes: bool) -> Result<(), Failure> {
    let line = script.join(" && ");
    if geteuid().is_root() {
        say(&line);
        return run_command(shell(&mut Command::new("sh"), &line));
    }
    let terminal = stdin().is_terminal();
    let by_hand = || Failure::wrong_use(format!("the tests need this first: sudo sh -c '{line}'"));
    let agreed = yes || (terminal && agrees(&line)?);
    if !agreed {
        return Err(by_hand());
    }
    let mut sudo = Command::new("sudo");
    if !terminal {
        sudo.arg("--non-interactive");
    }
    run_command(shell(sudo.args(["--", "sh"]), &line)).map_err(|failure| {
        say(&failure.say);
        by_hand()
    })
}

fn shell<'command>(command: &'command mut Command, line: &str) -> &'command mut Command {
    // Standard output is for the tests' results.
    command.args(["-c", line]).stdout(std::io::stderr()).stdin(Stdio::null())
}

fn agrees(line: &str) -> Result<bool, Failure> {
    let mut terminal = std::io::stderr();
    write!(terminal, "The tests need this, as root:\n  {line}\nRun it with sudo now? [y/N] ").doing("ask")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).doing("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
