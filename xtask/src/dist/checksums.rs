//! SHA-256 of files, in the words of `sha256sum`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Doing as _, Failure};

/// The file with the sums of everything beside it.
pub const NAME: &str = "SHA256SUMS";

/// Writes [`NAME`] into the folder of a release, over all files in it.
pub fn write(folder: &Path) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = files(folder)?.into_iter().filter(|path| !path.ends_with(NAME)).collect();
    let sums = of(&paths, folder)?;
    fs::write(folder.join(NAME), sums).doing(format_args!("write {NAME}"))
}

/// The plain files in a folder, ordered by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = fs::read_dir(folder).doing(format_args!("list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in listed {
        let path = entry.doing(format_args!("list {}", folder.display()))?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One line for each file, named from `folder`: what `sha256sum -c` reads there.
pub fn of(paths: &[PathBuf], folder: &Path) -> Result<String, Failure> {
    if paths.is_empty() {
        return Ok(String::new());
    }
    let mut sums = Command::new("sha256sum");
    sums.arg("--").current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    for path in paths {
        sums.arg(path.strip_prefix(folder).unwrap_or(path));
    }
    let output = sums.output().doing("start sha256sum")?;
    if !output.status.success() {
        return Err(Failure::of_status("sha256sum", output.status));
    }
    String::from_utf8(output.stdout).doing("read the sums")
}

/// The sum of one file, in hexadecimal.
pub fn sum(path: &Path) -> Result<String, Failure> {
    let folder = path.parent().unwrap_or(path);
    let line = of(&[path.to_owned()], folder)?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_what_sha256sum_reads() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sum(&folder.path().join("a")).unwrap(), known);
        assert_eq!(of(&files(folder.path()).unwrap(), folder.path()).unwrap(), format!("{known}  a\n"));
    }
}
