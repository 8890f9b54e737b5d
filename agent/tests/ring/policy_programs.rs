//! Programs that ask: their files are real, what the system tells of them is said here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keyfob_agent::asker::{Asker, Origin};
use keyfob_agent::policy::{Chain, Link, Role};
use keyfob_ipc::peer::FileId;
use tempfile::TempDir;

/// A folder with programs in it.
pub struct Programs {
    folder: TempDir,
    processes: AtomicU32,
}

impl Programs {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), processes: AtomicU32::new(1) }
    }

    /// The path of a program, which is there from now on.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        if !path.exists() {
            std::fs::write(&path, name).unwrap();
        }
        path
    }

    /// Puts another file in its place, as an upgrade does. The old one is kept, so that its number is not given again.
    pub fn replace(&self, name: &str) {
        let path = self.path(name);
        let count = self.processes.fetch_add(1, Ordering::Relaxed);
        std::fs::rename(&path, self.folder.path().join(format!("old-{count}"))).unwrap();
        std::fs::write(&path, "another one").unwrap();
    }

    /// A process of a program, `keyfob` where it is called so.
    pub fn link(&self, name: &str) -> Link {
        let path = self.path(name);
        Link {
            process: self.processes.fetch_add(1, Ordering::Relaxed),
            file: Some(FileId::of(&path).unwrap()),
            path,
            is_replaced: false,
            is_attested: true,
            role: if name == "keyfob" { Role::Keyfob } else { Role::Program },
        }
    }

    /// `keyfob`, started by this program.
    pub fn staged(&self, name: &str) -> Arc<Staged> {
        Staged::of([self.link("keyfob"), self.link(name)])
    }

    pub fn asker(&self, name: &str) -> Asker {
        Asker::behind(self.staged(name))
    }

    /// A person's `keyfob`, on a terminal.
    pub fn on_a_terminal(&self) -> Asker {
        let staged = self.staged("bash");
        staged.has_terminal.store(true, Ordering::Relaxed);
        Asker::behind(staged)
    }
}

/// What the system tells of one caller.
pub struct Staged {
    pub chain: Mutex<Chain>,
    pub is_alive: AtomicBool,
    pub has_terminal: AtomicBool,
    /// How often somebody looked at the programs.
    pub looks: AtomicUsize,
}

impl Staged {
    pub fn of(links: impl IntoIterator<Item = Link>) -> Arc<Self> {
        Arc::new(Self {
            chain: Mutex::new(Chain { links: links.into_iter().collect() }),
            is_alive: AtomicBool::new(true),
            has_terminal: AtomicBool::new(false),
            looks: AtomicUsize::new(0),
        })
    }

    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    pub fn change(&self, change: impl FnOnce(&mut Vec<Link>)) {
        change(&mut self.chain.lock().unwrap().links);
    }
}

impl Origin for Staged {
    fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Relaxed)
    }

    fn has_terminal(&self) -> bool {
        self.has_terminal.load(Ordering::Relaxed)
    }

    fn chain(&self, at_most: usize) -> Chain {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Chain { links: self.chain.lock().unwrap().links.iter().take(at_most).cloned().collect() }
    }
}

/// `[policy."ENTRY"]` with these lines.
pub fn policy(entry: &str, lines: &str) -> String {
    format!("\n[policy.\"{entry}\"]\n{lines}\n")
}

/// `allow` of one program.
pub fn allow(path: &Path) -> String {
    format!("allow = ['{}']", path.display())
}
