//! The end-to-end tests: staged where an unprivileged user can reach them, run as that user, with a second user as
//! foreigner and root as examiner. `tests/real/README.md` says what they find in their environment.

mod attendant;
mod examiner;
pub mod extensions;
mod foreigner;
mod identity;
mod stage;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::failure::{Doing as _, Failure};
use crate::processes::{check_interrupted, end_orphans};
use crate::setup::{Account, Parts};
use crate::tally::{self, Tally};
use crate::{Checkout, say};

use attendant::Attendant;
use identity::Identity;
pub use stage::Stage;

/// Seconds that one test file may take; a hanging test must not hold up the whole run.
const LIMIT: &str = "1800";
/// Exit code of timeout(1) when the limit was reached.
const LIMIT_REACHED: i32 = 124;

/// Everything around the tests of one run; to be closed at its end.
pub struct Ring<'a> {
    checkout: &'a Checkout,
    stage: &'a Stage,
    parts: &'a Parts,
    tester: Identity,
    home: TempDir,
    foreigner: Attendant,
    examiner: Attendant,
}

impl<'a> Ring<'a> {
    /// Makes the tester a home, and starts who stands beside.
    pub fn open(checkout: &'a Checkout, stage: &'a Stage, parts: &'a Parts) -> Result<Self, Failure> {
        let tester = Identity::of_tester()?;
        let of_parts = [parts.venv.join("bin/python"), parts.node.clone(), parts.tauri_driver.clone()];
        for program in stage.programs().chain(extensions::pythons(stage.path())).chain(of_parts) {
            if !tester.can_execute(&program)? {
                return Err(Failure::new(format!(
                    "user {} cannot execute {}; its file system or a folder above it forbids that (noexec, mode)",
                    tester.account().name,
                    program.display()
                )));
            }
        }
        let home = make_home(tester.account())?;
        let foreigner = foreigner::start(stage)?;
        let examiner = examiner::start(stage, &tester)?;
        Ok(Self { checkout, stage, parts, tester, home, foreigner, examiner })
    }

    /// A folder that is the tester's, and gone with the ring.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a program as the tester, in its environment and with these variables more, and counts its tests. What it leaves
    /// running is ended.
    pub fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        more: &[(&str, &Path)],
    ) -> Result<(ExitStatus, Tally), Failure> {
        let mut command = self.tester.command("timeout");
        command.args(["--kill-after=10", LIMIT]).arg(program).args(arguments).current_dir(self.home());
        add_environment(&mut command, self.checkout, self.stage, self.parts, &self.tester, &self.home);
        command.env("KEYFOB_TEST_FOREIGNER", self.foreigner.address());
        command.env("KEYFOB_TEST_EXAMINER", self.examiner.address());
        command.envs(more.iter().copied());
        let attendants = [&self.foreigner, &self.examiner].map(Attendant::process);
        tally::run(&mut command, || end_orphans(attendants))
    }

    /// Lets everybody go.
    pub fn close(self) -> Result<(), Failure> {
        let dismissed = self.foreigner.dismiss().and(self.examiner.dismiss());
        end_orphans(None);
        check_interrupted()?;
        dismissed
    }
}

/// Why a program of the tests did not end well.
pub fn failure(name: &str, status: ExitStatus) -> Failure {
    if status.code() == Some(LIMIT_REACHED) {
        Failure::new(format!("{name} ran for over {LIMIT} s and was ended"))
    } else {
        Failure::of_status(name, status)
    }
}

/// How many tests of a run may fail and then pass alone. More of them are no accident of a busy machine.
const UNSTEADY: usize = 3;

/// Runs every staged test file, also after one has failed. What fails is run once more, alone: see [`run_again`].
pub fn run(
    checkout: &Checkout,
    stage: &Stage,
    parts: &Parts,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let ring = Ring::open(checkout, stage, parts)?;
    let mut first_failure = None;
    let mut unsteady = Vec::new();
    let arguments: Vec<_> = filter.into_iter().collect();
    for test in stage.tests() {
        check_interrupted()?;
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(&format!("end-to-end test file {name}, as user {}", ring.tester.account().name));
        let (status, mut counted) = ring.run(test, &arguments, &[])?;
        let mended = !status.success()
            && run_again(&mut counted, &mut unsteady, |failed| ring.run(test, &["--exact", failed], &[]))?;
        if !status.success() && !mended {
            first_failure.get_or_insert(failure(&name, status));
        }
        tally.add(counted);
    }
    ring.close()?;
    for name in &unsteady {
        say(&format!("unsteady: {name} failed among others, and passed alone"));
    }
    first_failure.map_or(Ok(()), Err)
}

/// Runs the failed tests of a file once more, each alone, where few have failed by name; whether all pass then. These tests start
/// hundreds of programs and hold them to seconds on two shared cores, so one of seven hundred can be late without a fault. It is
/// named at the end of the run, so that nobody takes it for steady; what fails alone, too, has failed.
fn run_again(
    counted: &mut Tally,
    unsteady: &mut Vec<String>,
    mut run: impl FnMut(&str) -> Result<(ExitStatus, Tally), Failure>,
) -> Result<bool, Failure> {
    let failures = counted.failures.clone();
    let are_all_named = !failures.is_empty() && failures.len() as u64 == counted.failed;
    if !are_all_named || unsteady.len() + failures.len() > UNSTEADY {
        return Ok(false);
    }
    for name in failures {
        check_interrupted()?;
        say(&format!("once more, alone: {name}"));
        let (status, alone) = run(&name)?;
        if !status.success() || alone.passed != 1 {
            return Ok(false);
        }
        counted.passed += 1;
        counted.failed -= 1;
        unsteady.push(name);
    }
    Ok(true)
}

/// A home for this run alone. Others may pass through it, as through most homes: what must keep a foreigner out are
/// the modes that Keyfob sets itself.
fn make_home(owner: &Account) -> Result<TempDir, Failure> {
    let home = tempfile::Builder::new()
        .prefix("keyfob-home-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .doing("make a home for the tests")?;
    let temporary = home.path().join("tmp");
    fs::DirBuilder::new().mode(0o755).create(&temporary).doing("make a folder for temporary files")?;
    for folder in [home.path(), &temporary] {
        chown(folder, Some(owner.uid), Some(owner.gid)).doing("give the tests their home")?;
    }
    Ok(home)
}

fn add_environment(
    command: &mut Command,
    checkout: &Checkout,
    stage: &Stage,
    parts: &Parts,
    tester: &Identity,
    home: &TempDir,
) {
    command
        .env("HOME", home.path())
        .env("TMPDIR", home.path().join("tmp"))
        .env("USER", &tester.account().name)
        .env("LOGNAME", &tester.account().name)
        .env("KEYFOB_TEST_STAGE", stage.path())
        .env("KEYFOB_TEST_VENV", &parts.venv)
        .env("KEYFOB_TEST_NODE", &parts.node)
        .env("KEYFOB_TEST_NODE_MODULES", &parts.node_modules)
        .env("KEYFOB_TEST_TAURI_DRIVER", &parts.tauri_driver)
        .envs(checkout.passed_on.iter().map(|(name, value)| (name, value)));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn failed(names: &[&str]) -> Tally {
        let failures: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Tally { passed: 9, failed: failures.len() as u64, failures }
    }

    /// How a test ends that is run alone.
    fn ends(code: i32, passed: u64) -> (ExitStatus, Tally) {
        (ExitStatus::from_raw(code << 8), Tally { passed, ..Tally::default() })
    }

    #[test]
    fn what_passes_alone_counts_and_is_named() {
        let (mut counted, mut unsteady) = (failed(&["a::b", "c"]), Vec::new());
        assert!(run_again(&mut counted, &mut unsteady, |_| Ok(ends(0, 1))).unwrap());
        assert_eq!((counted.passed, counted.failed), (11, 0));
        assert_eq!(unsteady, ["a::b", "c"]);
    }

    #[test]
    fn what_fails_again_or_does_not_run_has_failed() {
        for outcome in [(1, 0), (101, 1), (0, 0)] {
            let (mut counted, mut unsteady) = (failed(&["a"]), Vec::new());
            assert!(!run_again(&mut counted, &mut unsteady, |_| Ok(ends(outcome.0, outcome.1))).unwrap());
            assert_eq!((counted.failed, unsteady.len()), (1, 0));
        }
    }

    #[test]
    fn nothing_is_tried_again_where_many_have_failed_or_the_names_are_not_known() {
        let nobody = |_: &str| -> Result<(ExitStatus, Tally), Failure> { panic!("no test is run again") };
        let mut unsteady = vec!["x".to_owned()];
        assert!(!run_again(&mut failed(&["a", "b", "c"]), &mut unsteady, nobody).unwrap());
        let mut nameless = Tally { failed: 2, ..failed(&["a"]) };
        assert!(!run_again(&mut nameless, &mut Vec::new(), nobody).unwrap());
        assert!(!run_again(&mut failed(&[]), &mut Vec::new(), nobody).unwrap());
    }
}
