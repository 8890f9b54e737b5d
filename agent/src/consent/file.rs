//! The file of the answers: read once at the start, and written whole.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use jiff::Timestamp;
use keyfob_ipc::peer::FileId;
use serde::{Deserialize, Serialize};

use super::book::GRANTS;
use crate::config::EntryName;
use crate::kind::KINDS;
use crate::own_file;
use crate::policy::{Given, Grant, Span};

/// Format of the file that this build writes.
const FORMAT: u16 = 1;

/// Most bytes that are read: a thousand answers about the longest paths.
const SIZE: u64 = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Saved<G> {
    format: u16,
    grants: G,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: String,
    entry: String,
    /// One that is no text is not found again, and is asked about.
    program: String,
    device: u64,
    inode: u64,
    is_allowed: bool,
    span: Span,
    given: Timestamp,
    by: Given,
}

/// Nothing where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Grant>, String> {
    let mut bytes = Vec::new();
    match own_file::open(path) {
        Ok(file) => file.take(SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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
    let records = serde_json::from_slice::<Saved<Vec<Record>>>(&bytes).map_err(damaged)?.grants;
    if records.len() > GRANTS {
        return Err(format!("the file has {} answers", records.len()));
    }
    records.into_iter().map(|record| grant(record).ok_or_else(|| "the file is damaged".to_owned())).collect()
}

/// `None` where this build would not have written it.
fn grant(record: Record) -> Option<Grant> {
    let (kind, name) = record.entry.split_once('.')?;
    let kind = KINDS.iter().find(|known| known.name == kind)?.name;
    let is_sound = !matches!(record.span, Span::Once { .. })
        && (record.is_allowed || record.span == Span::Always)
        && !record.id.is_empty()
        && Path::new(&record.program).is_absolute();
    is_sound.then(|| Grant {
        id: record.id,
        entry: EntryName { kind, name: name.to_owned() },
        program: record.program.into(),
        file: FileId { device: record.device, inode: record.inode },
        is_allowed: record.is_allowed,
        span: record.span,
        given: record.given,
        by: record.by,
    })
}

/// A reader sees all of it or what was there before.
pub(super) fn write(path: &Path, grants: &[Grant]) -> io::Result<()> {
    let record = |grant: &Grant| Record {
        id: grant.id.clone(),
        entry: grant.entry.to_string(),
        program: grant.program.to_string_lossy().into_owned(),
        device: grant.file.device,
        inode: grant.file.inode,
        is_allowed: grant.is_allowed,
        span: grant.span,
        given: grant.given,
        by: grant.by,
    };
    let grants: Vec<Record> = grants.iter().map(record).collect();
    let mut bytes = serde_json::to_vec(&Saved { format: FORMAT, grants })?;
    bytes.push(b'\n');
    own_file::replace(path, &bytes)
}

/// Keeps a damaged file for a look, out of the way.
pub(super) fn put_aside(path: &Path) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".bad");
    // Where it cannot be moved it is replaced by the next answer.
    let _ = fs::rename(path, aside);
}
