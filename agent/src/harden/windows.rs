//! Windows.
//!
//! Here nothing is closed by number: `keyfob_ipc::start` hands no handle down, and the access list of the doors is set where
//! they are opened.
#![expect(
    unsafe_code,
    reason = "the access list of a process and its environment have no safe form; each block says why it is sound"
)]

use std::ffi::OsStr;
use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1, SE_KERNEL_OBJECT, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::Measure;

/// See above.
pub fn shed(_keep: u32) {}

/// No other program of this user reads or writes this process's memory, takes its handles or starts threads in it.
/// Administrators can all the same, by their right to debug.
pub fn keep_out() -> Vec<Measure> {
    vec![Measure::new("closed to debuggers and other programs of this user", close())]
}

/// There is no limit that both doors full of callers would reach.
pub fn make_room() {}

/// See above.
pub fn descriptors() -> usize {
    usize::MAX
}

/// Takes a variable out of this process's environment.
pub fn forget(name: &OsStr) {
    // SAFETY: the standard library promises that this is safe on Windows, even with several threads.
    unsafe { std::env::remove_var(name) };
}

/// Who may do what with this process, in SDDL. The user may end it, wait for it and ask for its name and times
/// (PROCESS_TERMINATE, SYNCHRONIZE, PROCESS_QUERY_LIMITED_INFORMATION). An owner may rewrite any list, so owners (OW) get no more
/// than a look at this one. The system may do everything.
fn access_list() -> String {
    format!("D:P(A;;0x101001;;;{})(A;;RC;;;OW)(A;;GA;;;SY)", keyfob_ipc::peer::this_user())
}

fn close() -> io::Result<()> {
    let text: Vec<u16> = access_list().encode_utf16().chain([0]).collect();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the text ends with a zero, and the descriptor's place is a variable of ours; no size is asked for.
    let converted = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    if converted == 0 {
        return Err(io::Error::last_os_error());
    }
    let held = apply(descriptor);
    // SAFETY: the call above has allocated it for us to free, and nobody uses it any more.
    unsafe { LocalFree(descriptor) };
    held
}

fn apply(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<()> {
    let (mut is_there, mut list, mut is_default) = (0, null_mut(), 0);
    // SAFETY: the descriptor is valid, and the answers' places are variables of ours.
    let found = unsafe {
        GetSecurityDescriptorDacl(descriptor, &raw mut is_there, &raw mut list, &raw mut is_default)
    };
    // An absent list would open the process to everybody.
    if found == 0 || is_there == 0 || list.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the list is part of the descriptor, which outlives this call; this process's own handle needs no closing.
    let error = unsafe {
        SetSecurityInfo(
            GetCurrentProcess(),
            SE_KERNEL_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            list,
            null(),
        )
    };
    if error == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(error.cast_signed())) }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Foundation::{CloseHandle, ERROR_ACCESS_DENIED};
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcessId, OpenProcess, PROCESS_ACCESS_RIGHTS, PROCESS_CREATE_THREAD, PROCESS_DUP_HANDLE,
        PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, PROCESS_VM_OPERATION,
        PROCESS_VM_READ, PROCESS_VM_WRITE,
    };

    use super::*;

    fn open(rights: PROCESS_ACCESS_RIGHTS) -> Result<(), Option<i32>> {
        // SAFETY: a plain call; the handle that it may give is closed at once.
        let handle = unsafe { OpenProcess(rights, 0, GetCurrentProcessId()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error().raw_os_error());
        }
        // SAFETY: this is a handle of ours, and nobody else has it.
        unsafe { CloseHandle(handle) };
        Ok(())
    }

    /// Rewriting the list (WRITE_DAC) is not among these: Wine lets an owner do that whatever the list says of owners.
    #[test]
    fn the_process_is_closed_to_its_own_user() {
        let harmful = [
            PROCESS_VM_READ,
            PROCESS_VM_WRITE,
            PROCESS_VM_OPERATION,
            PROCESS_DUP_HANDLE,
            PROCESS_CREATE_THREAD,
        ];
        for rights in harmful {
            assert_eq!(open(rights), Ok(()), "{rights:x}: it was open");
        }
        assert_eq!(keep_out()[0].held, Ok(()));
        for rights in harmful {
            assert_eq!(open(rights), Err(Some(ERROR_ACCESS_DENIED.cast_signed())), "{rights:x}");
        }
        for rights in [PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE] {
            assert_eq!(open(rights), Ok(()), "{rights:x}: what `keyfob` and a person need");
        }
    }
}
