//! How large what ships may be (`docs/performance.md`).

use std::fs;
use std::path::PathBuf;

use super::Release;
use crate::failure::{Doing as _, Failure};
use crate::say;

const MIB: u64 = 1 << 20;

/// Shows how large the programs and the packages are, and refuses what is larger than it may be.
pub fn check(release: &Release) -> Result<(), Failure> {
    let mut files: Vec<(PathBuf, Option<u64>)> = vec![
        (release.keyfob.clone(), Some(2 * MIB)),
        (release.keyfobd.clone(), Some(10 * MIB)),
        (release.tray.clone(), None),
    ];
    let made = fs::read_dir(&release.folder).doing(format_args!("read {}", release.folder.display()))?;
    let mut made: Vec<PathBuf> =
        made.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    made.sort();
    // The agent and the command line.
    let limited = format!("keyfob_{}_", release.version);
    files.extend(made.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let limit = (name.starts_with(&limited) && name.ends_with(".deb")).then_some(6 * MIB);
        (path, limit)
    }));
    let mut too_large = Vec::new();
    for (path, limit) in files {
        let size = fs::metadata(&path).doing(format_args!("read {}", path.display()))?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        say(&line(&name, size, limit));
        if limit.is_some_and(|limit| size > limit) {
            too_large.push(name.into_owned());
        }
    }
    if too_large.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("too large, see above: {}", too_large.join(", "))))
}

fn line(name: &str, size: u64, limit: Option<u64>) -> String {
    let limit = limit.map(|limit| format!(" of at most {limit}")).unwrap_or_default();
    format!("{name:<50} {size:>9} bytes{limit}")
}
