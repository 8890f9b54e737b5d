//! The notices of third parties: what others wrote that is inside the programs, and its terms, word for word as their sources carry
//! them. The same sources give the same text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Checkout;
use crate::failure::{Doing as _, Failure};
use crate::web;

/// Some of the programs.
pub struct Programs {
    /// The packages of the workspace that they are made of.
    pub packages: &'static [&'static str],
    /// Whether the page of the window is inside.
    pub has_page: bool,
}

/// The agent and the command line.
pub const COMMAND_LINE: Programs = Programs { packages: &["keyfob", "keyfob-agent"], has_page: false };
/// The tray.
pub const TRAY: Programs = Programs { packages: &["keyfob-gui"], has_page: true };

/// The beginnings of file names under which sources carry their terms.
const NAMES: [&str; 6] = ["license", "licence", "copying", "notice", "unlicense", "copyright"];

/// A part that somebody else wrote.
struct Part {
    /// `ring 0.17.14`.
    name: String,
    /// As its manifest says: `MIT OR Apache-2.0`.
    terms: String,
    /// Where it comes from, as far as its manifest says.
    home: String,
    /// What its sources carry.
    texts: Vec<String>,
}

/// All notices of the programs.
pub fn of(checkout: &Checkout, programs: &Programs) -> Result<String, Failure> {
    let mut parts = crates(&checkout.metadata()?, programs.packages)?;
    if programs.has_page {
        parts.extend(of_page(checkout)?);
    }
    parts.extend(of_compiler(programs));
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(text(&parts))
}

fn text(parts: &[Part]) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut all = String::from(
        "These programs contain what others wrote. Each part is named with the terms that it is given under; the texts that its\n\
         sources carry follow, each once.\n\n",
    );
    for part in parts {
        let seen = part.texts.iter().map(|text| {
            *numbers.entry(text).or_insert_with(|| {
                order.push(text);
                order.len()
            })
        });
        let seen: Vec<String> = seen.map(|number| number.to_string()).collect();
        let seen = if seen.is_empty() {
            "its sources carry no text".to_owned()
        } else {
            format!("text {}", seen.join(", "))
        };
        // Writing to a string cannot fail.
        let _ = writeln!(all, "{}\n    {}; {seen}\n    {}", part.name, part.terms, part.home);
    }
    for (index, text) in order.iter().enumerate() {
        let _ = write!(all, "\n{}\nText {}\n\n{text}", "-".repeat(78), index + 1);
    }
    all
}

/// The crates that are linked into programs of these packages: not those that only build or test them, or only write code while
/// they are compiled.
fn crates(metadata: &Value, packages: &[&str]) -> Result<Vec<Part>, Failure> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let nodes = list(&metadata["resolve"]["nodes"]);
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let known = list(&metadata["packages"]);
    let known: BTreeMap<&str, &Value> =
        known.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let is_ours = |package: &&Value| package["source"].is_null();
    let ours = known.values().filter(|package| is_ours(package));
    let mut open: Vec<&str> = ours
        .filter(|package| packages.iter().any(|name| package["name"] == *name))
        .filter_map(|package| package["id"].as_str())
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let Some((node, package)) = nodes.get(id).zip(known.get(id)) else { continue };
        if is_macro(package) || !seen.insert(id) {
            continue;
        }
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array();
            if kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null())) {
                open.extend(dependency["pkg"].as_str());
            }
        }
    }
    let foreign = seen.iter().filter_map(|id| known.get(id)).filter(|package| !is_ours(package));
    foreign.map(|package| of_crate(package)).collect()
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .flat_map(|target| target["kind"].as_array().into_iter().flatten())
        .any(|kind| kind == "proc-macro")
}

fn of_crate(package: &Value) -> Result<Part, Failure> {
    let of = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let manifest = of("manifest_path");
    let folder = Path::new(&manifest).parent().unwrap_or(Path::new("."));
    Ok(Part {
        name: format!("{} {}", of("name"), of("version")),
        terms: of("license"),
        home: format!("https://crates.io/crates/{}", of("name")),
        texts: texts(folder)?,
    })
}

/// What the bundler takes from npm's packages.
fn of_page(checkout: &Checkout) -> Result<Vec<Part>, Failure> {
    let mut open = dependencies(&manifest(&checkout.root.join("gui/web"))?);
    let (mut seen, mut parts) = (BTreeSet::new(), Vec::new());
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let folder = web::package_file(checkout, &name);
        let about = manifest(&folder)?;
        open.extend(dependencies(&about));
        let of = |key: &str| about[key].as_str().unwrap_or_default();
        parts.push(Part {
            name: format!("{name} {}", of("version")),
            terms: of("license").to_owned(),
            home: format!("https://www.npmjs.com/package/{name}"),
            texts: texts(&folder)?,
        });
    }
    Ok(parts)
}

fn manifest(folder: &Path) -> Result<Value, Failure> {
    let path = folder.join("package.json");
    let text = fs::read(&path).doing(format_args!("read {}", path.display()))?;
    serde_json::from_slice(&text).doing(format_args!("read {}", path.display()))
}

fn dependencies(manifest: &Value) -> Vec<String> {
    manifest["dependencies"].as_object().into_iter().flat_map(|all| all.keys().cloned()).collect()
}

/// What every program has from its compiler, and `keyfob` from the C library that it is linked with.
fn of_compiler(programs: &Programs) -> Vec<Part> {
    let mut parts = vec![Part {
        name: "Rust standard library".to_owned(),
        terms: "MIT OR Apache-2.0".to_owned(),
        home: "https://github.com/rust-lang/rust".to_owned(),
        texts: Vec::new(),
    }];
    if cfg!(all(target_os = "linux", target_env = "gnu")) && programs.packages.contains(&"keyfob") {
        parts.push(Part {
            name: "GNU C Library".to_owned(),
            terms: "LGPL-2.1-or-later".to_owned(),
            home: "https://sourceware.org/glibc/".to_owned(),
            // Debian's own collection, which names all its authors.
            texts: ["/usr/share/doc/libc6-dev/copyright", "/usr/share/common-licenses/LGPL-2.1"]
                .iter()
                .filter_map(|path| fs::read(path).ok())
                .map(|text| plain(&text))
                .collect(),
        });
    }
    parts
}

/// The files in a folder that carry terms, by name.
fn texts(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).doing(format_args!("read {}", folder.display()))?;
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| carries_terms(path)).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read(path).doing(format_args!("read {}", path.display()))?;
        Ok(plain(&text))
    };
    files.iter().map(read).collect()
}

fn carries_terms(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    // Not what lists the licences of files for programs, nor code that looks after them.
    let is_code = [".rs", ".toml", ".json", ".html", ".spdx"].iter().any(|end| name.ends_with(end));
    NAMES.iter().any(|start| name.starts_with(start)) && !is_code && path.is_file()
}

/// Lines that end alike, so that the same terms are the same text.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(folder: &Path, name: &str, source: Option<&str>, kind: &str) -> Value {
        fs::create_dir_all(folder.join(name)).unwrap();
        json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source,
            "manifest_path": folder.join(name).join("Cargo.toml"), "targets": [{ "kind": [kind] }] })
    }

    fn node(id: &str, needs: &[(&str, Option<&str>)]) -> Value {
        let needs: Vec<Value> =
            needs.iter().map(|(id, kind)| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] })).collect();
        json!({ "id": id, "deps": needs })
    }

    #[test]
    fn only_what_is_inside_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (at, there) = (folder.path(), Some("registry"));
        let metadata = json!({
            "packages": [
                package(at, "ours", None, "bin"), package(at, "inside", there, "lib"), package(at, "deeper", there, "lib"),
                package(at, "tested", there, "lib"), package(at, "built", there, "lib"),
                package(at, "derived", there, "proc-macro"), package(at, "parser", there, "lib"),
                package(at, "other", None, "bin"), package(at, "elsewhere", there, "lib"),
            ],
            "resolve": { "nodes": [
                node("ours", &[("inside", None), ("tested", Some("dev")), ("built", Some("build")), ("derived", None)]),
                node("inside", &[("deeper", None)]), node("deeper", &[]), node("tested", &[]), node("built", &[]),
                node("derived", &[("parser", None)]), node("parser", &[]), node("other", &[("elsewhere", None)]),
                node("elsewhere", &[]),
            ] },
        });
        let mut names: Vec<String> =
            crates(&metadata, &["ours"]).unwrap().into_iter().map(|part| part.name).collect();
        names.sort();
        assert_eq!(names, ["deeper 1.0.0", "inside 1.0.0"]);
    }

    #[test]
    fn a_text_that_many_share_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let parts = ["a", "b"].map(|name| {
            let at = folder.path().join(name);
            fs::create_dir(&at).unwrap();
            let text = if name == "a" { "Do as you like.\r\n" } else { "Do as you like. \n\n" };
            fs::write(at.join("LICENSE-MIT"), text).unwrap();
            fs::write(at.join("license.rs"), "fn check() {}").unwrap();
            Part {
                name: name.to_owned(),
                terms: "MIT".to_owned(),
                home: "-".to_owned(),
                texts: texts(&at).unwrap(),
            }
        });
        let all = text(&parts);
        assert_eq!(all.matches("Do as you like.").count(), 1, "{all}");
        assert_eq!(all.matches("MIT; text 1\n").count(), 2, "{all}");
        assert!(!all.contains("fn check"));
    }
}
