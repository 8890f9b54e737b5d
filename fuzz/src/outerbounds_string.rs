//! What a person pastes from the page of Outerbounds: whatever it is, it is read within the limits, and kept only as what can be
//! read again, of the deployment that was meant.
//!
//! Input: how, in the first line (`text`: as it is; `json`: to be deflated and written in base64), then the text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyfob_agent::kind::{Pasted, Settings};

use crate::scene::first_line;

const DOMAIN: &str = "foo.obp.acme.example";

/// Checks one input.
pub fn check(data: &[u8]) {
    match first_line(data) {
        ("text", text) => read(&String::from_utf8_lossy(text)),
        ("json", text) => read(&format!("foo:{}", STANDARD.encode(stored(text)))),
        _ => {}
    }
}

fn read(text: &str) {
    let Ok(pasted) = Pasted::read(text) else { return };
    match pasted {
        Pasted::Pointer(pointer) => assert!(pointer.arn.contains(&pointer.region)),
        Pasted::Inline(settings) => {
            let key = settings.key();
            assert!(!key.expose().is_empty() && key.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            let kept = settings.to_value();
            assert_eq!(Settings::read(kept.expose().as_bytes()).as_ref(), Ok(&settings));
            // A short key stands in any text.
            assert!(key.expose().len() < 16 || !format!("{settings:?}").contains(key.expose().as_str()));
            if settings.check_domain(DOMAIN, None).is_ok() {
                assert!(kept.expose().to_ascii_lowercase().contains(DOMAIN) || kept.expose().contains("\\u"));
            }
        }
    }
}

/// The zlib form without compression (RFC 1950, RFC 1951 section 3.2.4), so that what a fuzzer changes in a text is what is read.
fn stored(text: &[u8]) -> Vec<u8> {
    let mut all = vec![0x78, 0x01];
    let mut blocks = text.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        all.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        all.push(u8::from(blocks.peek().is_none()));
        all.extend(length.to_le_bytes());
        all.extend((!length).to_le_bytes());
        all.extend(block);
    }
    let (mut one, mut two) = (1_u32, 0_u32);
    for byte in text {
        one = (one + u32::from(*byte)) % 65521;
        two = (two + one) % 65521;
    }
    all.extend(((two << 16) | one).to_be_bytes());
    all
}
