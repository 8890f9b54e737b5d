//! The C program that nothing can be much faster than.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Checkout;
use crate::failure::Failure;

/// How it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// As a C compiler does unless told otherwise.
    Dynamically,
    /// As the shipping `keyfob` is. Not every system has the archive for it.
    Statically,
}

/// Compiles it into a folder.
pub fn compile(checkout: &Checkout, folder: &Path, linked: Linked) -> Result<PathBuf, Failure> {
    let (name, more): (_, &[&str]) = match linked {
        Linked::Dynamically => ("floor", &[]),
        Linked::Statically => ("floor-static", &["-static"]),
    };
    let program = folder.join(name);
    let mut command = Command::new("cc");
    command.arg("-O2").args(more).arg("-o").arg(&program).arg(checkout.root.join("xtask/bench/floor.c"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(Failure::new(format!("cc cannot build xtask/bench/floor.c: {status}"))),
        Err(error) => {
            Err(Failure::new(format!("the bench compares with a C program and needs cc ({error})")))
        }
    }
}
