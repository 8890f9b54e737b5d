//! What a child gets without being given it.

use std::io;
use std::os::windows::io::{AsRawHandle, RawHandle};

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};

/// Keeps our standard streams out of the processes that we start from now on, unless they are handed over by name.
///
/// A child gets every handle that is marked as inheritable, and whoever started us with pipes marked ours: a build that
/// waits for the end of our output would wait for the agent.
pub(crate) fn keep_standard_streams() {
    let streams: [RawHandle; 3] =
        [io::stdin().as_raw_handle(), io::stdout().as_raw_handle(), io::stderr().as_raw_handle()];
    for stream in streams {
        // SAFETY: the call takes a handle and two numbers. A stream that is absent makes it fail, and has nothing to keep.
        let _ = unsafe { SetHandleInformation(stream, HANDLE_FLAG_INHERIT, 0) };
    }
}
