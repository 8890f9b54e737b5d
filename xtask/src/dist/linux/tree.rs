//! What goes where: the two packages, as lists of files below the root of a system. The `.deb`, the `.rpm` and the archive are made
//! from the same lists.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::changes::Changes;
use crate::Checkout;
use crate::build::OTHER_NAMES;
use crate::dist::{Release, documents, gzip, notices};
use crate::failure::{Doing as _, Failure};

/// A program, or a script that is run.
pub const PROGRAM: u32 = 0o755;
/// Everything else.
pub const PLAIN: u32 = 0o644;

/// One file of a package.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it goes, from the root of a system: `usr/bin/keyfob`.
    pub path: String,
    /// What it is.
    pub source: Source,
    /// Its permission bits: [`PROGRAM`] or [`PLAIN`].
    pub mode: u32,
}

/// Where the bytes of an [`Entry`] come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// This file, whole.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A symbolic link that says this, relative to its own folder.
    Link(String),
}

impl Entry {
    /// A plain file that lies in the checkout or was built.
    pub fn file(path: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), source: Source::File(source.into()), mode: PLAIN }
    }

    /// A program that was built, or a script.
    pub fn program(path: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self { mode: PROGRAM, ..Self::file(path, source) }
    }

    /// A plain file that was made just now.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), source: Source::Bytes(bytes.into()), mode: PLAIN }
    }

    /// A symbolic link.
    pub fn link(path: impl Into<String>, to: impl Into<String>) -> Self {
        Self { path: path.into(), source: Source::Link(to.into()), mode: 0o777 }
    }

    /// Whether a person may have changed it, so that an upgrade keeps theirs.
    pub fn is_configuration(&self) -> bool {
        self.path.starts_with("etc/")
    }
}

/// One of the two packages.
pub struct Package {
    /// `keyfob` or `keyfob-tray`.
    pub name: &'static str,
    /// All its files, ordered by path.
    pub entries: Vec<Entry>,
}

/// Both packages, without what only one kind of package has (its change log, its copyright file).
pub fn packages(checkout: &Checkout, release: &Release) -> Result<[Package; 2], Failure> {
    Ok([
        package("keyfob", command_line(checkout, release)?),
        package("keyfob-tray", tray(checkout, release)?),
    ])
}

fn package(name: &'static str, mut entries: Vec<Entry>) -> Package {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Package { name, entries }
}

/// The agent, the command line by all its names, the units, and what a person reads.
fn command_line(checkout: &Checkout, release: &Release) -> Result<Vec<Entry>, Failure> {
    let sources = checkout.root.join("installers/linux");
    let mut entries = vec![
        Entry::program("usr/bin/keyfob", &release.keyfob),
        Entry::program("usr/bin/keyfobd", &release.keyfobd),
        Entry::file("usr/lib/systemd/user/keyfobd.service", sources.join("systemd/keyfobd.service")),
        Entry::file("usr/lib/systemd/user/keyfobd.socket", sources.join("systemd/keyfobd.socket")),
        Entry::file("usr/share/doc/keyfob/README.md", checkout.root.join("README.md")),
        Entry::file("usr/share/doc/keyfob/SECURITY.md", checkout.root.join("SECURITY.md")),
        Entry::bytes(
            "usr/share/doc/keyfob/NOTICES.gz",
            gzip(notices::of(checkout, &notices::COMMAND_LINE)?.as_bytes())?,
        ),
    ];
    entries.extend(OTHER_NAMES.map(|name| Entry::link(format!("usr/bin/{name}"), "keyfob")));
    entries.extend(documents::of_command_line(checkout, release)?);
    Ok(entries)
}

/// The tray, and what a desktop knows it by.
fn tray(checkout: &Checkout, release: &Release) -> Result<Vec<Entry>, Failure> {
    let sources = checkout.root.join("installers/linux");
    let icons = checkout.root.join("gui/icons");
    let mut entries = vec![
        Entry::program("usr/bin/keyfob-tray", &release.tray),
        Entry::file(
            "usr/share/applications/dev.keyfob.tray.desktop",
            sources.join("desktop/dev.keyfob.tray.desktop"),
        ),
        Entry::file(
            "etc/xdg/autostart/dev.keyfob.tray.desktop",
            sources.join("autostart/dev.keyfob.tray.desktop"),
        ),
        Entry::bytes(
            "usr/share/metainfo/dev.keyfob.tray.metainfo.xml",
            filled(checkout, release, &sources.join("appstream/dev.keyfob.tray.metainfo.xml"))?,
        ),
        Entry::file(
            "usr/share/icons/hicolor/scalable/apps/dev.keyfob.tray.svg",
            icons.join("source/icon.svg"),
        ),
        Entry::bytes(
            "usr/share/doc/keyfob-tray/NOTICES.gz",
            gzip(notices::of(checkout, &notices::TRAY)?.as_bytes())?,
        ),
    ];
    entries.extend(ICON_SIZES.map(|size| {
        let path = format!("usr/share/icons/hicolor/{size}x{size}/apps/dev.keyfob.tray.png");
        let name = if size == 512 { "icon.png".to_owned() } else { format!("icon-{size}.png") };
        Entry::file(path, icons.join(name))
    }));
    entries.extend(documents::of_tray(checkout, release)?);
    Ok(entries)
}

/// With the version and the day of this release.
fn filled(checkout: &Checkout, release: &Release, template: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(template).doing(format_args!("read {}", template.display()))?;
    let day = Changes::of(checkout, &release.version, release.epoch)?.day();
    Ok(text.replace("@VERSION@", &release.version).replace("@DATE@", &day))
}

/// In pixels: what desktops ask for of an application.
const ICON_SIZES: [u32; 8] = [16, 24, 32, 48, 64, 128, 256, 512];

/// Writes entries below a folder, each dated with `epoch` (seconds since 1970), and so are the folders: they say nothing of when
/// and by whom they were packed.
pub fn write(entries: &[Entry], root: &Path, epoch: u64) -> Result<(), Failure> {
    for entry in entries {
        let path = root.join(&entry.path);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
        place(entry, &path).doing(format_args!("write {}", path.display()))?;
    }
    date(root, SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))
        .doing(format_args!("date {}", root.display()))
}

fn place(entry: &Entry, path: &Path) -> std::io::Result<()> {
    match &entry.source {
        Source::File(source) => fs::copy(source, path).map(drop)?,
        Source::Bytes(bytes) => fs::write(path, bytes)?,
        Source::Link(to) => return symlink(to, path),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(entry.mode))
}

/// Everything below and the folder itself. A link keeps its own date: packers have their way to say it.
fn date(path: &Path, at: SystemTime) -> std::io::Result<()> {
    let kind = fs::symlink_metadata(path)?;
    if kind.is_symlink() {
        return Ok(());
    }
    if kind.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(path)? {
            date(&entry?.path(), at)?;
        }
    }
    fs::File::open(path)?.set_modified(at)
}
