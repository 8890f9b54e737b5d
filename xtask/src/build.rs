//! `cargo xtask build`: the product binaries, by all their names, in cargo's own target folder.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cargo::Kind;
use crate::failure::{Doing as _, Failure};
use crate::{Checkout, say};

/// The names under which tools look for a credential helper; each is the same program as `keyfob`.
pub const OTHER_NAMES: [&str; 3] =
    ["bazel-credential-keyfob", "docker-credential-keyfob", "git-credential-keyfob"];

#[derive(Args)]
pub struct Arguments {
    /// Build what ships: optimised, in target/release
    #[arg(long)]
    release: bool,
}

/// Builds `keyfob`, its other names, and `keyfobd`.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    product(checkout, arguments.release).map(drop)
}

/// The product binaries.
pub struct Product {
    /// `keyfob`; its other names lie beside it.
    pub keyfob: PathBuf,
    /// `keyfobd`, also beside it.
    pub keyfobd: PathBuf,
}

/// Builds them and says where they are.
pub fn product(checkout: &Checkout, release: bool) -> Result<Product, Failure> {
    let keyfob = keyfob(checkout, release)?;
    let keyfobd = program(checkout, "keyfob-agent", "keyfobd", release, &[])?;
    let folder = keyfob.parent().unwrap_or(&checkout.root);
    add_other_names(&keyfob, folder)?;
    say(&format!("built {} and {}", keyfob.display(), keyfobd.display()));
    Ok(Product { keyfob, keyfobd })
}

/// Builds the command line, linked statically where the system is Linux with glibc: a good part of a warm `get`
/// is the dynamic linker (`docs/performance.md`). The flag reaches this one program only, so that its libraries stay
/// shared with every other build. A plain `cargo build` puts a dynamically linked one in the same place.
pub fn keyfob(checkout: &Checkout, release: bool) -> Result<PathBuf, Failure> {
    let linked_statically = cfg!(all(target_os = "linux", target_env = "gnu"));
    let rustc: &[&str] = if linked_statically { &["-C", "target-feature=+crt-static"] } else { &[] };
    program(checkout, "keyfob", "keyfob", release, rustc)
}

/// Makes the other names beside the program or in another folder: hard links, or copies where links do not work.
pub fn add_other_names(keyfob: &Path, folder: &Path) -> Result<(), Failure> {
    for name in OTHER_NAMES {
        let other = folder.join(format!("{name}{EXE_SUFFIX}"));
        // cargo replaces `keyfob` by a new file, so a link from the last time is the last build.
        if fs::symlink_metadata(&other).is_ok() {
            fs::remove_file(&other).doing(format_args!("replace {}", other.display()))?;
        }
        if fs::hard_link(keyfob, &other).is_err() {
            fs::copy(keyfob, &other).doing(format_args!("write {}", other.display()))?;
        }
    }
    Ok(())
}

fn program(
    checkout: &Checkout,
    package: &str,
    name: &str,
    release: bool,
    rustc: &[&str],
) -> Result<PathBuf, Failure> {
    let mut arguments = vec!["rustc", "--package", package, "--bin", name];
    if release {
        arguments.push("--release");
    }
    let built = checkout.artifacts(&arguments, rustc)?;
    let found = built.into_iter().find(|artifact| artifact.name == name && artifact.kind == Kind::Program);
    found.map(|artifact| artifact.path).ok_or_else(|| Failure::new(format!("cargo built no program {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_follow_the_newest_build() {
        let folder = tempfile::tempdir().unwrap();
        let keyfob = folder.path().join("keyfob");
        for build in ["first", "second"] {
            let fresh = folder.path().join("fresh");
            fs::write(&fresh, build).unwrap();
            fs::rename(&fresh, &keyfob).unwrap();
            add_other_names(&keyfob, folder.path()).unwrap();
            for name in OTHER_NAMES {
                let content = fs::read_to_string(folder.path().join(format!("{name}{EXE_SUFFIX}"))).unwrap();
                assert_eq!(content, build, "{name}");
            }
        }
    }
}
