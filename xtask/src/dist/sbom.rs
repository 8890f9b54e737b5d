//! What is inside of each shipped program, as CycloneDX (SBOM): its crates by `cargo cyclonedx`, and what npm put into the page.
//!
//! cargo-cyclonedx writes beside the manifests, of every member. So it gets a workspace of its own: the manifests, the lock, and
//! empty files where the sources would be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Release, checksums};
use crate::failure::{Doing as _, Failure, run};
use crate::setup::parts;
use crate::{Checkout, say};

/// The version of `cargo-cyclonedx`, which brings a lock of its own.
const CYCLONEDX: &str = "0.5.9";

/// Each shipped program and the folder of its package.
const PROGRAMS: [(&str, &str); 3] = [("keyfob", "cli"), ("keyfobd", "agent"), ("keyfob-tray", "gui")];

/// Writes `PROGRAM-VERSION.cdx.json` for each program into the folder of the release.
pub fn write(checkout: &Checkout, release: &Release) -> Result<(), Failure> {
    let tool = tool(checkout)?;
    let work = tempfile::tempdir().doing("make a folder for the lists of parts")?;
    let root = work.path().canonicalize().doing("find a folder")?;
    make_workspace(checkout, &root)?;
    let mut cyclonedx = Command::new(&tool);
    checkout.as_from_a_shell(&mut cyclonedx);
    cyclonedx.args(["cyclonedx", "--quiet", "--format", "json", "--describe", "binaries", "--no-build-deps"]);
    cyclonedx.args(["--spec-version", "1.5", "--manifest-path"]).arg(root.join("Cargo.toml"));
    cyclonedx
        .current_dir(&root)
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .env("CARGO", &checkout.cargo);
    run(cyclonedx.stdin(Stdio::null()).stdout(Stdio::null()))?;
    for (program, folder) in PROGRAMS {
        let made = root.join(folder).join(format!("{program}_bin.cdx.json"));
        let text = fs::read_to_string(&made).doing(format_args!("read {}", made.display()))?;
        // The folder has a name by chance.
        let text = text.replace(&format!("file://{}", root.display()), "file:///keyfob");
        let mut list: Value = serde_json::from_str(&text).doing(format_args!("read {}", made.display()))?;
        if program == "keyfob-tray" {
            add_page(checkout, &mut list)?;
        }
        let file = release.folder.join(format!("{program}-{}.cdx.json", release.version));
        number(&mut list, work.path())?;
        fs::write(&file, format!("{list:#}\n")).doing(format_args!("write {}", file.display()))?;
    }
    Ok(())
}

/// `cargo-cyclonedx`, built into the cache by the first who needs it.
fn tool(checkout: &Checkout) -> Result<PathBuf, Failure> {
    let folder = parts::filled(&format!("cargo-cyclonedx-{CYCLONEDX}"), |folder| {
        say(&format!("building cargo-cyclonedx {CYCLONEDX} (a minute or two, once)"));
        let mut cargo = checkout.cargo(&["install", "--quiet", "--locked", "--version", CYCLONEDX, "--root"]);
        run(parts::quiet(cargo.arg(folder).arg("cargo-cyclonedx")))
    })?;
    Ok(folder.join("bin/cargo-cyclonedx"))
}

/// What cargo needs to know of our packages, without their sources.
fn make_workspace(checkout: &Checkout, root: &Path) -> Result<(), Failure> {
    let mut cargo = checkout.cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().doing("start cargo")?;
    if !output.status.success() {
        return Err(Failure::of_status("cargo metadata", output.status));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).doing("read what cargo says")?;
    let mut copied = BTreeSet::from([PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")]);
    let mut emptied = BTreeSet::new();
    let below =
        |value: &Value| Path::new(value.as_str()?).strip_prefix(&checkout.root).ok().map(Path::to_path_buf);
    for package in metadata["packages"].as_array().into_iter().flatten() {
        copied.extend(below(&package["manifest_path"]));
        let targets = package["targets"].as_array().into_iter().flatten();
        emptied.extend(targets.filter_map(|target| below(&target["src_path"])));
    }
    for path in copied.iter().chain(&emptied) {
        let to = root.join(path);
        let folder = to.parent().unwrap_or(root);
        fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
        let written = match copied.contains(path) {
            true => fs::copy(checkout.root.join(path), &to).map(drop),
            false => fs::write(&to, ""),
        };
        written.doing(format_args!("write {}", to.display()))?;
    }
    Ok(())
}

/// Adds the npm packages that are inside of the page: those that it does not only need to be made.
fn add_page(checkout: &Checkout, list: &mut Value) -> Result<(), Failure> {
    let lock = checkout.root.join("gui/web/package-lock.json");
    let text = fs::read(&lock).doing(format_args!("read {}", lock.display()))?;
    let lock: Value = serde_json::from_slice(&text).doing("read package-lock.json")?;
    let parts = parts_of_page(&lock);
    if let Some(components) = list["components"].as_array_mut() {
        components.extend(parts);
    }
    Ok(())
}

fn parts_of_page(lock: &Value) -> Vec<Value> {
    let packages = lock["packages"].as_object().into_iter().flatten();
    let inside = packages.filter(|(_, package)| package["dev"] != true && package["devOptional"] != true);
    inside
        .filter_map(|(path, package)| {
            let (_, name) = path.rsplit_once("node_modules/")?;
            let version = package["version"].as_str()?;
            let address = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
            let mut part = json!({
                "type": "library", "bom-ref": address, "name": name, "version": version, "scope": "required",
                "purl": address,
            });
            if let Some(terms) = package["license"].as_str() {
                part["licenses"] = json!([{ "expression": terms }]);
            }
            Some(part)
        })
        .collect()
}

/// The serial number is that of the content: the same list has the same number.
fn number(list: &mut Value, work: &Path) -> Result<(), Failure> {
    let content = work.join("content");
    fs::write(&content, list.to_string()).doing("write a list of parts")?;
    let sum = checksums::sum(&content)?;
    let Some(digits) = sum.get(..32) else { return Err(Failure::new("sha256sum told no sum")) };
    // Version 8 of RFC 9562: the digits are ours to choose.
    let serial = format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    );
    list["serialNumber"] = serial.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_what_is_inside_of_it_and_not_what_it_is_made_with() {
        let lock = json!({ "packages": {
            "": { "version": "0.0.0" },
            "node_modules/@acme/api": { "version": "1.2.3", "license": "MIT" },
            "node_modules/vite": { "version": "7.0.0", "dev": true },
        }});
        let parts = parts_of_page(&lock);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0]["purl"], "pkg:npm/%40acme/api@1.2.3");
    }

    #[test]
    fn a_list_is_numbered_by_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let numbered = |name: &str| {
            let mut list = json!({ "components": [{ "name": name }] });
            number(&mut list, folder.path()).unwrap();
            list["serialNumber"].as_str().unwrap().to_owned()
        };
        assert_eq!(numbered("a"), numbered("a"));
        assert_ne!(numbered("a"), numbered("b"));
        assert_eq!(numbered("a").len(), "urn:uuid:".len() + 36);
    }
}
