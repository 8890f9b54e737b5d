//! `cargo xtask build`: the product binaries, by all their names, in cargo's own target folder.

pub mod remap;

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::cargo::Kind;
use crate::failure::{Doing as _, Failure};
use crate::{Checkout, say, tray};

/// The names under which tools look for a credential helper; each is the same program as `keyfob`.
pub const OTHER_NAMES: [&str; 3] =
    ["bazel-credential-keyfob", "docker-credential-keyfob", "git-credential-keyfob"];

#[derive(Args)]
pub struct Arguments {
    /// Build what ships: optimised, in target/release
    #[arg(long)]
    release: bool,
    /// Leave out keyfob-tray, which needs WebKitGTK on Linux, and Node
    #[arg(long)]
    without_tray: bool,
}

/// Builds `keyfob`, its other names, `keyfobd` and `keyfob-tray`.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    product(checkout, arguments.release)?;
    if !arguments.without_tray {
        let tray = tray::build(checkout, arguments.release)?;
        say(&format!("built {}", tray.display()));
    }
    Ok(())
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
    // Not `OUTLINED`: what that saves is less than what its many small functions need in the tables for unwinding.
    let folded: &[&str] = if release && links(checkout, &FOLDED) { &FOLDED } else { &[] };
    let keyfobd = program(checkout, "keyfob-agent", "keyfobd", release, &[SMALL, HUSHED].concat(), folded)?;
    let folder = keyfob.parent().unwrap_or(&checkout.root);
    add_other_names(&keyfob, folder)?;
    say(&format!("built {} and {}", keyfob.display(), keyfobd.display()));
    Ok(Product { keyfob, keyfobd })
}

/// Builds the command line, linked statically where the system is Linux with glibc: a good part of a warm `get`
/// is the dynamic linker (`docs/performance.md`). The flags reach this one program only, so that its libraries stay
/// shared with every other build. A plain `cargo build` puts a dynamically linked one in the same place.
pub fn keyfob(checkout: &Checkout, release: bool) -> Result<PathBuf, Failure> {
    let linked_statically = cfg!(all(target_os = "linux", target_env = "gnu"));
    let mut rustc: Vec<&str> = Vec::new();
    if linked_statically {
        rustc.extend(STATIC);
        if release && links(checkout, &[STATIC, PACKED].concat()) {
            rustc.extend(PACKED);
        }
    }
    if release && links(checkout, &FOLDED) {
        rustc.extend(FOLDED);
    }
    if release && linked_statically && links(checkout, &[STATIC, UNLISTED].concat()) {
        rustc.extend(UNLISTED);
        if links(checkout, &[STATIC, UNLISTED, UNTABLED].concat()) {
            rustc.extend(UNTABLED);
        }
    }
    if release && links(checkout, &OUTLINED) {
        rustc.extend(OUTLINED);
    }
    program(checkout, "keyfob", "keyfob", release, &[&SMALL[..], &UNWINDS_NOT].concat(), &rustc)
}

/// For all of a program, libraries too: `keyfob` may have 2 MiB and `keyfobd` 10, most of it is words for people and TLS, and an
/// answer is as fast. A single package so makes it larger: nothing is inlined from one level into another.
const SMALL: [&str; 2] = ["--config", "profile.release.opt-level=\"z\""];
/// What libraries would write about requests is never logged (`agent/src/log.rs`), so it is left out: 450 KB, most of them of HTTP/2.
const HUSHED: [&str; 2] = ["--features", "tracing/release_max_level_info"];
/// `keyfob` catches no panic: each ends it with exit code 101 (`cli/src/panics.rs`), so nothing needs the tables for unwinding.
const UNWINDS_NOT: [&str; 2] = ["--config", "profile.release.panic=\"abort\""];

const STATIC: [&str; 2] = ["-C", "target-feature=+crt-static"];
/// Relocations in a twentieth of their size (`DT_RELR`): a static program has 50 KB of them.
const PACKED: [&str; 2] = ["-C", "link-arg=-Wl,-z,pack-relative-relocs"];

/// Functions that are the same to the byte become one, which no Rust program can tell: addresses of functions mean nothing. A
/// hundredth of `keyfobd`; lld, which comes with Rust, can do it.
const FOLDED: [&str; 2] = ["-C", "link-arg=-Wl,--icf=all"];

/// Nor the list of these tables, which only an unwinder reads: 28 KB.
const UNLISTED: [&str; 2] = ["-C", "link-arg=-Wl,--no-eh-frame-hdr"];
/// Then nor the tables themselves, those of the standard and the C library too, which come compiled: 214 KB.
const UNTABLED: [&str; 2] = ["-C", "link-arg=-Wl,-T,xtask/src/build/no-tables.ld"];

/// Instructions that come again and again become functions: what LLVM does by itself for size on other processors. 47 KB.
const OUTLINED: [&str; 2] = ["-C", "llvm-args=--enable-machine-outliner=always"];

/// A program with a relocation that it needs: where nobody has applied it, this ends in a crash. It ends as `keyfob` does at a fault
/// (`cli/src/panics.rs`): by the hook.
const PROBE: &str = "\
static WORDS: &[&str] = &[\"well\", \"packed\"];
fn main() {
    let at = std::env::args().count();
    let is_packed = std::hint::black_box(WORDS).get(at) == Some(&\"packed\");
    std::panic::set_hook(Box::new(move |_| std::process::exit(i32::from(!is_packed))));
    panic!(\"well packed\");
}
";

/// Whether a program that is made so works on this machine: found out by doing it. To pack relocations takes a linker and a C library
/// of 2022 (glibc 2.36) or newer: an older linker does without, under an older library the program crashes.
fn links(checkout: &Checkout, arguments: &[&str]) -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let (source, program) = (folder.path().join("probe.rs"), folder.path().join("probe"));
    let compiled = fs::write(&source, PROBE).is_ok_and(|()| {
        let mut rustc = Command::new(checkout.cargo.with_file_name("rustc"));
        // Paths in arguments are below the checkout, where cargo runs the compiler, too.
        rustc.current_dir(&checkout.root).args(arguments).arg("-o").arg(&program).arg(&source);
        rustc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        rustc.status().is_ok_and(|status| status.success())
    });
    let mut probe = Command::new(&program);
    probe.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    compiled && probe.status().is_ok_and(|status| status.success())
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

/// Builds one program and says where it is; `released` are arguments for what ships, `rustc` those of the compiler.
pub fn program(
    checkout: &Checkout,
    package: &str,
    name: &str,
    release: bool,
    released: &[&str],
    rustc: &[&str],
) -> Result<PathBuf, Failure> {
    let mut arguments = vec!["rustc", "--package", package, "--bin", name];
    if release {
        arguments.push("--release");
        arguments.extend(released);
    }
    let flags = if release { Some(remap::flags(checkout)?) } else { None };
    let built = checkout.artifacts_with(&arguments, rustc, flags.as_deref())?;
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
