//! Windows: everything is built and linted; then its Rust tests run under Wine, and those of the installed product.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Checkout;
use crate::cargo::{self, Artifact, Kind};
use crate::cross::left_out;
use crate::cross::toolchain::{Toolchain, WINDOWS};
use crate::cross::wine::Wine;
use crate::dist::windows::{Installer, LIBRARY, PROGRAMS};
use crate::failure::{Doing as _, Failure, run as run_command};
use crate::say;
use crate::tally::{self, Tally};
use crate::test::{END_TO_END, Steps};

/// The folders of the packages whose tests run. The window needs WebView2, which Wine does not have, and `xtask` is for those who
/// work on Keyfob: both are built and linted alone.
const TESTED: [&str; 4] = ["ipc", "agent", "cli", "tests/sandbox"];
/// The folder of the tests of whole programs.
const PRODUCT: &str = "tests/windows";
/// Its tests of the installer, which take the one profile of this Wine: nothing runs beside them.
const INSTALLER: &str = "installer";
/// The version that the other version of the installer says it is.
const NEXT_VERSION: &str = "999.0.0";

/// Runs the steps in order. Every test runs, also after one that failed.
pub fn run(
    checkout: &Checkout,
    toolchain: &Toolchain,
    steps: &mut Steps,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let built = steps.time("Windows build", || build(checkout, toolchain))?;
    let wine = steps.time("Wine", Wine::install)?;
    let surroundings = steps.time("installer", || Surroundings::prepare(checkout, toolchain))?;
    let (last, product): (Vec<&Artifact>, _) =
        built.iter().filter(|file| file.is_of(checkout, PRODUCT)).partition(|file| file.name == INSTALLER);
    let units = TESTED.iter().flat_map(|folder| built.iter().filter(|file| file.is_of(checkout, folder)));
    let mut failed = Vec::new();
    for (name, files) in
        [("Windows tests", units.collect()), ("product tests", product), ("installer tests", last)]
    {
        steps.time(name, || {
            for file in files.into_iter().filter(|file| file.kind != Kind::Program) {
                if !test(file, &wine, &surroundings, tally)? {
                    failed.push(file.name.clone());
                }
            }
            Ok(())
        })?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("these test files failed under Wine: {}", failed.join(", "))))
}

fn build(checkout: &Checkout, toolchain: &Toolchain) -> Result<Vec<Artifact>, Failure> {
    let arguments = ["build", "--workspace", "--exclude", END_TO_END, "--all-targets", "--target", WINDOWS];
    cargo::artifacts_of(toolchain.linting_cargo(checkout, &arguments), &arguments)
}

/// Whether all its tests passed.
fn test(
    file: &Artifact,
    wine: &Wine,
    surroundings: &Surroundings,
    tally: &mut Tally,
) -> Result<bool, Failure> {
    let mut command = wine.command();
    command.arg(&file.path).current_dir(file.manifest.parent().unwrap_or(&file.manifest));
    command.envs(surroundings.variables());
    say(&format!("{} ({})", file.name, file.manifest.display()));
    if !left_out::without(file, &mut command) {
        return Ok(true);
    }
    let (status, counted) = tally::run(&mut command, || ())?;
    tally.add(counted);
    Ok(status.success())
}

/// What the tests are told of, as docs of `tests/windows` say.
struct Surroundings {
    programs: PathBuf,
    installer: PathBuf,
    next_installer: PathBuf,
}

impl Surroundings {
    fn prepare(checkout: &Checkout, toolchain: &Toolchain) -> Result<Self, Failure> {
        let programs = toolchain.programs();
        let out = toolchain.target().join("installers");
        let packed = out.join("programs");
        fs::create_dir_all(&packed).doing(format_args!("make {}", packed.display()))?;
        strip(&programs, &packed)?;
        let epoch = checkout.release_time()?;
        let made =
            |version: &str| Installer { version, epoch, is_for_tests: true }.make(checkout, &packed, &out);
        Ok(Self {
            installer: made(env!("CARGO_PKG_VERSION"))?,
            next_installer: made(NEXT_VERSION)?,
            programs,
        })
    }

    fn variables(&self) -> [(&'static str, String); 3] {
        let path = |path: &Path| Wine::path(path);
        [
            ("KEYFOB_TEST_PROGRAMS", path(&self.programs)),
            ("KEYFOB_TEST_INSTALLER", path(&self.installer)),
            ("KEYFOB_TEST_NEXT_INSTALLER", path(&self.next_installer)),
        ]
    }
}

/// Copies what is installed without its symbols: a part of the size, and so of the time that each installation takes.
fn strip(from: &Path, to: &Path) -> Result<(), Failure> {
    for name in PROGRAMS {
        let mut strip = Command::new("x86_64-w64-mingw32-strip");
        run_command(strip.arg("-o").arg(to.join(name)).arg(from.join(name)).stdin(Stdio::null()))?;
    }
    let library = from.join(LIBRARY);
    if library.is_file() {
        fs::copy(&library, to.join(LIBRARY)).doing(format_args!("copy {}", library.display()))?;
    }
    Ok(())
}
