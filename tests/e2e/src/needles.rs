//! A secret in every form in which a program might have written it down.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Characters of a piece that is looked for: none of the tests' other texts has as many in a row.
const PIECE: usize = 12;
/// Bits of the number that a piece begins with.
const BEGINNINGS: u32 = 20;

/// Something to look for. It is never shown itself: findings have its name.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What a finding calls it.
    pub name: &'static str,
    value: String,
}

impl Secret {
    /// A value of visible ASCII, long enough to be told from other texts.
    pub fn new(name: &'static str, value: &str) -> Self {
        assert!(value.len() >= 2 * PIECE && value.is_ascii(), "{name} cannot be looked for");
        Self { name, value: value.to_owned() }
    }

    /// A value that was nowhere before.
    ///
    /// # Panics
    /// Where the system has no randomness.
    pub fn random(name: &'static str) -> Self {
        let mut bytes = [0; 36];
        let read =
            fs::File::open("/dev/urandom").and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes));
        read.expect("there is randomness");
        Self::new(name, &URL_SAFE.encode(bytes))
    }

    /// The value, for those who are to plant it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What to look for: pieces of every form. Of a form's text no part of over 15 characters is without one.
    pub fn pieces(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> + use<> {
        forms(&self.value).into_iter().flat_map(|(form, text)| {
            let pieces = text.as_bytes().windows(PIECE).step_by(4);
            pieces.map(|piece| (form, piece.to_vec())).collect::<Vec<_>>()
        })
    }
}

/// Pieces of secrets, looked for all at once.
#[derive(Debug)]
pub struct Search {
    /// By a piece: whose it is, and in which form.
    pieces: HashMap<Vec<u8>, (&'static str, &'static str)>,
    /// Whether any piece begins like that; nearly every place in a text is done with here.
    beginnings: Vec<bool>,
}

impl Search {
    /// For every form of these.
    pub fn new(secrets: &[Secret]) -> Self {
        let mut search = Self { pieces: HashMap::new(), beginnings: vec![false; 1 << BEGINNINGS] };
        for secret in secrets {
            for (form, piece) in secret.pieces() {
                search.beginnings[beginning(&piece)] = true;
                search.pieces.entry(piece).or_insert((secret.name, form));
            }
        }
        search
    }

    /// Which secrets a text holds, whole or a good part of them, and in which form.
    pub fn find(&self, text: &[u8]) -> BTreeSet<String> {
        let pieces = text.windows(PIECE).filter(|piece| self.beginnings[beginning(piece)]);
        pieces
            .filter_map(|piece| self.pieces.get(piece))
            .map(|(name, form)| format!("{name} ({form})"))
            .collect()
    }
}

/// A number for the first four bytes of a piece.
fn beginning(piece: &[u8]) -> usize {
    let number = u32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
    (number.wrapping_mul(0x9E37_79B1) >> (32 - BEGINNINGS)) as usize
}

/// The value as it is, and as encodings write it.
pub fn forms(value: &str) -> Vec<(&'static str, String)> {
    let bytes = value.as_bytes();
    let json = serde_json::to_string(value).expect("text is JSON");
    let hex = |upper: bool| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail, here and below.
            let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            text
        })
    };
    let numbers = |between: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between);
    let percent = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => {
                write!(text, "{}", char::from(*byte))
            }
            byte => write!(text, "%{byte:02X}"),
        };
        text
    });
    let mut forms = vec![
        ("as it is", value.to_owned()),
        ("JSON", json.trim_matches('"').to_owned()),
        ("Debug", value.escape_debug().to_string()),
        ("percent-encoded", percent),
        ("hexadecimal", hex(false)),
        ("hexadecimal", hex(true)),
        ("numbers", numbers(", ")),
        ("numbers", numbers(",")),
    ];
    // Base64 depends on where in three bytes it begins; the ends depend on what stands beside.
    for offset in 0..3 {
        for engine in [STANDARD, URL_SAFE] {
            let text = engine.encode([&b"xxx"[..offset], bytes].concat());
            forms.push(("base64", text[4..text.len() - 4].to_owned()));
        }
    }
    forms
}

/// Looks through a file, or every file below a folder, and at their names; says where something was found.
pub fn search(place: &Path, search: &Search, found: &mut Vec<String>) {
    let mut find = |what: &str, path: &Path, text: &[u8]| {
        found.extend(
            search.find(text).iter().map(|known| format!("{known} in the {what} {}", path.display())),
        );
    };
    let mut places = vec![place.to_owned()];
    while let Some(path) = places.pop() {
        find("name of", &path, path.file_name().unwrap_or_default().as_encoded_bytes());
        // Other tests come and go beside this one.
        let Ok(kind) = fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) else { continue };
        if kind.is_dir() {
            places.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if kind.is_symlink() {
            find("target of", &path, fs::read_link(&path).unwrap_or_default().as_os_str().as_encoded_bytes());
        } else if kind.is_file() {
            find("content of", &path, &fs::read(&path).unwrap_or_default());
        }
    }
}

#[test]
fn a_secret_is_found_in_every_form_and_a_part_of_it_too() {
    let value = "aw_<q\"k&J%7)z\\Gs'Qe0~c/Rm+5w{Hd}=Vx1^T";
    let search = Search::new(&[Secret::new("it", value)]);
    for (form, text) in forms(value) {
        assert!(!search.find(format!("x{text}y").as_bytes()).is_empty(), "{form}");
    }
    for offset in 0..9 {
        let text = STANDARD.encode(format!("{}{value} and more", "-".repeat(offset)));
        assert!(search.find(text.as_bytes()).contains("it (base64)"), "{offset}");
    }
    assert!(search.find(&value.as_bytes()[7..25]).contains("it (as it is)"));
    assert!(search.find(b"aw_0123456789abcdefghijklmnopqrstuvwxyz").is_empty());
}
