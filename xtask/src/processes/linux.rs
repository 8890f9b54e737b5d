//! Linux: an agent leaves its starter's session, so only the kernel's own list of our children finds every one of them.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Doing as _, Failure};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on orphans below us become our children, and a signal that would end us ends them first, so that what
/// this run made is cleaned up on the way out. Call once.
pub fn adopt_orphans() -> Result<(), Failure> {
    set_child_subreaper(Some(getpid())).doing("become the parent of orphans")?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).doing("watch for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            INTERRUPTED.store(true, Ordering::Relaxed);
            for child in children() {
                // It may have ended by itself.
                let _ = kill_process(child, Signal::TERM);
            }
        }
    });
    Ok(())
}

/// Whether a signal has asked us to end.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Ends every process that was left behind below us, and those that these leave behind in turn. `spared` are children
/// that are still wanted.
pub fn end_orphans(spared: impl IntoIterator<Item = u32>) {
    let spared: Vec<u32> = spared.into_iter().collect();
    loop {
        let mut left = children();
        left.retain(|child| !spared.contains(&child.as_raw_nonzero().get().unsigned_abs()));
        // A child that is another user's (started through sudo) cannot be ended by us and must not hold us up.
        left.retain(|child| kill_process(*child, Signal::KILL).is_ok());
        if left.is_empty() {
            return;
        }
        for child in left {
            // Its children become ours when it is gone: the next round sees them.
            let _ = waitpid(Some(child), WaitOptions::empty());
        }
    }
}

fn children() -> Vec<Pid> {
    let ours = getpid().as_raw_nonzero().get();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|process| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"));
            stat.is_ok_and(|stat| parent(&stat) == Some(ours))
        })
        .filter_map(Pid::from_raw)
        .collect()
}

/// The parent's number in a line of `/proc/PID/stat` (proc(5)): the second field behind the name, which may itself
/// contain blanks and parentheses.
fn parent(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("812 (keyfobd) S 77 812 812 0 -1"), Some(77));
        assert_eq!(parent("812 (a) S 5 (b) S 77 812 812"), Some(77));
        assert_eq!(parent("not a line of stat"), None);
    }
}
