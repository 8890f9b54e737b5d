//! Text from outside, made safe for a terminal or a window.

use std::fmt::Write as _;

/// Characters of an outside text that are kept; more is cut with an ellipsis.
const KEPT: usize = 300;

/// Escapes control characters (so no escape sequence reaches a terminal), bidirectional overrides and other invisible
/// format characters, and cuts the text to a length that a sentence can carry.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(KEPT));
    for (count, character) in text.chars().enumerate() {
        if count == KEPT {
            safe.push_str("...");
            break;
        }
        if character.is_control() || is_invisible(character) {
            // Writing to a string cannot fail.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Zero-width characters, bidirectional controls, line and paragraph separators, byte order mark.
fn is_invisible(character: char) -> bool {
    matches!(u32::from(character), 0x00ad | 0x061c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_overrides_become_visible() {
        assert_eq!(escape("a\u{1b}[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(escape(&"x".repeat(1000)).len(), KEPT + 3);
    }
}
