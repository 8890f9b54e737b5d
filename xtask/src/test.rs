//! `cargo xtask test`: set-up, lints, the tests in Rust and of the page, and the end-to-end tests on real parts.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Args;

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::tally::{self, Tally};
use crate::{Checkout, say, tray, web};

/// The package whose integration tests run on real parts, under another user.
pub const END_TO_END: &str = "keyfob-e2e";

#[derive(Args)]
pub struct Arguments {
    /// Only the Rust tests: no set-up, no lints, no end-to-end tests
    #[arg(long)]
    fast: bool,
    /// Only the end-to-end tests: no lints, no other tests
    #[arg(long, conflicts_with = "fast")]
    end_to_end: bool,
    /// Only tests whose name contains this; leaves the lints out
    filter: Option<String>,
}

/// Runs the steps in order and stops at the first that fails.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let filter = arguments.filter.as_deref();
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    let outcome = run_steps(checkout, arguments, filter, &mut steps, &mut tally);
    say(&steps.summary());
    // The last line of standard output, for whoever reads results by program.
    let line = format!("{} passed, {} failed\n", tally.passed, tally.failed);
    std::io::stdout().write_all(line.as_bytes()).doing("write the result")?;
    outcome?;
    if tally.passed == 0 {
        return Err(Failure::new(match filter {
            Some(filter) => format!("no test has `{filter}` in its name"),
            None => "no test ran".to_owned(),
        }));
    }
    Ok(())
}

fn run_steps(
    checkout: &Checkout,
    arguments: &Arguments,
    filter: Option<&str>,
    steps: &mut Steps,
    tally: &mut Tally,
) -> Result<(), Failure> {
    if arguments.fast {
        return steps
            .time("Rust tests", || rust_tests(checkout, tray::unless_it_can_be_compiled(), filter, tally));
    }
    #[cfg(target_os = "linux")]
    let parts = steps.time("set-up", || crate::setup::run(checkout, &crate::setup::Arguments::default()))?;
    #[cfg(target_os = "linux")]
    let node = Some(web::Node::of_parts(checkout, &parts.node)?);
    #[cfg(not(target_os = "linux"))]
    let node = web::Node::find(checkout).map_err(|failure| say(&failure.say)).ok();
    // Whatever compiles the tray embeds it.
    if let Some(node) = &node {
        steps.time("page", || web::build(checkout, node))?;
    }
    if !arguments.end_to_end {
        let without = tray::unless_it_can_be_compiled();
        if filter.is_none() {
            steps.time("lints", || lints(checkout, without))?;
        }
        steps.time("Rust tests", || rust_tests(checkout, without, filter, tally))?;
        if let Some(node) = &node {
            steps.time("page tests", || web::test(checkout, node, filter, tally))?;
        }
        #[cfg(unix)]
        steps.time("fuzzing", || crate::fuzz::run_briefly(checkout, filter, tally))?;
    }
    #[cfg(target_os = "linux")]
    {
        let stage = steps.time("end-to-end build", || crate::ring::Stage::build(checkout, &parts))?;
        steps.time("end-to-end tests", || crate::ring::run(checkout, &stage, &parts, filter, tally))?;
    }
    #[cfg(not(target_os = "linux"))]
    say("the end-to-end tests need Linux and were left out");
    Ok(())
}

fn lints(checkout: &Checkout, without: &[&str]) -> Result<(), Failure> {
    let clippy = [&["clippy", "--workspace", "--all-targets"], without, &["--", "-D", "warnings"]].concat();
    let lints = [("fmt", ["fmt", "--all", "--check"].to_vec()), ("clippy", clippy)];
    for (component, arguments) in lints {
        if checkout.has_subcommand(component) {
            run_command(&mut checkout.cargo(&arguments))?;
        } else {
            say(&format!("cargo {component} is not installed and was left out"));
        }
    }
    Ok(())
}

/// Every Rust test but the end-to-end ones. The end-to-end package is still built along: with it in the selection,
/// dependencies get the same features in every step, and are compiled once. `without` leaves packages out.
fn rust_tests(
    checkout: &Checkout,
    without: &[&str],
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let documentation = [&["test", "--quiet", "--workspace", "--doc"], without].concat();
    if !checkout.has_subcommand("nextest") {
        let others: [&[&str]; 3] =
            [&["test", "--workspace", "--exclude", END_TO_END], without, &["--lib", "--bins", "--tests"]];
        let others = others.concat();
        run_tests(checkout, &others, filter, tally)?;
        run_tests(checkout, &["test", "--package", END_TO_END, "--lib", "--bins"], filter, tally)?;
        return run_tests(checkout, &documentation, filter, tally);
    }
    let selection = format!("not (package({END_TO_END}) & kind(test))");
    let mut arguments = vec!["nextest", "run", "--workspace", "--no-fail-fast", "-E", &selection];
    arguments.extend(without);
    if filter.is_some() {
        arguments.push("--no-tests=pass");
    }
    run_tests(checkout, &arguments, filter, tally)?;
    run_tests(checkout, &documentation, filter, tally)
}

fn run_tests(
    checkout: &Checkout,
    arguments: &[&str],
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut command = checkout.cargo(arguments);
    command.args(filter);
    let (status, counted) = tally::run(&mut command, || ())?;
    tally.add(counted);
    if status.success() {
        Ok(())
    } else {
        Err(Failure::of_status(&format!("cargo {}", arguments[0]), status))
    }
}

/// What took how long.
#[derive(Default)]
pub struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    /// Does a step and keeps how long it took.
    pub fn time<T>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let outcome = step();
        self.0.push((name, start.elapsed()));
        outcome
    }

    /// Every step with its time, for one line.
    pub fn summary(&self) -> String {
        let parts: Vec<_> =
            self.0.iter().map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64())).collect();
        parts.join(", ")
    }
}
