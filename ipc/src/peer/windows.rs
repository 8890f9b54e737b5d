//! Windows: the pipe's own security and process number, and an open process handle against reuse of that number.
//!
//! The user of a client comes from the token that it connected with, and the user of a server from the owner of its
//! pipe. Neither asks a process: a number may be another process' by now, and the token of a program that was started
//! as administrator cannot be opened by the same person's other programs.
#![expect(unsafe_code, reason = "the standard library asks Windows nothing about tokens, pipes and owners")]

use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, GetSecurityInfo, SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, RevertToSelf, TOKEN_QUERY,
    TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES, READ_CONTROL,
};
use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, ImpersonateNamedPipeClient};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken,
};

use crate::caller::Caller;
use crate::refusal::{Code, Refusal};

mod apart;
mod known;
mod overlapped;
#[path = "process_windows.rs"]
mod process;
pub(crate) use apart::{Apart, spawn_apart};
pub use known::folders;
pub(crate) use overlapped::{read_within, write_within};
pub use process::Process;
pub(super) use process::file_at;

/// The group of administrators. What an elevated program makes belongs to it, not to the person.
const ADMINISTRATORS: &str = "S-1-5-32-544";

/// The user of this process, as a SID. Empty where Windows does not tell: no caller is that, and no pipe can be made
/// for it.
pub fn this_user() -> String {
    own_token().and_then(|token| user_of(token.as_handle())).unwrap_or_default()
}

/// The security descriptor for a pipe (in the text form, SDDL): owned by this user, and open to nobody else. The owner is
/// what [`server_is_ours`] looks at. The server must refuse remote clients besides (`PIPE_REJECT_REMOTE_CLIENTS`).
pub fn only_this_user() -> String {
    let user = this_user();
    format!("O:{user}D:P(A;;GA;;;{user})")
}

/// Who connected to us: the server's end of a pipe is asked.
///
/// Clients of other computers, and of this one by way of its file server, have any process number they like. The pipe
/// itself keeps them out (`PIPE_REJECT_REMOTE_CLIENTS`); what [`Process::pin`] refuses is the second line.
///
/// # Errors
/// The pipe's own errors, and a client that has not opened the pipe with `SECURITY_IDENTIFICATION` or more, as ours does:
/// nothing is known of it before its first bytes were read.
pub fn caller_of(stream: BorrowedHandle<'_>) -> io::Result<Caller> {
    let token = client_token(stream)?;
    Ok(Caller {
        user: user_of(token.as_handle())?,
        process: client_process(stream).and_then(Process::pin).ok(),
    })
}

/// Whether the pipe that we are connected to was made by this user. Its first maker owns a pipe, and giving it to
/// somebody else takes the rights of an administrator; a squatter's pipe is the squatter's.
///
/// # Errors
/// The pipe's own errors.
pub fn server_is_ours(stream: BorrowedHandle<'_>) -> io::Result<bool> {
    let me = user_of(own_token()?.as_handle())?;
    Ok(owner_of(stream, SE_KERNEL_OBJECT)? == me)
}

/// Whether the path is a folder that this user, or an administrator, made.
pub fn is_ours(path: &Path) -> bool {
    check_folder(path).is_ok()
}

/// Checks a private folder on the *opened* folder: a folder, no link, owned by this user or by the administrators.
///
/// Who else may enter is not looked at: below the profile of a person, folders inherit an access list of that person, the
/// administrators and the system.
///
/// # Errors
/// [`Code::PlaceUnsafe`], naming the folder and what is wrong with it.
pub fn check_folder(path: &Path) -> Result<(), Refusal> {
    let unsafe_place =
        |problem: &str| Refusal::new(Code::PlaceUnsafe, format!("the folder `{}` {problem}", path.display()));
    let opened = OpenOptions::new()
        .access_mode(READ_CONTROL | FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
        .map_err(|error| unsafe_place(&format!("cannot be opened ({error})")))?;
    if !opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(unsafe_place("is not a folder"));
    }
    let owner = owner_of(opened.as_handle(), SE_FILE_OBJECT)
        .map_err(|error| unsafe_place(&format!("cannot be examined ({error})")))?;
    let me = this_user();
    if owner != me && owner != ADMINISTRATORS {
        return Err(unsafe_place(&format!("belongs to user {owner}, not to {me}")));
    }
    Ok(())
}

/// The token that the client connected with. Taking the client's identity for a moment is how Windows hands it out; the
/// client decides how far that goes, and for ours it is no further than being identified.
fn client_token(stream: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    // SAFETY: the handle is open as long as `stream` is borrowed.
    if unsafe { ImpersonateNamedPipeClient(stream.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut token = null_mut();
    // SAFETY: the pseudo handle is of this thread, and the result is ours.
    let opened = unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &raw mut token) };
    let error = io::Error::last_os_error();
    // SAFETY: the call takes nothing.
    if unsafe { RevertToSelf() } == 0 {
        // This thread would go on with the rights of the client.
        std::process::abort();
    }
    if opened == 0 { Err(error) } else { owned(token) }
}

fn client_process(stream: BorrowedHandle<'_>) -> io::Result<u32> {
    let mut id = 0;
    // SAFETY: the handle is open as long as `stream` is borrowed, and the result is ours.
    match unsafe { GetNamedPipeClientProcessId(stream.as_raw_handle(), &raw mut id) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(id),
    }
}

fn own_token() -> io::Result<OwnedHandle> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle is of this process, and the result is ours.
    match unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } {
        0 => Err(io::Error::last_os_error()),
        _ => owned(token),
    }
}

/// The user of a token, as a SID.
fn user_of(token: BorrowedHandle<'_>) -> io::Result<String> {
    // A TOKEN_USER (16 bytes) and behind it the SID that it points to (68 bytes at most), aligned for both.
    let mut user = [0u64; 16];
    let size = size_of_val(&user) as u32;
    let (at, mut filled) = (user.as_mut_ptr().cast::<c_void>(), 0);
    // SAFETY: the token is open as long as it is borrowed, and `user` has the `size` bytes.
    if unsafe { GetTokenInformation(token.as_raw_handle(), TokenUser, at, size, &raw mut filled) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled in a TOKEN_USER, whose SID lies in `user` as well.
    unsafe { sid_text((*at.cast::<TOKEN_USER>()).User.Sid) }
}

/// The owner of an open pipe (`SE_KERNEL_OBJECT`) or folder (`SE_FILE_OBJECT`), as a SID.
fn owner_of(object: BorrowedHandle<'_>, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let mut owner: PSID = null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the handle is open as long as it is borrowed, and both results are ours.
    let error = unsafe {
        GetSecurityInfo(
            object.as_raw_handle(),
            kind,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if error != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    // SAFETY: `owner` is null or points into `descriptor`, which is freed once and after its last use.
    unsafe {
        let text = if owner.is_null() { Err(io::ErrorKind::NotFound.into()) } else { sid_text(owner) };
        LocalFree(descriptor);
        text
    }
}

/// The text form of a SID, `S-1-…`.
///
/// # Safety
/// `sid` points to a SID.
unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: a SID by the contract of this function, and the result is ours.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has made a text that ends with a zero; it is freed once and after its last use.
    unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        let copy = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast::<c_void>());
        Ok(copy)
    }
}

/// Takes a new handle over; null says that there is none.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every caller passes what a call has just opened for it, and keeps no copy.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::File;
    use std::os::windows::ffi::OsStrExt;
    use std::path::PathBuf;

    use windows_sys::Win32::Security::Authorization::{
        ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
    };
    use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
    use windows_sys::Win32::Storage::FileSystem::{PIPE_ACCESS_DUPLEX, SECURITY_IDENTIFICATION};
    use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS};

    use super::*;

    pub(crate) fn pipe_name(test: &str) -> PathBuf {
        PathBuf::from(format!(r"\\.\pipe\keyfob-test-{}-{test}", std::process::id()))
    }

    /// One instance of a pipe with our descriptor, ready for one client.
    pub(crate) fn serve(name: &Path, instances: u32) -> File {
        let wide = |text: &std::ffi::OsStr| text.encode_wide().chain([0]).collect::<Vec<_>>();
        let (name, text) = (wide(name.as_os_str()), wide(only_this_user().as_ref()));
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: `text` ends with a zero, and the result is ours (and left to the end of the test's process).
        let read = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        assert_ne!(read, 0, "{}", io::Error::last_os_error());
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        // SAFETY: `name` ends with a zero, and `attributes` holds a whole descriptor.
        let handle = unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_DUPLEX,
                PIPE_REJECT_REMOTE_CLIENTS,
                instances,
                4096,
                4096,
                0,
                &raw const attributes,
            )
        };
        assert_ne!(handle as isize, -1, "{}", io::Error::last_os_error());
        File::from(owned(handle).unwrap())
    }

    #[test]
    fn this_user_is_a_sid() {
        let user = this_user();
        let numbers = user.strip_prefix("S-1-").unwrap();
        assert!(numbers.split('-').all(|number| number.parse::<u64>().is_ok()), "{user}");
    }

    #[test]
    fn both_ends_of_a_pipe_are_known() {
        let name = pipe_name("ends");
        let server = serve(&name, 1);
        let client = OpenOptions::new()
            .read(true)
            .write(true)
            .security_qos_flags(SECURITY_IDENTIFICATION)
            .open(&name)
            .unwrap();
        assert!(server_is_ours(client.as_handle()).unwrap());
        let caller = caller_of(server.as_handle()).unwrap();
        assert_eq!(caller.user, this_user());
        assert_eq!(caller.process.as_ref().unwrap().id, std::process::id());
        assert!(caller.is_alive());
        assert!(caller.executable().unwrap().is_absolute());
    }

    #[test]
    fn a_folder_that_we_made_is_ours_and_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        check_folder(folder.path()).unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refusal = check_folder(&file).unwrap_err();
        assert!(refusal.say.contains("is not a folder"), "{refusal}");
        assert!(!is_ours(&folder.path().join("absent")));
    }
}
