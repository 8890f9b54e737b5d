//! What Bazel writes to its credential helper: read within bounds, and repeated in no message.

use keyfob_ipc::{Code, limits};
use serde_json::Value;

#[path = "../../cli/src/helper/request.rs"]
mod request;

const REASONS: [&str; 6] = [
    "it is empty",
    "it is no JSON object",
    "it ends in the middle",
    "`uri` is missing or no string",
    "it is not JSON",
    "it has more than 61440 bytes",
];

/// Checks one input.
pub fn check(data: &[u8]) {
    match request::read(&mut &data[..]) {
        Ok(request) => {
            assert!(data.len() <= limits::HELPER_INPUT);
            // What is ignored may be as deep as it likes, and holds strings that are none; as a value it may not.
            if let Ok(value) = serde_json::from_slice::<Value>(data) {
                assert_eq!(value["uri"].as_str(), Some(request.uri.as_str()));
            }
        }
        Err(refusal) => {
            assert_eq!(refusal.code, Code::BadRequest);
            let expected =
                |why: &&str| refusal.say == format!("the input is no credential helper request ({why})");
            assert!(REASONS.iter().any(|why| expected(&why)), "{}", refusal.say);
            assert_eq!(refusal.hint, "keyfob get --help");
        }
    }
}
