//! Both Apple targets, checked and linted. Apple's own headers and libraries are only on a Mac, so nothing is linked and nothing
//! runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Checkout;
use crate::cross::toolchain::{APPLE, Toolchain};
use crate::failure::{Doing as _, Failure, run as run_command};
use crate::test::{END_TO_END, Steps};

/// Lints everything but the end-to-end tests, which are for Linux alone.
pub fn run(checkout: &Checkout, toolchain: &Toolchain, steps: &mut Steps) -> Result<(), Failure> {
    let zig = toolchain.zig()?;
    for target in APPLE {
        let compiler = write_compiler(&zig, target, toolchain.target())?;
        let mut check = toolchain.linting_cargo(
            checkout,
            &["check", "--workspace", "--exclude", END_TO_END, "--all-targets", "--target", target],
        );
        let variable = target.replace('-', "_");
        check.env(format!("CC_{variable}"), compiler).env(format!("AR_{variable}"), "ar");
        // Where zig keeps what it has compiled of its own.
        let kept = toolchain.target().join("zig");
        check.env("ZIG_GLOBAL_CACHE_DIR", &kept).env("ZIG_LOCAL_CACHE_DIR", &kept);
        steps.time(target, || run_command(&mut check))?;
    }
    Ok(())
}

/// Writes a program that is a C compiler for a target, as build scripts call one.
fn write_compiler(zig: &Path, target: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let processor = target.split('-').next().unwrap_or_default();
    let program = folder.join(format!("cc-{target}"));
    let text = include_str!("apple/cc.sh")
        .replace("@ZIG@", &zig.display().to_string())
        .replace("@TARGET@", &format!("{processor}-macos"));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&program, text))
        .and_then(|()| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)));
    written.doing(format_args!("write {}", program.display()))?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the compiler hands on to a zig that only says what it was told.
    fn told(arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let compiler = write_compiler(Path::new("/bin/echo"), APPLE[0], folder.path()).unwrap();
        // Through the shell: a program that was just written may still be open in a child of another test.
        let output = Command::new("/bin/sh").arg(compiler).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    fn what_zig_does_not_know_is_left_out() {
        let told = told(&[
            "-O0",
            "-arch",
            "arm64",
            "--target=arm64-apple-macosx",
            "-gfull",
            "-o",
            "a.o",
            "-c",
            "a b.c",
        ]);
        assert_eq!(told, "cc -target aarch64-macos -O0 -o a.o -c a b.c");
    }

    #[test]
    fn objective_c_becomes_an_empty_object() {
        let told = told(&["-fobjc-arc", "-o", "a.o", "-c", "a.m"]);
        assert_eq!(told, "cc -target aarch64-macos -x c -c /dev/null -o a.o");
    }
}
