//! Linux: `SO_PEERCRED`, and `/proc` held open against reuse of the process number.
#![expect(unsafe_code, reason = "the credentials of a peer are read into a plain C structure")]

use std::io::{self, Read as _};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::Folders;
use crate::caller::Caller;

/// The user of this process, by its effective number.
pub fn this_user() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

/// The home folder of this user by `/etc/passwd`, read as a file: a static binary must not ask the name service. Users of
/// a directory service are not in it.
pub fn folders() -> Folders {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Folders { home: home_in_passwd(&text, &this_user()), ..Folders::default() }
}

fn home_in_passwd(text: &str, user: &str) -> Option<PathBuf> {
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&user))
        .and_then(|fields| fields.get(5).map(PathBuf::from))
        .filter(|home| home.is_absolute())
}

/// Who connected to us.
///
/// # Errors
/// The socket's own errors.
pub fn caller_of(stream: BorrowedFd<'_>) -> io::Result<Caller> {
    let credentials = credentials(stream)?;
    let number = u32::try_from(credentials.pid).ok().filter(|number| *number != 0);
    Ok(Caller {
        user: credentials.uid.to_string(),
        process: number.and_then(|number| Process::pin(number).ok()),
    })
}

/// Whether the process that listens at the other end runs as this user.
///
/// # Errors
/// The socket's own errors.
pub fn server_is_ours(stream: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(credentials(stream)?.uid == rustix::process::geteuid().as_raw())
}

/// `SO_PEERCRED` (unix(7)): who called `connect` or `listen` at the other end, as the kernel noted it then.
fn credentials(stream: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let whole = size_of::<libc::ucred>();
    let mut length = libc::socklen_t::try_from(whole).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed and open; the kernel writes at most `length` bytes, which is the size of the
    // structure behind the pointer, and every bit pattern is a valid `ucred`.
    let answer = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // Less than the whole would leave the user unknown, which is nobody's number.
    if length as usize == whole { Ok(credentials) } else { Err(io::Error::from(io::ErrorKind::InvalidData)) }
}

/// A process, pinned: its `/proc` folder is held open, and its start time is remembered. A new process with the same
/// number has another folder and another start time.
#[derive(Debug)]
pub struct Process {
    /// The process number in this process' namespace.
    pub id: u32,
    folder: OwnedFd,
    started: u64,
}

impl Process {
    /// Pins the process that has this number now.
    ///
    /// # Errors
    /// It is gone already, or `/proc` is not there.
    pub fn pin(id: u32) -> io::Result<Self> {
        let folder = rustix::fs::open(
            format!("/proc/{id}"),
            OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let started = start_time(folder.as_fd())?;
        Ok(Self { id, folder, started })
    }

    /// Whether it still runs (and is still the one that was pinned).
    pub fn is_alive(&self) -> bool {
        start_time(self.folder.as_fd()).is_ok_and(|started| started == self.started)
    }

    /// The file it runs. A replaced file reads as `… (deleted)`.
    pub fn executable(&self) -> Option<PathBuf> {
        let path = rustix::fs::readlinkat(self.folder.as_fd(), "exe", Vec::new()).ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(path.as_bytes()).into_owned()))
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)): clock ticks after boot. The name in field 2 may hold spaces and brackets,
/// so fields are counted from the last bracket.
fn start_time(folder: BorrowedFd<'_>) -> io::Result<u64> {
    let file = rustix::fs::openat(folder, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::with_capacity(512);
    std::fs::File::from(file).take(4096).read_to_string(&mut text)?;
    parse_start_time(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    // A zombie has ended, though its number is not free yet.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(parse_start_time(stat), Some(4242));
    }

    #[test]
    fn passwd_lines_are_read_by_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\nada:x:77:77::/home/ada:/bin/sh\nbad\n";
        assert_eq!(home_in_passwd(text, "77"), Some("/home/ada".into()));
        assert_eq!(home_in_passwd(text, "78"), None);
    }

    #[test]
    fn a_process_is_alive_until_it_ends() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::pin(child.id()).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn the_peer_of_a_socket_pair_is_this_process() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let caller = caller_of(one.as_fd()).unwrap();
        assert_eq!(caller.user, this_user());
        assert_eq!(caller.process.as_ref().unwrap().id, std::process::id());
        assert_eq!(caller.executable(), std::env::current_exe().ok());
        assert!(server_is_ours(one.as_fd()).unwrap());
    }
}
