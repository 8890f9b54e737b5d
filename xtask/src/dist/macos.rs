//! What people install on macOS: `Keyfob.app`, in an archive (for Homebrew) and in a package that also makes the links.
//!
//! The bundle is a folder, made from given programs on any system. Signing, checking and packing are Apple's own tools.

mod bundle;
#[cfg(target_os = "macos")]
mod package;
#[cfg(target_os = "macos")]
mod sign;

#[cfg(target_os = "macos")]
pub use package::{Arguments, pack};

/// One of the programs, and the name that its signature has for all time: the keychain knows a program by it. One that changed would
/// be a stranger, and each person would be asked again.
pub const SIGNED: [(&str, &str); 2] = [("keyfob", "dev.keyfob.cli"), ("keyfobd", "dev.keyfob.agent")];
/// That of the bundle, and of the program that it starts.
pub const TRAY: &str = "dev.keyfob.tray";

#[cfg(test)]
#[cfg(unix)]
mod tests;
