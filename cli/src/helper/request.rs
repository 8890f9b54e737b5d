//! What Bazel writes on standard input, read within bounds.

use std::io::Read;

use keyfob_ipc::{Code, Refusal, limits};
use serde::Deserialize;

/// Input past the limit that is still taken in (bytes) before we give up on the writer: a tool whose pipe breaks would
/// report that instead of our sentence.
const DRAINED: u64 = 16 * 1024 * 1024;

/// `GetCredentialsRequest`. Other members are allowed and ignored.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The address that the tool wants to reach, as it came.
    pub uri: String,
}

/// Reads one, and all that follows it up to a bound.
///
/// # Errors
/// [`Code::BadRequest`] with the reason.
pub fn read(input: &mut impl Read) -> Result<Request, Refusal> {
    let mut bytes = Vec::with_capacity(1024);
    input
        .by_ref()
        .take(limits::HELPER_INPUT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| no_request(&format!("it cannot be read: {error}")))?;
    if bytes.len() > limits::HELPER_INPUT {
        // Whether the rest can be read changes nothing about the refusal.
        let _ = std::io::copy(&mut input.take(DRAINED), &mut std::io::sink());
        return Err(no_request(&format!("it has more than {} bytes", limits::HELPER_INPUT)));
    }
    parse(&bytes)
}

/// The reasons repeat nothing of the input: it may be a presigned address.
fn parse(bytes: &[u8]) -> Result<Request, Refusal> {
    let text = bytes.trim_ascii();
    // serde would read a list of one string as the object too.
    match text.first() {
        None => return Err(no_request("it is empty")),
        Some(b'{') => {}
        Some(_) => return Err(no_request("it is no JSON object")),
    }
    serde_json::from_slice(text).map_err(|error| {
        no_request(match error.classify() {
            serde_json::error::Category::Eof => "it ends in the middle",
            serde_json::error::Category::Data => "`uri` is missing or no string",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
        })
    })
}

fn no_request(why: &str) -> Refusal {
    Refusal::new(Code::BadRequest, format!("the input is no credential helper request ({why})"))
        .hint("keyfob get --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: &str) -> String {
        read(&mut input.as_bytes()).unwrap_err().say
    }

    #[test]
    fn extra_members_and_white_space_are_fine() {
        let input = b"\n {\"foo\":1, \"uri\":\"grpcs://example.com\", \"bar\":{}} \n";
        assert_eq!(parse(input).unwrap().uri, "grpcs://example.com");
    }

    #[test]
    fn each_malformed_input_has_its_reason() {
        assert!(refused("").contains("empty"));
        assert!(refused("  \n").contains("empty"));
        assert!(refused(r#"{"uri": "#).contains("ends in the middle"));
        assert!(refused(r#"{"uri":5}"#).contains("no string"));
        assert!(refused("{}").contains("missing"));
        assert!(refused(r#"["https://a.example"]"#).contains("no JSON object"));
        assert!(refused(r#""https://a.example""#).contains("no JSON object"));
        assert!(refused(r#"{"uri":"a"} x"#).contains("not JSON"));
        assert!(refused("{\u{fffd}").contains("not JSON"));
    }

    #[test]
    fn a_reason_repeats_nothing_of_the_input() {
        assert!(!refused(r#"{"uri":{"signature":"s3cr3t"}}"#).contains("s3cr3t"));
        assert!(!refused(r#"{"uri":"a","uri":"s3cr3t"}"#).contains("s3cr3t"));
    }

    #[test]
    fn the_limit_is_the_last_length_that_is_read() {
        let frame = r#"{"uri":"a"}"#;
        let fits = format!("{frame}{}", " ".repeat(limits::HELPER_INPUT - frame.len()));
        assert!(read(&mut fits.as_bytes()).is_ok());
        assert!(refused(&format!("{fits} ")).contains("more than"));
    }

    #[test]
    fn oversized_input_is_drained() {
        let mut input = std::io::Cursor::new(vec![b' '; 1024 * 1024]);
        assert!(read(&mut input).is_err());
        assert_eq!(input.position(), 1024 * 1024);
    }
}
