//! The file: read once at the start, and written whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Record;

/// Format of the file that this build writes.
const FORMAT: u16 = 1;

/// Most bytes that are read: more than ten thousand entries with everything told of each.
const SIZE: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Saved<R> {
    format: u16,
    entries: R,
}

pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Record>, String> {
    // What an agent that was killed left behind; this is the only one that writes.
    let _ = fs::remove_file(fresh(path));
    let mut bytes = Vec::new();
    match open(path) {
        Ok(file) => file.take(SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SIZE {
        return Err("the file is too large".to_owned());
    }
    // The words of the parser may repeat what it has read.
    let damaged = |_| "the file is damaged".to_owned();
    let Saved { format, .. } =
        serde_json::from_slice::<Saved<serde::de::IgnoredAny>>(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(format!("the file has format {format}"));
    }
    serde_json::from_slice::<Saved<BTreeMap<String, Record>>>(&bytes)
        .map(|saved| saved.entries)
        .map_err(damaged)
}

fn fresh(path: &Path) -> PathBuf {
    path.with_extension("json.new")
}

/// Opens the file, if it is a file and ours.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    // A pipe in its place would be waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw() {
        Ok(file)
    } else {
        Err(io::Error::other("this is no file of ours"))
    }
}

#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    // The profile folder's own access list keeps others out.
    File::open(path)
}

/// A reader sees all of it or what was there before.
pub(super) fn write(path: &Path, records: &BTreeMap<String, Record>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(&Saved { format: FORMAT, entries: records })?;
    bytes.push(b'\n');
    let fresh = fresh(path);
    // One that was left behind may be anything.
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    let written =
        file.write_all(&bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // On a full disk it would keep the room that the next one needs.
        let _ = fs::remove_file(&fresh);
    }
    written
}
