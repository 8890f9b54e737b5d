//! What people install on Linux.

mod changes;
mod checks;
pub mod deb;
mod rpm;
pub mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use super::Release;
use crate::failure::{Doing as _, Failure};
use crate::{Checkout, say, setup};

/// Installs what packing and checking take.
pub fn install_tools() -> Result<(), Failure> {
    setup::install_packages("the packages", checks::TOOLS)
}

/// Makes the packages, twice, and holds them to the checkers of the distributions.
pub fn pack(checkout: &Checkout, release: &Release, packages: &[tree::Package; 2]) -> Result<(), Failure> {
    checks::contents(release, packages)?;
    let again = tempfile::tempdir().doing("make a folder to pack in again")?;
    let (made, again) = std::thread::scope(|scope| {
        let again = scope.spawn(|| once(checkout, release, packages, again.path()));
        let made = once(checkout, release, packages, &release.folder);
        let again = again.join().unwrap_or_else(|_| Err(Failure::new("the second packing broke off")));
        Ok::<_, Failure>((made?, again?))
    })?;
    checks::same(&made, &again)?;
    let (debs, rpms): (Vec<_>, Vec<_>) =
        made.into_iter().partition(|path| path.extension().is_some_and(|extension| extension == "deb"));
    checks::debs(&debs)?;
    checks::rpms(checkout, &rpms)?;
    say(
        "the packages are as lintian, rpmlint and the checkers of their contents want them, and the same twice",
    );
    Ok(())
}

/// All packages of one version, in the same order each time.
fn once(
    checkout: &Checkout,
    release: &Release,
    packages: &[tree::Package; 2],
    out: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    fs::create_dir_all(out).doing(format_args!("make {}", out.display()))?;
    let mut made = Vec::new();
    for package in packages {
        made.push(deb::make(checkout, release, package, &release.version, out)?);
    }
    made.extend(rpm::make(checkout, release, packages, &release.version, out)?);
    Ok(made)
}
