//! A process of Linux: held by a pidfd, or by its `/proc` folder, and read from there.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};

use crate::peer::{ARGUMENTS, FileId, Program, first_texts};

/// A process, pinned: what is told of it is never about another one that was given its number later.
#[derive(Debug)]
pub struct Process {
    /// The process number in this process' namespace.
    pub id: u32,
    hold: Hold,
    noted: Stat,
}

/// What keeps the number from meaning another process.
#[derive(Debug)]
enum Hold {
    /// The process itself. While it has not ended, its number is its own.
    Pidfd(OwnedFd),
    /// Its folder in `/proc`, which stays empty when the process has gone.
    Folder(OwnedFd),
}

impl Process {
    /// Pins the process that has this number now.
    ///
    /// # Errors
    /// It is gone already, or `/proc` is not there.
    pub fn pin(id: u32) -> io::Result<Self> {
        let folder = open(CWD, &format!("/proc/{id}"), OFlags::DIRECTORY | OFlags::PATH)?;
        Self::held(id, Hold::Folder(folder))
    }

    /// The process of a pidfd, whose number is `id`.
    pub(super) fn of_pidfd(id: u32, pidfd: OwnedFd) -> io::Result<Self> {
        Self::held(id, Hold::Pidfd(pidfd))
    }

    fn held(id: u32, hold: Hold) -> io::Result<Self> {
        let noted = stat_of(id, &hold)?;
        if noted.has_ended { Err(gone()) } else { Ok(Self { id, hold, noted }) }
    }

    /// Whether it still runs (and is still the one that was pinned).
    pub fn is_alive(&self) -> bool {
        match &self.hold {
            Hold::Pidfd(pidfd) => !has_ended(pidfd),
            Hold::Folder(_) => stat_of(self.id, &self.hold)
                .is_ok_and(|now| !now.has_ended && now.started == self.noted.started),
        }
    }

    /// The process that started it, or took it in when that one had ended. `None` where it cannot be told any more, and
    /// for the first process of a container.
    ///
    /// The number was noted when this process was pinned, so this works after its end, too, while the parent lives.
    pub fn parent(&self) -> Option<Self> {
        let parent = Self::pin(self.noted.parent).ok()?;
        let is_the_parent = match stat_of(self.id, &self.hold) {
            Ok(now) => now.parent == parent.id,
            // Whoever was given the number after the parent's end is younger than the child, by the hundredths of a second
            // that start times are told in.
            Err(_) => parent.noted.started <= self.noted.started,
        };
        is_the_parent.then_some(parent)
    }

    /// What it runs at this moment; `None` where it is gone, or does not let us look (`PR_SET_DUMPABLE`, another user's).
    ///
    /// A process may run another program at any time, and keeps its connections if it likes.
    pub fn program(&self) -> Option<Program> {
        // Opened once, so that name and file are of one program, whatever the process runs meanwhile.
        let running = self.open("exe", OFlags::PATH).ok()?;
        let file = file_of(&running)?;
        let link = format!("/proc/self/fd/{}", running.as_raw_fd());
        let named = rustix::fs::readlink(link, Vec::new()).ok()?;
        let named = PathBuf::from(std::ffi::OsString::from_vec(named.into_bytes()));
        Some(Program::running(file, named, |path| FileId::of(path).ok()))
    }

    /// The path of [`Process::program`].
    pub fn executable(&self) -> Option<PathBuf> {
        self.program().map(|program| program.path)
    }

    /// Whether it sees the files that we see: the same mount namespace, and the same user namespace. Where it does not, a
    /// path of it may lead to another file than here. `None` where it does not let us look.
    pub fn is_in_our_namespace(&self) -> Option<bool> {
        Some(self.shares("ns/mnt")? && self.shares("ns/user")?)
    }

    fn shares(&self, namespace: &str) -> Option<bool> {
        match FileId::of(&Path::new("/proc/self").join(namespace)) {
            Ok(ours) => Some(file_of(&self.open(namespace, OFlags::PATH).ok()?)? == ours),
            // A kernel without this kind of namespace has one for all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(true),
            Err(_) => None,
        }
    }

    /// The first arguments as the process *claims* them: it can write there what it likes. At most 4 KiB are looked at.
    ///
    /// They are read from the memory of the process, which can let us wait as long as it likes (userfaultfd(2), FUSE): ask
    /// from a thread that nobody else waits for.
    pub fn arguments(&self, at_most: usize) -> Option<Vec<String>> {
        let file = self.open("cmdline", OFlags::RDONLY).ok()?;
        let mut block = [0; ARGUMENTS];
        let length = rustix::io::read(file, &mut block).ok()?;
        (length > 0).then(|| first_texts(&block[..length], at_most))
    }

    /// Whether it has a controlling terminal, and stands in its foreground now: what a terminal's shell runs in the
    /// background has the terminal, too, and nobody types to it.
    pub fn has_terminal(&self) -> bool {
        stat_of(self.id, &self.hold).is_ok_and(|now| !now.has_ended && now.is_in_front)
    }

    fn open(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        open_in(self.id, &self.hold, name, flags)
    }
}

/// What `/proc/PID/stat` tells (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Field 3: a zombie has ended, though its number is not free yet.
    has_ended: bool,
    /// Field 4: the number of the parent; 0 where it is out of our sight.
    parent: u32,
    /// Fields 5, 7 and 8: its group is the one in the foreground of its terminal.
    is_in_front: bool,
    /// Field 22: clock ticks after boot.
    started: u64,
}

fn stat_of(id: u32, hold: &Hold) -> io::Result<Stat> {
    let file = open_in(id, hold, "stat", OFlags::RDONLY)?;
    // The kernel gives the whole line to one read: 52 numbers and a short name.
    let mut line = [0; 2048];
    let length = rustix::io::read(file, &mut line)?;
    parse(&line[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The name in field 2 may hold spaces, brackets and half a character, so fields are counted from the last bracket.
fn parse(stat: &[u8]) -> Option<Stat> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let (state, parent, group) = (fields.next()?, fields.next()?, fields.next()?);
    let (_session, terminal, in_front) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Stat {
        has_ended: matches!(state, "Z" | "X"),
        parent: parent.parse().ok()?,
        is_in_front: terminal != "0" && group == in_front,
        started: fields.nth(13)?.parse().ok()?,
    })
}

/// Opens a file of the process' folder. What is open then is about that process alone.
fn open_in(id: u32, hold: &Hold, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    match hold {
        Hold::Folder(folder) => open(folder.as_fd(), name, flags),
        Hold::Pidfd(pidfd) => {
            let file = open(CWD, &format!("/proc/{id}/{name}"), flags)?;
            // It has not ended, so the number was its own when the file was opened.
            if has_ended(pidfd) { Err(gone()) } else { Ok(file) }
        }
    }
}

fn open(folder: std::os::fd::BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// A pidfd is readable from the end of its process on (pidfd_open(2)). Where that cannot be told, it counts as ended.
fn has_ended(pidfd: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    !poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready == 0)
}

fn file_of(opened: &OwnedFd) -> Option<FileId> {
    let stat = rustix::fs::fstat(opened).ok()?;
    Some(FileId { device: stat.st_dev, inode: stat.st_ino })
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_or_half_a_character_does_not_shift_the_fields() {
        let rest = b") S 5 7 7 34816 7 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        let expected = Stat { has_ended: false, parent: 5, is_in_front: true, started: 4242 };
        for name in [&b"a) b) 1"[..], b"caf\xc3", b""] {
            let line = [b"7 (", name, rest].concat();
            assert_eq!(parse(&line).as_ref(), Some(&expected));
        }
        assert_eq!(parse(b"7 (a) S 5 7"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_process_is_alive_until_it_ends_however_it_is_held() {
        let mut child = child();
        let by_folder = Process::pin(child.id()).unwrap();
        let by_pidfd = by_pidfd(child.id());
        assert!(by_folder.is_alive());
        assert!(by_pidfd.is_alive());
        child.kill().unwrap();
        // Before it is reaped, too.
        wait_until(|| !by_pidfd.is_alive());
        assert!(!by_folder.is_alive());
        assert!(Process::pin(child.id()).is_err());
        child.wait().unwrap();
        assert!(!by_folder.is_alive());
        assert!(!by_pidfd.is_alive());
    }

    #[test]
    fn both_holds_tell_the_same() {
        let mut child = child();
        let (by_folder, by_pidfd) = (Process::pin(child.id()).unwrap(), by_pidfd(child.id()));
        assert_eq!(by_folder.noted, by_pidfd.noted);
        // Until `exec` is done it is a copy of this test.
        wait_until(|| by_folder.arguments(1).is_some_and(|arguments| arguments == ["cat"]));
        for process in [&by_folder, &by_pidfd] {
            let program = process.program().unwrap();
            assert_eq!(program.file, FileId::of(&program.path).ok());
            assert!(!program.is_replaced);
            assert_eq!(process.is_in_our_namespace(), Some(true));
            assert_eq!(process.arguments(5).unwrap(), ["cat", "-"]);
            assert_eq!(process.arguments(1).unwrap(), ["cat"]);
            assert_eq!(process.parent().unwrap().id, std::process::id());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for process in [&by_folder, &by_pidfd] {
            assert_eq!(process.program(), None);
            assert_eq!(process.is_in_our_namespace(), None);
            assert_eq!(process.arguments(5), None);
            assert_eq!(process.parent().unwrap().id, std::process::id());
        }
    }

    fn child() -> Child {
        Command::new("cat").arg("-").stdin(Stdio::piped()).spawn().unwrap()
    }

    fn by_pidfd(id: u32) -> Process {
        let number = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
        let pidfd = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).unwrap();
        Process::of_pidfd(id, pidfd).unwrap()
    }

    fn wait_until(holds: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !holds() {
            assert!(std::time::Instant::now() < deadline, "waited in vain");
            std::thread::yield_now();
        }
    }
}
