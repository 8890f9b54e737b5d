//! Starting a process that has nothing of ours but its environment.

use std::ffi::{OsStr, OsString, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::os::windows::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::ptr::null;

use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_UNICODE_ENVIRONMENT, CreateProcessW,
    DETACHED_PROCESS, GetExitCodeProcess, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOW,
    WaitForSingleObject,
};

use super::owned;

/// A process that was started apart.
#[derive(Debug)]
pub(crate) struct Apart(OwnedHandle);

impl Apart {
    /// Its exit code, once it has ended.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        // SAFETY: the handle is open.
        if unsafe { WaitForSingleObject(self.0.as_raw_handle(), 0) } != WAIT_OBJECT_0 {
            return Ok(None);
        }
        let mut code = 0;
        // SAFETY: the handle is open, and the result is ours.
        if unsafe { GetExitCodeProcess(self.0.as_raw_handle(), &raw mut code) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(ExitStatus::from_raw(code)))
    }
}

/// Starts a program without arguments and streams: apart from our console with its Ctrl-C, and from our job, which a build tool ends
/// with all that is in it.
///
/// It gets no handle of ours either. A child that the standard library starts has every handle that is marked as inheritable, not
/// its streams alone: whoever waits for the end of an output that we were started with would wait for the end of that child.
///
/// # Errors
/// The system's own.
pub(crate) fn spawn_apart(
    program: &Path,
    environment: &[(OsString, OsString)],
    folder: &Path,
) -> io::Result<Apart> {
    let apart = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_UNICODE_ENVIRONMENT;
    match spawn(program, environment, folder, apart | CREATE_BREAKAWAY_FROM_JOB) {
        // A job may forbid to leave it. Then it ends with the build, and the next call starts another.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            spawn(program, environment, folder, apart)
        }
        other => other,
    }
}

fn spawn(
    program: &Path,
    environment: &[(OsString, OsString)],
    folder: &Path,
    flags: u32,
) -> io::Result<Apart> {
    let (path, folder) = (terminated(program.as_os_str())?, terminated(folder.as_os_str())?);
    let mut line = OsString::from("\"");
    line.push(program);
    line.push("\"");
    let mut line = terminated(&line)?;
    let block = block(environment)?;
    // No streams, by the flag and three handles that are none.
    let mut start = STARTUPINFOW { dwFlags: STARTF_USESTDHANDLES, ..STARTUPINFOW::default() };
    start.cb = u32::try_from(size_of_val(&start)).unwrap_or_default();
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: every text ends with a zero, the environment with two, all outlive the call, and `made` is ours.
    let done = unsafe {
        CreateProcessW(
            path.as_ptr(),
            line.as_mut_ptr(),
            null(),
            null(),
            0,
            flags,
            block.as_ptr().cast::<c_void>(),
            folder.as_ptr(),
            &raw const start,
            &raw mut made,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    drop(owned(made.hThread));
    owned(made.hProcess).map(Apart)
}

/// An environment as Windows has it: sorted by name, each entry with a zero behind it, and one more at the end.
fn block(environment: &[(OsString, OsString)]) -> io::Result<Vec<u16>> {
    let mut sorted: Vec<_> = environment.iter().collect();
    sorted.sort_by_key(|(name, _)| name.to_ascii_uppercase());
    let mut block = Vec::new();
    for (name, value) in sorted {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        block.extend(terminated(&entry)?);
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    Ok(block)
}

fn terminated(text: &OsStr) -> io::Result<Vec<u16>> {
    let units: Vec<u16> = text.encode_wide().collect();
    if units.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(units.into_iter().chain([0]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_sorted_and_ends_with_two_zeros() {
        let all = [("b", "2"), ("A", "1")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(String::from_utf16(&block(&all).unwrap()).unwrap(), "A=1\0b=2\0\0");
        assert_eq!(block(&[]).unwrap(), [0, 0]);
        assert!(block(&[("a".into(), "x\0PATH=y".into())]).is_err());
    }

    #[test]
    fn how_it_ended_is_told() {
        let system = std::path::PathBuf::from(std::env::var_os("SystemRoot").unwrap()).join("System32");
        // Without arguments it says how it is used, and fails.
        let mut child = spawn_apart(&system.join("reg.exe"), &[], &system).unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(std::time::Instant::now() < end);
            std::thread::yield_now();
        };
        assert_eq!(status.code(), Some(1));
        assert!(spawn_apart(&system.join("no such program.exe"), &[], &system).is_err());
    }
}
