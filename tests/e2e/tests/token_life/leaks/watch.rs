//! The process table, looked at again and again: what every process was started with.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at everything; a look takes about as long.
const PAUSE: Duration = Duration::from_millis(1);

/// What a file of a process held.
#[derive(Debug)]
pub struct Sight {
    /// Its number.
    pub process: u32,
    /// `cmdline` or `environ`.
    pub file: &'static str,
    /// Zero bytes stand between the words.
    pub bytes: Vec<u8>,
}

impl Sight {
    fn has(&self, word: &str) -> bool {
        self.bytes.windows(word.len()).any(|window| window == word.as_bytes())
    }
}

/// A thread that looks until this is dropped.
#[derive(Debug)]
pub struct Watch {
    sights: Arc<Mutex<Vec<Sight>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins.
    pub fn start() -> Self {
        let (sights, is_over) = (Arc::<Mutex<Vec<Sight>>>::default(), Arc::<AtomicBool>::default());
        let (filled, ended) = (Arc::clone(&sights), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let mut known = HashSet::new();
            while !ended.load(Ordering::Relaxed) {
                look(&mut known, &filled);
                std::thread::sleep(PAUSE);
            }
        });
        Self { sights, is_over, thread: Some(thread) }
    }

    /// Whether a process was seen with a command line that has this word in it.
    pub fn has_seen(&self, process: u32, word: &str) -> bool {
        let is_it = |sight: &Sight| sight.process == process && sight.file == "cmdline" && sight.has(word);
        self.sights().iter().any(is_it)
    }

    /// Everything that was seen so far.
    pub fn sights(&self) -> MutexGuard<'_, Vec<Sight>> {
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Keeps what was not there at an earlier look.
fn look(known: &mut HashSet<u64>, sights: &Mutex<Vec<Sight>>) {
    let processes = fs::read_dir("/proc").expect("there is a process table").flatten();
    let user = fs::metadata("/proc/self").expect("this is a process").uid();
    for process in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        // The kernel shows the agent as the administrator's: nobody may look into it.
        let is_ours = fs::metadata(format!("/proc/{process}"))
            .is_ok_and(|metadata| [0, user].contains(&metadata.uid()));
        for file in ["cmdline", "environ"].into_iter().filter(|_| is_ours) {
            // It may be gone, or nobody's business.
            let Ok(bytes) = fs::read(format!("/proc/{process}/{file}")) else { continue };
            let mut hasher = DefaultHasher::new();
            (process, file, &bytes).hash(&mut hasher);
            if !bytes.is_empty() && known.insert(hasher.finish()) {
                sights.lock().unwrap_or_else(PoisonError::into_inner).push(Sight { process, file, bytes });
            }
        }
    }
}
