//! macOS: `LOCAL_PEERCRED` and `LOCAL_PEERPID` of the socket, and the start time against reuse of the process number.
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
        process: peer_process(stream).and_then(Process::pin).ok(),
    })
}

/// Whether the process that listens at the other end runs as this user.
///
/// # Errors
/// The socket's own errors.
pub fn server_is_ours(stream: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(peer_user(stream)? == rustix::process::geteuid().as_raw())
}

/// A process, pinned by its start time: a new process with the same number started later.
#[derive(Debug)]
pub struct Process {
    /// The process number.
    pub id: u32,
    started: Started,
}

/// Seconds and microseconds of the wall clock.
type Started = (u64, u64);

impl Process {
    /// Pins the process that has this number now.
    ///
    /// # Errors
    /// It is gone already, or it belongs to somebody else.
    pub fn pin(id: u32) -> io::Result<Self> {
        Ok(Self { id, started: start_time(id)? })
    }

    /// Whether it still runs (and is still the one that was pinned).
    pub fn is_alive(&self) -> bool {
        start_time(self.id).is_ok_and(|started| started == self.started)
    }

    /// The file it runs.
    pub fn executable(&self) -> Option<PathBuf> {
        let id = c_int::try_from(self.id).ok()?;
        let mut path = vec![0u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
        let room = u32::try_from(path.len()).ok()?;
        // SAFETY: `path` has room for as many bytes as the call is told.
        let length = unsafe { libc::proc_pidpath(id, path.as_mut_ptr().cast::<c_void>(), room) };
        path.truncate(usize::try_from(length).ok().filter(|length| *length > 0)?);
        Some(PathBuf::from(OsString::from_vec(path)))
    }
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

/// The process that connected, or that listens (unix(4)).
fn peer_process(stream: BorrowedFd<'_>) -> io::Result<u32> {
    let mut id: libc::pid_t = 0;
    let mut size = size_of::<libc::pid_t>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and `id` has the `size` bytes that the call is told.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_LOCAL,
            libc::LOCAL_PEERPID,
            (&raw mut id).cast::<c_void>(),
            &raw mut size,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(id).ok().filter(|id| *id != 0).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn start_time(id: u32) -> io::Result<Started> {
    let id = c_int::try_from(id).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut information = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let size = size_of::<libc::proc_bsdinfo>() as c_int;
    // SAFETY: `information` has the `size` bytes that the call is told.
    let filled = unsafe {
        libc::proc_pidinfo(id, libc::PROC_PIDTBSDINFO, 0, information.as_mut_ptr().cast::<c_void>(), size)
    };
    if filled != size {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed, then filled by the call; the structure holds plain numbers, so that any bytes are valid.
    let information = unsafe { information.assume_init() };
    // A zombie has ended, though its number is not free yet.
    if information.pbi_status == libc::SZOMB {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((information.pbi_start_tvsec, information.pbi_start_tvusec))
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
        assert!(caller.executable().unwrap().is_absolute());
        assert!(server_is_ours(one.as_fd()).unwrap());
    }
}
