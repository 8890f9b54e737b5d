//! Building the targets by cargo-fuzz, which is installed where it is missing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::{Checkout, say};

const CARGO_FUZZ: &str = "0.13.2";

/// What watches memory while a target runs.
#[derive(Clone, Copy, PartialEq)]
pub enum Sanitizer {
    /// AddressSanitizer: finds what `unsafe` code of a dependency does wrong.
    Address,
    /// Nothing: the checks of the targets alone.
    None,
}

impl Sanitizer {
    /// AddressSanitizer where the toolchain has its runtime, which few have.
    pub fn available(checkout: &Checkout) -> Result<Self, Failure> {
        let libraries = PathBuf::from(rustc(checkout, &["--print", "target-libdir"])?);
        let has_runtime = fs::read_dir(libraries).doing("look for sanitizers")?.flatten().any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            name.starts_with("librustc") && name.contains("rt.asan")
        });
        if has_runtime {
            return Ok(Self::Address);
        }
        say("this toolchain has no AddressSanitizer; the targets run without");
        Ok(Self::None)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::None => "none",
        }
    }
}

/// What a build is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Purpose {
    /// A few seconds of running: the build itself is what takes time.
    Glance,
    /// A long run.
    Search,
}

/// The targets as programs.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds every target at once: they share nearly all of what is compiled.
    pub fn build(checkout: &Checkout, sanitizer: Sanitizer, purpose: Purpose) -> Result<Self, Failure> {
        let tool = cargo_fuzz(checkout)?;
        let triple = host(checkout)?;
        // Each has a folder of its own, so that one build does not undo the other.
        let folder = checkout.root.join("fuzz/target").join(sanitizer.name());
        let mut build = Command::new(tool);
        checkout.as_from_a_shell(&mut build);
        build.args(["fuzz", "build", "--sanitizer", sanitizer.name(), "--target", &triple]);
        let profile = match purpose {
            Purpose::Glance => {
                build.arg("--dev");
                "debug"
            }
            Purpose::Search => {
                // cargo-fuzz would have each crate compiled in one piece, which takes twice as long.
                build.args(["--codegen-units", "16"]);
                "release"
            }
        };
        build.args(["--fuzz-dir", "fuzz", "--target-dir"]).arg(&folder);
        // The flags of a fuzzer are called unstable, and are what they are in the stable compiler too.
        build.env("RUSTC_BOOTSTRAP", "1").env("CARGO", &checkout.cargo);
        build.stdin(Stdio::null()).stdout(std::io::stderr());
        run_command(&mut build)?;
        Ok(Self { folder: folder.join(triple).join(profile) })
    }

    /// A target, to be given what it runs on.
    pub fn command(&self, target: &str) -> Command {
        Command::new(self.folder.join(target))
    }
}

/// The `cargo-fuzz` of this checkout.
fn cargo_fuzz(checkout: &Checkout) -> Result<PathBuf, Failure> {
    let tools = checkout.root.join("target/tools");
    let folder = tools.join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = folder.join("bin/cargo-fuzz");
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&tools).doing("make a folder for tools")?;
    let lock = File::create(tools.join("lock")).doing("open the lock of the tools")?;
    lock.lock().doing("lock the tools")?;
    // Another run may have installed it while we waited.
    if !program.exists() {
        say(&format!("installing cargo-fuzz {CARGO_FUZZ} (about a minute)"));
        let mut install =
            checkout.cargo(&["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ]);
        install.arg("--root").arg(&folder).stdin(Stdio::null()).stdout(std::io::stderr());
        // Its own build is nothing that the target folder of this workspace should keep.
        install.current_dir(&tools);
        run_command(&mut install)?;
    }
    Ok(program)
}

/// The triple of this machine: cargo-fuzz always compiles for a named one.
fn host(checkout: &Checkout) -> Result<String, Failure> {
    let version = rustc(checkout, &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc does not say for what machine it is"))
}

fn rustc(checkout: &Checkout, arguments: &[&str]) -> Result<String, Failure> {
    // The one that belongs to our cargo, if it lies beside it.
    let beside = checkout.cargo.with_file_name("rustc");
    let program: &Path = if beside.is_file() { &beside } else { Path::new("rustc") };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().doing("start rustc")?;
    if !output.status.success() {
        return Err(Failure::of_status("rustc", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
