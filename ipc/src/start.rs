//! Starting the agent on demand, by the first caller that finds none.
//!
//! The agent gets a working folder, null standard streams and an environment that this module chooses: its first caller
//! may be any build step, and must shape nothing of the process that then serves everybody. A burst of first calls
//! starts one agent: the starters queue at a lock in the state folder, and each looks again before it starts.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(unix)]
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Client, Door, NoClient};
use crate::limits;
#[cfg(windows)]
use crate::peer::Apart as Child;
use crate::place::{Places, is_own_runtime};
use crate::refusal::{Code, Refusal};

pub mod job;

/// How the agent is started. Filled by `main` alone.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The agent's binary: beside the resolved path of the caller's own, never looked up in `PATH`.
    pub program: PathBuf,
    /// The environment it gets.
    pub environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// The agent beside this program, with the allowed part of this environment. For `main` only.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where there is no `keyfobd` beside this program.
    pub fn of_this_process() -> Result<Self, Refusal> {
        let here = own_file().map_err(|error| {
            Refusal::new(Code::AgentUnreachable, format!("this program cannot find its own file ({error})"))
        })?;
        Self::beside(&here, std::env::vars_os())
    }

    /// The agent beside a program, with the allowed part of an environment. A program that runs for long asks by the path that
    /// it had at its start: an upgrade puts another file there, and the system then knows none for it.
    ///
    /// # Errors
    /// As [`Launch::of_this_process`].
    pub fn beside(
        program: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Refusal> {
        let program = program.with_file_name(if cfg!(windows) { "keyfobd.exe" } else { "keyfobd" });
        if !program.is_file() {
            return Err(Refusal::new(
                Code::AgentUnreachable,
                format!("the agent `{}` is not installed", program.display()),
            )
            .hint("install keyfob again, keyfob and keyfobd in one folder"));
        }
        Ok(Self { program, environment: for_an_agent(environment) })
    }
}

/// This program's own file, links resolved.
///
/// # Errors
/// The system's own.
pub fn own_file() -> std::io::Result<PathBuf> {
    let file = std::env::current_exe().and_then(std::fs::canonicalize)?;
    #[cfg(windows)]
    let file = without_verbatim_prefix(file);
    Ok(file)
}

/// Windows resolves links to `\\?\C:\…`, which many programs do not take as a path: not as a working folder, and not from a
/// configuration that we write for them.
#[cfg(windows)]
fn without_verbatim_prefix(path: PathBuf) -> PathBuf {
    use std::path::{Component, Prefix};
    let Some(Component::Prefix(prefix)) = path.components().next() else { return path };
    match prefix.kind() {
        Prefix::VerbatimDisk(_) => path.to_str().and_then(|text| text.get(4..)).map(PathBuf::from),
        Prefix::VerbatimUNC(..) => {
            path.to_str().and_then(|text| text.get(8..)).map(|rest| PathBuf::from(format!(r"\\{rest}")))
        }
        _ => None,
    }
    .unwrap_or(path)
}

/// Variables that an agent may see: who and where the person is, proxies (every connection is TLS, so a wrong one can only
/// fail it), and what socket activation hands over. No loader, certificate, AWS or tool variable is among them.
const ALLOWED: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
    // Windows cannot load libraries or find folders without these.
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "USERPROFILE",
    "LOCALAPPDATA",
    "APPDATA",
    "TEMP",
    "TMP",
    "USERNAME",
    // By name: any program may call a variable with a secret in it `KEYFOB_…`.
    "KEYFOB_STATE_DIR",
    "KEYFOB_RUNTIME_DIR",
    "KEYFOB_CONFIG",
    "KEYFOB_PASSPHRASE_FILE",
    job::JOB,
    HAS_OUR_KEYS,
];
const ALLOWED_PREFIXES: &[&str] = &["XDG_"];
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
const RUNTIME: &str = "XDG_RUNTIME_DIR";

/// What makes a profile of its own, which may have another system bus: it is told there when to lock. The person's own agent
/// listens to the machine's, whatever its first caller says.
const OWN_PROFILE: &[&str] = &["KEYFOB_STATE_DIR", "KEYFOB_RUNTIME_DIR", "KEYFOB_CONFIG"];
const SYSTEM_BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// What CI systems and machines say of a job, beside what every agent may see. They carry secrets: the agent takes them out of
/// its environment before anything else (`agent/src/ambient.rs`, which reads these and no others).
pub const AMBIENT: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "GITHUB_ACTIONS",
    "CIRCLE_OIDC_TOKEN_V2",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLECI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "KEYFOB_IDENTITY",
];

/// Set for a program that has its keys from us (`keyfob exec`): what it finds under the names of AWS is no identity of a machine,
/// and an agent that took it for one would ask itself.
pub const HAS_OUR_KEYS: &str = "KEYFOB_EXEC";

/// Whether a variable is one of [`AMBIENT`].
pub fn is_ambient(name: &OsStr) -> bool {
    AMBIENT.iter().any(|known| if cfg!(windows) { name.eq_ignore_ascii_case(known) } else { name == *known })
}

/// What of an environment goes to an agent that is started with it.
fn for_an_agent(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let (ambient, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| is_ambient(name));
    let has_our_keys = rest.iter().any(|(name, value)| name == HAS_OUR_KEYS && !value.is_empty());
    // Not what forbids to ask the machine.
    let is_ours = |name: &OsStr| {
        has_our_keys && name.as_encoded_bytes().starts_with(b"AWS_") && name != "AWS_EC2_METADATA_DISABLED"
    };
    let ambient = ambient.into_iter().filter(|(name, _)| !is_ours(name));
    passed_on(rest).into_iter().chain(ambient).collect()
}

/// Sockets that were handed to a caller are not the agent's.
const OF_ONE_PROCESS: &[&str] = &["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// What of an environment goes to an agent that is another process, or another program with other sockets.
pub fn passed_on(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut environment = allowed(all);
    environment.retain(|(name, _)| !OF_ONE_PROCESS.iter().any(|known| name == known));
    environment
}

/// The allowed part of an environment.
pub fn allowed(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut all: Vec<_> = all.into_iter().collect();
    let is_own_profile =
        all.iter().any(|(name, value)| !value.is_empty() && OWN_PROFILE.iter().any(|known| name == known));
    all.retain(|(name, value)| is_allowed(name.to_str(), value) || (is_own_profile && name == SYSTEM_BUS));
    all
}

fn is_allowed(name: Option<&str>, value: &OsStr) -> bool {
    let Some(name) = name else { return false };
    // To Windows `SystemRoot` and `SYSTEMROOT` are one name.
    let name = if cfg!(windows) { Cow::from(name.to_ascii_uppercase()) } else { Cow::from(name) };
    match &*name {
        BUS => value.to_str().is_some_and(bus_is_ours),
        // Where no address is given, the session bus is looked for in this folder.
        RUNTIME => is_own_runtime(Path::new(value)),
        _ => ALLOWED.contains(&&*name) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    }
}

/// Whether a session bus address names a socket file that belongs to this user. A bus of somebody else's would be
/// handed the person's secrets as their keychain. Abstract sockets have no owner to check.
fn bus_is_ours(address: &str) -> bool {
    let Some(path) = address.strip_prefix("unix:path=") else { return false };
    let path = path.split([',', ';']).next().unwrap_or_default();
    !address.contains(';') && owned_by_us(Path::new(path))
}

#[cfg(unix)]
fn owned_by_us(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

#[cfg(windows)]
fn owned_by_us(_path: &Path) -> bool {
    false
}

/// Before another agent is started in place of one that gave way to a third, which has not been heard of since: it was just
/// being killed. The sockets of a process are gone some milliseconds before its lock is.
const ANOTHER: Duration = Duration::from_millis(10);

/// So many agents that were killed as they started are replaced at once. One that crashes by itself would do so for ever.
const KILLED: u32 = 2;

/// Starts the agent and connects to it.
pub(crate) fn start(places: &Places, door: Door, launch: &Launch) -> Result<Client, Refusal> {
    create_private(&places.state)?;
    let deadline = Instant::now() + limits::START;
    let mut options = OpenOptions::new();
    let lock =
        options.write(true).create(true).truncate(false).open(places.start_lock()).map_err(|error| {
            // In another user's folder no mode would help.
            match crate::peer::check_folder(&places.state) {
                Err(refusal) if !owned_by_us(&places.state) => refusal,
                _ => {
                    let say = format!("the folder `{}` cannot be written ({error})", places.state.display());
                    Refusal::new(Code::PlaceUnsafe, say).hint(way_to_write(&places.state, &error))
                }
            }
        })?;
    let mut wait = Duration::from_millis(1);
    let mut starter = false;
    let mut child: Option<Child> = None;
    let (mut not_before, mut pause, mut killed) = (Instant::now(), ANOTHER, 0);
    loop {
        starter = starter || lock.try_lock().is_ok();
        match Client::try_connect(places, door) {
            Ok(client) => return Ok(client),
            Err(NoClient::Refused(refusal)) => return Err(refusal),
            Err(NoClient::Absent) => {}
        }
        if let Some(running) = &mut child {
            match running.try_wait() {
                Ok(Some(status)) if status.code().is_none() && killed < KILLED => {
                    child = None;
                    killed += 1;
                }
                Ok(Some(status)) if !status.success() => return Err(failed_start(places)),
                Ok(Some(_)) => {
                    child = None;
                    not_before = Instant::now() + pause;
                    pause *= 2;
                }
                _ => {}
            }
        } else if starter && Instant::now() >= not_before {
            forget_failure(places);
            child = Some(spawn(launch)?);
        }
        if Instant::now() >= deadline {
            return Err(Refusal::new(Code::AgentUnreachable, "the agent was started and does not answer")
                .hint(format!("look at its log, `{}`", places.log().display())));
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(Duration::from_millis(20));
    }
}

/// Makes a folder, and those above it, that only this user can enter.
///
/// # Errors
/// [`Code::PlaceUnsafe`] naming the folder.
pub fn create_private(folder: &Path) -> Result<(), Refusal> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        let say = format!("the folder `{}` cannot be made ({error})", folder.display());
        // Which of the folders above it is in the way is not known.
        let is_of_folders_above = error.kind() == ErrorKind::PermissionDenied;
        let hint = if is_of_folders_above { String::new() } else { way_to_write(folder, &error) };
        Refusal::new(Code::PlaceUnsafe, say).hint(hint)
    })
}

/// What a person does about a folder of theirs that takes no file.
pub fn way_to_write(folder: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on that disk, then try again".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => "make that disk writable, then try again".to_owned(),
        ErrorKind::PermissionDenied => format!("chmod 700 '{}'", folder.display()),
        _ => String::new(),
    }
}

/// The agent makes a session of its own (setsid) and closes inherited descriptors first thing in its main.
#[cfg(unix)]
fn spawn(launch: &Launch) -> Result<Child, Refusal> {
    let mut command = prepared(launch);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| cannot_start(launch, &error))
}

#[cfg(windows)]
fn spawn(launch: &Launch) -> Result<Child, Refusal> {
    crate::peer::spawn_apart(&launch.program, &launch.environment, stays(launch))
        .map_err(|error| cannot_start(launch, &error))
}

/// The agent's program in its environment, in a folder that stays.
fn prepared(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.program);
    command.env_clear().envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.current_dir(stays(launch));
    command
}

fn stays(launch: &Launch) -> &Path {
    if cfg!(windows) { launch.program.parent().unwrap_or(Path::new("")) } else { Path::new("/") }
}

fn cannot_start(launch: &Launch, error: &std::io::Error) -> Refusal {
    Refusal::new(
        Code::AgentUnreachable,
        format!("the agent `{}` cannot be started ({error})", launch.program.display()),
    )
}

/// The agent has no terminal to complain to: where it cannot start, it leaves the refusal in a file. Where the state folder
/// takes none, it is beside the sockets.
fn failure_files(places: &Places) -> Vec<PathBuf> {
    let folders = [
        Some(&places.state),
        // A person does what the file says.
        #[cfg(unix)]
        Some(&places.runtime).filter(|runtime| crate::peer::is_ours(runtime)),
    ];
    folders.into_iter().flatten().map(|folder| folder.join("start-failure.json")).collect()
}

fn forget_failure(places: &Places) {
    for file in failure_files(places) {
        // Absent is as good as removed, and a stale file only matters if the next start fails too.
        let _ = std::fs::remove_file(file);
    }
}

/// For the agent: leaves word of why it could not start.
pub fn leave_failure(places: &Places, refusal: &Refusal) {
    let Ok(bytes) = serde_json::to_vec(refusal) else { return };
    for file in failure_files(places) {
        if std::fs::write(&file, &bytes).is_ok() {
            return;
        }
        // On a full disk it is there, and empty. Where no file can be written, the caller knows that the agent ended.
        let _ = std::fs::remove_file(&file);
    }
}

fn failed_start(places: &Places) -> Refusal {
    failure_files(places)
        .into_iter()
        .filter_map(|file| std::fs::read(file).ok())
        .find_map(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_else(|| {
            Refusal::new(Code::AgentUnreachable, "the agent ended as soon as it was started")
                .hint(format!("look at its log, `{}`", places.log().display()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        all.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn names(all: Vec<(OsString, OsString)>) -> Vec<String> {
        all.into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_hostile_environment_does_not_pass() {
        assert_eq!(
            names(allowed(variables(&[
                ("HOME", "/home/ada"),
                ("LD_PRELOAD", "/tmp/evil.so"),
                ("SSL_CERT_FILE", "/tmp/evil.pem"),
                ("SSL_CERT_DIR", "/tmp"),
                ("AWS_PROFILE", "x"),
                ("PATH", "/tmp"),
                ("DBUS_SESSION_BUS_ADDRESS", "tcp:host=evil.example,port=1"),
                ("XDG_RUNTIME_DIR", "/nowhere/run/user/1"),
                ("XDG_DATA_HOME", "/home/ada/data"),
                ("KEYFOB_JOB", "1"),
                ("KEYFOB_INPUT_COMMAND", "deploy --password s3cret"),
                ("KEYFOB_", "s3cret"),
            ]))),
            ["HOME", "XDG_DATA_HOME", "KEYFOB_JOB"]
        );
    }

    #[test]
    fn sockets_handed_to_a_caller_are_not_passed_on() {
        let handed = [("LISTEN_FDS", "2"), ("LISTEN_PID", "7"), ("LISTEN_FDNAMES", "agent:control")];
        let all = variables(&[&handed[..], &[("HOME", "/home/ada")]].concat());
        assert_eq!(names(passed_on(all.clone())), ["HOME"]);
        // The agent becomes a new program in the same process, which they are still for.
        assert_eq!(allowed(all.clone()), all);
    }

    #[test]
    fn what_a_ci_system_says_goes_to_an_agent_that_is_started_and_to_no_other_program() {
        let job =
            [("CIRCLE_OIDC_TOKEN", "t"), ("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_PROFILE", "x"), ("HOME", "/h")];
        assert_eq!(names(for_an_agent(variables(&job))), ["HOME", "CIRCLE_OIDC_TOKEN", "AWS_ACCESS_KEY_ID"]);
        assert_eq!(names(passed_on(variables(&job))), ["HOME"]);
        // What `keyfob exec` has put there is ours.
        let below = [&job[..], &[(HAS_OUR_KEYS, "1"), ("AWS_EC2_METADATA_DISABLED", "true")]].concat();
        assert_eq!(
            names(for_an_agent(variables(&below))),
            ["HOME", HAS_OUR_KEYS, "CIRCLE_OIDC_TOKEN", "AWS_EC2_METADATA_DISABLED"]
        );
    }

    #[test]
    fn another_system_bus_is_for_a_profile_of_its_own() {
        let bus = ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/tmp/bus");
        assert_eq!(names(allowed(variables(&[bus, ("KEYFOB_STATE_DIR", "")]))), ["KEYFOB_STATE_DIR"]);
        for own in ["KEYFOB_STATE_DIR", "KEYFOB_RUNTIME_DIR", "KEYFOB_CONFIG"] {
            assert_eq!(names(allowed(variables(&[bus, (own, "/tmp/x")]))), [bus.0, own]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_a_runtime_folder_of_our_own_is_passed_on() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let given = variables(&[("XDG_RUNTIME_DIR", folder.path().to_str().unwrap())]);
        for (mode, passes) in [(0o700, true), (0o777, false)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(!allowed(given.clone()).is_empty(), passes, "{mode:o}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn names_are_one_in_any_case_and_paths_are_plain() {
        let all = ["SystemRoot", "Temp", "keyfob_state_dir", "Path"].map(|name| (name.into(), "x".into()));
        let names: Vec<OsString> = allowed(all).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["SystemRoot", "Temp", "keyfob_state_dir"]);
        for (verbatim, plain) in [
            (r"\\?\C:\bin\keyfob.exe", r"C:\bin\keyfob.exe"),
            (r"\\?\UNC\server\share\x", r"\\server\share\x"),
            (r"C:\bin", r"C:\bin"),
            (r"\\?\pipe\x", r"\\?\pipe\x"),
        ] {
            assert_eq!(without_verbatim_prefix(verbatim.into()), Path::new(plain));
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_a_bus_of_our_own_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(bus_is_ours(&format!("unix:path={},guid=1", path.display())));
        assert!(!bus_is_ours(&format!("unix:path={};unix:path=/tmp/evil", path.display())));
        assert!(!bus_is_ours("unix:abstract=/tmp/dbus-1"));
        assert!(!bus_is_ours("tcp:host=evil.example,port=1"));
        assert!(!bus_is_ours("unix:path=/nowhere"));
    }
}
