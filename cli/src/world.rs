//! What a command sees of the machine. Filled by `main` alone.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use keyfob_ipc::{Code, Refusal};

use crate::moment::Moment;
use crate::printer::Printer;
use crate::reach::Reach;
use crate::unattended::Unattended;

/// Everything outside of a command: places, time, streams.
pub struct World {
    /// The way to the agent.
    pub reach: Reach,
    /// What the environment says about this terminal and this person's files.
    pub environment: Environment,
    /// The time at which the command was called.
    pub now: Moment,
    /// The time at each moment, for a command that waits for a person.
    pub clock: fn() -> Moment,
    /// Whether anybody still reads standard output, as far as the system tells, for a command that goes on by itself.
    pub is_read: fn() -> bool,
    /// This program's own file, links resolved; `None` where the system does not tell.
    pub program: Option<PathBuf>,
    /// Standard input.
    pub input: Input,
    /// Where all output goes.
    pub printer: Printer,
    /// Whether a program reads the output (`--json`).
    pub json: bool,
    /// Whether a person sees standard error.
    pub is_watched: bool,
    /// Whether standard output is a terminal.
    pub is_shown: bool,
    /// How long a line of a table may be, in characters.
    pub width: usize,
}

/// Standard input.
pub struct Input {
    /// Whether a person sits there. Then values are asked for on the controlling terminal instead.
    pub is_terminal: bool,
    /// The stream.
    pub reader: Box<dyn Read>,
}

/// Facts out of environment variables.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Over SSH (`SSH_CONNECTION`, `SSH_TTY`): a browser would open on the wrong machine.
    pub remote: bool,
    /// A display is announced (`DISPLAY`, `WAYLAND_DISPLAY`); always so on macOS and Windows.
    pub display: bool,
    /// `BROWSER`.
    pub browser: Option<String>,
    /// Why nobody watches, where that is so: then nothing is ever opened or asked for.
    pub unattended: Option<Unattended>,
    /// `KEYFOB_JOB`: below `keyfob run`, or that itself.
    pub job: bool,
    /// `GITHUB_ACTIONS`: what is written is the log of a job of GitHub.
    pub github: bool,
    /// Where files go that nobody needs later (`TMPDIR`, on Windows `TEMP`).
    pub temporary: PathBuf,
    /// `NO_COLOR` (any value but the empty one) or a terminal without capabilities.
    pub plain: bool,
    /// `TZ`: the time zone of people here.
    pub zone: Option<String>,
    /// `COLUMNS`: how many characters a line has.
    pub columns: Option<usize>,
    /// `AWS_CONFIG_FILE`.
    pub aws_config: Option<PathBuf>,
    /// `AWS_SHARED_CREDENTIALS_FILE`.
    pub aws_credentials: Option<PathBuf>,
    /// `AWS_ACCESS_KEY_ID` is set: AWS tools take it before any profile.
    pub aws_key: bool,
    /// `METAFLOW_HOME`: the folder of Metaflow's configuration.
    pub metaflow_home: Option<PathBuf>,
    /// `METAFLOW_PROFILE`: which file in it.
    pub metaflow_profile: Option<String>,
    /// Names of variables that are set and that Metaflow takes before its files, if they matter to keyfob.
    pub metaflow: Vec<&'static str>,
    /// Names of proxy variables that are set.
    pub proxies: Vec<&'static str>,
    /// `XDG_CONFIG_HOME`, an absolute path: where programs of the desktop look for what starts at sign-in.
    pub config_home: Option<PathBuf>,
    /// `SystemRoot` (Windows).
    pub system_root: Option<PathBuf>,
}

/// What Metaflow takes before the members of the same names.
const METAFLOW: [&str; 6] = [
    "METAFLOW_SERVICE_AUTH_KEY",
    "METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER",
    "METAFLOW_KEYFOB_AWS",
    "METAFLOW_KEYFOB_REGION",
    "METAFLOW_KEYFOB_PROGRAM",
    "METAFLOW_KEYFOB_SERVICE",
];

/// What an agent that is started from here takes for a proxy, unless its configuration names one.
const PROXIES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];

impl Environment {
    /// Reads the facts; `variable` looks one up.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let filled = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            remote: filled("SSH_CONNECTION").or_else(|| filled("SSH_TTY")).is_some(),
            display: cfg!(not(target_os = "linux"))
                || filled("DISPLAY").or_else(|| filled("WAYLAND_DISPLAY")).is_some(),
            browser: filled("BROWSER").and_then(|value| value.into_string().ok()),
            unattended: Unattended::of(&variable),
            job: filled(keyfob_ipc::start::job::JOB).is_some(),
            github: filled("GITHUB_ACTIONS").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            temporary: filled(if cfg!(windows) { "TEMP" } else { "TMPDIR" }).map_or_else(
                || PathBuf::from(if cfg!(windows) { r"C:\Windows\Temp" } else { "/tmp" }),
                PathBuf::from,
            ),
            plain: filled("NO_COLOR").is_some() || filled("TERM").is_some_and(|value| value == "dumb"),
            zone: filled("TZ").and_then(|value| value.into_string().ok()),
            columns: filled("COLUMNS").and_then(|value| value.to_str()?.parse().ok()),
            aws_config: filled("AWS_CONFIG_FILE").map(PathBuf::from),
            aws_credentials: filled("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from),
            aws_key: filled("AWS_ACCESS_KEY_ID").is_some(),
            metaflow_home: filled("METAFLOW_HOME").map(PathBuf::from),
            metaflow_profile: filled("METAFLOW_PROFILE").and_then(|value| value.into_string().ok()),
            metaflow: METAFLOW.into_iter().filter(|name| filled(name).is_some()).collect(),
            proxies: PROXIES.into_iter().filter(|name| filled(name).is_some()).collect(),
            config_home: filled("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute()),
            system_root: filled("SystemRoot").map(PathBuf::from),
        }
    }

    /// Whether a browser can be shown to the person who typed the command.
    pub fn can_browse(&self) -> bool {
        !self.remote && self.unattended.is_none() && (self.display || self.browser.is_some())
    }
}

impl World {
    /// The person's home folder.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where none is known.
    pub fn home(&self) -> Result<PathBuf, Refusal> {
        let around = &self.reach.surroundings;
        around
            .home
            .clone()
            .filter(|home| home.is_absolute())
            .or_else(|| around.passwd_home.clone())
            .ok_or_else(|| {
                Refusal::new(Code::PlaceUnsafe, "no home folder is known")
                    .hint("set HOME to your home folder")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_browser_needs_a_display_or_to_be_named() {
        assert_eq!(read(&[]).can_browse(), cfg!(not(target_os = "linux")));
        assert!(read(&[("DISPLAY", ":0")]).can_browse());
        assert!(read(&[("WAYLAND_DISPLAY", "wayland-0")]).can_browse());
        assert!(read(&[("BROWSER", "lynx")]).can_browse());
    }

    #[test]
    fn neither_over_ssh_nor_in_ci() {
        assert!(!read(&[("DISPLAY", ":0"), ("SSH_CONNECTION", "a b c d")]).can_browse());
        assert!(!read(&[("BROWSER", "code"), ("SSH_TTY", "/dev/pts/1")]).can_browse());
        assert!(!read(&[("DISPLAY", ":0"), ("CI", "true")]).can_browse());
        assert!(read(&[("DISPLAY", ":0"), ("CI", "false")]).can_browse());
    }

    #[test]
    fn colour_is_refused_by_any_value_but_the_empty_one() {
        assert!(read(&[("NO_COLOR", "0")]).plain);
        assert!(!read(&[("NO_COLOR", "")]).plain);
        assert!(read(&[("TERM", "dumb")]).plain);
    }
}
