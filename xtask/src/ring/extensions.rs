//! The Python distributions of `integrations/`: built as they ship, examined as a registry would, and installed into
//! environments of the stage that see the locked parts beneath them. Their own tests become test programs of the stage.
//!
//! `wheels/` has the distributions, `wheelhouse/` Metaflow as wheels for an empty environment, `python/NAME/` the
//! environments, `integrations/` the sources with their tests.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::Checkout;
use crate::failure::{Doing as _, Failure, run};
use crate::setup::Parts;
use crate::setup::python::{self, PACKAGING};

/// A distribution: its folder in `integrations/`, and its name as its files have it.
struct Distribution {
    folder: &'static str,
    file: &'static str,
}

const METAFLOW: Distribution = Distribution { folder: "metaflow", file: "metaflow_keyfob" };
const OUTERBOUNDS: Distribution =
    Distribution { folder: "metaflow-outerbounds", file: "metaflow_keyfob_outerbounds" };

/// Which environment has which of them.
const INSTALLED: [(&str, &[Distribution]); 3] = [
    ("metaflow", &[METAFLOW]),
    ("metaflow-oldest", &[METAFLOW]),
    ("metaflow-outerbounds", &[METAFLOW, OUTERBOUNDS]),
];
/// Runs the tests of a folder and closes with a line that is counted.
pub const RUNNER: &str = "unit_tests.py";
/// What a build leaves beside the sources, and what was never one.
const NOT_SOURCES: [&str; 3] = ["build", "dist", "__pycache__"];

/// Adds all of it to a stage; the test programs are returned.
pub fn add(checkout: &Checkout, parts: &Parts, stage: &Path) -> Result<Vec<PathBuf>, Failure> {
    symlink(parts.environments.wheels(), stage.join("wheelhouse")).doing("link the wheels of Metaflow")?;
    let environment = |name: &'static str| move || make_environment(parts, stage, name);
    thread::scope(|scope| {
        let builds = [METAFLOW, OUTERBOUNDS]
            .map(|distribution| scope.spawn(move || build(checkout, parts, stage, &distribution)));
        let environments = INSTALLED.map(|(name, _)| scope.spawn(environment(name)));
        builds.into_iter().chain(environments).try_for_each(|thread| {
            thread.join().map_err(|_| Failure::new("a thread of the staging ended early"))?
        })
    })?;
    examine(parts, stage)?;
    let mut tests = Vec::new();
    for (environment, distributions) in INSTALLED {
        install(parts, stage, environment, distributions)?;
        for distribution in distributions {
            tests.push(add_tests(stage, environment, distribution)?);
        }
    }
    Ok(tests)
}

/// The interpreters of a stage.
pub fn pythons(stage: &Path) -> impl Iterator<Item = PathBuf> {
    INSTALLED.into_iter().map(move |(name, _)| python_in(stage, name))
}

fn python_in(stage: &Path, environment: &str) -> PathBuf {
    stage.join("python").join(environment).join("bin/python")
}

/// The source distribution, and the wheel from what that one holds: what is missing in it is noticed.
fn build(
    checkout: &Checkout,
    parts: &Parts,
    stage: &Path,
    distribution: &Distribution,
) -> Result<(), Failure> {
    let sources = stage.join("integrations").join(distribution.folder);
    copy_tree(&checkout.root.join("integrations").join(distribution.folder), &sources)?;
    let mut build = python_of(&parts.environments.named(PACKAGING));
    build.args(["-m", "build", "--no-isolation", "--outdir"]).arg(stage.join("wheels")).arg(&sources);
    silently(&mut build)
}

/// As the registry looks at them, with warnings as errors.
fn examine(parts: &Parts, stage: &Path) -> Result<(), Failure> {
    let mut twine = python_of(&parts.environments.named(PACKAGING));
    twine.args(["-m", "twine", "check", "--strict"]).args(built(stage, "")?);
    silently(&mut twine)
}

/// An environment of the stage, which finds the packages of the locked one of that name, and its programs under our
/// interpreter.
fn make_environment(parts: &Parts, stage: &Path, name: &str) -> Result<(), Failure> {
    let beneath = parts.environments.named(name);
    let environment = stage.join("python").join(name);
    run(python_of(&beneath).args(["-m", "venv", "--without-pip"]).arg(&environment))?;
    let line = format!("{}\n", python::packages(&beneath)?.display());
    let path = python::packages(&environment)?.join("parts.pth");
    fs::write(&path, line).doing(format_args!("write {}", path.display()))?;
    let theirs = format!("#!{}", beneath.join("bin/python").display());
    let programs = fs::read_dir(beneath.join("bin")).doing("read the programs of an environment")?;
    for program in programs.flatten().filter(|entry| entry.path().is_file()) {
        let file = fs::File::open(program.path()).doing("open a program of an environment")?;
        let mut first = Vec::new();
        BufReader::new(file).read_until(b'\n', &mut first).doing("read a program of an environment")?;
        let to = environment.join("bin").join(program.file_name());
        if first.starts_with(theirs.as_bytes()) && !to.exists() {
            let script = fs::read_to_string(program.path()).doing("read a program of an environment")?;
            let rest = script.split_once('\n').map_or("", |(_, rest)| rest);
            write_program(&to, &format!("{}/bin/python", environment.display()), rest)?;
        }
    }
    Ok(())
}

/// Installs wheels as they ship. What they require is there already, and stays as it is.
fn install(
    parts: &Parts,
    stage: &Path,
    environment: &str,
    distributions: &[Distribution],
) -> Result<(), Failure> {
    let environment = stage.join("python").join(environment);
    let mut pip = python::pip(&parts.venv, &environment);
    pip.args(["install", "--no-index", "--no-deps"]);
    for distribution in distributions {
        pip.args(built(stage, &format!("{}-", distribution.file))?.into_iter().filter(|file| is_wheel(file)));
    }
    silently(&mut pip)?;
    // The versions that they claim must be those that they are tested on.
    silently(python::pip(&parts.venv, &environment).arg("check"))
}

fn add_tests(stage: &Path, environment: &str, distribution: &Distribution) -> Result<PathBuf, Failure> {
    let program = stage.join("tests").join(format!("{}-on-{environment}", distribution.file));
    let script = format!(
        "import runpy, sys\nsys.argv.insert(1, {:?})\nrunpy.run_path({:?}, run_name='__main__')\n",
        stage.join("integrations").join(distribution.folder).join("tests"),
        stage.join("real").join(RUNNER)
    );
    write_program(&program, &format!("{} -I", python_in(stage, environment).display()), &script)?;
    Ok(program)
}

fn built(stage: &Path, beginning: &str) -> Result<Vec<PathBuf>, Failure> {
    let files = fs::read_dir(stage.join("wheels")).doing("read the built distributions")?;
    let mut files: Vec<_> = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with(beginning))
        .map(|file| file.path())
        .collect();
    files.sort();
    if files.is_empty() { Err(Failure::new("no distribution was built")) } else { Ok(files) }
}

fn is_wheel(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "whl")
}

fn write_program(path: &Path, interpreter: &str, script: &str) -> Result<(), Failure> {
    fs::write(path, format!("#!{interpreter}\n{script}")).doing(format_args!("write {}", path.display()))?;
    open(path, 0o755)
}

/// Copies sources so that every user can read them.
fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).doing(format_args!("make {}", to.display()))?;
    open(to, 0o755)?;
    for entry in fs::read_dir(from).doing(format_args!("read {}", from.display()))?.flatten() {
        let name = entry.file_name();
        let name_of_ours = name.to_string_lossy();
        if NOT_SOURCES.contains(&name_of_ours.as_ref()) || name_of_ours.ends_with(".egg-info") {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            fs::copy(&from, &to).doing(format_args!("copy {}", from.display()))?;
            open(&to, 0o644)?;
        }
    }
    Ok(())
}

fn open(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).doing(format_args!("open {}", path.display()))
}

fn python_of(environment: &Path) -> Command {
    let mut python = Command::new(environment.join("bin/python"));
    python.arg("-I").env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// Runs a command whose words matter only when it fails.
fn silently(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().doing(format_args!("start {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    crate::say(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    Err(Failure::of_status(&name, output.status))
}
