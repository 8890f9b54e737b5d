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
        filter: Option<&str>,
        more: &[(&str, &Path)],
    ) -> Result<(ExitStatus, Tally), Failure> {
        let mut command = self.tester.command("timeout");
        command.args(["--kill-after=10", LIMIT]).arg(program).args(filter).current_dir(self.home());
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

/// Runs every staged test file, also after one has failed.
pub fn run(
    checkout: &Checkout,
    stage: &Stage,
    parts: &Parts,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let ring = Ring::open(checkout, stage, parts)?;
    let mut first_failure = None;
    for test in stage.tests() {
        check_interrupted()?;
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(&format!("end-to-end test file {name}, as user {}", ring.tester.account().name));
        let (status, counted) = ring.run(test, filter, &[])?;
        tally.add(counted);
        if !status.success() {
            first_failure.get_or_insert(failure(&name, status));
        }
    }
    ring.close()?;
    first_failure.map_or(Ok(()), Err)
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
