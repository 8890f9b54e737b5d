//! What package managers of others read: Homebrew, winget and Scoop. The templates in `installers` have three kinds of places:
//! `@VERSION@`, `@BASE@` (where files are downloaded from), and `@SHA256:FILE@`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::checksums;
use crate::failure::{Doing as _, Failure};
use crate::{Checkout, say};

/// The folders of templates below `installers`.
const FOLDERS: [&str; 3] = ["homebrew", "winget", "scoop"];

/// Where files are downloaded from where nobody says it: a name that nobody can have (RFC 2606).
pub const NOWHERE: &str = "https://keyfob.example/releases";

/// What came of a template.
#[derive(Debug, PartialEq)]
enum Filled {
    /// The manifest.
    Text(String),
    /// It names this file, which is made on another system.
    Missing(String),
}

/// Fills the templates with the files in `folder`, and writes them to `manifests` in it. What a package manager reads belongs
/// together: where one of its templates names a file that is not there, all are left out, with a word.
pub fn write(checkout: &Checkout, version: &str, base: &str, folder: &Path) -> Result<(), Failure> {
    check_base(base)?;
    let files = sums(folder)?;
    let mut left_out = Vec::new();
    for kind in FOLDERS {
        let mut manifests = Vec::new();
        let mut missing = None;
        for template in checksums::files(&checkout.root.join("installers").join(kind))? {
            let text = fs::read_to_string(&template).doing(format_args!("read {}", template.display()))?;
            let filled = fill(&text, version, base, &files);
            match filled.map_err(|what| Failure::new(format!("{}: {what}", template.display())))? {
                Filled::Text(text) => manifests.push((template, text)),
                Filled::Missing(file) => missing = Some(file),
            }
        }
        if let Some(file) = missing {
            left_out.push(format!("{kind} (no {file})"));
            continue;
        }
        for (template, text) in manifests {
            let name = template.file_name().unwrap_or_default().to_string_lossy().into_owned();
            write_to(&folder.join("manifests").join(kind), &name, &text)?;
        }
    }
    if base == NOWHERE {
        say(&format!("manifests name {base}; say where files will be: --download-from URL"));
    }
    if !left_out.is_empty() {
        say(&format!("manifests left out, for they name files of other systems: {}", left_out.join(", ")));
    }
    Ok(())
}

fn write_to(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
    let file: PathBuf = folder.join(name);
    fs::write(&file, text).doing(format_args!("write {}", file.display()))
}

/// It comes to stand in Ruby, YAML and JSON, between quotation marks.
fn check_base(base: &str) -> Result<(), Failure> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/".contains(character);
    if base.starts_with("https://") && base.chars().all(is_plain) && !base.ends_with('/') {
        return Ok(());
    }
    Err(Failure::wrong_use(format!(
        "{base} is no address to download from; say it so: --download-from {NOWHERE}"
    )))
}

fn sums(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let lines = checksums::of(&checksums::files(folder)?, folder)?;
    let pairs = lines.lines().filter_map(|line| line.split_once("  "));
    Ok(pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
}

fn fill(text: &str, version: &str, base: &str, sums: &BTreeMap<String, String>) -> Result<Filled, String> {
    let text = text.replace("@VERSION@", version).replace("@BASE@", base);
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('@') {
        let Some((place, after)) = after.split_once('@') else {
            return Err("has an @ without another".to_owned());
        };
        let Some(file) = place.strip_prefix("SHA256:") else {
            return Err(format!("nobody knows what @{}@ is", place.lines().next().unwrap_or_default()));
        };
        let Some(sum) = sums.get(file) else { return Ok(Filled::Missing(file.to_owned())) };
        filled.push_str(before);
        filled.push_str(sum);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Filled::Text(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<Filled, String> {
        let sums = BTreeMap::from([("keyfob-1.2.3.zip".to_owned(), "abc123".to_owned())]);
        fill(text, "1.2.3", "https://acme.dev/files", &sums)
    }

    #[test]
    fn places_are_filled() {
        let text =
            "url \"@BASE@/v@VERSION@/keyfob-@VERSION@.zip\"\nsha256 \"@SHA256:keyfob-@VERSION@.zip@\"\n";
        let expected = "url \"https://acme.dev/files/v1.2.3/keyfob-1.2.3.zip\"\nsha256 \"abc123\"\n";
        assert_eq!(filled(text), Ok(Filled::Text(expected.to_owned())));
    }

    #[test]
    fn an_unknown_place_is_refused() {
        assert!(filled("@VERSOIN@").unwrap_err().contains("VERSOIN"));
        assert!(filled("name@acme.dev").is_err());
    }

    #[test]
    fn a_manifest_of_a_file_that_is_not_there_is_left_out() {
        assert_eq!(filled("@SHA256:other.exe@"), Ok(Filled::Missing("other.exe".to_owned())));
    }

    #[test]
    fn every_template_has_known_places_alone() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for kind in FOLDERS {
            for template in checksums::files(&checkout.join("installers").join(kind)).unwrap() {
                let text = fs::read_to_string(&template).unwrap();
                let filled = fill(&text, "1.2.3", NOWHERE, &BTreeMap::new());
                assert!(filled.is_ok(), "{}: {filled:?}", template.display());
            }
        }
    }

    #[test]
    fn binstall_takes_the_archive_from_where_the_manifests_say() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for package in ["cli", "agent", "gui"] {
            let manifest = fs::read_to_string(checkout.join(package).join("Cargo.toml")).unwrap();
            let archive = "keyfob-{ version }-{ target }";
            let address = format!("pkg-url = \"{NOWHERE}/v{{ version }}/{archive}.tar.gz\"\n");
            assert!(manifest.contains(&address), "{package}: {address}");
            assert!(manifest.contains(&format!("bin-dir = \"{archive}/bin/")), "{package}");
        }
    }

    #[test]
    fn an_address_cannot_leave_its_quotation_marks() {
        check_base(NOWHERE).unwrap();
        for base in ["http://acme.dev", "https://acme.dev/\"", "https://acme.dev/", "https://acme.dev/#{x}"] {
            assert_eq!(check_base(base).unwrap_err().code, 2, "{base}");
        }
    }
}
