//! The Python parts: one environment for the programs that the tests run Keyfob against, and beside it one for each
//! Metaflow, because no two of them can stand in the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::parts::quiet;
use super::system::PYTHON;
use crate::Checkout;
use crate::failure::{Doing as _, Failure, run as run_command};

/// The lock of the programs, relative to the checkout.
pub const PROGRAMS: &str = "tests/real/requirements.txt";
/// The environments beside it: their names are those of the locks.
pub const ENVIRONMENTS: [&str; 4] = [METAFLOW, "metaflow-oldest", "metaflow-outerbounds", PACKAGING];
/// What builds and examines our distributions; the others are Metaflows.
pub const PACKAGING: &str = "packaging";
const METAFLOW: &str = "metaflow";
/// Beside the environments: the newest Metaflow and what it needs, as wheels for an empty environment.
const WHEELS: &str = "wheels";

/// The environments of [`ENVIRONMENTS`].
#[derive(Debug, Clone)]
pub struct Environments(PathBuf);

impl Environments {
    /// Those below a folder.
    pub const fn below(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder of one.
    pub fn named(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder of wheels that an empty environment gets Metaflow from.
    pub fn wheels(&self) -> PathBuf {
        self.0.join(WHEELS)
    }
}

/// The lock of an environment, relative to the checkout.
pub fn lock(name: &str) -> String {
    format!("tests/real/{name}.txt")
}

/// Makes the environment of the programs.
pub fn install_programs(checkout: &Checkout, venv: &Path) -> Result<(), Failure> {
    install_alone(venv, &checkout.root.join(PROGRAMS))
}

/// Makes an environment with an installer of its own, and what a lock names in it.
pub fn install_alone(venv: &Path, lock: &Path) -> Result<(), Failure> {
    run_command(quiet(Command::new(PYTHON).args(["-I", "-m", "venv"]).arg(venv)))?;
    install(venv, venv, lock)
}

/// Makes the others, with the installer of the first.
pub fn install_environments(checkout: &Checkout, venv: &Path, folder: &Path) -> Result<(), Failure> {
    thread::scope(|scope| {
        let wheels =
            scope.spawn(|| download(venv, &checkout.root.join(lock(METAFLOW)), &folder.join(WHEELS)));
        let others = ENVIRONMENTS.map(|name| {
            scope.spawn(move || {
                let environment = folder.join(name);
                run_command(quiet(
                    Command::new(PYTHON).args(["-I", "-m", "venv", "--without-pip"]).arg(&environment),
                ))?;
                install(venv, &environment, &checkout.root.join(lock(name)))
            })
        });
        for thread in others.into_iter().chain([wheels]) {
            thread.join().map_err(|_| Failure::new("a thread of the set-up ended early"))??;
        }
        Ok(())
    })
}

/// The installer of one environment, at work on another.
pub fn pip(venv: &Path, environment: &Path) -> Command {
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-I", "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "--python"]);
    pip.arg(environment.join("bin/python"));
    pip
}

/// The folder of an environment that its packages are in; its path names the version of Python.
pub fn packages(environment: &Path) -> Result<PathBuf, Failure> {
    let library = environment.join("lib");
    let versions = fs::read_dir(&library).doing(format_args!("read {}", library.display()))?;
    let mut folders = versions.flatten().map(|version| version.path().join("site-packages"));
    folders.find(|packages| packages.is_dir()).ok_or_else(|| {
        Failure::new(format!("{} has no packages; remove it and run this again", library.display()))
    })
}

fn install(venv: &Path, environment: &Path, lock: &Path) -> Result<(), Failure> {
    let mut pip = pip(venv, environment);
    // The lock names every package, so nothing is left to resolve.
    pip.args(["install", "--no-warn-script-location", "--require-hashes", "--no-deps", "--requirement"]);
    run_command(quiet(pip.arg(lock)))
}

fn download(venv: &Path, lock: &Path, folder: &Path) -> Result<(), Failure> {
    let mut pip = pip(venv, venv);
    pip.args(["download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest"]).arg(folder);
    run_command(quiet(pip.arg("--requirement").arg(lock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_metaflow_that_is_claimed_is_the_one_that_flows_are_run_on() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let wanted = read("tests/real/metaflow-oldest.in");
        let version = wanted.lines().find_map(|line| line.strip_prefix("metaflow==")).unwrap();
        let claim = format!("\"metaflow>={version}\"");
        assert!(read("integrations/metaflow/pyproject.toml").contains(&claim), "{claim}");
        assert!(read("integrations/metaflow/README.md").contains(&format!("Metaflow {version} or newer")));
    }
}
