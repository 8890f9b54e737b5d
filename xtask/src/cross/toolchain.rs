//! Debian's Rust, which brings the sources of its standard library: made once for each of the other systems, and kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Checkout;
use crate::failure::{Doing as _, Failure, run as run_command};
use crate::say;
use crate::setup::{parts, python};
use crate::stamp::Stamp;

pub const CARGO: &str = "/usr/bin/cargo";
pub const CLIPPY_DRIVER: &str = "/usr/bin/clippy-driver";
pub const RUSTC: &str = "/usr/bin/rustc";
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";
pub const APPLE: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];

/// What the standard library is made of. `test` brings what test programs are linked with.
const STANDARD_LIBRARY: &str = "-Zbuild-std=std,panic_unwind,panic_abort,proc_macro,test";
/// The lock of the C compiler for macOS, relative to the checkout.
const LOCK: &str = "tests/real/cross.txt";
/// Where cargo builds, relative to the checkout: what Debian's compiler makes is of no use to another one.
const TARGET: &str = "target/cross";

/// Where everything is.
pub struct Toolchain {
    /// The folder of the cache: `lib` is that of a compiler's own folder, `venv` holds zig.
    folder: PathBuf,
    /// What cargo makes.
    target: PathBuf,
}

impl Toolchain {
    /// Fills the cache if there is nothing of this compiler in it yet.
    pub fn install(checkout: &Checkout) -> Result<Self, Failure> {
        let mut version = Command::new(RUSTC);
        let version =
            version.arg("-vV").stdin(Stdio::null()).output().doing(format_args!("start {RUSTC}"))?;
        let state = Stamp::new().with(&version.stdout).with(STANDARD_LIBRARY.as_bytes());
        let state = state.with_file(&checkout.root.join(LOCK))?;
        let folder = parts::filled(&format!("cross-{}", state.text()), |folder| fill(checkout, folder))?;
        Ok(Self { folder, target: checkout.root.join(TARGET) })
    }

    /// Debian's cargo, with an environment of its own: what a person sets for another compiler does not hold for this one.
    pub fn cargo(&self, checkout: &Checkout, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(CARGO);
        checkout.as_from_a_shell(&mut cargo);
        let mut cargo = debian(cargo);
        cargo.args(arguments).env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "0");
        // Where a panic was is told without; programs are a third of the size.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "false");
        for target in [WINDOWS].into_iter().chain(APPLE) {
            let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", upper(target));
            cargo.env(flags, format!("--sysroot={}", self.folder.display()));
        }
        cargo
    }

    /// As [`Toolchain::cargo`], where what it compiles of ours is linted on the way, and any lint is an error. Cargo's own
    /// `clippy` would compile everything a second time.
    pub fn linting_cargo(&self, checkout: &Checkout, arguments: &[&str]) -> Command {
        let mut cargo = self.cargo(checkout, arguments);
        cargo.env("RUSTC_WORKSPACE_WRAPPER", CLIPPY_DRIVER);
        // As `cargo clippy -- -D warnings` hands it over.
        cargo.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
        cargo
    }

    /// Where the programs for Windows are.
    pub fn programs(&self) -> PathBuf {
        self.target.join(WINDOWS).join("debug")
    }

    /// The folder for what else this verb makes.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The program `zig`.
    pub fn zig(&self) -> Result<PathBuf, Failure> {
        Ok(python::packages(&self.folder.join("venv"))?.join("ziglang/zig"))
    }
}

/// What rustup's cargo hands to its children, and flags that are meant for this system.
const OF_ANOTHER: [&str; 6] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

fn debian(mut command: Command) -> Command {
    for name in OF_ANOTHER {
        command.env_remove(name);
    }
    command.env("CARGO", CARGO).env("RUSTC", RUSTC).stdin(Stdio::null());
    command
}

fn fill(checkout: &Checkout, folder: &Path) -> Result<(), Failure> {
    say(&format!("filling {} (1 GB, about two minutes, once)", folder.display()));
    python::install_alone(&folder.join("venv"), &checkout.root.join(LOCK))?;
    let package = tempfile::tempdir().doing("make a temporary folder")?;
    write_empty_package(package.path())?;
    for target in [WINDOWS].into_iter().chain(APPLE) {
        make_standard_library(package.path(), target, folder)?;
    }
    Ok(())
}

fn write_empty_package(folder: &Path) -> Result<(), Failure> {
    let manifest = "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[workspace]\n";
    let written = fs::create_dir(folder.join("src"))
        .and_then(|()| fs::write(folder.join("src/lib.rs"), ""))
        .and_then(|()| fs::write(folder.join("Cargo.toml"), manifest));
    written.doing(format_args!("write {}", folder.display()))
}

/// Cargo makes it for a package that needs nothing else; what it then leaves is what rustup installs.
fn make_standard_library(package: &Path, target: &str, folder: &Path) -> Result<(), Failure> {
    let mut cargo = debian(Command::new(CARGO));
    // Where nothing is linked, its types are enough.
    let verb = if target == WINDOWS { "build" } else { "check" };
    cargo.args([verb, "--quiet", "--release", STANDARD_LIBRARY, "--target", target]).current_dir(package);
    // It is part of the compiler, and may use what only that may use.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", package.join("target"));
    run_command(parts::quiet(&mut cargo))?;
    let libraries = folder.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(&libraries).doing(format_args!("make {}", libraries.display()))?;
    let made = package.join("target").join(target).join("release/deps");
    for file in fs::read_dir(&made).doing(format_args!("read {}", made.display()))?.flatten() {
        let is_library = file.path().extension().is_some_and(|kind| kind == "rlib" || kind == "rmeta");
        if is_library {
            fs::copy(file.path(), libraries.join(file.file_name())).doing("copy the standard library")?;
        }
    }
    Ok(())
}

/// As cargo has it in the names of variables.
pub fn upper(target: &str) -> String {
    target.to_ascii_uppercase().replace('-', "_")
}
