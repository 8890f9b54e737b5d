//! The file of the ledger: added to, put aside when it is full, never changed.
//!
//! It is opened for each batch of lines, so that one who removes or moves it takes away what is in it and no more. Where it
//! cannot be written, lines are lost and counted, and the count is the first line that can be written again.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;

use jiff::Timestamp;
use keyfob_ipc::reply::{LedgerLine, Outcome};

use crate::own_file;

/// A file that would be larger is put aside, in bytes.
const SIZE: u64 = 4 * 1024 * 1024;

/// Files that were put aside and are kept.
const KEPT: u32 = 3;

/// The longest line, in bytes with its end. Only programs can be as long; the farthest go first.
pub(super) const LONGEST: usize = 4 * 1024;

/// The longest path of the one who asks, and the longest of any other text, in bytes.
const PATH: usize = 1024;
const TEXT: usize = 512;

/// The file, and those that were put aside.
pub(super) struct Book {
    path: PathBuf,
    size: u64,
    /// Lines that were lost since the last one that was written.
    pub(super) missing: u64,
}

/// Lines that are written together.
pub(super) struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(LedgerLine, usize)>,
    /// Whether the first line tells of those that were lost.
    tells_missing: bool,
}

/// What became of a batch.
pub(super) struct Written {
    /// How many of its lines are in the file.
    pub(super) lines: usize,
    /// Why the others are not, or why they may not outlive a crash of the machine.
    pub(super) error: Option<io::Error>,
}

impl Batch {
    /// Lines in one batch at most.
    pub(super) const LINES: usize = 64;

    /// An empty one, but for the line about what is missing.
    pub(super) fn after(missing: u64, now: Timestamp) -> Self {
        let mut batch = Self { bytes: Vec::new(), lines: Vec::new(), tells_missing: missing > 0 };
        if missing > 0 {
            let lines = if missing == 1 { "1 line is".to_owned() } else { format!("{missing} lines are") };
            batch.push(LedgerLine {
                at: super::moment(now),
                act: "ledger".to_owned(),
                outcome: Outcome::Done,
                entry: None,
                target: None,
                code: None,
                asking: None,
                note: Some(format!("{lines} missing here: the file could not be written")),
            });
        }
        batch
    }

    pub(super) fn push(&mut self, mut line: LedgerLine) {
        let mut text = shortened(&mut line);
        self.bytes.append(&mut text);
        self.lines.push((line, self.bytes.len()));
    }

    /// The first lines.
    pub(super) fn written(&self, count: usize) -> impl Iterator<Item = &LedgerLine> {
        self.lines.iter().take(count).map(|(line, _)| line)
    }
}

/// The text of a line, of which no more is kept than a line may have.
fn shortened(line: &mut LedgerLine) -> Vec<u8> {
    for text in line.note.iter_mut().chain(&mut line.target) {
        cut(text, TEXT);
    }
    if let Some(asking) = &mut line.asking {
        cut(&mut asking.program, PATH);
        asking.behind.iter_mut().chain(&mut asking.claims).for_each(|text| cut(text, TEXT));
    }
    let mut text = text(line);
    let mut kept = line.asking.as_ref().map_or(0, |asking| asking.behind.len());
    while text.len() > LONGEST
        && kept > 0
        && let Some(asking) = &mut line.asking
    {
        kept -= 1;
        asking.behind.truncate(kept);
        asking.behind.push(CUT.to_owned());
        text = self::text(line);
    }
    if text.len() > LONGEST {
        line.asking = None;
        line.note = Some("who asked is too long to be kept".to_owned());
        text = self::text(line);
    }
    text
}

/// Where something was left out.
const CUT: &str = "\u{2026}";

/// Takes out the middle of what is longer than this, in bytes: what it is stands at the end, where it is at the beginning.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let head = text.floor_char_boundary(longest / 2);
        let tail = text.ceil_char_boundary(text.len() - (longest / 2 - CUT.len()));
        text.replace_range(head..tail, CUT);
    }
}

fn text(line: &LedgerLine) -> Vec<u8> {
    // Text and numbers: writing them cannot fail.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}

impl Book {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, size: SIZE, missing: 0 }
    }

    #[cfg(test)]
    pub(super) fn of_size(path: PathBuf, size: u64) -> Self {
        Self { size, ..Self::new(path) }
    }

    /// Adds lines at the end; `is_lasting`: they are on the disk when this returns.
    pub(super) fn append(&mut self, batch: &Batch, is_lasting: bool) -> Written {
        let (written, error) = match self.open(batch.bytes.len()) {
            Ok(mut file) => {
                let (written, outcome) = write(&mut file, &batch.bytes);
                let outcome = outcome.and_then(|()| if is_lasting { self.sync(&file) } else { Ok(()) });
                (written, outcome.err())
            }
            Err(error) => (0, Some(error)),
        };
        let lines = batch.lines.iter().take_while(|(_, end)| *end <= written).count();
        if batch.tells_missing && lines > 0 {
            self.missing = 0;
        }
        let lost = batch.lines.len().saturating_sub(lines.max(usize::from(batch.tells_missing)));
        self.missing = self.missing.saturating_add(lost as u64);
        Written { lines, error }
    }

    /// The files as they are, the newest first.
    pub(super) fn files(&self) -> Vec<File> {
        let all = std::iter::once(self.path.clone()).chain((1..=KEPT).map(|number| self.aside(number)));
        all.filter_map(|path| own_file::open(&path).ok()).collect()
    }

    /// The most that is read of one file, in bytes.
    pub(super) fn most(length: u64) -> Range<u64> {
        length.saturating_sub(2 * SIZE)..length
    }

    /// The file, ready for so many bytes more.
    fn open(&self, more: usize) -> io::Result<File> {
        let file = own_file::open_to_append(&self.path)?;
        let length = file.metadata()?.len();
        let full = length.saturating_add(more as u64);
        if length > 0 && full > self.size {
            match self.put_aside() {
                Ok(()) => return own_file::open_to_append(&self.path),
                // It may grow for a while, and not for ever.
                Err(error) if full > 2 * self.size => return Err(error),
                Err(_) => {}
            }
        }
        whole(file, length)
    }

    /// `ledger.jsonl` becomes `ledger.1.jsonl`, and so on; the oldest is gone.
    fn put_aside(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn aside(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("{number}.jsonl"))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        own_file::sync_folder(&self.path)
    }
}

/// Begins a new line where a crash, or a full disk, has left half of one.
fn whole(mut file: File, length: u64) -> io::Result<File> {
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Writes as much as it can, and says how much that was.
fn write(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.0);
            self.0 -= fits;
            if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_takes_what_it_can_and_says_how_much() {
        let (written, outcome) = write(&mut Disk(7), b"12345\n67890\n");
        assert_eq!((written, outcome.unwrap_err().kind()), (7, io::ErrorKind::StorageFull));
        let (written, outcome) = write(&mut Disk(12), b"12345\n67890\n");
        assert_eq!((written, outcome.is_ok()), (12, true));
    }
}
