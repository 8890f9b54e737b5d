//! Linux and macOS.
#![expect(
    unsafe_code,
    reason = "closing descriptors by number, signals and refusing a debugger have no safe form; each block says why it is sound"
)]

use std::io::IsTerminal as _;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Measure;

/// Leaves the session of the first caller, and closes every descriptor that it left open, but for the three standard
/// streams and the first `keep` ones after them (handed over by the service manager). A build that waits for the
/// end of a pipe must not wait for the agent. Programs that the agent starts can be waited for, whatever the caller did.
///
/// To be called before anything else opens a descriptor.
pub fn shed(keep: u32) {
    // A person who started it by hand wants to end it by Ctrl-C.
    if !std::io::stdin().is_terminal() {
        // Fails for the leader of a group, which is in a session of its own choosing already.
        let _ = rustix::process::setsid();
    }
    // Where SIGCHLD is ignored, which is inherited, the system keeps no word of how a program ended.
    // SAFETY: this sets no handler, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    // More than that is refused later.
    let most = u32::try_from(super::handover::HANDED).unwrap_or_default();
    let first = 3 + keep.min(most).cast_signed();
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(open) = std::fs::read_dir(folder) else { return };
    let inherited: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor >= first)
        .collect();
    // The one that listed the folder is among them, and closed by now.
    let is_open = |descriptor: &i32| std::fs::symlink_metadata(format!("{folder}/{descriptor}")).is_ok();
    for descriptor in inherited.into_iter().filter(is_open) {
        // SAFETY: this runs before anything in this process has opened a descriptor that stays, so none of these belongs
        // to a value of ours, and each was seen open just now.
        unsafe { rustix::io::close(descriptor) };
    }
}

/// No core dumps, no debugger of the same user, no program with more rights than this one.
pub fn keep_out() -> Vec<Measure> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let mut measures = vec![Measure::new("no core dumps", setrlimit(Resource::Core, none))];
    measures.extend(platform());
    measures
}

/// Nothing is locked into memory (mlockall(2)): the usual limit is a fraction of what TLS and the libraries map, and from
/// there on every allocation would fail.
#[cfg(target_os = "linux")]
fn platform() -> [Measure; 3] {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    [
        // Also what keeps core dumps from a program in `core_pattern`, which the limit does not.
        Measure::new(
            "closed to debuggers and other programs of this user",
            set_dumpable_behavior(DumpableBehavior::NotDumpable),
        ),
        Measure::new("no debugger attached before that", untraced()),
        Measure::new("no rights gained by starting a program", rustix::thread::set_no_new_privs(true)),
    ]
}

/// Closing the door does not throw out who is inside.
#[cfg(target_os = "linux")]
fn untraced() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    match status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(str::trim) {
        Some("0") => Ok(()),
        Some(process) => Err(format!("process {process} is attached")),
        None => Err("the system does not tell".to_owned()),
    }
}

/// A debugger that is attached already ends this process here (ptrace(2) of Darwin).
#[cfg(target_os = "macos")]
fn platform() -> [Measure; 1] {
    // SAFETY: this request reads none of its other arguments.
    let answer = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    let held = if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    [Measure::new("closed to debuggers", held)]
}

/// Lets this process have as many open files as both doors full of callers need. Most systems start a program with a soft
/// limit of 1024, which one door alone would use up.
pub fn make_room() {
    use keyfob_ipc::limits::{CONNECTIONS, CONVERSATIONS, DESCRIPTORS, SPARE};
    let wanted = (DESCRIPTORS * (2 * (CONNECTIONS + SPARE) + CONVERSATIONS) + 512) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let reachable = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < reachable) {
        // Where it fails, the doors have fewer places.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum });
    }
}

/// How many open files this process may have.
pub fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
