//! One archive with everything, and a script that installs it into a home folder without root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::linux::tree::{self, Entry, Package, Source};
use super::{Release, checksums, gzip};
use crate::Checkout;
use crate::failure::{Doing as _, Failure, run};

/// What `install.sh` looks at before it installs anything.
const SUMS: &str = "SHA256SUMS";

/// The name of the archive and of the one folder in it, for the machine that this runs on: cargo calls it so.
pub fn name(version: &str) -> String {
    format!("keyfob-{version}-{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Makes it beside the packages, from the same files, and once more: the bytes must be the same.
pub fn make(checkout: &Checkout, release: &Release, packages: &[Package]) -> Result<PathBuf, Failure> {
    let script = checkout.root.join("installers/linux/archive/install.sh");
    run(Command::new("shellcheck").arg(&script).stdin(Stdio::null()))?;
    let mut entries: Vec<Entry> = packages.iter().flat_map(|package| &package.entries).map(inside).collect();
    entries.push(Entry::program("install.sh", script));
    let name = name(&release.version);
    let made = pack(entries.clone(), &name, release.epoch, &release.folder)?;
    let again = tempfile::tempdir().doing("make a folder to pack in again")?;
    let other = pack(entries, &name, release.epoch, again.path())?;
    if checksums::sum(&made)? != checksums::sum(&other)? {
        return Err(Failure::new(format!("{} is another when it is packed again", made.display())));
    }
    Ok(made)
}

/// As it is called in the archive: without `usr`.
fn inside(entry: &Entry) -> Entry {
    let path = entry.path.strip_prefix("usr/").unwrap_or(&entry.path);
    Entry { path: path.to_owned(), ..entry.clone() }
}

/// Writes `NAME.tar.gz` into `out`. The sums come first: of an archive that is cut off they tell what is missing.
fn pack(mut entries: Vec<Entry>, name: &str, epoch: u64, out: &Path) -> Result<PathBuf, Failure> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let work = tempfile::tempdir().doing("make a folder for the archive")?;
    let root = work.path().join(name);
    tree::write(&entries, &root, epoch)?;
    let paths: Vec<_> = entries.iter().map(|entry| root.join(&entry.path)).collect();
    let sums =
        Entry { source: Source::Bytes(checksums::of(&paths, &root)?.into()), ..Entry::bytes(SUMS, "") };
    tree::write(&[sums], &root, epoch)?;
    let listed = [SUMS].into_iter().chain(entries.iter().map(|entry| entry.path.as_str()));
    let names: Vec<_> = listed.map(|path| format!("{name}/{path}")).collect();
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=ustar", "--owner=root:0", "--group=root:0", "--mode=go-w"]);
    tar.arg(format!("--mtime=@{epoch}")).arg("--directory").arg(work.path()).args(names);
    let output = tar.stdin(Stdio::null()).stderr(Stdio::inherit()).output().doing("start tar")?;
    if !output.status.success() {
        return Err(Failure::of_status("tar", output.status));
    }
    let archive = out.join(format!("{name}.tar.gz"));
    fs::write(&archive, gzip(&output.stdout)?).doing(format_args!("write {}", archive.display()))?;
    Ok(archive)
}

/// Installs the archive in a home folder of its own, runs what it installed, and removes it.
pub fn try_out(archive: &Path, version: &str) -> Result<(), Failure> {
    let work = tempfile::tempdir().doing("make a folder to try the archive in")?;
    let home = work.path().join("home");
    fs::create_dir(&home).doing("make a home folder")?;
    run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(work.path()))?;
    let script = work.path().join(name(version)).join("install.sh");
    let shown = |command: &mut Command| -> Result<String, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
        let output = command.stdin(Stdio::null()).output().doing(format_args!("start {name}"))?;
        match output.status.success() {
            // The agent says everything on standard error.
            true => Ok([output.stdout, output.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .concat()),
            false => Err(Failure::new(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))),
        }
    };
    let prefix = home.join(".local");
    shown(Command::new("sh").arg(&script).arg("--prefix").arg(&prefix))?;
    for program in ["keyfob", "keyfobd", "keyfob-tray"] {
        let said = shown(Command::new(prefix.join("bin").join(program)).arg("--version"))?;
        if said.trim() != format!("{program} {version}") {
            return Err(Failure::new(format!("{program} of the archive calls itself {}", said.trim())));
        }
    }
    shown(Command::new("sh").arg(prefix.join("share/keyfob/uninstall.sh")))?;
    let left = fs::read_dir(&home).doing("look at what is left")?.count();
    if left > 0 {
        return Err(Failure::new("install.sh --uninstall left something behind"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
