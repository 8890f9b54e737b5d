//! `cargo xtask extensions`: the Python distributions alone, built and tested, in seconds.

use std::fs;
use std::process::Command;

use clap::Args;

use crate::failure::{Doing as _, Failure};
use crate::ring::extensions;
use crate::tally::{self, Tally};
use crate::{Checkout, say, setup};

#[derive(Args)]
pub struct Arguments {
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Builds the distributions, installs them beside every Metaflow of the lock files, and runs their tests there, as the
/// caller.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let parts = setup::run(checkout, &setup::Arguments::default())?;
    let stage = tempfile::tempdir().doing("make a stage")?;
    for name in ["real", "tests"] {
        fs::create_dir(stage.path().join(name)).doing("make a stage")?;
    }
    fs::copy(
        checkout.root.join("tests/real").join(extensions::RUNNER),
        stage.path().join("real").join(extensions::RUNNER),
    )
    .doing("copy the runner of the tests")?;
    let mut tally = Tally::default();
    let mut failed = None;
    for test in extensions::add(checkout, &parts, stage.path())? {
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(&name);
        let (status, counted) = tally::run(Command::new(&test).args(&arguments.filter), || ())?;
        tally.add(counted);
        if !status.success() {
            failed.get_or_insert(Failure::of_status(&name, status));
        }
    }
    say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    failed.map_or(Ok(()), Err)
}
