//! The folder that macOS shows as one application.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::build::OTHER_NAMES;
use crate::dist::Release;
use crate::failure::{Doing as _, Failure};

/// Where it comes from, below the checkout.
pub const SOURCES: &str = "installers/macos";

/// Makes `Keyfob.app` in a folder, from the programs of a release and the checkout at `root`, and says where it is.
pub fn assemble(root: &Path, release: &Release, folder: &Path) -> Result<PathBuf, Failure> {
    let sources = root.join(SOURCES);
    let bundle = folder.join("Keyfob.app");
    let contents = bundle.join("Contents");
    let (programs, resources) = (contents.join("MacOS"), contents.join("Resources"));
    for folder in [&programs, &resources] {
        fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
    }
    for (program, name) in
        [(&release.tray, "keyfob-tray"), (&release.keyfob, "keyfob"), (&release.keyfobd, "keyfobd")]
    {
        copy(program, &programs.join(name))?;
    }
    for name in OTHER_NAMES {
        link("keyfob", &programs.join(name))?;
    }
    copy(&root.join("gui/icons/icon.icns"), &resources.join("icon.icns"))?;
    copy(&sources.join("uninstall.sh"), &resources.join("uninstall.sh"))?;
    let information = filled(&sources.join("Info.plist"), &release.version, "")?;
    write(&contents.join("Info.plist"), &information)?;
    // What old programs look for; it says the same as the property list.
    write(&contents.join("PkgInfo"), "APPL????")?;
    date(&bundle, release.epoch)?;
    Ok(bundle)
}

/// A file of ours with version and processor in it.
pub fn filled(file: &Path, version: &str, processor: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(file).doing(format_args!("read {}", file.display()))?;
    let numbers = version.split(['-', '+']).next().unwrap_or(version);
    Ok(text.replace("VERSION", version).replace("NUMBERS", numbers).replace("PROCESSOR", processor))
}

/// Gives everything in a folder, and the folder, the time of the release.
pub fn date(path: &Path, epoch: u64) -> Result<(), Failure> {
    let doing = || format!("date {}", path.display());
    let kind = fs::symlink_metadata(path).doing(doing())?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path).doing(doing())? {
            date(&entry.doing(doing())?.path(), epoch)?;
        }
    }
    if kind.is_symlink() {
        return Ok(());
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
    fs::File::open(path).and_then(|file| file.set_modified(time)).doing(doing())
}

/// Writes a text.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).doing(format_args!("write {}", file.display()))
}

/// Copies a file with its permissions.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(drop).doing(format_args!("copy {} to {}", from.display(), to.display()))
}

#[cfg(unix)]
fn link(target: &str, at: &Path) -> Result<(), Failure> {
    std::os::unix::fs::symlink(target, at).doing(format_args!("link {}", at.display()))
}
