//! The end-to-end tests: staged where an unprivileged user can reach them, run as that user, with a second user as
//! foreigner and root as examiner. `tests/real/README.md` says what they find in their environment.

mod attendant;
mod examiner;
mod foreigner;
mod identity;
mod stage;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::process::Command;

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

/// Runs every staged test file, also after one has failed.
pub fn run(
    checkout: &Checkout,
    stage: &Stage,
    parts: &Parts,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let tester = Identity::of_tester()?;
    for program in stage.programs().chain([&parts.venv.join("bin/python"), &parts.node].map(Clone::clone)) {
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
    let attendants = [&foreigner, &examiner].map(Attendant::process);
    let mut first_failure = None;
    for test in stage.tests() {
        check_interrupted()?;
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(&format!("end-to-end test file {name}, as user {}", tester.account().name));
        let mut command = tester.command("timeout");
        command.args(["--kill-after=10", LIMIT]).arg(test).args(filter).current_dir(home.path());
        add_environment(&mut command, checkout, stage, parts, &tester, &home);
        command.env("KEYFOB_TEST_FOREIGNER", foreigner.address());
        command.env("KEYFOB_TEST_EXAMINER", examiner.address());
        let (status, counted) = tally::run(&mut command, || end_orphans(attendants))?;
        tally.add(counted);
        if status.code() == Some(LIMIT_REACHED) {
            first_failure.get_or_insert(Failure::new(format!("{name} ran for over {LIMIT} s and was ended")));
        } else if !status.success() {
            first_failure.get_or_insert(Failure::of_status(&name, status));
        }
    }
    let dismissed = foreigner.dismiss().and(examiner.dismiss());
    end_orphans(None);
    check_interrupted()?;
    dismissed?;
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
        .envs(checkout.passed_on.iter().map(|(name, value)| (name, value)));
}
