//! What the page of a deployment offers to copy: a prefix for people, then a configuration, deflated (RFC 1950) and in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::Value;

const PREFIX: &str = "foo";

pub(super) fn string(config: &Value) -> String {
    format!("{PREFIX}:{}", STANDARD.encode(compress_to_vec_zlib(config.to_string().as_bytes(), 6)))
}
