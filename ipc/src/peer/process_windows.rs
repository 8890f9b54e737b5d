//! A process of Windows, held open: until the handle is closed, its number is given to no other process.

use std::ffi::{OsString, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use windows_sys::Wdk::System::Threading::{
    NtQueryInformationProcess, PROCESSINFOCLASS, ProcessBasicInformation, ProcessCommandLineInformation,
};
use windows_sys::Win32::Foundation::{FILETIME, LocalFree, UNICODE_STRING, WAIT_TIMEOUT};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_ATTRIBUTES,
    FileBasicInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
};
use windows_sys::Win32::System::Threading::{
    GetProcessId, GetProcessTimes, OpenProcess, PROCESS_BASIC_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, WaitForSingleObject,
};
use windows_sys::Win32::UI::Shell::CommandLineToArgvW;

use super::owned;
use crate::peer::{ARGUMENTS, FileId, Program};

/// The longest path that Windows knows, in UTF-16 units.
const LONGEST_PATH: usize = 32 * 1024;

/// A process, pinned: what is told of it is never about another one that was given its number later.
#[derive(Debug)]
pub struct Process {
    /// The process number.
    pub id: u32,
    handle: OwnedHandle,
}

impl Process {
    /// Pins the process that has this number now.
    ///
    /// # Errors
    /// It is gone already, it is Windows itself (0 and 4), or the number is not exactly its own.
    pub fn pin(id: u32) -> io::Result<Self> {
        if matches!(id, 0 | 4) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the call takes plain numbers.
        let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE, 0, id) };
        let handle = owned(handle)?;
        // OpenProcess ignores the two lowest bits, and a client that comes through the file server has any number it
        // likes: only an exact match names a process.
        // SAFETY: the handle is open.
        if unsafe { GetProcessId(handle.as_raw_handle()) } != id {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { id, handle })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(self.handle.as_raw_handle(), 0) == WAIT_TIMEOUT }
    }

    /// The process that started it, also after its end. `None` where that one has ended or belongs to another user: Windows
    /// lets nobody take its place.
    pub fn parent(&self) -> Option<Self> {
        let mut basic = PROCESS_BASIC_INFORMATION::default();
        // SAFETY: the class fills in this structure, which holds numbers and a pointer that is not followed.
        unsafe { self.told(ProcessBasicInformation, &raw mut basic, size_of_val(&basic)) }?;
        let parent = Self::pin(u32::try_from(basic.InheritedFromUniqueProcessId).ok()?).ok()?;
        // Whoever was given the number after the parent's end is younger than the child.
        (parent.began()? <= self.began()?).then_some(parent)
    }

    /// What it runs; `None` where the system does not tell.
    ///
    /// Windows tells the path that the process was started from, and not the file: [`Program::file`] is the one that is
    /// there, if nothing about it has changed since the process began. A running file can be renamed, though not removed.
    pub fn program(&self) -> Option<Program> {
        let path = self.path()?;
        let there = file_at(&path).ok();
        Some(Program::unchanged_since(&self.began()?, path, there))
    }

    /// The path of [`Process::program`].
    pub fn executable(&self) -> Option<PathBuf> {
        self.path()
    }

    /// Whether it sees the files that we see: always, for Windows has no mount namespaces. (Drive letters can differ
    /// between sessions; the path that the system tells is in terms of ours.)
    pub fn is_in_our_namespace(&self) -> Option<bool> {
        Some(true)
    }

    /// The first arguments as the process *claims* them: it can write there what it likes. At most 4 KiB are looked at.
    pub fn arguments(&self, at_most: usize) -> Option<Vec<String>> {
        // The longest command line and the structure before it, aligned for both.
        let mut room = vec![0u64; (LONGEST_PATH * 2 + 64) / 8];
        let size = size_of_val(room.as_slice());
        let at = room.as_mut_ptr().cast::<UNICODE_STRING>();
        // SAFETY: the class fills in this structure and puts its text behind it, both in `room`, which has the `size` bytes.
        let line = unsafe {
            self.told(ProcessCommandLineInformation, at, size)?;
            let UNICODE_STRING { Length: length, Buffer: text, .. } = *at;
            if text.is_null() {
                return None;
            }
            std::slice::from_raw_parts(text, usize::from(length / 2))
        };
        split(&line[..line.len().min(ARGUMENTS / 2)], at_most)
    }

    /// Always `false`: Windows has no controlling terminals, and a console can be without a window. Nothing that rests on
    /// a person's terminal can rest on this.
    pub fn has_terminal(&self) -> bool {
        false
    }

    fn path(&self) -> Option<PathBuf> {
        let mut path = vec![0u16; LONGEST_PATH];
        let mut length = u32::try_from(path.len()).ok()?;
        let handle = self.handle.as_raw_handle();
        // SAFETY: the handle is open, and `path` has room for the `length` units that the call is told.
        let done = unsafe { QueryFullProcessImageNameW(handle, 0, path.as_mut_ptr(), &raw mut length) };
        path.truncate(length as usize);
        (done != 0).then(|| PathBuf::from(OsString::from_wide(&path)))
    }

    /// When it began, in the system's unit (100 ns from 1601 on).
    fn began(&self) -> Option<i64> {
        let mut times = [FILETIME::default(); 4];
        let [began, ended, kernel, user] = &mut times;
        // SAFETY: the handle is open, and the four results are ours.
        let done = unsafe { GetProcessTimes(self.handle.as_raw_handle(), began, ended, kernel, user) };
        let began = (i64::from(began.dwHighDateTime) << 32) | i64::from(began.dwLowDateTime);
        (done != 0).then_some(began)
    }

    /// # Safety
    /// `class` fills in a `T`, at most `size` bytes, which `answer` has room for.
    unsafe fn told<T>(&self, class: PROCESSINFOCLASS, answer: *mut T, size: usize) -> Option<()> {
        let size = u32::try_from(size).ok()?;
        let handle = self.handle.as_raw_handle();
        // SAFETY: the handle is open; the rest is the contract of this function.
        let status =
            unsafe { NtQueryInformationProcess(handle, class, answer.cast::<c_void>(), size, null_mut()) };
        (status >= 0).then_some(())
    }
}

/// The file at this path, links followed, and when anything about it was changed last (100 ns from 1601 on).
///
/// # Errors
/// Nothing is there, or it cannot be examined.
pub fn file_at(path: &Path) -> io::Result<(FileId, i64)> {
    let file = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    Ok((id_of(&file)?, changed(&file)?))
}

fn id_of(file: &File) -> io::Result<FileId> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the result is ours.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(FileId {
        device: u64::from(information.dwVolumeSerialNumber),
        inode: (u64::from(information.nFileIndexHigh) << 32) | u64::from(information.nFileIndexLow),
    })
}

fn changed(file: &File) -> io::Result<i64> {
    let mut times = FILE_BASIC_INFO::default();
    let (at, size) = ((&raw mut times).cast::<c_void>(), size_of_val(&times) as u32);
    // SAFETY: the handle is open, and the class fills in this structure, which has the `size` bytes.
    if unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), FileBasicInfo, at, size) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(times.ChangeTime)
}

/// A command line in its arguments, as C programs are given them.
fn split(line: &[u16], at_most: usize) -> Option<Vec<String>> {
    // Of nothing the call makes our own path.
    if line.iter().all(|unit| *unit == 0) {
        return None;
    }
    let line: Vec<u16> = line.iter().copied().chain([0]).collect();
    let mut count = 0;
    // SAFETY: `line` ends with a zero, and the result is ours.
    let texts = unsafe { CommandLineToArgvW(line.as_ptr(), &raw mut count) };
    if texts.is_null() {
        return None;
    }
    let arguments = (0..usize::try_from(count).unwrap_or_default().min(at_most))
        .map(|at| {
            // SAFETY: the call has made `count` texts, each with a zero at its end.
            unsafe {
                let text = *texts.add(at);
                let length = (0..line.len()).take_while(|at| *text.add(*at) != 0).count();
                String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
            }
        })
        .collect();
    // SAFETY: the block of all texts is freed once, after its last use.
    unsafe { LocalFree(texts.cast::<c_void>()) };
    Some(arguments)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// In the environment of a child: it waits for the end of its standard input.
    const WAITS: &str = "PROCESS_WAITS";

    #[test]
    fn this_process_is_alive_and_known_by_its_file() {
        let process = Process::pin(std::process::id()).unwrap();
        assert!(process.is_alive());
        let own = std::env::current_exe().unwrap();
        assert_eq!(
            std::fs::canonicalize(process.executable().unwrap()).unwrap(),
            std::fs::canonicalize(&own).unwrap()
        );
        let program = process.program().unwrap();
        assert_eq!(program.file, FileId::of(&own).ok());
        assert!(!program.is_replaced);
        assert_eq!(process.is_in_our_namespace(), Some(true));
    }

    #[test]
    fn a_process_that_ended_is_not_alive_and_its_parent_is_still_known() {
        let mut child = start(&std::env::current_exe().unwrap());
        let process = Process::pin(child.id()).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(!process.is_alive());
        assert_eq!(process.parent().unwrap().id, std::process::id());
    }

    #[test]
    fn a_younger_process_is_nobodys_parent() {
        let mut child = start(&std::env::current_exe().unwrap());
        let (younger, older) = (Process::pin(child.id()).unwrap(), Process::pin(std::process::id()).unwrap());
        assert!(younger.began().unwrap() >= older.began().unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn a_program_that_was_replaced_while_it_runs_is_named_as_replaced() {
        if std::env::var_os(WAITS).is_some() {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("tool.exe");
        std::fs::copy(std::env::current_exe().unwrap(), &tool).unwrap();
        let mut child = Command::new(&tool)
            .arg("a_program_that_was_replaced_while_it_runs")
            .env(WAITS, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process::pin(child.id()).unwrap();
        assert!(!process.program().unwrap().is_replaced);
        std::fs::rename(&tool, folder.path().join("old.exe")).unwrap();
        std::fs::write(&tool, "another one").unwrap();
        let program = process.program().unwrap();
        assert!(program.is_replaced);
        assert_eq!(program.file, None);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn arguments_are_what_the_process_was_called_with() {
        let own = std::env::args().collect::<Vec<_>>();
        let process = Process::pin(std::process::id()).unwrap();
        assert_eq!(process.arguments(own.len()).unwrap(), own);
    }

    #[test]
    fn a_command_line_is_split_as_programs_split_it() {
        let line: Vec<u16> = r#"tool "one word" two"#.encode_utf16().collect();
        assert_eq!(split(&line, 9).unwrap(), ["tool", "one word", "two"]);
        assert_eq!(split(&line, 1).unwrap(), ["tool"]);
        assert_eq!(split(&[], 9), None);
    }

    #[test]
    fn numbers_that_name_no_process_exactly_are_refused() {
        for id in [0, 4, std::process::id() + 1, 0xFEFF] {
            assert!(Process::pin(id).is_err(), "{id}");
        }
    }

    fn start(program: &Path) -> std::process::Child {
        Command::new(program).arg("--list").stdout(Stdio::null()).spawn().unwrap()
    }
}
