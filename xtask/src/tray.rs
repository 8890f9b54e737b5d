//! The tray program, `keyfob-tray`, which unlike the others needs libraries of the desktop and a page made by npm.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::build::program;
use crate::failure::Failure;
use crate::{Checkout, say, web};

/// Its package.
pub const PACKAGE: &str = "keyfob-gui";
/// Its name.
pub const PROGRAM: &str = "keyfob-tray";

/// What cargo is told where it cannot be compiled.
const WITHOUT: [&str; 2] = ["--exclude", PACKAGE];

/// Whether the libraries to compile it with are there. Other systems than those with X11 and Wayland bring them.
fn has_libraries() -> bool {
    if !cfg!(all(unix, not(target_os = "macos"))) {
        return true;
    }
    let mut look = Command::new("pkg-config");
    look.args(["--exists", "webkit2gtk-4.1"]);
    look.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    look.status().is_ok_and(|status| status.success())
}

/// For a cargo that takes the whole workspace: nothing, or what leaves it out, with a word why.
pub fn unless_it_can_be_compiled() -> &'static [&'static str] {
    if has_libraries() {
        return &[];
    }
    say(
        "the tray (keyfob-gui) is left out: it needs libwebkit2gtk-4.1-dev and pkg-config, which are not installed",
    );
    &WITHOUT
}

/// Builds it, the page first, and says where it is.
pub fn build(checkout: &Checkout, release: bool) -> Result<PathBuf, Failure> {
    if !has_libraries() {
        return Err(Failure::wrong_use(
            "the tray needs WebKitGTK (Debian: sudo apt-get install libwebkit2gtk-4.1-dev pkg-config); install it, or do \
             without: cargo xtask build --without-tray",
        ));
    }
    web::build(checkout, &web::Node::find(checkout)?)?;
    program(checkout, PACKAGE, PROGRAM, release, &[], &[])
}
