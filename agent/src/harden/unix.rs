//! Linux and macOS.
#![expect(
    unsafe_code,
    reason = "closing descriptors by number has no safe form; each block says why it is sound"
)]

use std::io::IsTerminal as _;

/// Leaves the session of the first caller, and closes every descriptor that it left open, but for the three standard
/// streams and the first `keep` ones after them (handed over by the service manager). A build that waits for the
/// end of a pipe must not wait for the agent.
///
/// To be called before anything else opens a descriptor.
pub fn shed(keep: u32) {
    // A person who started it by hand wants to end it by Ctrl-C.
    if !std::io::stdin().is_terminal() {
        // Fails for the leader of a group, which is in a session of its own choosing already.
        let _ = rustix::process::setsid();
    }
    let first = 3 + i32::try_from(keep).unwrap_or(0);
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

/// No core dumps, no debugger of the same user. Gives the names of what took hold.
pub fn keep_out() -> Vec<&'static str> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let mut held = Vec::new();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_ok() {
        held.push("no core dumps");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok() {
            held.push("not dumpable");
        }
    }
    held
}

/// Lets this process have as many open files as both doors full of callers need. Most systems start a program with a soft
/// limit of 1024, which one door alone would use up.
pub fn make_room() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Each connection is a socket and, on Linux, the pinned process at its other end.
    let wanted = 2 * 2 * keyfob_ipc::limits::CONNECTIONS as u64 + 256;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let reachable = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < reachable) {
        // Where it fails, callers over the old limit wait in the kernel's queue.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum });
    }
}
