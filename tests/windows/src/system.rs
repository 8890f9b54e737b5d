//! What only Windows itself can tell: who may use a pipe, and what lies in the Credential Manager.
#![expect(unsafe_code, reason = "no safe library reads access lists or lists credentials")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
    SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::Credentials::{CREDENTIALW, CredEnumerateW, CredFree};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
};

/// `READ_CONTROL` and `FILE_READ_ATTRIBUTES`: what may be asked without reading or writing.
const LOOK: u32 = 0x2_0080;
/// Without it no folder is opened (winbase.h).
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

/// Owner and access list of a pipe that is listened at, in the text form of security descriptors (SDDL).
///
/// # Errors
/// The system's own, also where there is no such pipe.
pub fn descriptor_of_pipe(pipe: &Path) -> io::Result<String> {
    descriptor(&OpenOptions::new().access_mode(LOOK).open(pipe)?, SE_KERNEL_OBJECT)
}

/// Owner and access list of a folder, in the same form.
///
/// # Errors
/// The system's own, also where there is no such folder.
pub fn descriptor_of_folder(folder: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let opened = options.access_mode(LOOK).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(folder)?;
    descriptor(&opened, SE_FILE_OBJECT)
}

fn descriptor(opened: &File, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the handle is open, and everything that is not asked for may be null.
    let error = unsafe {
        GetSecurityInfo(
            opened.as_raw_handle(),
            kind,
            wanted,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    let mut text = null_mut();
    // SAFETY: the descriptor is whole, and the text is made by the call.
    let done = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            wanted,
            &raw mut text,
            null_mut(),
        )
    };
    let answer = if done == 0 { Err(io::Error::last_os_error()) } else { Ok(copied(text)) };
    // SAFETY: both are freed once, after their last use; null is fine.
    unsafe {
        LocalFree(text.cast());
        LocalFree(descriptor);
    }
    answer
}

/// All credentials of this user: their names, and the bytes in them. The values stay where they are.
///
/// # Panics
/// When Windows does not list them.
pub fn credentials() -> Vec<(String, usize)> {
    let (mut count, mut list): (u32, *mut *mut CREDENTIALW) = (0, null_mut());
    // SAFETY: no filter, and both results are places of ours.
    let done = unsafe { CredEnumerateW(null(), 0, &raw mut count, &raw mut list) };
    if done == 0 {
        let error = io::Error::last_os_error();
        // ERROR_NOT_FOUND: there is none.
        assert_eq!(error.raw_os_error(), Some(1168), "credentials cannot be listed: {error}");
        return Vec::new();
    }
    let all = (0..count as usize).map(|index| {
        // SAFETY: the list has so many entries, each with a name that ends with a zero, until it is freed below.
        let entry = unsafe { &**list.add(index) };
        (copied(entry.TargetName), entry.CredentialBlobSize as usize)
    });
    let all = all.collect();
    // SAFETY: freed once, after its last use.
    unsafe { CredFree(list.cast()) };
    all
}

/// A copy of a text of Windows.
fn copied(text: *const u16) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: every caller passes a text that ends with a zero; nothing behind that is read.
    unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
    }
}
