//! `cargo xtask fuzz`: the targets of `fuzz/`, each from its seeds, for a time or for a number of inputs.

mod build;
mod campaign;

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::tally::Tally;
use crate::{Checkout, say};

use build::{Programs, Purpose, Sanitizer};
use campaign::{Campaign, Effort};

/// How long each target runs within `cargo xtask test`, in seconds. The nightly run is the thorough one.
const IN_TEST: u64 = 12;

#[derive(Args)]
pub struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
    /// On how many inputs each target runs, instead of how long
    #[arg(long, conflicts_with = "seconds", value_name = "N")]
    runs: Option<u64>,
    /// Gives the target this one input, as a crash has left it
    #[arg(long, requires = "target", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Without AddressSanitizer: faster
    #[arg(long)]
    plain: bool,
    /// One target; else each of them
    target: Option<String>,
}

/// Builds and runs targets; what they find ends in exit code 1.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let all = targets(checkout)?;
    let targets = match &arguments.target {
        None => all,
        Some(wanted) if all.contains(wanted) => vec![wanted.clone()],
        Some(wanted) => {
            return Err(Failure::wrong_use(format!(
                "there is no fuzz target `{wanted}`; there is {}",
                all.join(", ")
            )));
        }
    };
    let sanitizer = if arguments.plain { Sanitizer::None } else { Sanitizer::available(checkout)? };
    let programs = Programs::build(checkout, sanitizer, Purpose::Search)?;
    if let (Some(input), [target]) = (&arguments.input, targets.as_slice()) {
        return run_command(programs.command(target).arg(input));
    }
    let effort = arguments.runs.map_or(Effort::Seconds(arguments.seconds), Effort::Runs);
    let corpus = checkout.root.join("fuzz/corpus");
    Campaign { checkout, programs: &programs, corpus: &corpus, effort }.run(&targets, &mut Tally::default())
}

/// The targets whose test name (`fuzz::TARGET`) contains the filter, for a short time, from their seeds alone.
pub fn run_briefly(checkout: &Checkout, filter: Option<&str>, tally: &mut Tally) -> Result<(), Failure> {
    let mut targets = targets(checkout)?;
    targets.retain(|target| filter.is_none_or(|filter| format!("fuzz::{target}").contains(filter)));
    if targets.is_empty() {
        return Ok(());
    }
    let programs = Programs::build(checkout, Sanitizer::None, Purpose::Glance)?;
    let corpus = tempfile::tempdir().doing("make a folder for the fuzz targets")?;
    let effort = Effort::Seconds(IN_TEST);
    Campaign { checkout, programs: &programs, corpus: corpus.path(), effort }.run(&targets, tally)
}

/// Every target, by name.
fn targets(checkout: &Checkout) -> Result<Vec<String>, Failure> {
    let folder = checkout.root.join("fuzz/targets");
    let files = std::fs::read_dir(&folder).doing("look for fuzz targets")?;
    let names = files.flatten().filter_map(|file| {
        let path = file.path();
        let name = path.extension().filter(|extension| *extension == "rs").and(path.file_stem())?;
        Some(name.to_str()?.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    if names.is_empty() {
        say("there is no fuzz target");
    }
    Ok(names)
}
