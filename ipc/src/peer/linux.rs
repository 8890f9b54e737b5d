//! Linux: `SO_PEERCRED` and `SO_PEERPIDFD` of the socket, and `/proc`.
#![expect(
    unsafe_code,
    reason = "rustix asks a socket neither for its peer in another namespace nor for a pidfd"
)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

use super::Folders;
use crate::caller::Caller;

#[path = "process_linux.rs"]
mod process;
pub use process::Process;

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
    let (process, user) = credentials(stream)?;
    Ok(Caller { user: user.to_string(), process: process.and_then(|id| process_of(stream, id)) })
}

/// Whether the process that listens at the other end runs as this user.
///
/// # Errors
/// The socket's own errors.
pub fn server_is_ours(stream: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(credentials(stream)?.1 == rustix::process::geteuid().as_raw())
}

/// The process that connected, by the number that `SO_PEERCRED` told.
///
/// Without `SO_PEERPIDFD`, a caller that ended between its `connect` and here is mistaken for whoever took its number
/// within that moment. From here on, no number is used again unnoticed.
fn process_of(stream: BorrowedFd<'_>, id: u32) -> Option<Process> {
    match peer_pidfd(stream) {
        Ok(pidfd) => Process::of_pidfd(id, pidfd).ok(),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Process::pin(id).ok(),
        // ESRCH or EINVAL, as the kernel's age has it: the caller is gone. Or we have no descriptors left.
        Err(_) => None,
    }
}

/// `SO_PEERCRED` (unix(7)): who called `connect` or `listen` at the other end, as the kernel noted it then; its process
/// number, which is none where the process is out of our sight (0), and its effective user.
fn credentials(stream: BorrowedFd<'_>) -> io::Result<(Option<u32>, u32)> {
    let [process, user, _group] = option(stream, libc::SO_PEERCRED)?;
    Ok((u32::try_from(process).ok().filter(|process| *process != 0), user.cast_unsigned()))
}

/// The number of `SO_PEERPIDFD` (Linux 6.5) everywhere but on SPARC and PA-RISC, where Keyfob was never built. libc
/// does not name it yet.
const SO_PEERPIDFD: libc::c_int = 77;

/// `SO_PEERPIDFD`: a pidfd for the same process. It is never another one's, even if the number is used again meanwhile.
fn peer_pidfd(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let [pidfd] = option(stream, SO_PEERPIDFD)?;
    if pidfd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel has just opened this descriptor for us (close-on-exec), and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// An option of the socket that consists of `N` C integers, as `struct ucred` (three) and descriptors (one) do.
fn option<const N: usize>(stream: BorrowedFd<'_>, name: libc::c_int) -> io::Result<[libc::c_int; N]> {
    let mut value = [-1; N];
    let whole = size_of_val(&value);
    let mut length = libc::socklen_t::try_from(whole).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed and open; the kernel writes at most `length` bytes, which is the size of the
    // array behind the pointer, and every bit pattern is a valid integer.
    let answer = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // Less than the whole would leave the user unknown, which is nobody's number.
    if length as usize == whole { Ok(value) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn passwd_lines_are_read_by_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\nada:x:77:77::/home/ada:/bin/sh\nbad\n";
        assert_eq!(home_in_passwd(text, "77"), Some("/home/ada".into()));
        assert_eq!(home_in_passwd(text, "78"), None);
    }

    #[test]
    fn the_peer_of_a_socket_pair_is_this_process() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let caller = caller_of(one.as_fd()).unwrap();
        assert_eq!(caller.user, this_user());
        assert_eq!(caller.process.as_ref().unwrap().id, std::process::id());
        assert!(caller.is_alive());
        assert_eq!(caller.executable(), std::env::current_exe().ok());
        assert!(server_is_ours(one.as_fd()).unwrap());
    }

    #[test]
    fn something_that_is_no_socket_has_no_caller() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(caller_of(file.as_fd()).is_err());
    }
}
