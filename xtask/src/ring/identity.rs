//! As whom a program of the tests runs.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use std::io::{IsTerminal as _, stdin};

use rustix::process::{geteuid, getgid, getuid};

use crate::failure::{Doing as _, Failure};
use crate::say;
use crate::setup::{Account, FOREIGNER, TESTER};

/// How we become that user.
enum Way {
    /// We are root and give it up.
    FromRoot,
    /// We are it.
    Ourselves,
    /// By sudo, as far as it lets us.
    Sudo,
}

/// A user and the way to become it.
pub struct Identity {
    account: Account,
    way: Way,
}

impl Identity {
    /// The user of the tests: its own when we are root, else whoever we are.
    pub fn of_tester() -> Result<Self, Failure> {
        if geteuid().is_root() {
            return Ok(Self { account: existing(TESTER)?, way: Way::FromRoot });
        }
        say("not started by root: the end-to-end tests run as you");
        let account = Account::of_uid(getuid().as_raw())?.unwrap_or(Account {
            name: getuid().as_raw().to_string(),
            uid: getuid().as_raw(),
            gid: getgid().as_raw(),
        });
        Ok(Self { account, way: Way::Ourselves })
    }

    /// The user who must be turned away.
    pub fn of_foreigner() -> Result<Self, Failure> {
        let way = if geteuid().is_root() { Way::FromRoot } else { Way::Sudo };
        Ok(Self { account: existing(FOREIGNER)?, way })
    }

    /// The user who may do everything.
    pub fn of_root() -> Result<Self, Failure> {
        let way = if geteuid().is_root() { Way::Ourselves } else { Way::Sudo };
        Ok(Self { account: existing("root")?, way })
    }

    /// The user.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// A command of this user, with an environment that holds only PATH, SHELL and LANG.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match self.way {
            Way::Sudo => Command::new("sudo"),
            _ => Command::new(program.as_ref()),
        };
        match self.way {
            // std also drops the supplementary groups when root names a user.
            Way::FromRoot => drop(command.uid(self.account.uid).gid(self.account.gid)),
            Way::Ourselves => {}
            Way::Sudo => {
                if !stdin().is_terminal() {
                    command.arg("--non-interactive");
                }
                command.args(["--user", &self.account.name, "--"]).arg(program.as_ref());
            }
        }
        command.env_clear().current_dir("/").env("SHELL", "/bin/sh").env("LANG", "C.UTF-8");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Whether the file system and the folders above let this user execute a file.
    pub fn can_execute(&self, program: &Path) -> Result<bool, Failure> {
        let mut command = self.command("test");
        command.arg("-x").arg(program).stdin(Stdio::null());
        Ok(command.status().doing(format_args!("act as user {}", self.account.name))?.success())
    }
}

fn existing(name: &str) -> Result<Account, Failure> {
    let missing = || Failure::wrong_use(format!("there is no user {name}; run: cargo xtask setup"));
    Account::find(name)?.ok_or_else(missing)
}
