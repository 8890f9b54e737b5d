//! Links the unwinder into `keyfob`, so that a start loads one shared library less.
//!
//! `libgcc_s.so.1` is needed by the unwinder alone, and loading it is a third of what a dynamically linked `keyfob get`
//! costs over a C program. Rust asks the linker for `-lgcc_s`; a linker script of that name, found first, answers with
//! the static parts instead. The shipping build links everything statically and does not need this; it is for ordinary builds.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

fn main() {
    // Only this file decides: without the line cargo would run it again after each edit of the crate.
    tell("cargo:rerun-if-changed=build.rs");
    if is_ordinary_glibc_linux()
        && has_static_unwinder()
        && let Some(folder) = std::env::var_os("OUT_DIR")
        && std::fs::write(Path::new(&folder).join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n").is_ok()
    {
        tell(&format!("cargo:rustc-link-search=native={}", Path::new(&folder).display()));
    }
}

/// Other systems have other unwinders, and a cross linker's folders are not the ones that `cc` tells.
fn is_ordinary_glibc_linux() -> bool {
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let features = target("FEATURE");
    target("OS") == "linux"
        && target("ENV") == "gnu"
        && std::env::var("HOST") == std::env::var("TARGET")
        && !features.split(',').any(|feature| feature == "crt-static")
}

/// A compiler without `libgcc_eh.a` repeats the bare name; then the shared unwinder is used as ever.
fn has_static_unwinder() -> bool {
    Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|path| Path::new(path.trim()).is_absolute())
}

/// Speaks to cargo; where it does not listen, the build goes on without.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
