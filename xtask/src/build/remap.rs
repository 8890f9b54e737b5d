//! What a released program calls the places of its sources: by names that are the same on every machine that builds it. A crash
//! names them, and they would tell the builder's account; a shipped program with one of them is refused (`dist/marks.rs`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Checkout;
use crate::failure::Failure;

/// Flags for every compilation of a release.
pub fn flags(checkout: &Checkout) -> Result<String, Failure> {
    let flag = |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    let flags: Vec<String> = places(checkout)?.into_iter().map(flag).collect();
    // As cargo separates them: blanks may be part of a path.
    Ok(flags.join("\u{1f}"))
}

/// Where sources lie, and what a released program calls that.
pub fn places(checkout: &Checkout) -> Result<Vec<(PathBuf, &'static str)>, Failure> {
    // The compiler takes the last one that fits, so what lies in another folder comes after it.
    let mut places = vec![(checkout.root.clone(), "/keyfob")];
    places.extend(crates(checkout)?.into_iter().map(|folder| (folder, "/crates")));
    Ok(places)
}

/// The folders that hold crates of others, each by its name and version.
fn crates(checkout: &Checkout) -> Result<BTreeSet<PathBuf>, Failure> {
    let metadata = checkout.metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let foreign = packages.filter(|package| !package["source"].is_null());
    let manifests = foreign.filter_map(|package| package["manifest_path"].as_str());
    Ok(manifests.filter_map(|path| Path::new(path).ancestors().nth(2)).map(Path::to_owned).collect())
}
