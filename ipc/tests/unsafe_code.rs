//! `unsafe` is where the system is talked to and nowhere else, and each block says why it is sound.
//!
//! The compiler's own lint can be waived in any file by one line, so the sources themselves are read here.

use std::fs;
use std::path::{Path, PathBuf};

/// The only places, relative to the checkout: two in the product, and what reads access lists for the tests on Windows.
const PLACES: [&str; 3] = ["ipc/src/peer", "agent/src/harden", "tests/windows/src/system.rs"];
/// How far above a block its reason may begin, in lines: a statement and a paragraph.
const NEAR: usize = 12;

#[test]
fn unsafe_code_is_where_it_may_be_and_says_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    collect(root, &mut sources);
    let (mut allowed, mut faults) = (0, Vec::new());
    for source in &sources {
        let path = source.strip_prefix(root).unwrap();
        let (count, found) = examine(path, &fs::read_to_string(source).unwrap());
        allowed += count;
        faults.extend(found);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        sources.len() > 150 && allowed > 20,
        "{} files, {allowed} blocks: this is not the checkout",
        sources.len()
    );
}

#[test]
fn what_is_elsewhere_or_says_nothing_is_caught() {
    let peer = Path::new("ipc/src/peer/linux.rs");
    let cli = Path::new("cli/src/main.rs");
    let good = "// SAFETY: it is.\nlet x = unsafe { y() };\n";
    assert_eq!(examine(peer, good), (1, vec![]));
    for (path, text) in [
        (cli, good),
        (Path::new("ipc/src/peers/linux.rs"), good),
        (Path::new("ipc/src/line.rs"), "#[expect(unsafe_code)]\nfn f() { unsafe { y() } }"),
        (peer, "let x = unsafe { y() };"),
        (peer, "// SAFETY: it is.\nlet x = unsafe { y() };\nlet z = unsafe { y() };"),
        (peer, "let s = \"// SAFETY: no\";\nlet x = unsafe { y() };"),
        (peer, "// SAFETY: it is.\nlet x = 1;\n\nunsafe impl Send for X {}"),
        (peer, "let t = '\"'; unsafe { y() }; let u = '\"';"),
        (peer, "let r#type = r#\"\"unsafe\"#; unsafe { y() }"),
    ] {
        let (_, faults) = examine(path, text);
        assert_eq!(faults.len(), 1, "{}: {text}: {faults:?}", path.display());
    }
    for text in [
        "// unsafe { }",
        "/* unsafe /* { */ unsafe */",
        "let s = \"unsafe { }\";",
        "#![deny(unsafe_code)]",
        "let s = r#\"unsafe \" {\"#;",
    ] {
        assert_eq!(examine(cli, text), (0, vec![]), "{text}");
    }
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout") {
        let path = entry.expect("a file of the checkout").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                collect(&path, sources);
            }
        } else if name.ends_with(".rs") {
            sources.push(path);
        }
    }
}

/// How many blocks are in order, and what is not.
fn examine(path: &Path, text: &str) -> (usize, Vec<String>) {
    let is_place = PLACES.iter().any(|place| path.starts_with(place));
    let (code, comments) = part(text);
    let (mut good, mut faults) = (0, Vec::new());
    for (number, line) in code.iter().enumerate() {
        for rest in words(line, "unsafe") {
            let at = format!("{}:{}", path.display(), number + 1);
            if !is_place {
                faults.push(format!("{at}: unsafe code has no business here"));
            } else if ["fn", "trait"].iter().any(|word| rest.trim_start().starts_with(word)) {
                // It asks something of others, by its documentation; what it does unsafely itself is in blocks.
            } else if has_reason(&code, &comments, number) {
                good += 1;
            } else {
                faults.push(format!("{at}: nothing says why this is sound"));
            }
        }
    }
    (good, faults)
}

/// Whether a `SAFETY:` stands above, and between the two neither an empty line nor another block that it is for.
fn has_reason(code: &[String], comments: &[String], number: usize) -> bool {
    for above in (number.saturating_sub(NEAR)..number).rev() {
        if comments[above].contains("SAFETY:") {
            return true;
        }
        let is_empty = code[above].trim().is_empty() && comments[above].trim().is_empty();
        if is_empty || words(&code[above], "unsafe").next().is_some() {
            return false;
        }
    }
    false
}

/// What follows each occurrence of a whole word.
fn words<'t>(line: &'t str, word: &'t str) -> impl Iterator<Item = &'t str> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).filter_map(move |(at, _)| {
        let (before, rest) = (&line[..at], &line[at + word.len()..]);
        (!before.ends_with(is_part) && !rest.starts_with(is_part)).then_some(rest)
    })
}

/// A source twice, line by line: without comments and what is in quotes, and the comments alone.
fn part(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut code, mut comments) = (vec![String::new()], vec![String::new()]);
    let (mut rest, mut before) = (text, None);
    while !rest.is_empty() {
        let (kind, length) = piece(rest, before);
        let (taken, left) = rest.split_at(length);
        for character in taken.chars() {
            match kind {
                _ if character == '\n' => {
                    code.push(String::new());
                    comments.push(String::new());
                }
                Kind::Code => code.last_mut().expect("a line").push(character),
                Kind::Comment => comments.last_mut().expect("a line").push(character),
                Kind::Quoted => {}
            }
        }
        before = taken.chars().next_back();
        rest = left;
    }
    (code, comments)
}

enum Kind {
    Code,
    Comment,
    Quoted,
}

/// What a text begins with, and how long that is.
fn piece(text: &str, before: Option<char>) -> (Kind, usize) {
    let first = text.chars().next().map_or(1, char::len_utf8);
    if text.starts_with("//") {
        return (Kind::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Kind::Comment, block_comment(text));
    }
    if text.starts_with('"') {
        return (Kind::Quoted, quoted(text, '"'));
    }
    let begins_word = !before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    let raw = text.strip_prefix('b').unwrap_or(text).strip_prefix('r');
    if let Some(raw) = raw.filter(|_| begins_word) {
        let marks = raw.chars().take_while(|character| *character == '#').count();
        if raw[marks..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(marks));
            let begin = text.len() - raw.len() + marks + 1;
            return (Kind::Quoted, text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()));
        }
    }
    if let Some(rest) = text.strip_prefix('\'') {
        // A lifetime has no second mark where a character would end.
        let mut characters = rest.chars();
        let is_character = match characters.next() {
            Some('\\') => true,
            Some(_) => characters.next() == Some('\''),
            None => false,
        };
        if is_character {
            return (Kind::Quoted, quoted(text, '\''));
        }
    }
    (Kind::Code, first)
}

fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Comments of this kind nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}
