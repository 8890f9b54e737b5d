//! The page of the tray's window (`gui/web`): npm makes it into `gui/web/dist`, which the program embeds. Nothing is done
//! where nothing has changed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Doing as _, Failure, run as run_command};
use crate::stamp::Stamp;
use crate::tally::{self, Tally};
use crate::{Checkout, say};

/// Where it is, relative to the checkout.
const FOLDER: &str = "gui/web";
/// Its words, which the program reads, too.
const TEXTS: &str = "gui/texts";
/// The oldest versions of Node that make it: what Vite asks for. From the second one on everything newer does.
const OLDEST: [(u32, u32); 2] = [(20, 19), (22, 12)];

/// Node and its npm.
pub struct Node {
    /// What starts npm, and its first arguments.
    npm: Vec<OsString>,
    /// `PATH` for what npm runs.
    path: Option<OsString>,
}

impl Node {
    /// That of the test parts: `node` as in [`crate::setup::Parts`].
    #[cfg(target_os = "linux")]
    pub fn of_parts(checkout: &Checkout, node: &Path) -> Result<Self, Failure> {
        let programs = node.parent().unwrap_or(node);
        let npm = programs.parent().unwrap_or(programs).join("lib/node_modules/npm/bin/npm-cli.js");
        let others = checkout.path.iter().flat_map(std::env::split_paths);
        let path = std::env::join_paths([programs.to_owned()].into_iter().chain(others));
        let path = path.doing("add Node of the test parts to PATH")?;
        Ok(Self { npm: vec![node.into(), npm.into()], path: Some(path) })
    }

    /// That of the test parts if they are there, else that of the system.
    pub fn find(checkout: &Checkout) -> Result<Self, Failure> {
        #[cfg(target_os = "linux")]
        if let Some(parts) = crate::setup::installed(checkout) {
            return Self::of_parts(checkout, &parts.node);
        }
        let needed = |found: &str| {
            Failure::wrong_use(format!(
                "the tray's window is made by npm with Node 20.19, 22.12 or newer, and {found}; install it \
                 (https://nodejs.org), or do without: cargo xtask build --without-tray"
            ))
        };
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let Some(version) = answer("node") else { return Err(needed("there is no `node`")) };
        if !is_new_enough(&version) {
            return Err(needed(&format!("`node` is {version}")));
        }
        if answer(npm).is_none() {
            return Err(needed("there is no `npm`"));
        }
        Ok(Self { npm: vec![npm.into()], path: checkout.path.clone() })
    }

    fn npm(&self, checkout: &Checkout, arguments: &[&str]) -> Command {
        let mut npm = Command::new(&self.npm[0]);
        npm.args(&self.npm[1..]).args(arguments).stdin(Stdio::null());
        checkout.as_from_a_shell(&mut npm);
        npm.current_dir(checkout.root.join(FOLDER));
        if let Some(path) = &self.path {
            npm.env("PATH", path);
        }
        // The wheel's npm knows nothing of what the system's own may have been told about certificate authorities.
        npm.env("NODE_USE_SYSTEM_CA", "1").env("NO_COLOR", "1");
        npm
    }
}

/// What a program says about its version.
fn answer(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Of `v22.12.0`.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return false };
    let [(old, oldest), newer] = OLDEST;
    (major == old && minor >= oldest) || (major, minor) >= newer
}

/// Makes `gui/web/dist`, if it is not there as its sources are.
pub fn build(checkout: &Checkout, node: &Node) -> Result<(), Failure> {
    let folder = checkout.root.join(FOLDER);
    let lock = checkout.root.join("target/web.lock");
    let lock = fs::create_dir_all(checkout.root.join("target")).and_then(|()| File::create(lock));
    let lock = lock.doing("open the lock of the page")?;
    lock.lock().doing("lock the page")?;
    install(checkout, node, &folder)?;
    let sources = Stamp::new()
        .with_folder(&folder, &["node_modules", "dist"])?
        .with_folder(&checkout.root.join(TEXTS), &[])?;
    let built = mark(&folder, "built");
    if sources.is_at(&built) && folder.join("dist/index.html").exists() {
        return Ok(());
    }
    say("making the page of the tray's window");
    run_quietly(&mut node.npm(checkout, &["run", "--silent", "build"]), "npm run build")?;
    sources.write(&built)
}

/// The packages of its lock.
fn install(checkout: &Checkout, node: &Node, folder: &Path) -> Result<(), Failure> {
    let lock = Stamp::new().with_file(&folder.join("package-lock.json"))?;
    let lock = lock.with_file(&folder.join("package.json"))?;
    let installed = mark(folder, "installed");
    if lock.is_at(&installed) {
        return Ok(());
    }
    say("installing the packages of gui/web");
    let mut npm = node.npm(checkout, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm.args([
        "--omit-lockfile-registry-resolved",
        "--no-update-notifier",
        "--no-progress",
        "--loglevel=error",
    ]);
    run_quietly(&mut npm, "npm ci")?;
    lock.write(&installed)
}

fn mark(folder: &Path, name: &str) -> PathBuf {
    folder.join("node_modules/.keyfob").join(name)
}

/// Holds its types, tests and size to what they must be; with a filter, only the tests that it fits.
pub fn test(
    checkout: &Checkout,
    node: &Node,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    if filter.is_none() {
        run_command(node.npm(checkout, &["run", "--silent", "check"]).stdout(std::io::stderr()))?;
    }
    let mut tests = node.npm(checkout, &["run", "--silent", "test", "--", "--passWithNoTests"]);
    if let Some(filter) = filter {
        tests.arg("--testNamePattern").arg(escaped(filter));
    }
    let (status, counted) = tally::run(&mut tests, || ())?;
    tally.add(counted);
    if !status.success() {
        return Err(Failure::of_status("npm test", status));
    }
    if filter.is_none() {
        run_command(node.npm(checkout, &["run", "--silent", "size"]).stdout(std::io::stderr()))?;
    }
    Ok(())
}

/// As a JavaScript regular expression that means the text itself.
fn escaped(text: &str) -> String {
    let is_special = |character: char| r"\^$.*+?()[]{}|/".contains(character);
    text.chars()
        .flat_map(|character| is_special(character).then_some('\\').into_iter().chain([character]))
        .collect()
}

/// A file of one of its packages: `axe-core/axe.min.js`.
pub fn package_file(checkout: &Checkout, name: &str) -> PathBuf {
    checkout.root.join(FOLDER).join("node_modules").join(name)
}

/// Shows what it says only where it fails.
fn run_quietly(command: &mut Command, name: &str) -> Result<(), Failure> {
    let output = command.output().doing(format_args!("start {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let mut to = std::io::stderr();
    // Nobody is left to tell when standard error is closed.
    let _ = to.write_all(&output.stdout).and_then(|()| to.write_all(&output.stderr));
    Err(Failure::of_status(name, output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_of_node_are_told_from_new_ones() {
        for (version, expected) in [
            ("v18.20.4", false),
            ("v20.18.3", false),
            ("v20.19.0", true),
            ("v21.7.0", false),
            ("v22.11.0", false),
            ("v22.12.0", true),
            ("v24.19.0", true),
            ("v100.0.0", true),
            ("", false),
            ("node", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn a_filter_means_what_it_says() {
        assert_eq!(escaped("a_b (c.d)"), r"a_b \(c\.d\)");
    }
}
