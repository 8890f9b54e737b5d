//! A marked block in somebody else's configuration file.
//!
//! The lines between the marks are ours and are rewritten; everything else stays as it is, byte for byte. Taking the block
//! out gives back the file as it was before, so the first mark remembers what putting it in had to add.

use std::ops::Range;

const BEGIN: &str = "# >>> keyfob >>>";
const END: &str = "# <<< keyfob <<<";

/// What there was where the block was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The end of a line, or an empty file.
    Line,
    /// A last line without a line end: the one before the block is ours.
    Unfinished,
    /// No file at all.
    NoFile,
}

impl Before {
    /// How the first mark remembers it.
    fn word(self) -> &'static str {
        match self {
            Self::Line => "",
            Self::Unfinished => " [joined]",
            Self::NoFile => " [own file]",
        }
    }

    fn of_mark(mark: &str) -> Self {
        let rest = mark.strip_prefix(BEGIN).unwrap_or_default();
        [Self::Unfinished, Self::NoFile]
            .into_iter()
            .find(|before| rest.starts_with(before.word()))
            .unwrap_or(Self::Line)
    }
}

/// Marks that do not pair up: somebody edited them, and nobody can know what is ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is a keyfob mark without its other half")]
pub struct Broken {
    /// Line of the mark, from 1.
    pub line: usize,
}

/// What is left when the block is out.
#[derive(Debug, PartialEq, Eq)]
pub struct Rest {
    /// The content.
    pub bytes: Vec<u8>,
    /// Whether the file was made for the block and nothing else has come into it.
    pub is_no_file: bool,
}

/// The file with the block in it; `lines` are the block's own, each with its line end. `None` is a file that is not there.
///
/// # Errors
/// [`Broken`].
pub fn put(file: Option<&[u8]>, command: &str, lines: &str) -> Result<Vec<u8>, Broken> {
    let content = file.unwrap_or_default();
    let found = find(content)?;
    let (head, before, tail) = match &found {
        Some(found) => (&content[..found.start], found.before, &content[found.end..]),
        None => (content, state(file), &[][..]),
    };
    let mut bytes = head.to_vec();
    if found.is_none() && before == Before::Unfinished {
        bytes.push(b'\n');
    }
    let mark = format!(
        "{BEGIN}{} `{command}` writes these lines, `{command} --remove` takes them out",
        before.word()
    );
    bytes.extend_from_slice(format!("{mark}\n{lines}{END}\n").as_bytes());
    bytes.extend_from_slice(tail);
    Ok(bytes)
}

/// The file without the block; `None` where there is none.
///
/// # Errors
/// [`Broken`].
pub fn take_out(file: &[u8]) -> Result<Option<Rest>, Broken> {
    let Some(found) = find(file)? else { return Ok(None) };
    let (mut head, tail) = (&file[..found.start], &file[found.end..]);
    // What came after the block needs the line end that we put before it.
    if found.before == Before::Unfinished && tail.is_empty() {
        head = head.strip_suffix(b"\n").unwrap_or(head);
    }
    let bytes = [head, tail].concat();
    Ok(Some(Rest { is_no_file: found.before == Before::NoFile && bytes.is_empty(), bytes }))
}

/// The lines outside of the block, as text; bytes that are none are replaced.
///
/// # Errors
/// [`Broken`].
pub fn outside(file: &[u8]) -> Result<String, Broken> {
    let rest = take_out(file)?;
    let bytes = rest.as_ref().map_or(file, |rest| &rest.bytes);
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The numbers of the block's lines, from 1, marks included; empty where there is no block.
///
/// # Errors
/// [`Broken`].
pub fn line_numbers(file: &[u8]) -> Result<Range<usize>, Broken> {
    let Some(found) = find(file)? else { return Ok(1..1) };
    let ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let first = ends(&file[..found.start]) + 1;
    let block = &file[found.start..found.end];
    let unfinished = usize::from(!block.ends_with(b"\n"));
    Ok(first..first + ends(block) + unfinished)
}

fn state(file: Option<&[u8]>) -> Before {
    match file {
        None => Before::NoFile,
        Some(content) if content.is_empty() || content.ends_with(b"\n") => Before::Line,
        Some(_) => Before::Unfinished,
    }
}

/// Where the block is: from the first byte of its first mark to the one after its last line.
#[derive(Debug)]
struct Found {
    start: usize,
    end: usize,
    before: Before,
}

fn find(file: &[u8]) -> Result<Option<Found>, Broken> {
    let mut open: Option<(usize, usize, Before)> = None;
    let mut found = None;
    let mut offset = 0;
    for (index, line) in file.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (number, start) = (index + 1, offset);
        offset += line.len();
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        if text.starts_with(BEGIN) {
            if open.is_some() || found.is_some() {
                return Err(Broken { line: number });
            }
            open = Some((number, start, Before::of_mark(&text)));
        } else if text == END {
            let Some((_, start, before)) = open.take() else { return Err(Broken { line: number }) };
            found = Some(Found { start, end: offset, before });
        }
    }
    match open {
        Some((line, ..)) => Err(Broken { line }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMAND: &str = "keyfob setup bazel";

    fn added(file: Option<&[u8]>) -> Vec<u8> {
        put(file, COMMAND, "common --x\n").unwrap()
    }

    #[test]
    fn the_lines_of_the_block_are_counted() {
        assert!(line_numbers(b"build --a\n").unwrap().is_empty());
        let file = added(Some(b"build --a"));
        assert_eq!(line_numbers(&file).unwrap(), 2..5);
        assert_eq!(line_numbers(file.trim_ascii_end()).unwrap(), 2..5);
        assert_eq!(line_numbers(&added(None)).unwrap(), 1..4);
    }

    #[test]
    fn a_second_time_changes_nothing_and_new_lines_replace_the_old() {
        let once = added(Some(b"build --a\n"));
        assert_eq!(added(Some(&once)), once);
        let other = put(Some(&once), COMMAND, "common --y\ncommon --z\n").unwrap();
        let text = String::from_utf8(other).unwrap();
        assert!(text.starts_with("build --a\n# >>> keyfob >>> `keyfob setup bazel`"), "{text}");
        assert!(text.ends_with("common --y\ncommon --z\n# <<< keyfob <<<\n"), "{text}");
        assert!(!text.contains("--x"));
    }

    #[test]
    fn a_file_made_for_the_block_goes_with_it() {
        let rest = take_out(&added(None)).unwrap().unwrap();
        assert!(rest.is_no_file);
        let rest = take_out(&added(Some(b""))).unwrap().unwrap();
        assert_eq!(rest, Rest { bytes: vec![], is_no_file: false });
        let mut filled = added(None);
        filled.extend_from_slice(b"build --mine\n");
        assert_eq!(take_out(&filled).unwrap().unwrap().bytes, b"build --mine\n");
    }

    #[test]
    fn what_was_written_behind_the_block_keeps_its_own_line() {
        let mut file = added(Some(b"build --a"));
        file.extend_from_slice(b"build --b\n");
        assert_eq!(take_out(&file).unwrap().unwrap().bytes, b"build --a\nbuild --b\n");
    }

    #[test]
    fn an_editor_that_turns_line_ends_does_not_hide_the_block() {
        let text = String::from_utf8(added(Some(b"a\n"))).unwrap().replace('\n', "\r\n");
        assert_eq!(take_out(text.as_bytes()).unwrap().unwrap().bytes, b"a\r\n");
    }

    #[test]
    fn marks_that_do_not_pair_up_are_named() {
        assert_eq!(find(b"a\n# >>> keyfob >>>\n").unwrap_err(), Broken { line: 2 });
        assert_eq!(find(b"# <<< keyfob <<<\n").unwrap_err(), Broken { line: 1 });
        let twice = [added(None), added(None)].concat();
        assert_eq!(find(&twice).unwrap_err(), Broken { line: 4 });
        assert!(take_out(b"nothing of ours\n").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn taking_out_gives_back_every_byte(
            file in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "([a-z#> ]{0,12}\r?\n){0,5}[a-z]{0,5}".prop_map(String::into_bytes),
            ],
            lines in "([a-z =*.-]{0,20}\n){0,4}",
        ) {
            let with = put(Some(&file), COMMAND, "something else\n").unwrap();
            let with = put(Some(&with), COMMAND, &lines).unwrap();
            let rest = take_out(&with).unwrap().unwrap();
            prop_assert_eq!(rest.bytes, file);
            prop_assert!(!rest.is_no_file);
        }
    }
}
