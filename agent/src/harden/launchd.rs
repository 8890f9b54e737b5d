//! The doors that launchd opened for this process (`installers/macos/dev.keyfob.agent.plist`), put where systemd puts its own:
//! at the first numbers after the standard streams. From there on they are taken as those are (`super::handover::adopt`).
#![expect(
    unsafe_code,
    reason = "launchd gives sockets by a call of its own, as numbers; each block says why it is sound"
)]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use rustix::io::fcntl_dupfd_cloexec;

use super::handover;

/// Takes the sockets that launchd keeps under these names, and leaves them open at the numbers from 3 on, in this order, for
/// the program that this process becomes next. `false` where launchd keeps none for this process. To be called once,
/// before anything else opens a descriptor.
///
/// # Errors
/// Where launchd keeps some of them and not one for each name, or a number is taken.
#[cfg(target_os = "macos")]
pub fn take_doors(names: &[&std::ffi::CStr]) -> io::Result<bool> {
    let mut doors = Vec::new();
    for name in names {
        match (activate(name)?, doors.is_empty()) {
            (Some(door), _) => doors.push(door),
            (None, true) => return Ok(false),
            (None, false) => return Err(wrong(name, "none")),
        }
    }
    put(handover::FIRST, doors)?;
    Ok(true)
}

#[cfg(target_os = "macos")]
fn wrong(name: &std::ffi::CStr, given: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!(
        "launchd gives {given} for `{}`, and one socket is expected",
        name.to_string_lossy()
    ))
}

/// One socket by its name in the property list (launch(3)). `None` where launchd has not started this process, or keeps
/// nothing of that name for it.
#[cfg(target_os = "macos")]
fn activate(name: &std::ffi::CStr) -> io::Result<Option<OwnedFd>> {
    use std::ffi::{c_char, c_int};
    use std::os::fd::FromRawFd as _;
    // SAFETY: declared as launch.h does; it is in libSystem, which every program is linked to.
    unsafe extern "C" {
        fn launch_activate_socket(name: *const c_char, sockets: *mut *mut c_int, count: *mut usize) -> c_int;
    }
    let (mut list, mut count) = (std::ptr::null_mut::<c_int>(), 0);
    // SAFETY: the name ends with a zero, and both results are ours.
    match unsafe { launch_activate_socket(name.as_ptr(), &raw mut list, &raw mut count) } {
        0 => {}
        libc::ESRCH | libc::ENOENT => return Ok(None),
        error => return Err(io::Error::from_raw_os_error(error)),
    }
    let mut sockets = Vec::new();
    if !list.is_null() {
        // SAFETY: where the call succeeds, the list has `count` numbers of open descriptors, which are for this process and
        // nobody else in it; the list is from malloc(3), to be freed once by whoever called.
        unsafe {
            let numbers = std::slice::from_raw_parts(list, count);
            sockets.extend(numbers.iter().map(|number| OwnedFd::from_raw_fd(*number)));
            libc::free(list.cast());
        }
    }
    match (sockets.pop(), sockets.len()) {
        (Some(socket), 0) => Ok(Some(socket)),
        _ => Err(wrong(name, count)),
    }
}

/// Leaves these open at the numbers from `first` on, to be inherited, and owned by nobody.
fn put(first: RawFd, sockets: Vec<OwnedFd>) -> io::Result<()> {
    let beyond = first + RawFd::try_from(sockets.len()).map_err(io::Error::other)?;
    let away = sockets.iter().map(|socket| fcntl_dupfd_cloexec(socket, beyond));
    let away = away.collect::<Result<Vec<_>, _>>()?;
    // They may have the very numbers that are wanted, in another order.
    drop(sockets);
    for (number, socket) in (first..).zip(&away) {
        if handover::is_open(number) {
            return Err(io::Error::other(format!("descriptor {number} is taken")));
        }
        // SAFETY: the number was seen closed just now, so it belongs to no value; nothing else runs in this process yet.
        if unsafe { libc::dup2(socket.as_raw_fd(), number) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{BorrowedFd, FromRawFd as _};

    use super::*;

    /// Far from those that tests beside this one open, and below the usual limit of a process.
    const FAR: RawFd = 900;

    fn file_at(number: RawFd) -> (BorrowedFd<'static>, u64) {
        assert!(handover::is_open(number));
        // SAFETY: it is open, and stays so until the end of the test.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        (file, rustix::fs::fstat(file).unwrap().st_ino)
    }

    #[test]
    fn doors_come_to_their_numbers_whatever_numbers_they_had() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = |socket: &OwnedFd| rustix::fs::fstat(socket).unwrap().st_ino;
        let (one, other) = (OwnedFd::from(one), OwnedFd::from(other));
        let inodes = [inode(&one), inode(&other)];
        // Each has the number that the other is to get.
        let far = |socket: &OwnedFd, number| fcntl_dupfd_cloexec(socket, number).unwrap();
        let (late, early) = (far(&one, FAR + 1), far(&other, FAR));
        assert_eq!((late.as_raw_fd(), early.as_raw_fd()), (FAR + 1, FAR), "the numbers were free");
        put(FAR, vec![late, early]).unwrap();
        for (number, expected) in (FAR..).zip(inodes) {
            let (file, inode) = file_at(number);
            assert_eq!(inode, expected, "{number}");
            assert!(rustix::io::fcntl_getfd(file).unwrap().is_empty(), "the next program inherits it");
        }
        // What is there already is nobody's to take.
        let refused = put(FAR, vec![far(&one, 0)]).unwrap_err().to_string();
        assert!(refused.contains("900 is taken"), "{refused}");
        assert_eq!(file_at(FAR).1, inodes[0]);
        for number in [FAR, FAR + 1] {
            // SAFETY: put there above, and owned by nobody.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}
