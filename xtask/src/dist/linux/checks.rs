//! What the distributions' own checkers say of the packages: anything at all fails, but what our lists of exceptions explain
//! (`installers/linux/debian/*.lintian-overrides`, `installers/linux/rpm/rpmlint.toml`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tree::{self, Package};
use crate::Checkout;
use crate::dist::Release;
use crate::failure::{Doing as _, Failure};

/// What dist needs, to build, to pack, to check, and to try out.
pub const TOOLS: &[crate::setup::Package] = {
    use crate::setup::Probe::{Development, Library, Program, SharedLibrary};
    &[
        ("appstream", Program("appstreamcli")),
        ("binutils", Program("strip")),
        ("debootstrap", Program("debootstrap")),
        ("desktop-file-utils", Program("desktop-file-validate")),
        ("dpkg-dev", Program("dpkg-shlibdeps")),
        ("fish", Program("fish")),
        ("gcc", Program("gcc")),
        // Its own note says which packages of other libraries it stands for.
        ("libayatana-appindicator3-1", SharedLibrary("libayatana-appindicator3.so.1")),
        ("libc6-dev", Library("libc.a")),
        ("libwebkit2gtk-4.1-dev", Development("webkit2gtk-4.1")),
        ("lintian", Program("lintian")),
        ("man-db", Program("lexgrog")),
        ("pkg-config", Program("pkg-config")),
        ("rpm", Program("rpmbuild")),
        ("rpmlint", Program("rpmlint")),
        ("shellcheck", Program("shellcheck")),
        ("systemd", Program("systemd-analyze")),
        ("util-linux", Program("nsenter")),
        ("xz-utils", Program("xz")),
        ("zsh", Program("zsh")),
    ]
};

/// What lies in the packages, before it is packed: desktop files, AppStream data, units.
pub fn contents(release: &Release, packages: &[Package; 2]) -> Result<(), Failure> {
    let folder = tempfile::tempdir().doing("make a folder to check in")?;
    let root = folder.path();
    let mut units = Vec::new();
    for package in packages {
        tree::write(&package.entries, root, release.epoch)?;
        for entry in &package.entries {
            let path = root.join(&entry.path);
            if path.extension().is_some_and(|extension| extension == "desktop") {
                is_silent(Command::new("desktop-file-validate").arg(&path))?;
            } else if entry.path.ends_with(".metainfo.xml") {
                accepts(
                    Command::new("appstreamcli").args(["validate", "--no-net", "--pedantic"]).arg(&path),
                )?;
            } else if entry.path.starts_with("usr/lib/systemd/user/") {
                units.push(path);
            }
        }
    }
    // It wants the programs of a unit where the unit says.
    for unit in &units {
        let text = fs::read_to_string(unit).doing(format_args!("read {}", unit.display()))?;
        let programs = format!("{}/usr/bin/keyfob", root.display());
        fs::write(unit, text.replace("/usr/bin/keyfob", &programs)).doing("write a unit to check")?;
    }
    let mut verify = Command::new("systemd-analyze");
    // Unknown keys and bad values are said, and the exit code is 0.
    is_silent(verify.args(["--user", "verify", "--man=no"]).args(&units).env("XDG_RUNTIME_DIR", root))
}

/// Packages of Debian.
pub fn debs(packages: &[PathBuf]) -> Result<(), Failure> {
    for package in packages {
        accepts(Command::new("dpkg-deb").arg("--info").arg(package))?;
    }
    let mut lintian = Command::new("lintian");
    // It says that root should not call it, and packages are made by root in many a build.
    lintian.args(["--allow-root", "--fail-on", "error,warning,override", "--tag-display-limit", "0"]);
    is_silent(lintian.args(packages))
}

/// Packages of rpm.
pub fn rpms(checkout: &Checkout, packages: &[PathBuf]) -> Result<(), Failure> {
    let database = tempfile::tempdir().doing("make a folder to check in")?;
    for package in packages {
        let mut verify = Command::new("rpm");
        verify.arg("--dbpath").arg(database.path()).args(["-K", "--nosignature"]).arg(package);
        accepts(&mut verify)?;
    }
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("--strict").arg("--config");
    rpmlint.arg(checkout.root.join("installers/linux/rpm/rpmlint.toml"));
    accepts(rpmlint.args(packages))
}

/// Whether two packings of the same are the same to the byte.
pub fn same(one: &[PathBuf], other: &[PathBuf]) -> Result<(), Failure> {
    for (one, other) in one.iter().zip(other) {
        let read = |path: &Path| fs::read(path).doing(format_args!("read {}", path.display()));
        if read(one)? != read(other)? {
            return Err(Failure::new(format!(
                "two packings differ: {} is not the same twice; compare with: diffoscope",
                one.display()
            )));
        }
    }
    Ok(())
}

/// Wants success; what it says is shown where it fails.
fn accepts(command: &mut Command) -> Result<(), Failure> {
    let (said, is_good) = told(command)?;
    if is_good { Ok(()) } else { Err(refusal(command, &said)) }
}

/// Wants success and no word.
fn is_silent(command: &mut Command) -> Result<(), Failure> {
    let (said, is_good) = told(command)?;
    if is_good && said.is_empty() { Ok(()) } else { Err(refusal(command, &said)) }
}

fn told(command: &mut Command) -> Result<(String, bool), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output();
    let output = output.doing(format_args!("start {name}"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((String::from_utf8_lossy(&said).trim().to_owned(), output.status.success()))
}

fn refusal(command: &Command, said: &str) -> Failure {
    Failure::new(format!("{} refuses this:\n{said}", command.get_program().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        shell
    }

    #[test]
    fn a_word_or_a_bad_end_fails() {
        assert!(is_silent(&mut shell("true")).is_ok());
        for line in ["echo x", "echo x >&2", "false"] {
            assert!(is_silent(&mut shell(line)).is_err(), "{line}");
        }
        assert!(accepts(&mut shell("echo x")).is_ok());
        let refused = accepts(&mut shell("echo why; exit 3")).unwrap_err();
        assert!(refused.say.contains("why"), "{}", refused.say);
    }

    #[test]
    fn packings_that_differ_in_a_byte_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a", "b", "c"].map(|name| folder.path().join(name)).into();
        for (path, content) in paths.iter().zip(["same", "same", "sane"]) {
            fs::write(path, content).unwrap();
        }
        assert!(same(&paths[..1], &paths[1..2]).is_ok());
        assert!(same(&paths[..1], &paths[2..]).is_err());
    }
}
