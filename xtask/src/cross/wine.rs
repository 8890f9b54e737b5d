//! Wine, which runs programs for Windows: with a disk and a registry of its own in a temporary folder, without a screen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::setup::parts::quiet;

pub const WINE: &str = "/usr/lib/wine/wine64";
/// What the programs of one Wine share; it ends a little after the last of them, or when it is told to.
const SERVER: &str = "/usr/lib/wine/wineserver64";
/// No file of tests takes longer, in seconds; one that hangs ends then.
const LONGEST: &str = "600";
/// A stand-in for what this Wine lacks and every Rust program asks for.
const RANDOM_BYTES: &str = include_str!("wine/bcryptprimitives.c");

/// A Wine that nothing else uses. Its programs end with it.
pub struct Wine {
    /// Wine would link folders of the person's own home.
    home: TempDir,
}

impl Wine {
    /// Makes its disk and registry: ten seconds.
    pub fn install() -> Result<Self, Failure> {
        let home =
            tempfile::Builder::new().prefix("keyfob-wine-").tempdir().doing("make a temporary folder")?;
        let wine = Self { home };
        run_command(quiet(wine.command().args(["wineboot", "--init"])))?;
        wine.add_random_bytes()?;
        Ok(wine)
    }

    /// A command that runs a program: the program and its arguments are to be added. It is ended when it takes too long.
    pub fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LONGEST, WINE]).stdin(Stdio::null());
        self.in_its_environment(&mut command);
        command
    }

    /// A path of this system, as programs for Windows have it.
    pub fn path(path: &Path) -> String {
        format!("Z:{}", path.display()).replace('/', "\\")
    }

    fn in_its_environment(&self, command: &mut Command) {
        command.env("HOME", self.home.path()).env("WINEPREFIX", self.prefix()).env("WINEARCH", "win64");
        command.env("WINEDEBUG", "-all").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        // It would look for these on the network, to install them.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=");
    }

    fn prefix(&self) -> PathBuf {
        self.home.path().join("prefix")
    }

    fn add_random_bytes(&self) -> Result<(), Failure> {
        let library = self.prefix().join("drive_c/windows/system32/bcryptprimitives.dll");
        // A newer Wine has it.
        if library.exists() {
            return Ok(());
        }
        let source = self.home.path().join("bcryptprimitives.c");
        fs::write(&source, RANDOM_BYTES).doing(format_args!("write {}", source.display()))?;
        let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
        gcc.args(["-shared", "-Os", "-o"]).arg(library).arg(source).arg("-ladvapi32");
        run_command(quiet(&mut gcc))
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        for last in ["--kill", "--wait"] {
            let mut server = Command::new(SERVER);
            self.in_its_environment(&mut server);
            server.arg(last).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // The folder goes either way, and a server without its folder ends.
            let _ = server.status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_of_the_disk_that_shows_this_system() {
        assert_eq!(Wine::path(Path::new("/a/b c.exe")), "Z:\\a\\b c.exe");
    }
}
