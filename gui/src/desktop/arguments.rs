//! The arguments of `keyfob-tray`.

use std::ffi::OsString;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Tray and window.
    Show,
    /// The tray alone: what start at sign-in uses.
    Hidden,
    /// The version.
    Version,
    /// [`HELP`].
    Help,
    /// Something else.
    Unknown(String),
}

/// The argument of a start that shows the tray alone.
pub const HIDDEN: &str = "--hidden";

/// What `--help` prints.
pub const HELP: &str = "\
The tray and the window of Keyfob. Where it runs already, its window is shown.

Usage: keyfob-tray [--hidden]

Options:
      --hidden   show the tray alone, as at sign-in
      --version  print the version
      --help     print this

Where no panel shows the icon, a second start shows the window.
";

/// Reads the arguments behind the name of the program.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Arguments {
    let mut read = Arguments::Show;
    for argument in arguments {
        match argument.to_str() {
            Some(HIDDEN) => read = Arguments::Hidden,
            Some("--version" | "-V") => return Arguments::Version,
            Some("--help" | "-h") => return Arguments::Help,
            _ => return Arguments::Unknown(argument.to_string_lossy().escape_debug().to_string()),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_shown_escaped() {
        let read = |all: &[&str]| read(all.iter().map(OsString::from));
        assert_eq!(read(&[]), Arguments::Show);
        assert_eq!(read(&["--hidden"]), Arguments::Hidden);
        assert_eq!(read(&["--hidden", "--version"]), Arguments::Version);
        assert_eq!(read(&["\u{1b}[2J"]), Arguments::Unknown("\\u{1b}[2J".to_owned()));
    }
}
