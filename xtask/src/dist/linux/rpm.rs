//! A package of Fedora, openSUSE and their kin, made by `rpmbuild`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::changes::Changes;
use super::tree::{self, Entry, Package, Source};
use crate::Checkout;
use crate::dist::Release;
use crate::failure::{Doing as _, Failure};

/// What rpm runs when it installs and removes: the name of our file, and of the section in a spec.
const SCRIPTS: [&str; 6] = ["pre", "post", "preun", "postun", "pretrans", "posttrans"];

/// Packs both into the folder `out` and says where they are. `version` as in [`super::deb::make`].
pub fn make(
    checkout: &Checkout,
    release: &Release,
    packages: &[Package; 2],
    version: &str,
    out: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let folder = tempfile::tempdir().doing("make a folder to pack in")?;
    let at = |name: &str| folder.path().join(name);
    for package in packages {
        let entries = of_rpm(checkout, package);
        tree::write(&entries, &at("trees").join(package.name), release.epoch)?;
        let files = at("trees").join(format!("{}.files", package.name));
        fs::write(&files, list(&entries)).doing(format_args!("write {}", files.display()))?;
    }
    let spec = at("keyfob.spec");
    fs::write(&spec, spec_of(checkout, release, packages, version)?)
        .doing(format_args!("write {}", spec.display()))?;

    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--nodeps"]);
    for (name, value) in [
        ("_topdir", at("top").display().to_string()),
        ("_tmppath", at("top").display().to_string()),
        ("_rpmdir", at("rpms").display().to_string()),
        // Else the packer's own home is looked into.
        ("_dbpath", at("database").display().to_string()),
        // With two signs it is read for each package, else for the first alone.
        ("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".to_owned()),
        ("keyfob_trees", at("trees").display().to_string()),
        ("keyfob_version", version.to_owned()),
    ] {
        rpmbuild.arg("--define").arg(format!("{name} {value}"));
    }
    rpmbuild.arg(&spec).env("SOURCE_DATE_EPOCH", release.epoch.to_string()).env("HOME", folder.path());
    let output = rpmbuild.stdin(Stdio::null()).output().doing("start rpmbuild")?;
    if !output.status.success() {
        return Err(Failure::new(format!("rpmbuild: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    packages.iter().map(|package| collect(package.name, version, &at("rpms"), out)).collect()
}

fn collect(name: &str, version: &str, from: &Path, out: &Path) -> Result<PathBuf, Failure> {
    let file = format!("{name}-{version}-1.{}.rpm", std::env::consts::ARCH);
    let path = out.join(&file);
    fs::copy(from.join(&file), &path).doing(format_args!("write {}", path.display()))?;
    Ok(path)
}

/// What lies elsewhere than on Debian, and what Debian does by scripts of its own.
fn of_rpm(checkout: &Checkout, package: &Package) -> Vec<Entry> {
    let mut entries = package.entries.clone();
    for entry in &mut entries {
        entry.path = entry.path.replace("/zsh/vendor-completions/", "/zsh/site-functions/");
    }
    if package.name == "keyfob" {
        let preset = checkout.root.join("installers/linux/systemd/90-keyfob.preset");
        entries.push(Entry::file("usr/lib/systemd/user-preset/90-keyfob.preset", preset));
    }
    entries
}

/// The section `%files`. Folders that no other package brings are ours.
fn list(entries: &[Entry]) -> String {
    let mut lines: Vec<String> = vec!["%defattr(-,root,root,-)".to_owned()];
    for entry in entries {
        let path = &entry.path;
        let attributes = match &entry.source {
            Source::Link(_) => String::new(),
            _ => format!("%attr({:o},root,root) ", entry.mode),
        };
        lines.push(if entry.is_configuration() {
            format!("%config(noreplace) {attributes}/{path}")
        } else if path.starts_with("usr/share/doc/") || path.starts_with("usr/share/man/") {
            format!("%doc {attributes}/{path}")
        } else {
            format!("{attributes}/{path}")
        });
    }
    let documents =
        entries.iter().filter_map(|entry| entry.path.strip_prefix("usr/share/doc/")?.split_once('/'));
    let mut folders: Vec<String> = documents.map(|(name, _)| format!("%dir /usr/share/doc/{name}")).collect();
    folders.sort();
    folders.dedup();
    lines.extend(folders);
    lines.join("\n") + "\n"
}

fn spec_of(
    checkout: &Checkout,
    release: &Release,
    packages: &[Package; 2],
    version: &str,
) -> Result<String, Failure> {
    let sources = checkout.root.join("installers/linux/rpm");
    let mut scripts = String::new();
    for package in packages {
        for script in SCRIPTS {
            let Ok(body) = fs::read_to_string(sources.join(format!("{}.{script}", package.name))) else {
                continue;
            };
            scripts.push_str(&format!("%{script} -n {}\n{}\n", package.name, body.replace('%', "%%")));
        }
    }
    let path = sources.join("keyfob.spec");
    let spec = fs::read_to_string(&path).doing(format_args!("read {}", path.display()))?;
    let changes = Changes::of(checkout, version, release.epoch)?.of_rpm();
    Ok(spec.replace("@SCRIPTS@\n", &scripts).replace("@CHANGELOG@\n", &changes))
}
