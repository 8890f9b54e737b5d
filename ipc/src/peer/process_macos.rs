//! A process of macOS, known by the number that the kernel gives to no second process.

use std::ffi::{OsString, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::ptr::null_mut;

use zeroize::Zeroizing;

use crate::peer::{ARGUMENTS, FileId, Program, first_texts};

/// A process, pinned: what is told of it is never about another one that was given its number later.
#[derive(Debug)]
pub struct Process {
    /// The process number.
    pub id: u32,
    unique: u64,
    /// Changes when the process runs another program; of a caller alone, which then is not the one that connected.
    version: Option<i32>,
    parent: u32,
    parents_unique: u64,
    has_terminal: bool,
}

impl Process {
    /// Pins the process that has this number now.
    ///
    /// # Errors
    /// It is gone already.
    pub fn pin(id: u32) -> io::Result<Self> {
        let identity: Identity = told(id)?;
        let short: libc::proc_bsdshortinfo = told(id)?;
        // Two questions by the number: only if it is the same process before and after were both about it.
        if told::<Identity>(id)?.unique != identity.unique {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            id,
            unique: identity.unique,
            version: None,
            parent: short.pbsi_ppid,
            parents_unique: identity.parents_unique,
            has_terminal: short.pbsi_flags & PROC_FLAG_CONTROLT != 0,
        })
    }

    /// The process that has this number in this version.
    pub(super) fn of_version(id: u32, version: i32) -> io::Result<Self> {
        let process = Self::pin(id)?;
        // Systems before macOS 11 leave the version out (0); there the unique number has to do.
        let now = told::<Identity>(id)?.version;
        if now != version && now != 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { version: Some(now), ..process })
    }

    /// Whether it still runs (and is still the one that was pinned). A caller that runs another program than the one that
    /// connected has ended.
    pub fn is_alive(&self) -> bool {
        told::<Identity>(self.id).is_ok_and(|now| {
            now.unique == self.unique && self.version.is_none_or(|version| now.version == version)
        })
    }

    /// The process that started it, or took it in when that one had ended. `None` where it cannot be told any more.
    ///
    /// The number was noted when this process was pinned, so this works after its end, too, while the parent lives.
    pub fn parent(&self) -> Option<Self> {
        // The kernel's own process started the first one.
        let parent = Self::pin(Some(self.parent).filter(|id| *id != 0)?).ok()?;
        let took_it_in = || {
            self.is_alive()
                && told::<libc::proc_bsdshortinfo>(self.id).is_ok_and(|now| now.pbsi_ppid == parent.id)
        };
        (parent.unique == self.parents_unique || took_it_in()).then_some(parent)
    }

    /// What it runs at this moment; `None` where it is gone, or its file was removed.
    ///
    /// macOS tells a path, and not the file behind it: [`Program::file`] is the one that is there, if nothing about it has
    /// changed since the process began.
    pub fn program(&self) -> Option<Program> {
        let path = self.path()?;
        let there = std::fs::metadata(&path).ok().map(|metadata| {
            let changed = (metadata.ctime(), metadata.ctime_nsec() / 1000);
            (FileId { device: metadata.dev(), inode: metadata.ino() }, changed)
        });
        // Another user's process does not tell when it began: its file stays unknown.
        let began = told::<libc::proc_bsdinfo>(self.id)
            .map_or((0, 0), |now| (now.pbi_start_tvsec.cast_signed(), now.pbi_start_tvusec.cast_signed()));
        // Everything was asked by number.
        self.is_alive().then(|| Program::unchanged_since(&began, path, there))
    }

    /// The path of [`Process::program`].
    pub fn executable(&self) -> Option<PathBuf> {
        self.program().map(|program| program.path)
    }

    /// Whether it sees the files that we see: always, for macOS has one view for all.
    pub fn is_in_our_namespace(&self) -> Option<bool> {
        Some(true)
    }

    /// The first arguments as the process *claims* them: it can write there what it likes. At most 4 KiB are looked at.
    pub fn arguments(&self, at_most: usize) -> Option<Vec<String>> {
        let block = argument_block(self.id).ok()?;
        self.is_alive().then(|| arguments_in(&block, at_most))?
    }

    /// Whether it had a controlling terminal when it was pinned. It has one as soon as it or one that it descends from was
    /// started in a terminal, also in the background.
    pub fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    fn path(&self) -> Option<PathBuf> {
        let id = c_int::try_from(self.id).ok()?;
        let mut path = vec![0u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
        let room = u32::try_from(path.len()).ok()?;
        // SAFETY: `path` has room for as many bytes as the call is told.
        let length = unsafe { libc::proc_pidpath(id, path.as_mut_ptr().cast::<c_void>(), room) };
        path.truncate(usize::try_from(length).ok().filter(|length| *length > 0)?);
        Some(PathBuf::from(OsString::from_vec(path)))
    }
}

/// In the flags of a process: it has a controlling terminal (`sys/proc_info.h`).
const PROC_FLAG_CONTROLT: u32 = 0x80;

/// `struct proc_uniqidentifierinfo` of XNU.
#[repr(C)]
struct Identity {
    executable: [u8; 16],
    /// Stays the same when the process runs another program, and is never given again.
    unique: u64,
    parents_unique: u64,
    version: i32,
    reserved: [u32; 5],
}

/// An answer of proc_pidinfo(3).
///
/// # Safety
/// `FLAVOR` asks for this structure, and any bytes are a valid one.
unsafe trait Told {
    const FLAVOR: c_int;
}

// SAFETY: PROC_PIDUNIQIDENTIFIERINFO; plain numbers.
unsafe impl Told for Identity {
    const FLAVOR: c_int = 17;
}

// SAFETY: plain numbers.
unsafe impl Told for libc::proc_bsdshortinfo {
    const FLAVOR: c_int = libc::PROC_PIDT_SHORTBSDINFO;
}

// SAFETY: plain numbers.
unsafe impl Told for libc::proc_bsdinfo {
    const FLAVOR: c_int = libc::PROC_PIDTBSDINFO;
}

/// What the kernel tells about the process that has this number now. A zombie has ended, and it tells nothing.
fn told<T: Told>(id: u32) -> io::Result<T> {
    let id = c_int::try_from(id).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut answer = MaybeUninit::<T>::zeroed();
    let size = size_of::<T>() as c_int;
    // SAFETY: `answer` has the `size` bytes that the call is told.
    let filled = unsafe { libc::proc_pidinfo(id, T::FLAVOR, 0, answer.as_mut_ptr().cast::<c_void>(), size) };
    if filled != size {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed, then filled by the call, and any bytes are valid by the contract of `Told`.
    Ok(unsafe { answer.assume_init() })
}

/// `KERN_PROCARGS2`: the number of arguments, the path, the arguments and the environment. Into a smaller buffer the kernel
/// copies the *end*, so it is read whole. The environment may hold secrets.
fn argument_block(id: u32) -> io::Result<Zeroizing<Vec<u8>>> {
    // sysctl(3), KERN_ARGMAX.
    const LONGEST: usize = 1024 * 1024;
    let id = c_int::try_from(id).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut question = [libc::CTL_KERN, libc::KERN_PROCARGS2, id];
    let mut block = Zeroizing::new(vec![0u8; LONGEST]);
    let mut length = block.len();
    // SAFETY: the question has three parts, `block` has the `length` bytes that the call is told, and nothing is set.
    let failed = unsafe {
        libc::sysctl(
            question.as_mut_ptr(),
            3,
            block.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
            null_mut(),
            0,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    block.truncate(length);
    Ok(block)
}

fn arguments_in(block: &[u8], at_most: usize) -> Option<Vec<String>> {
    let (count, rest) = block.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path_ends = rest.iter().position(|byte| *byte == 0)?;
    // Zeros up to a whole word follow the path.
    let padding = rest[path_ends..].iter().take_while(|byte| **byte == 0).count();
    let texts = &rest[path_ends + padding..];
    // No text of the environment, however many arguments are claimed: the kernel counted them.
    Some(first_texts(&texts[..texts.len().min(ARGUMENTS)], at_most.min(count)))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::pin(child.id()).unwrap();
        assert!(process.is_alive());
        assert_eq!(process.parent().unwrap().id, std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert_eq!(process.program(), None);
        assert_eq!(process.parent().unwrap().id, std::process::id());
    }

    #[test]
    fn this_process_is_known_by_its_file_and_its_arguments() {
        let process = Process::pin(std::process::id()).unwrap();
        let program = process.program().unwrap();
        assert_eq!(program.file, FileId::of(&std::env::current_exe().unwrap()).ok());
        assert!(!program.is_replaced);
        assert_eq!(process.arguments(1).unwrap().first(), std::env::args().next().as_ref());
    }

    #[test]
    fn arguments_end_where_the_environment_begins() {
        let mut block = 2i32.to_ne_bytes().to_vec();
        block.extend(b"/bin/cat\0\0\0\0cat\0-u\0TOKEN=secret\0");
        assert_eq!(arguments_in(&block, 9).unwrap(), ["cat", "-u"]);
        assert_eq!(arguments_in(&block, 1).unwrap(), ["cat"]);
        assert_eq!(arguments_in(&block[..3], 1), None);
    }
}
