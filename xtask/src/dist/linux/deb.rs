//! A package of Debian, made by `dpkg-deb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::changes::Changes;
use super::tree::{self, Entry, PLAIN, PROGRAM, Package, Source};
use crate::Checkout;
use crate::dist::{Release, gzip};
use crate::failure::{Doing as _, Failure, run};

/// What dpkg runs when it installs and removes.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Packs one into the folder `out` and says where it is. `version` is that of the release, or another one to try upgrades with.
pub fn make(
    checkout: &Checkout,
    release: &Release,
    package: &Package,
    version: &str,
    out: &Path,
) -> Result<PathBuf, Failure> {
    let sources = checkout.root.join("installers/linux/debian");
    let folder = tempfile::tempdir().doing("make a folder to pack in")?;
    let root = folder.path().join("root");
    let mut entries = package.entries.clone();
    entries.extend(of_debian(checkout, release, package.name, version)?);
    tree::write(&entries, &root, release.epoch)?;

    let architecture = architecture()?;
    let read = |name: &str| {
        let path = sources.join(name);
        fs::read_to_string(&path).doing(format_args!("read {}", path.display()))
    };
    let control = read(&format!("{}.control", package.name))?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@INSTALLED_SIZE@", &installed_size(&entries)?.to_string())
        .replace("@DEPENDS@", &libraries(folder.path(), &package.entries)?);
    let configuration = entries.iter().filter(|entry| entry.is_configuration());
    let configuration: String = configuration.map(|entry| format!("/{}\n", entry.path)).collect();
    let mut about =
        vec![Entry::bytes("DEBIAN/control", control), Entry::bytes("DEBIAN/md5sums", sums(&entries, &root)?)];
    if !configuration.is_empty() {
        about.push(Entry::bytes("DEBIAN/conffiles", configuration));
    }
    for script in SCRIPTS {
        let source = sources.join(format!("{}.{script}", package.name));
        if source.exists() {
            about.push(Entry::program(format!("DEBIAN/{script}"), source));
        }
    }
    tree::write(&about, &root, release.epoch)?;

    let path = out.join(format!("{}_{version}_{architecture}.deb", package.name));
    let mut dpkg = Command::new("dpkg-deb");
    // What nobody downloads need not be small.
    let level = if version == release.version { "-z6" } else { "-z0" };
    // Single-threaded: the number of threads shows in the bytes.
    dpkg.args(["--root-owner-group", "-Zxz", level, "--threads-max=1", "--build"]).arg(&root).arg(&path);
    dpkg.env("SOURCE_DATE_EPOCH", release.epoch.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
    run(&mut dpkg)?;
    Ok(path)
}

/// `amd64`.
pub fn architecture() -> Result<String, Failure> {
    let output = Command::new("dpkg").arg("--print-architecture").stdin(Stdio::null()).output();
    let output = output.doing("ask dpkg for the architecture")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What policy wants in each package, and what is not for any other kind of package.
fn of_debian(
    checkout: &Checkout,
    release: &Release,
    name: &str,
    version: &str,
) -> Result<Vec<Entry>, Failure> {
    let sources = checkout.root.join("installers/linux/debian");
    let changes = Changes::of(checkout, version, release.epoch)?.of_debian();
    let mut entries = vec![
        Entry::file(format!("usr/share/doc/{name}/copyright"), sources.join("copyright")),
        Entry::bytes(format!("usr/share/doc/{name}/changelog.gz"), gzip(changes.as_bytes())?),
    ];
    let overrides = sources.join(format!("{name}.lintian-overrides"));
    if overrides.exists() {
        entries.push(Entry::file(format!("usr/share/lintian/overrides/{name}"), overrides));
    }
    Ok(entries)
}

/// In KiB, each file rounded up, as policy has it; links and folders count one.
fn installed_size(entries: &[Entry]) -> Result<u64, Failure> {
    let mut folders: Vec<&str> = entries
        .iter()
        .flat_map(|entry| entry.path.match_indices('/').map(|(end, _)| &entry.path[..end]))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    let mut size = folders.len() as u64;
    for entry in entries {
        size += match &entry.source {
            Source::File(path) => {
                fs::metadata(path).doing(format_args!("read {}", path.display()))?.len().div_ceil(1024)
            }
            Source::Bytes(bytes) => (bytes.len() as u64).div_ceil(1024),
            Source::Link(_) => 1,
        };
    }
    Ok(size)
}

/// The packages of the libraries that the programs are linked with, in the versions that they need.
fn libraries(folder: &Path, entries: &[Entry]) -> Result<String, Failure> {
    // It works where a source package would lie, and asks for no more of it.
    fs::create_dir_all(folder.join("debian")).doing("make a folder to pack in")?;
    fs::write(folder.join("debian/control"), "Source: keyfob\n\nPackage: keyfob\nArchitecture: any\n")
        .doing("write in a folder to pack in")?;
    let mut shlibdeps = Command::new("dpkg-shlibdeps");
    shlibdeps.arg("-O").current_dir(folder).stdin(Stdio::null());
    for entry in entries.iter().filter(|entry| entry.mode == PROGRAM) {
        if let Source::File(path) = &entry.source
            && is_linked(path)
        {
            shlibdeps.arg("-e").arg(path);
        }
    }
    let output = shlibdeps.output().doing("start dpkg-shlibdeps")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let found = told.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    found.map(str::to_owned).filter(|_| output.status.success()).ok_or_else(|| {
        Failure::new(format!("dpkg-shlibdeps: {}", String::from_utf8_lossy(&output.stderr).trim()))
    })
}

/// Whether it is a program that loads libraries: it names what does that for it.
fn is_linked(program: &Path) -> bool {
    let Ok(bytes) = fs::read(program) else { return true };
    let loader = b"/ld-linux";
    bytes.starts_with(b"\x7fELF")
        && bytes[..bytes.len().min(4096)].windows(loader.len()).any(|seen| seen == loader)
}

fn sums(entries: &[Entry], root: &Path) -> Result<String, Failure> {
    let mut md5sum = Command::new("md5sum");
    md5sum.current_dir(root).stdin(Stdio::null()).stderr(Stdio::inherit());
    let mut paths: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.mode == PLAIN || entry.mode == PROGRAM)
        .filter(|entry| !entry.is_configuration())
        .map(|entry| entry.path.as_str())
        .collect();
    paths.sort_unstable();
    let output = md5sum.args(paths).output().doing("start md5sum")?;
    if !output.status.success() {
        return Err(Failure::of_status("md5sum", output.status));
    }
    String::from_utf8(output.stdout).doing("read the answer of md5sum")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_in_kilobytes_and_folders_by_the_piece() {
        let entries = [
            Entry::bytes("usr/share/a", vec![0; 1]),
            Entry::bytes("usr/share/b", vec![0; 1025]),
            Entry::link("usr/c", "share/a"),
        ];
        assert_eq!(installed_size(&entries).unwrap(), 2 + 1 + 2 + 1);
    }
}
