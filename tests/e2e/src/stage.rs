//! Where `cargo xtask test` put everything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The paths of this run.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    /// The virtual environment of the locked Python parts.
    pub venv: PathBuf,
    /// The `node` binary.
    pub node: PathBuf,
    /// The folder of the locked Node packages.
    pub node_modules: PathBuf,
    /// Where the foreigner listens, as host:port.
    pub foreigner: String,
    /// The socket of the examiner.
    pub examiner: PathBuf,
}

/// The Metaflows that flows are run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metaflow {
    /// The newest release.
    Newest,
    /// The oldest one that `metaflow-keyfob` claims.
    Oldest,
    /// That of Outerbounds, with both our distributions.
    Outerbounds,
}

impl Metaflow {
    /// Those that are no work of Outerbounds.
    pub const OWN: [Self; 2] = [Self::Newest, Self::Oldest];

    const fn folder(self) -> &'static str {
        match self {
            Self::Newest => "metaflow",
            Self::Oldest => "metaflow-oldest",
            Self::Outerbounds => "metaflow-outerbounds",
        }
    }
}

impl Stage {
    /// The stage of this run.
    ///
    /// # Panics
    /// Outside of `cargo xtask test`.
    pub fn get() -> &'static Self {
        static STAGE: OnceLock<Stage> = OnceLock::new();
        STAGE.get_or_init(|| Self {
            folder: variable("KEYFOB_TEST_STAGE").into(),
            venv: variable("KEYFOB_TEST_VENV").into(),
            node: variable("KEYFOB_TEST_NODE").into(),
            node_modules: variable("KEYFOB_TEST_NODE_MODULES").into(),
            foreigner: variable("KEYFOB_TEST_FOREIGNER").to_string_lossy().into_owned(),
            examiner: variable("KEYFOB_TEST_EXAMINER").into(),
        })
    }

    /// A program of ours: `keyfob`, `keyfobd`, `keyfob-sandbox-browser`, …
    pub fn bin(&self, name: &str) -> PathBuf {
        existing(self.folder.join("bin").join(name))
    }

    /// A file of `tests/real`.
    pub fn real(&self, name: &str) -> PathBuf {
        existing(self.folder.join("real").join(name))
    }

    /// A script for the page of the tray's window: `axe.min.js`.
    pub fn web(&self, name: &str) -> PathBuf {
        existing(self.folder.join("web").join(name))
    }

    /// The `tauri-driver` program.
    ///
    /// # Panics
    /// Outside of `cargo xtask test`.
    pub fn tauri_driver(&self) -> PathBuf {
        existing(variable("KEYFOB_TEST_TAURI_DRIVER").into())
    }

    /// A document of `docs` that programs are held against: `token-api/openapi.yaml`.
    pub fn document(&self, name: &str) -> PathBuf {
        existing(self.folder.join("docs").join(name))
    }

    /// A program of an environment that has a Metaflow and our extension of it: `python`, `metaflow`, `outerbounds`.
    pub fn metaflow(&self, which: Metaflow, program: &str) -> PathBuf {
        existing(self.folder.join("python").join(which.folder()).join("bin").join(program))
    }

    /// Our Python distributions as they ship: two wheels, two source archives.
    pub fn wheels(&self) -> PathBuf {
        existing(self.folder.join("wheels"))
    }

    /// The newest Metaflow and what it needs, as wheels for `pip install --no-index --find-links`.
    pub fn wheelhouse(&self) -> PathBuf {
        existing(self.folder.join("wheelhouse"))
    }

    /// A program of the locked Python parts: `python`, `aws`, `moto_server`, …
    pub fn python(&self, name: &str) -> PathBuf {
        existing(self.venv.join("bin").join(name))
    }
}

fn variable(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run `cargo xtask test`"))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(Path::exists(&path), "{} is not there; run `cargo xtask test`", path.display());
    path
}
