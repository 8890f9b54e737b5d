//! `cargo xtask screenshots`: the pictures of `docs/screenshots`, made of the staged programs on a screen of their own.

use std::fs;
use std::path::Path;

use clap::Args;

use crate::failure::{Doing as _, Failure};
use crate::ring::{Ring, Stage, failure};
use crate::setup::{self, Parts};
use crate::web::{self, Node};
use crate::{Checkout, say};

/// Drives the window, and writes what it sees into the folder that this variable names (`tests/e2e`).
const PHOTOGRAPHER: &str = "keyfob-screenshots";
const FOLDER_OF_PICTURES: &str = "KEYFOB_SCREENSHOTS";
/// Where they stand, relative to the checkout.
const SHOWN: &str = "docs/screenshots";
/// What begins a file of that kind (PNG specification, section 5.2).
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

#[derive(Args)]
pub struct Arguments {
    /// Only pictures whose name contains this
    filter: Option<String>,
}

/// Sets up, builds, takes the pictures and puts them where they are shown.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let parts = setup::run(checkout, &setup::Arguments::default())?;
    web::build(checkout, &Node::of_parts(checkout, &parts.node)?)?;
    let stage = Stage::build(checkout, &parts)?;
    take(checkout, &stage, &parts, arguments.filter.as_deref())
}

fn take(checkout: &Checkout, stage: &Stage, parts: &Parts, filter: Option<&str>) -> Result<(), Failure> {
    let photographer = stage.program(PHOTOGRAPHER);
    if !photographer.exists() {
        return Err(Failure::new(format!("the workspace has no program {PHOTOGRAPHER}")));
    }
    let ring = Ring::open(checkout, stage, parts)?;
    let pictures = ring.home().join("screenshots");
    let outcome =
        ring.run(&photographer, &filter.into_iter().collect::<Vec<_>>(), &[(FOLDER_OF_PICTURES, &pictures)]);
    let copied = outcome.and_then(|(status, _)| {
        if !status.success() {
            return Err(failure(PHOTOGRAPHER, status));
        }
        show(&pictures, &checkout.root.join(SHOWN))
    });
    ring.close()?;
    say(&format!("{} pictures are in {SHOWN}", copied?));
    Ok(())
}

/// Copies the pictures and says how many; without one, something is wrong.
fn show(from: &Path, to: &Path) -> Result<usize, Failure> {
    fs::create_dir_all(to).doing(format_args!("make {}", to.display()))?;
    let mut count = 0;
    for picture in fs::read_dir(from).doing("read the pictures")?.flatten() {
        let content = fs::read(picture.path()).doing("read a picture")?;
        if content.starts_with(SIGNATURE) {
            let to = to.join(picture.file_name());
            fs::write(&to, content).doing(format_args!("write {}", to.display()))?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(Failure::new(format!("{PHOTOGRAPHER} took no picture")));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_copied_and_nothing_else_is() {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        assert!(show(from.path(), to.path()).is_err());
        fs::write(from.path().join("overview.png"), [SIGNATURE, b"..."].concat()).unwrap();
        fs::write(from.path().join("log.png"), "no picture").unwrap();
        assert_eq!(show(from.path(), to.path()).unwrap(), 1);
        let shown: Vec<_> =
            fs::read_dir(to.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(shown, ["overview.png"]);
    }
}
