//! The one front door for people who work on Keyfob: `cargo xtask VERB`. One file per verb.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(target_os = "linux")]
mod bench;
mod build;
mod cargo;
#[cfg(target_os = "linux")]
mod cross;
mod demo;
mod dist;
#[cfg(target_os = "linux")]
mod extensions;
mod failure;
#[cfg(unix)]
mod fuzz;
mod processes;
#[cfg(target_os = "linux")]
mod ring;
mod scene;
#[cfg(target_os = "linux")]
mod screenshots;
#[cfg(target_os = "linux")]
mod setup;
mod stamp;
mod tally;
mod test;
mod tray;
mod web;

use failure::Failure;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Shows, sets up, tests, builds and measures Keyfob"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Try Keyfob in a company in a box: needs Rust alone, touches nothing of yours, stays up until Ctrl-C
    Demo(demo::Arguments),
    /// Install what the end-to-end tests need: Debian packages, locked Python and Node parts, two test users
    #[cfg(target_os = "linux")]
    Setup(setup::Arguments),
    /// Run everything: set-up, lints, Rust tests, then the end-to-end tests on real parts
    Test(test::Arguments),
    /// Build the Python distributions for Metaflow and run their own tests, on every Metaflow of the lock files
    #[cfg(target_os = "linux")]
    Extensions(extensions::Arguments),
    /// Run the fuzz targets on what they make of their seeds
    #[cfg(unix)]
    Fuzz(fuzz::Arguments),
    /// Build the product binaries, by all their names
    Build(build::Arguments),
    /// Make what people install, in target/dist, and try it out
    Dist(dist::Arguments),
    /// Check and lint for macOS; build, lint and test for Windows, under Wine
    #[cfg(target_os = "linux")]
    Cross(cross::Arguments),
    /// Measure what docs/performance.md reports, on an optimised build
    #[cfg(target_os = "linux")]
    Bench(bench::Arguments),
    /// Make the pictures of docs/screenshots anew: every view of the window, the tray's menu, a notification
    #[cfg(target_os = "linux")]
    Screenshots(screenshots::Arguments),
}

/// Where the sources are and how this run was started. Only `main` reads the environment.
pub struct Checkout {
    /// The folder of the workspace's `Cargo.toml`.
    root: PathBuf,
    /// The cargo that started us, so that a toolchain choice (`cargo +1.95 xtask`) holds for its children.
    cargo: PathBuf,
    /// What `cargo run` added to the person's environment, and a cargo of ours must not see: build scripts watch these
    /// variables, and would run again at every change between our cargo and the person's own.
    set_by_cargo: Vec<OsString>,
    /// `PATH`.
    path: Option<OsString>,
    /// Whether there is a desktop to show a window on.
    has_display: bool,
    /// The file with the key of the display, which X11 looks for in the home folder.
    display_key: Option<PathBuf>,
    /// The person's home folder.
    home: Option<PathBuf>,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970.
    source_date_epoch: Option<String>,
    /// Variables about how tests run that go on to the end-to-end tests, whose environment is otherwise empty.
    #[cfg(target_os = "linux")]
    passed_on: Vec<(&'static str, String)>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = checkout().and_then(|checkout| match cli.verb {
        Verb::Demo(arguments) => demo::run(&checkout, &arguments),
        #[cfg(target_os = "linux")]
        Verb::Setup(arguments) => setup::run(&checkout, &arguments).map(drop),
        Verb::Test(arguments) => test::run(&checkout, &arguments),
        #[cfg(target_os = "linux")]
        Verb::Extensions(arguments) => extensions::run(&checkout, &arguments),
        #[cfg(unix)]
        Verb::Fuzz(arguments) => fuzz::run(&checkout, &arguments),
        Verb::Build(arguments) => build::run(&checkout, &arguments),
        Verb::Dist(arguments) => dist::run(&checkout, &arguments),
        #[cfg(target_os = "linux")]
        Verb::Cross(arguments) => cross::run(&checkout, &arguments),
        #[cfg(target_os = "linux")]
        Verb::Bench(arguments) => bench::run(&checkout, &arguments),
        #[cfg(target_os = "linux")]
        Verb::Screenshots(arguments) => screenshots::run(&checkout, &arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.say);
            ExitCode::from(failure.code)
        }
    }
}

fn checkout() -> Result<Checkout, Failure> {
    #[cfg(target_os = "linux")]
    // What set-up and staging write must be readable for the test users, whatever the caller's mask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = manifest.as_deref().and_then(Path::parent);
    let Some(root) = root else {
        return Err(Failure::wrong_use("this program is started by cargo; run: cargo xtask --help"));
    };
    Ok(Checkout {
        root: root.to_owned(),
        cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into(),
        set_by_cargo: std::env::vars_os().map(|(name, _)| name).filter(is_set_by_cargo).collect(),
        path: std::env::var_os("PATH"),
        has_display: has_display(),
        display_key: display_key(),
        home: std::env::home_dir().filter(|home| home.parent().is_some()),
        source_date_epoch: std::env::var("SOURCE_DATE_EPOCH").ok(),
        #[cfg(target_os = "linux")]
        passed_on: ["RUST_BACKTRACE", "RUST_TEST_THREADS"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok()?)))
            .collect(),
    })
}

fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(is_set)
}

fn display_key() -> Option<PathBuf> {
    let named = std::env::var_os("XAUTHORITY").filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".Xauthority"));
    named.or_else(usual).filter(|file| file.exists())
}

fn is_set_by_cargo(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    let names = ["CARGO", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&&*name)
}

/// Tells the person one line, on standard error: standard output belongs to the tests' results.
pub fn say(line: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "xtask: {line}");
}
