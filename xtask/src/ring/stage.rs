//! The stage: everything that the tester executes, in a fresh folder that everybody can read. The checkout may lie
//! where no other user can go.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Checkout;
use crate::build;
use crate::cargo::{Artifact, Kind};
use crate::failure::{Doing as _, Failure};
use crate::processes;
use crate::setup::Parts;
use crate::{tray, web};

use super::extensions;

/// Folders of the packages whose programs are staged, relative to the checkout.
const PACKAGES: [&str; 5] = ["cli", "agent", "gui", "tests/sandbox", "tests/e2e"];
const END_TO_END: &str = "tests/e2e";
/// What the tests cannot do without; the sandbox's browser and the like are staged when they exist.
const REQUIRED: [&str; 7] =
    ["keyfob", "keyfobd", "keyfob-sandbox", tray::PROGRAM, SHIPPED_TRAY, FOREIGNER, EXAMINER];
const FOREIGNER: &str = "keyfob-foreigner";
const EXAMINER: &str = "keyfob-examiner";
/// The tray's feature for tests, as the workspace names it.
const DRIVEN: &str = "keyfob-gui/testing";
/// The tray as it ships; under its own name it may be driven by tests.
const SHIPPED_TRAY: &str = "keyfob-tray-shipped";
/// Scripts for the page of the tray's window, from its packages.
const PAGE_SCRIPTS: [&str; 1] = ["axe-core/axe.min.js"];
/// What programs are held against, relative to `docs`.
const DOCUMENTS: [&str; 1] = ["token-api/openapi.yaml"];

/// `bin/` programs, `tests/` test executables, `real/` the scripts of `tests/real` beside their `node_modules`, `web/`
/// scripts for the tray's page, `docs/` the documents that programs are held against, and what [`extensions`] adds.
/// Gone when dropped.
pub struct Stage {
    folder: TempDir,
    tests: Vec<PathBuf>,
}

impl Stage {
    /// Builds programs and tests, and lays them out.
    pub fn build(checkout: &Checkout, parts: &Parts) -> Result<Self, Failure> {
        let built = checkout.artifacts(&["build", "--workspace", "--bins", "--tests"], &[])?;
        // A build with tests in it gives programs what only tests may have, such as fault points: those are not what ships.
        let programs = || checkout.artifacts(&["build", "--workspace", "--bins"], &[]);
        let driven = checkout.artifacts(&["build", "--workspace", "--bins", "--features", DRIVEN], &[])?;
        let folder = tempfile::Builder::new()
            .prefix("keyfob-stage-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .doing("make a stage")?;
        let mut stage = Self { folder, tests: Vec::new() };
        for name in ["bin", "tests", "real", "web"] {
            fs::create_dir(stage.path().join(name)).doing("make a stage")?;
        }
        // The next build puts another one into its place.
        let tray =
            driven.iter().find(|artifact| artifact.kind == Kind::Program && artifact.name == tray::PROGRAM);
        let tray = tray.ok_or_else(|| Failure::new("the workspace has no tray"))?;
        copy(&tray.path, &stage.program(tray::PROGRAM))?;
        let programs = programs()?;
        let keyfob = build::keyfob(checkout, false)?;
        processes::adopt_orphans()?;
        stage.add_programs(checkout, &programs, &keyfob)?;
        stage.add_tests(checkout, &built)?;
        for script in PAGE_SCRIPTS {
            let name = Path::new(script).file_name().unwrap_or_default();
            copy(&web::package_file(checkout, script), &stage.path().join("web").join(name))?;
        }
        stage.add_scripts(checkout, parts)?;
        stage.add_documents(checkout)?;
        let of_extensions = extensions::add(checkout, parts, stage.path())?;
        stage.tests.extend(of_extensions);
        Ok(stage)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The test executables, by name.
    pub fn tests(&self) -> &[PathBuf] {
        &self.tests
    }

    /// The programs and test executables.
    pub fn programs(&self) -> impl Iterator<Item = PathBuf> {
        REQUIRED.into_iter().map(|name| self.program(name)).chain(self.tests.iter().cloned())
    }

    /// The program for the foreign user.
    pub fn foreigner(&self) -> PathBuf {
        self.program(FOREIGNER)
    }

    /// The program for root.
    pub fn examiner(&self) -> PathBuf {
        self.program(EXAMINER)
    }

    /// A program, whether or not it is there.
    pub fn program(&self, name: &str) -> PathBuf {
        self.path().join("bin").join(name)
    }

    fn add_programs(&self, checkout: &Checkout, built: &[Artifact], keyfob: &Path) -> Result<(), Failure> {
        let programs = built.iter().filter(|artifact| {
            artifact.kind == Kind::Program && PACKAGES.iter().any(|package| artifact.is_of(checkout, package))
        });
        for program in programs {
            // The one that ships is linked statically, and so is the one that is tested.
            let (from, name) = match program.name.as_str() {
                "keyfob" => (keyfob, "keyfob"),
                tray::PROGRAM => (program.path.as_path(), SHIPPED_TRAY),
                name => (program.path.as_path(), name),
            };
            copy(from, &self.program(name))?;
        }
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| !self.program(name).exists()).collect();
        if !missing.is_empty() {
            return Err(Failure::new(format!("the workspace has no program {}", missing.join(", "))));
        }
        build::add_other_names(&self.program("keyfob"), &self.path().join("bin"))
    }

    fn add_tests(&mut self, checkout: &Checkout, built: &[Artifact]) -> Result<(), Failure> {
        let is_ours = |artifact: &&Artifact| {
            artifact.kind == Kind::IntegrationTest && artifact.is_of(checkout, END_TO_END)
        };
        for test in built.iter().filter(is_ours) {
            let to = self.path().join("tests").join(&test.name);
            copy(&test.path, &to)?;
            self.tests.push(to);
        }
        self.tests.sort();
        if self.tests.is_empty() {
            return Err(Failure::new("the workspace has no end-to-end test"));
        }
        Ok(())
    }

    fn add_scripts(&self, checkout: &Checkout, parts: &Parts) -> Result<(), Failure> {
        let real = self.path().join("real");
        let scripts = fs::read_dir(checkout.root.join("tests/real")).doing("read tests/real")?;
        for script in scripts.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
            let to = real.join(script.file_name());
            copy(&script.path(), &to)?;
        }
        // Node looks for packages beside the script that asks for them.
        symlink(&parts.node_modules, real.join("node_modules")).doing("link node_modules")
    }

    fn add_documents(&self, checkout: &Checkout) -> Result<(), Failure> {
        for document in DOCUMENTS {
            let to = self.path().join("docs").join(document);
            let folder = to.parent().unwrap_or(self.path());
            fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
            copy(&checkout.root.join("docs").join(document), &to)?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).doing(format_args!("copy {} to {}", from.display(), to.display()))?;
    // A checkout or a build made under another mask may hide it from other users.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).doing(format_args!("open {}", to.display()))
}
