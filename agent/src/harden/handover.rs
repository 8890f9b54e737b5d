//! Becoming another program without leaving the process (`crate::upgrade`): descriptors that go along, and secrets that
//! wait outside until the new program has closed itself to others.
#![expect(
    unsafe_code,
    reason = "adopting descriptors by number, fork and execve have no safe form; each block says why it is sound"
)]

use std::ffi::{CString, OsString, c_char, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Pid, WaitOptions, waitpid};
use zeroize::Zeroize as _;

/// How many descriptors a program can hand to the next one.
pub const HANDED: usize = 4;

/// The first of them (sd_listen_fds(3)).
pub(super) const FIRST: RawFd = 3;

/// What the next program says once it is closed to others.
pub const READY: u8 = b'r';

/// Seconds after which a keeper ends, whatever happens.
const KEEPER: u32 = 15;

/// Adopts the descriptors that were handed to this process, and keeps their numbers free for handing over in turn. To be
/// called once, before anything else opens a descriptor.
///
/// # Errors
/// Where there are more than can be handed over, or fewer than was said, or the system has no descriptors left.
pub fn adopt(count: usize) -> io::Result<(Vec<OwnedFd>, Reserve)> {
    // Whoever starts a program says whatever they like in its environment.
    if count > HANDED {
        return Err(io::Error::other(format!("LISTEN_FDS says {count}, and at most {HANDED} are taken")));
    }
    let null = || {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())
    };
    let mut numbers = Vec::new();
    for (index, number) in (FIRST..).take(HANDED).enumerate() {
        let place = if index < count {
            if !is_open(number) {
                return Err(io::Error::other(format!(
                    "LISTEN_FDS says {count}, and descriptor {number} is not open"
                )));
            }
            // SAFETY: the number is open, within those that were handed to this process, and belongs to nobody else in it;
            // this runs once, before anything has opened a descriptor.
            unsafe { OwnedFd::from_raw_fd(number) }
        } else {
            null()?
        };
        if place.as_raw_fd() != number {
            return Err(io::Error::other(format!("descriptor {number} is taken")));
        }
        numbers.push(place);
    }
    let mut reserve = Reserve { null: null()?, numbers };
    let beyond = FIRST + RawFd::try_from(reserve.numbers.len()).unwrap_or(FIRST);
    let adopted = reserve.numbers.iter().take(count).map(|place| fcntl_dupfd_cloexec(place, beyond));
    let adopted = adopted.collect::<Result<Vec<_>, _>>()?;
    reserve.empty();
    Ok((adopted, reserve))
}

pub(super) fn is_open(number: RawFd) -> bool {
    // SAFETY: this asks about a number, open or not, and changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// The numbers that descriptors are handed over by.
#[derive(Debug)]
pub struct Reserve {
    null: OwnedFd,
    numbers: Vec<OwnedFd>,
}

impl Reserve {
    /// Puts these there, to be inherited.
    ///
    /// # Errors
    /// The system's own.
    pub fn fill(&mut self, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if descriptors.len() > self.numbers.len() {
            return Err(io::Error::other("more descriptors than can be handed over"));
        }
        for (descriptor, place) in descriptors.iter().zip(&mut self.numbers) {
            rustix::io::dup2(descriptor, place)?;
        }
        Ok(())
    }

    /// Takes them away again.
    pub fn empty(&mut self) {
        for place in &mut self.numbers {
            // Neither fails for descriptors that are open.
            let _ = rustix::io::dup2(&self.null, place);
            let _ = fcntl_setfd(&*place, FdFlags::CLOEXEC);
        }
    }
}

/// Makes this process run another program, with this environment and no arguments. Returns only where that failed, and
/// then nothing has changed.
pub fn become_program(program: &Path, environment: &[(OsString, OsString)]) -> io::Error {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let variable =
        |(name, value): &(OsString, OsString)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat());
    let strings = text(program.as_os_str().as_bytes())
        .and_then(|path| Ok((path, environment.iter().map(variable).collect::<io::Result<Vec<_>>>()?)));
    let (path, variables) = match strings {
        Ok(strings) => strings,
        Err(error) => return error,
    };
    let arguments = [path.as_ptr(), ptr::null()];
    let variables: Vec<*const c_char> =
        variables.iter().map(|variable| variable.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: all three are text that ends with a zero, in lists that end with a null pointer, and outlive the call. The
    // standard library's own way would set SIGPIPE to deadly in this process first, also where it then fails.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
    io::Error::last_os_error()
}

/// Secrets that wait outside of this process, in a copy of it that was closed to others before.
#[derive(Debug)]
pub struct Keeper {
    socket: OwnedFd,
    process: Pid,
}

impl Keeper {
    /// Starts one. It writes the bytes once somebody says [`READY`] at the other end, and ends; and it ends without a word
    /// when the other end is closed, or after some seconds.
    ///
    /// # Errors
    /// Where the system gives no socket or no process.
    pub fn start(bytes: &mut [u8]) -> io::Result<Self> {
        let (ours, its) = std::os::unix::net::UnixStream::pair()?;
        let (start, length) = (bytes.as_mut_ptr(), bytes.len());
        let socket = its.as_raw_fd();
        // SAFETY: the child calls nothing but what may be called between fork and exec in a process that had several
        // threads (signal-safety(7)): no memory is allocated, no lock is taken, and it never returns from `wait_outside`.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: this is the child; the bytes are its own copy, and the socket is open.
            0 => unsafe { wait_outside(socket, start, length) },
            process => {
                let process = Pid::from_raw(process).ok_or_else(|| io::Error::other("no process number"))?;
                Ok(Self { socket: ours.into(), process })
            }
        }
    }

    /// The end that the next program asks at.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Nobody is going to ask.
    pub fn dismiss(self) {
        drop(self.socket);
        // It ends when it sees the other end closed.
        let _ = waitpid(Some(self.process), WaitOptions::empty());
    }
}

/// The life of a keeper.
///
/// # Safety
/// To be called in a child that was forked for it: `bytes` are `length` bytes that nobody else uses, and `socket` is open.
unsafe fn wait_outside(socket: c_int, bytes: *mut u8, length: usize) -> ! {
    // SAFETY: each of these calls is allowed here (signal-safety(7)) and touches nothing but the arguments: numbers, one
    // byte on the stack, and the bytes, which this process has for itself.
    unsafe {
        // The doors, the lock and everything else belong to the agent alone: it may end before this does.
        close_all_but(socket);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGALRM] {
            libc::signal(signal, libc::SIG_DFL);
        }
        // Whoever started the agent may have had the alarm held back, and that is inherited.
        let mut alarm = std::mem::zeroed();
        libc::sigemptyset(&raw mut alarm);
        libc::sigaddset(&raw mut alarm, libc::SIGALRM);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const alarm, ptr::null_mut());
        libc::alarm(KEEPER);
        let mut word = 0u8;
        if again(|| libc::read(socket, (&raw mut word).cast(), 1)) == 1 && word == READY {
            let mut written = 0;
            while written < length {
                match again(|| libc::write(socket, bytes.add(written).cast(), length - written)) {
                    count if count > 0 => written += count.cast_unsigned(),
                    _ => break,
                }
            }
        }
        std::slice::from_raw_parts_mut(bytes, length).zeroize();
        libc::_exit(0)
    }
}

/// Repeats a call that a signal has interrupted.
fn again(mut call: impl FnMut() -> isize) -> isize {
    loop {
        let answer = call();
        if answer >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return answer;
        }
    }
}

/// # Safety
/// Whatever uses a descriptor afterwards must not be run any more.
unsafe fn close_all_but(kept: c_int) {
    // SAFETY: closing numbers, open or not, touches no memory.
    unsafe {
        #[cfg(target_os = "linux")]
        {
            let kept = kept.cast_unsigned();
            let below = libc::syscall(libc::SYS_close_range, 0, kept.saturating_sub(1), 0);
            let above = libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0);
            if below == 0 && above == 0 {
                return;
            }
        }
        let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(0, 65_536);
        for number in (0..c_int::try_from(most).unwrap_or(1024)).filter(|number| *number != kept) {
            libc::close(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_handed_over_is_refused_before_anything_is_touched() {
        for count in [HANDED + 1, 100, 2_147_483_647, usize::MAX] {
            let error = adopt(count).unwrap_err().to_string();
            assert!(error.contains("at most 4"), "{error}");
        }
    }

    /// A line of `/proc/PID/status` about signals (proc(5)), as a set.
    #[cfg(target_os = "linux")]
    fn signals(process: Pid, name: &str) -> u64 {
        let path = format!("/proc/{}/status", process.as_raw_nonzero());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_keeper_ends_in_time_whatever_it_inherited() {
        use std::time::{Duration, Instant};
        const ALARM: u64 = 1 << (libc::SIGALRM - 1);
        let me = Pid::from_raw(std::process::id().try_into().unwrap()).unwrap();
        // A keeper is forked by a thread, and has its mask.
        let keeper = std::thread::spawn(|| {
            // SAFETY: this thread's own mask, and a signal that nothing else here uses.
            unsafe {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
                libc::signal(libc::SIGALRM, libc::SIG_IGN);
            }
            Keeper::start(&mut [7; 100]).unwrap()
        });
        let keeper = keeper.join().unwrap();
        assert_ne!(signals(me, "SigIgn:") & ALARM, 0, "it is inherited by every child");
        let end = Instant::now() + Duration::from_secs(10);
        while (signals(keeper.process, "SigIgn:") | signals(keeper.process, "SigBlk:")) & ALARM != 0 {
            assert!(Instant::now() < end, "the alarm does not reach it");
            std::thread::yield_now();
        }
        keeper.dismiss();
    }
}
