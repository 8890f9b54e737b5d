//! Reading and writing a pipe within a time: Windows knows limits for overlapped operations only.
//!
//! The pipe must have been opened with `FILE_FLAG_OVERLAPPED`. On another one these calls work, and wait for ever.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::{null, null_mut};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_PIPE_NOT_CONNECTED, HANDLE, WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, GetOverlappedResultEx, OVERLAPPED};
use windows_sys::Win32::System::Threading::CreateEventW;

/// Reads what has come; 0 where the other end is closed.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] where nothing comes within `patience`, and the pipe's own errors.
pub(crate) fn read_within(
    stream: BorrowedHandle<'_>,
    buffer: &mut [u8],
    patience: Duration,
) -> io::Result<usize> {
    let (start, room) = (buffer.as_mut_ptr(), bytes(buffer.len()));
    let read = overlapped(stream, patience, |handle, operation| {
        // SAFETY: `buffer` has the `room` bytes, and `overlapped` returns after the operation has ended.
        unsafe { ReadFile(handle, start, room, null_mut(), operation) }
    });
    match read {
        Err(error) if is(&error, ERROR_BROKEN_PIPE) || is(&error, ERROR_PIPE_NOT_CONNECTED) => Ok(0),
        other => other,
    }
}

/// Writes, and returns how much the pipe has taken.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] where the other end takes nothing within `patience`, and the pipe's own errors.
pub(crate) fn write_within(
    stream: BorrowedHandle<'_>,
    buffer: &[u8],
    patience: Duration,
) -> io::Result<usize> {
    let (start, length) = (buffer.as_ptr(), bytes(buffer.len()));
    overlapped(stream, patience, |handle, operation| {
        // SAFETY: `buffer` has the `length` bytes, and `overlapped` returns after the operation has ended.
        unsafe { WriteFile(handle, start, length, null_mut(), operation) }
    })
}

/// Begins one overlapped operation and waits for its end, which it brings about itself where `patience` runs out: when
/// this returns, Windows uses neither the buffer nor the operation any more.
fn overlapped(
    stream: BorrowedHandle<'_>,
    patience: Duration,
    begin: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
) -> io::Result<usize> {
    // SAFETY: a nameless event of our own, without special security.
    let event = super::owned(unsafe { CreateEventW(null(), 1, 0, null()) })?;
    let mut operation = OVERLAPPED { hEvent: event.as_raw_handle(), ..OVERLAPPED::default() };
    let operation = &raw mut operation;
    let handle = stream.as_raw_handle();
    if begin(handle, operation) == 0 {
        let error = io::Error::last_os_error();
        if !is(&error, ERROR_IO_PENDING) {
            return Err(error);
        }
    }
    let mut moved = 0;
    // SAFETY: the operation was begun on this handle and lives until the end of this function.
    if unsafe { GetOverlappedResultEx(handle, operation, &raw mut moved, milliseconds(patience), 0) } != 0 {
        return Ok(moved as usize);
    }
    let error = io::Error::last_os_error();
    // SAFETY: as above. An operation that has ended already keeps its result.
    let ended_well = unsafe {
        CancelIoEx(handle, operation);
        GetOverlappedResult(handle, operation, &raw mut moved, 1) != 0
    };
    match ended_well {
        true => Ok(moved as usize),
        false if is(&error, WAIT_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        false => Err(error),
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

/// Longer buffers are read or written in parts, as with every `Read` and `Write`.
fn bytes(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// At least one, and less than the number that means forever.
fn milliseconds(patience: Duration) -> u32 {
    u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).clamp(1, u32::MAX - 1)
}
