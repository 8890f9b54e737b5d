//! Reading the ledger: from its end, no further than is asked for.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use keyfob_ipc::reply::LedgerLine;

use super::book::Book;

/// What is read at once, in bytes.
const BLOCK: u64 = 64 * 1024;

/// The longest line that is read wherever it stands, in bytes with its end: earlier builds wrote longer ones.
const LONGEST: usize = 16 * 1024;

/// What is given out at most, in bytes of lines: an answer of the control door must hold it.
const SIZE: usize = 4 * 1024 * 1024;

/// The newest lines of these files, the newest file first; the oldest line first. What is no line is passed over.
pub(super) fn newest(files: Vec<File>, last: usize, entry: Option<&str>) -> Vec<LedgerLine> {
    let mut found = Vec::new();
    let mut room = SIZE;
    for mut file in files {
        // A file that cannot be read says nothing more.
        let _ = backwards(&mut file, |line| {
            if found.len() >= last {
                return ControlFlow::Break(());
            }
            let Some(parsed) = parse(line, entry) else { return ControlFlow::Continue(()) };
            let Some(left) = room.checked_sub(line.len() + 1) else {
                // Nothing older either: a gap would not be seen.
                room = 0;
                return ControlFlow::Break(());
            };
            room = left;
            found.push(parsed);
            ControlFlow::Continue(())
        });
    }
    found.reverse();
    found
}

fn parse(line: &[u8], entry: Option<&str>) -> Option<LedgerLine> {
    let text = std::str::from_utf8(line).ok()?;
    // Most lines are about something else, and need not be taken apart.
    if entry.is_some_and(|entry| !text.contains(entry)) {
        return None;
    }
    let line: LedgerLine = serde_json::from_str(text).ok()?;
    (entry.is_none() || line.entry.as_deref() == entry).then_some(line)
}

/// Every line from the last one up.
fn backwards(file: &mut File, mut each: impl FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let read = Book::most(file.metadata()?.len());
    let mut end = read.end;
    // The end of a line that begins in what is read next.
    let mut rest = Vec::new();
    while end > read.start {
        let begin = end.saturating_sub(BLOCK).max(read.start);
        let mut block = vec![0; usize::try_from(end - begin).unwrap_or_default()];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut block)?;
        block.append(&mut rest);
        let first = block.iter().position(|byte| *byte == b'\n').filter(|_| begin > 0);
        let whole = first.map_or(if begin > 0 { block.len() } else { 0 }, |first| first + 1);
        for line in block[whole..].rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if each(line).is_break() {
                return Ok(());
            }
        }
        block.truncate(first.unwrap_or(if begin > 0 { block.len() } else { 0 }));
        // Nothing that we write is as long.
        if block.len() > LONGEST {
            block.clear();
        }
        rest = block;
        end = begin;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Vec::new();
        backwards(&mut file, |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_come_whole_wherever_the_blocks_part_them() {
        assert_eq!(lines_of(b""), Vec::<String>::new());
        assert_eq!(lines_of(b"\n\n"), Vec::<String>::new());
        assert_eq!(lines_of(b"a\nb\nhalf"), ["half", "b", "a"]);
        for length in [1, 7, 100, 1000, 16_000] {
            for more in 0..3 {
                let count = 3 * usize::try_from(BLOCK).unwrap() / (length + 1) + more;
                let lines: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
                let mut read = lines_of(format!("{}\n", lines.join("\n")).as_bytes());
                read.reverse();
                assert_eq!(read, lines, "{length}");
            }
        }
    }

    #[test]
    fn no_more_is_given_out_than_an_answer_holds_the_newest_first() {
        let mut file = tempfile::tempfile().unwrap();
        let count = 1000;
        for number in 0..count {
            let padding = "\u{e9}".repeat(7 * 1024);
            let line = format!(
                r#"{{"at":"{number}","act":"get","outcome":"given","entry":"token.a","note":"{padding}"}}"#
            );
            writeln!(file, "{line}").unwrap();
        }
        for entry in [None, Some("token.a")] {
            let found = newest(vec![file.try_clone().unwrap()], count, entry);
            let ats: Vec<usize> = found.iter().map(|line| line.at.parse().unwrap()).collect();
            assert_eq!(ats, (count - found.len()..count).collect::<Vec<_>>());
            let size = serde_json::to_vec(&found).unwrap().len();
            assert!(size <= SIZE && size > SIZE - 2 * LONGEST, "{size}");
            const { assert!(SIZE * 3 / 2 < keyfob_ipc::limits::CONTROL_FRAME) };
        }
    }

    #[test]
    fn what_is_too_long_to_be_ours_is_not_gathered() {
        let long = "x".repeat(1024 * 1024);
        let lines = lines_of(format!("first\n{long}\nlast\n").as_bytes());
        assert_eq!(
            (lines.first().unwrap(), lines.last().unwrap()),
            (&"last".to_owned(), &"first".to_owned())
        );
        assert!(lines.iter().all(|line| line.len() <= 2 * usize::try_from(BLOCK).unwrap()));
    }
}
