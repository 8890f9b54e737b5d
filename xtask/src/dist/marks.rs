//! What must be in no shipped program: the marks of what only tests need, and paths of the machine that built it.

use std::fs;
use std::path::Path;

use super::Release;
use crate::Checkout;
use crate::build::remap;
use crate::failure::{Doing as _, Failure};

/// What a program with the feature `testing` carries (`agent/src/fault.rs`, `gui/src/desktop/environment.rs`), and what such an agent reads.
const OF_TESTS: [&str; 2] = ["KEYFOB-TESTING-ONLY", "KEYFOB_FAULT"];

/// Refuses a program that has one.
pub fn check(checkout: &Checkout, release: &Release) -> Result<(), Failure> {
    let mut marks: Vec<(String, &str)> =
        OF_TESTS.map(|mark| (mark.to_owned(), "is what only tests may have")).into();
    for (folder, _) in remap::places(checkout)? {
        marks.push((folder.display().to_string(), "is a path of the machine that built it"));
    }
    if let Some(home) = checkout.home.as_deref().and_then(Path::to_str) {
        marks.push((format!("{}/", home.trim_end_matches('/')), "is a path of the machine that built it"));
    }
    for program in [&release.keyfob, &release.keyfobd, &release.tray] {
        let bytes = fs::read(program).doing(format_args!("read {}", program.display()))?;
        if let Some((mark, why)) = marks.iter().find(|(mark, _)| has(&bytes, mark)) {
            let context = around(&bytes, mark);
            return Err(Failure::new(format!(
                "{} contains {mark}, which {why}: {context}",
                program.display()
            )));
        }
    }
    Ok(())
}

fn has(bytes: &[u8], mark: &str) -> bool {
    place(bytes, mark).is_some()
}

fn place(bytes: &[u8], mark: &str) -> Option<usize> {
    let mark = mark.as_bytes();
    let first = *mark.first()?;
    // Looking for one byte first: these are thirty megabytes, and xtask is not optimised.
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(mark) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// What can be read from there on, so that a person finds where it comes from.
fn around(bytes: &[u8], mark: &str) -> String {
    let text = place(bytes, mark).map(|at| &bytes[at..]).unwrap_or_default();
    text.iter()
        .take(160)
        .take_while(|byte| (b' '..=b'~').contains(*byte))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_lies() {
        let bytes = b"\0KEYFOB-TESTING-KEYFOB-TESTING-ONLY\0/home/me/x.rs\n";
        assert!(has(bytes, "KEYFOB-TESTING-ONLY"));
        assert!(!has(bytes, "KEYFOB_FAULT"));
        assert_eq!(around(bytes, "/home/me/"), "/home/me/x.rs");
    }
}
