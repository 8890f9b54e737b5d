//! The installer for Windows, by `makensis` from installers/windows/keyfob.nsi: on Windows, and on Linux for `cargo xtask cross`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Checkout;
use crate::build::OTHER_NAMES;
#[cfg(windows)]
use crate::dist::notices;
use crate::failure::{Doing as _, Failure};

/// What must lie beside each other.
pub const PROGRAMS: [&str; 3] = ["keyfob.exe", "keyfobd.exe", "keyfob-tray.exe"];

/// What the tray is linked with where it is built by mingw; Microsoft's linker takes it into the program.
pub const LIBRARY: &str = "WebView2Loader.dll";

/// What others wrote that is inside, and its terms: packed where both lie beside the programs.
const NOTICES: [&str; 2] = ["NOTICES.txt", "NOTICES-tray.txt"];

/// The installer of a release.
#[cfg(windows)]
pub fn pack(checkout: &Checkout, release: &super::Release) -> Result<(), Failure> {
    let programs = tempfile::tempdir().doing("make a temporary folder")?;
    let library = release.tray.with_file_name(LIBRARY);
    let of_the_tray = library.is_file().then_some((LIBRARY, &library));
    let files = PROGRAMS.into_iter().zip([&release.keyfob, &release.keyfobd, &release.tray]);
    for (name, file) in files.chain(of_the_tray) {
        fs::copy(file, programs.path().join(name)).doing(format_args!("copy {}", file.display()))?;
    }
    for (name, of_whom) in NOTICES.into_iter().zip([&notices::COMMAND_LINE, &notices::TRAY]) {
        let file = programs.path().join(name);
        fs::write(&file, notices::of(checkout, of_whom)?).doing(format_args!("write {}", file.display()))?;
    }
    let installer = Installer { version: &release.version, epoch: release.epoch, is_for_tests: false };
    let made = installer.make(checkout, programs.path(), &release.folder)?;
    crate::say(&format!("made {}", made.display()));
    Ok(())
}

/// What an installer is made as.
pub struct Installer<'a> {
    /// The version that it says it is.
    pub version: &'a str,
    /// When it was made, in seconds since 1970.
    pub epoch: u64,
    /// Whether it is packed quickly, and so is larger.
    pub is_for_tests: bool,
}

impl Installer<'_> {
    /// Packs `keyfob.exe`, `keyfobd.exe` and `keyfob-tray.exe` of a folder, and returns `OUT/keyfob-VERSION-x86_64-setup.exe`. The
    /// same programs of one version make the same bytes.
    pub fn make(&self, checkout: &Checkout, programs: &Path, out: &Path) -> Result<PathBuf, Failure> {
        let library = programs.join(LIBRARY).is_file();
        let installer = out.join(format!("keyfob-{}-x86_64-setup.exe", self.version));
        let defined = [
            ("VERSION", self.version.to_owned()),
            ("NUMBERS", numbers(self.version)),
            ("KIBIBYTES", kibibytes(programs, library)?.to_string()),
            ("PROGRAMS", text(programs)?),
            ("ICON", text(&checkout.root.join("gui/icons/icon.ico"))?),
            ("OUT", text(&installer)?),
        ];
        let mut makensis = Command::new("makensis");
        // Warnings are errors.
        makensis.args(["-V2", "-WX"]).args(defined.map(|(name, value)| format!("-D{name}={value}")));
        if self.is_for_tests {
            makensis.arg("-DFOR_TESTS");
        }
        if library {
            makensis.arg(format!("-DLIBRARY={LIBRARY}"));
        }
        if NOTICES.iter().all(|name| programs.join(name).is_file()) {
            makensis.arg("-DNOTICES");
        }
        makensis.arg(checkout.root.join("installers/windows/keyfob.nsi"));
        makensis.env("SOURCE_DATE_EPOCH", self.epoch.to_string()).stdin(Stdio::null());
        let made = makensis.output().doing("start makensis (of NSIS)")?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            return Err(Failure::new(format!("makensis failed: {}", String::from_utf8_lossy(&said).trim())));
        }
        Ok(installer)
    }
}

/// What everything takes on the disk, for the list of installed programs.
fn kibibytes(programs: &Path, library: bool) -> Result<u64, Failure> {
    let length = |name: &str| {
        let file = programs.join(name);
        fs::metadata(&file).map(|found| found.len()).doing(format_args!("find {}", file.display()))
    };
    let mut bytes = length(PROGRAMS[0])? * OTHER_NAMES.len() as u64;
    for name in PROGRAMS.into_iter().chain(library.then_some(LIBRARY)) {
        bytes += length(name)?;
    }
    Ok(bytes.div_ceil(1024))
}

/// The version as the resources of a program have it: four numbers. What follows a `-` is no number.
fn numbers(version: &str) -> String {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    format!("{plain}.0")
}

fn text(path: &Path) -> Result<String, Failure> {
    let path = path.to_str().filter(|path| !path.contains(['"', '$']));
    path.map(str::to_owned)
        .ok_or_else(|| Failure::wrong_use("makensis takes no such path; use another folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_four_numbers() {
        assert_eq!(numbers("0.1.0"), "0.1.0.0");
        assert_eq!(numbers("1.2.3-rc.1"), "1.2.3.0");
    }

    #[test]
    fn every_name_counts_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kibibytes(folder.path(), false).unwrap_err().say.contains("keyfob.exe"));
        for name in PROGRAMS {
            fs::write(folder.path().join(name), vec![0; 1024]).unwrap();
        }
        fs::write(folder.path().join(LIBRARY), [0]).unwrap();
        assert_eq!(kibibytes(folder.path(), false).unwrap(), 6);
        assert_eq!(kibibytes(folder.path(), true).unwrap(), 7);
    }
}
