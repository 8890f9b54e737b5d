//! macOS: `LOCAL_PEERCRED` and `LOCAL_PEERTOKEN` of the socket.
#![expect(
    unsafe_code,
    reason = "neither the standard library nor rustix asks macOS about peers and processes"
)]

use std::ffi::{CStr, OsString, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::null_mut;

use super::Folders;
use crate::caller::Caller;

#[path = "process_macos.rs"]
mod process;
pub use process::Process;

/// The user of this process, by its effective number.
pub fn this_user() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

/// The home folder of this user by Directory Services. The environment has no say in it.
pub fn folders() -> Folders {
    Folders { home: home_of(rustix::process::geteuid().as_raw()), ..Folders::default() }
}

/// Room for the texts of one user entry: what is tried first, and where growing ends (bytes).
const USER_ENTRY: (usize, usize) = (4 * 1024, 1024 * 1024);

fn home_of(user: u32) -> Option<PathBuf> {
    let mut texts = vec![0u8; USER_ENTRY.0];
    loop {
        match home_with(user, &mut texts) {
            Ok(home) => return home.filter(|home| home.is_absolute()),
            Err(libc::EINTR) => {}
            Err(libc::ERANGE) if texts.len() < USER_ENTRY.1 => texts.resize(texts.len() * 4, 0),
            Err(_) => return None,
        }
    }
}

/// One question to getpwuid_r(3), which puts the texts of its answer into `texts`. An error is the call's number.
fn home_with(user: u32, texts: &mut [u8]) -> Result<Option<PathBuf>, c_int> {
    let mut entry = MaybeUninit::<libc::passwd>::zeroed();
    let mut found = null_mut();
    let (at, room) = (texts.as_mut_ptr().cast(), texts.len());
    // SAFETY: `entry` is room for a whole entry, `texts` has the `room` bytes, and `found` is ours.
    let error = unsafe { libc::getpwuid_r(user, entry.as_mut_ptr(), at, room, &raw mut found) };
    if error != 0 {
        return Err(error);
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: the call found the user, so it has filled in `entry`; zeroed before, any field it left out is null.
    let home = unsafe { entry.assume_init() }.pw_dir;
    if home.is_null() {
        return Ok(None);
    }
    // SAFETY: the call has put a text with a zero at its end into `texts`, which is still borrowed here.
    let home = unsafe { CStr::from_ptr(home) };
    Ok(Some(PathBuf::from(OsString::from_vec(home.to_bytes().to_vec()))))
}

/// Who connected to us.
///
/// # Errors
/// The socket's own errors.
pub fn caller_of(stream: BorrowedFd<'_>) -> io::Result<Caller> {
    Ok(Caller {
        user: peer_user(stream)?.to_string(),
        process: peer_token(stream).and_then(|(id, version)| Process::of_version(id, version)).ok(),
    })
}

/// Whether the process that listens at the other end runs as this user, or is launchd.
///
/// # Errors
/// The socket's own errors.
pub fn server_is_ours(stream: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(may_listen(peer_user(stream)?, rustix::process::geteuid().as_raw()))
}

/// A socket of a LaunchAgent is opened by launchd, which is root's and listens there until it has started the agent; the system goes
/// on to name it. Root needs no socket of ours to learn what this person has.
fn may_listen(user: u32, me: u32) -> bool {
    user == me || user == 0
}

/// The effective user at the other end, as it was on `connect` or `listen` (getpeereid(3), which reads
/// `LOCAL_PEERCRED`).
fn peer_user(stream: BorrowedFd<'_>) -> io::Result<u32> {
    let (mut user, mut group) = (0, 0);
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and both results are ours.
    if unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut user, &raw mut group) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(user)
}

/// `LOCAL_PEERTOKEN`: the process at the other end, by its number and the version of that number, which no later process
/// shares, and which changes when the process runs another program.
///
/// The number and its version are the last two but one, and the last, of the eight in an `audit_token_t` (libbsm's
/// `audit_token_to_pid` and `audit_token_to_pidversion`).
fn peer_token(stream: BorrowedFd<'_>) -> io::Result<(u32, i32)> {
    let mut token = [0u32; 8];
    let whole = size_of_val(&token) as libc::socklen_t;
    let mut size = whole;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and `token` has the `size` bytes that the call is
    // told, any of which are valid numbers.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_LOCAL,
            libc::LOCAL_PEERTOKEN,
            (&raw mut token).cast::<c_void>(),
            &raw mut size,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    let [_, _, _, _, _, id, _, version] = token;
    if size != whole || id == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((id, version.cast_signed()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_home_folder_is_known_and_grows_its_buffer_on_demand() {
        let user = rustix::process::geteuid().as_raw();
        assert!(folders().home.unwrap().is_absolute());
        assert_eq!(home_with(user, &mut []), Err(libc::ERANGE));
        assert_eq!(home_of(u32::MAX - 7), None);
    }

    #[test]
    fn only_this_user_and_launchd_may_listen() {
        for (user, me, may) in [(501, 501, true), (0, 501, true), (502, 501, false), (501, 0, false)] {
            assert_eq!(may_listen(user, me), may, "{user} {me}");
        }
    }

    #[test]
    fn the_peer_of_a_socket_pair_is_this_process() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let caller = caller_of(one.as_fd()).unwrap();
        assert_eq!(caller.user, this_user());
        assert_eq!(caller.process.as_ref().unwrap().id, std::process::id());
        assert!(caller.is_alive());
        assert!(caller.executable().unwrap().is_absolute());
        assert!(server_is_ours(one.as_fd()).unwrap());
    }
}
