//! `cargo xtask cross`: what a Linux machine can say of the other systems. Both Apple targets are checked and linted; for Windows
//! everything is built and linted, and tested under Wine.

mod apple;
mod left_out;
mod toolchain;
mod windows;
mod wine;

use std::io::Write as _;

use clap::{Args, ValueEnum};

use crate::Checkout;
use crate::failure::{Doing as _, Failure};
use crate::say;
use crate::setup::{self, Package, Probe};
use crate::tally::Tally;
use crate::test::Steps;
use toolchain::Toolchain;

/// What both parts need; the compiler is Debian's own, because it comes with the sources of its standard library.
const PACKAGES: &[Package] = &[
    ("cargo-web", Probe::File(toolchain::CARGO)),
    // For build scripts.
    ("gcc", Probe::Program("gcc")),
    // C for Windows, and what links its programs.
    ("gcc-mingw-w64-x86-64-posix", Probe::Program("x86_64-w64-mingw32-gcc")),
    // Makes the installer.
    ("nsis", Probe::Program("makensis")),
    ("python3", Probe::Program("python3")),
    ("python3-venv", Probe::PythonModule("ensurepip")),
    ("rust-web-clippy", Probe::File(toolchain::CLIPPY_DRIVER)),
    ("rust-web-src", Probe::File("/usr/lib/rustlib/src/rust/library/Cargo.toml")),
    ("rustc-web", Probe::File(toolchain::RUSTC)),
    ("wine64", Probe::File(wine::WINE)),
];

#[derive(Args)]
pub struct Arguments {
    /// Only this
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// Check and lint for macOS, on both kinds of processors
    Apple,
    /// Build, lint, and test under Wine
    Windows,
}

/// Runs both parts in order and stops at the first that fails.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    let outcome = run_parts(checkout, arguments.only, &mut steps, &mut tally);
    say(&steps.summary());
    // The last line of standard output, as that of `cargo xtask test`; Apple's part has no tests.
    let line = format!("{} passed, {} failed\n", tally.passed, tally.failed);
    std::io::stdout().write_all(line.as_bytes()).doing("write the result")?;
    outcome
}

fn run_parts(
    checkout: &Checkout,
    only: Option<Part>,
    steps: &mut Steps,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let toolchain = steps.time("set-up", || {
        setup::install_packages("the checks for other systems", PACKAGES)?;
        Toolchain::install(checkout)
    })?;
    if only != Some(Part::Windows) {
        apple::run(checkout, &toolchain, steps)?;
    }
    if only != Some(Part::Apple) {
        windows::run(checkout, &toolchain, steps, tally)?;
    }
    Ok(())
}
