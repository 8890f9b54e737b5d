//! One JSON object in somebody else's file: single members go in, change and come out, and every other byte stays.
//!
//! What goes in takes its line ends, indentation and spaces from the members that are there, and its place behind the last
//! one, so that taking it out again gives the file back.

use std::ops::Range;

use keyfob_ipc::{Secret, text};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// Why a file cannot be edited. Nothing of its values is repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// With the place, both from 1.
    #[error("is no JSON (line {line}, column {column})")]
    NotJson {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// It is JSON.
    #[error("is no JSON object")]
    NotObject,
    /// Nobody can know which one counts.
    #[error("has `{0}` more than once")]
    Twice(String),
}

/// A JSON object with its text.
pub struct Object {
    text: Zeroizing<Vec<u8>>,
    /// Behind the opening brace.
    open: usize,
    members: Vec<Member>,
}

struct Member {
    name: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl Object {
    /// Takes a text in.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn read(text: &[u8]) -> Result<Self, Wrong> {
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
            return Err(Wrong::NotJson { line: error.line(), column: error.column() });
        }
        if let Err(error) = std::str::from_utf8(text) {
            let before = &text[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            return Err(Wrong::NotJson { line, column });
        }
        let open = skip(text, 0) + 1;
        if text[open - 1] != b'{' {
            return Err(Wrong::NotObject);
        }
        let members = scan(text, open);
        for (index, member) in members.iter().enumerate() {
            if members[..index].iter().any(|other| other.name == member.name) {
                return Err(Wrong::Twice(text::escape(&member.name)));
            }
        }
        Ok(Self { text: Zeroizing::new(text.to_vec()), open, members })
    }

    /// The whole text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What is before and behind the braces.
    pub fn around(&self) -> Vec<u8> {
        let last = self.members.last().map_or(self.open, |member| member.value.end);
        let close = skip(&self.text, last) + 1;
        [&self.text[..self.open - 1], &self.text[close..]].concat()
    }

    /// The names of the members, as they stand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// The value of a member; `None` where it is absent or no string.
    pub fn string(&self, name: &str) -> Option<Secret<String>> {
        serde_json::from_slice(&self.text[self.member(name)?.value.clone()]).ok()
    }

    /// The same for what is no secret.
    pub fn plain(&self, name: &str) -> Option<String> {
        self.string(name).map(|value| value.expose().clone())
    }

    /// With this member: changed where it stands, else behind the last one.
    ///
    /// # Errors
    /// None that a text without errors could have.
    pub fn set(&self, name: &str, value: &str) -> Result<Self, Wrong> {
        if let Some(member) = self.member(name) {
            return self.with(member.value.clone(), &[&quoted(value)]);
        }
        let text = &self.text[..];
        let colon = self.members.last().map_or(&b": "[..], |last| &text[last.key.end..last.value.start]);
        let (at, comma, space): (_, &[u8], &[u8]) = match self.members.as_slice() {
            [] => (
                self.open,
                b"",
                match line_end(&text[self.open..skip(text, self.open)]) {
                    b"" => &text[self.open..skip(text, self.open)],
                    b"\r\n" => b"\r\n    ",
                    _ => b"\n    ",
                },
            ),
            [only] => {
                let space = &text[self.open..only.key.start];
                let spread = if colon.ends_with(b" ") { b" " } else { &b""[..] };
                (only.value.end, b",", if line_end(space).is_empty() { spread } else { space })
            }
            [.., before, last] => (last.value.end, b"", &text[before.value.end..last.key.start]),
        };
        self.with(at..at, &[comma, space, &quoted(name), colon, &quoted(value)])
    }

    /// With another member in the place of this one; unchanged where there is none.
    ///
    /// # Errors
    /// [`Wrong::Twice`] where the new name is taken.
    pub fn put_in_place(&self, name: &str, new: &str, value: &str) -> Result<Self, Wrong> {
        let Some(member) = self.member(name) else { return self.with(0..0, &[]) };
        let colon = &self.text[member.key.end..member.value.start];
        self.with(member.key.start..member.value.end, &[&quoted(new), colon, &quoted(value)])
    }

    /// Without this member.
    ///
    /// # Errors
    /// None that a text without errors could have.
    pub fn without(&self, name: &str) -> Result<Self, Wrong> {
        let Some(index) = self.members.iter().position(|member| member.name == name) else {
            return self.with(0..0, &[]);
        };
        let member = &self.members[index];
        self.with(
            match (index.checked_sub(1), self.members.get(index + 1)) {
                (Some(before), _) => self.members[before].value.end..member.value.end,
                (None, Some(next)) => member.key.start..next.key.start,
                (None, None) => self.open..member.value.end,
            },
            &[],
        )
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn with(&self, place: Range<usize>, new: &[&[u8]]) -> Result<Self, Wrong> {
        let new = Zeroizing::new(new.concat());
        let text = [&self.text[..place.start], &new, &self.text[place.end..]].concat();
        Self::read(&Zeroizing::new(text))
    }
}

/// A JSON string, in memory that is wiped and was never moved.
fn quoted(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(&mut *bytes, text);
    bytes
}

fn line_end(space: &[u8]) -> &'static [u8] {
    match space.iter().position(|byte| *byte == b'\n') {
        None => b"",
        Some(at) if space[..at].ends_with(b"\r") => b"\r\n",
        Some(_) => b"\n",
    }
}

/// The members of an object that is known to be well formed.
fn scan(text: &[u8], open: usize) -> Vec<Member> {
    let mut members = Vec::new();
    let mut at = skip(text, open);
    while text.get(at) == Some(&b'"') {
        let key = at..end(text, at);
        // Behind the colon.
        let start = skip(text, skip(text, key.end) + 1);
        let value = start..end(text, start);
        at = skip(text, value.end);
        if text.get(at) == Some(&b',') {
            at = skip(text, at + 1);
        }
        let name = &text[key.clone()];
        // Half a surrogate pair is JSON and no text.
        let name =
            serde_json::from_slice(name).unwrap_or_else(|_| String::from_utf8_lossy(name).into_owned());
        members.push(Member { name, key, value });
    }
    members
}

/// The first byte from here on that is no white space.
fn skip(text: &[u8], from: usize) -> usize {
    text.iter().skip(from).position(|byte| !b" \t\r\n".contains(byte)).map_or(text.len(), |more| from + more)
}

/// Behind the value that begins here.
fn end(text: &[u8], start: usize) -> usize {
    let (mut depth, mut is_quoted, mut at) = (0_usize, false, start);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        // Numbers and words end where something else begins.
        if depth == 0 && !is_quoted && b"\"}]".contains(byte) {
            return at;
        }
    }
    at
}

#[cfg(test)]
mod tests;
