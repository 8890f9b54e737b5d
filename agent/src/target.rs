//! The target of a `get`: of a URI, only its scheme, host and port.
//!
//! Bazel sends whole download addresses, presigned queries included. They are read here and dropped here; nothing past
//! this module can repeat what it never had.

use std::fmt;

use keyfob_ipc::{Code, Refusal};

use crate::config::Host;

/// Where a tool wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, 443 unless said.
    pub port: u16,
}

impl Target {
    /// Takes a URI apart. `https` and `grpcs` only: a credential on a plain connection is a credential given away.
    ///
    /// # Errors
    /// [`Code::BadUri`] or [`Code::InsecureScheme`]; the sentence repeats nothing but scheme and host.
    pub fn parse(uri: &str) -> Result<Self, Refusal> {
        let bad = |what: &str| {
            Refusal::new(Code::BadUri, format!("the URI {what}"))
                .hint("check the address that the tool was given")
        };
        if uri.contains(|character: char| character.is_control() || character == '\\' || character == ' ') {
            return Err(bad("contains characters that no URI has"));
        }
        let Some((scheme, rest)) = uri.split_once("://") else { return Err(bad("has no scheme")) };
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme {
            return Err(bad("has no scheme"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(bad("carries user information, which no credential is given for"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| bad("has a malformed port"))?;
        let host = Host::parse(host).map_err(|error| bad(&format!("has a host that {error}")))?;
        match scheme.to_ascii_lowercase().as_str() {
            "https" | "grpcs" => Ok(Self { host, port: port.unwrap_or(443) }),
            _ => Err(Refusal::new(
                Code::InsecureScheme,
                format!(
                    "`{}` is not an encrypted connection, so no credential is given for {host}",
                    keyfob_ipc::text::escape(scheme)
                ),
            )
            .hint("use https or grpcs for this host")),
        }
    }
}

/// `host:port`, `[v6]:port`, either without port; an empty port is the default one.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_bracket..].rfind(':') else { return Some((authority, None)) };
    let (host, port) = authority.split_at(after_bracket + colon);
    let digits = &port[1..];
    if digits.is_empty() {
        return Some((host, None));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(|port| (host, Some(port)))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            443 => write!(formatter, "{}", self.host),
            port => write!(formatter, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(uri: &str) -> Code {
        Target::parse(uri).unwrap_err().code
    }

    #[test]
    fn equal_targets_are_equal() {
        let plain =
            Target::parse("https://aw.example.com/build.bazel.remote.execution.v2.Capabilities").unwrap();
        for uri in ["grpcs://aw.example.com", "HTTPS://AW.example.com.:443/x?y#z", "https://aw.example.com:/"]
        {
            assert_eq!(Target::parse(uri).unwrap(), plain, "{uri}");
        }
        assert_eq!(Target::parse("https://[::1]:8980/x").unwrap().to_string(), "[::1]:8980");
    }

    #[test]
    fn plain_connections_get_nothing() {
        for uri in [
            "http://aw.example.com/",
            "grpc://aw.example.com",
            "ftp://aw.example.com",
            "unix://aw.example.com",
        ] {
            assert_eq!(code(uri), Code::InsecureScheme, "{uri}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for uri in [
            "https://aw.example.com@evil.io/",
            "https://evil.io\\@aw.example.com/",
            "https://",
            "//example:malformed/url",
            "https://aw.example.com:99999/",
            "https://aw.example.com:4x/",
            "https://aw.exa\tmple.com/",
            "",
            "aw.example.com",
            "https://*.googleapis.com/",
            "https://a%40b/",
            "https:///aw.example.com",
            "https://[::1",
        ] {
            assert_eq!(code(uri), Code::BadUri, "{uri}");
        }
    }

    #[test]
    fn nothing_past_the_authority_is_repeated() {
        for uri in [
            "http://h.example/secretpath?secretquery#secret",
            "https://user:secret@h.example/",
            "ht tps://secret",
        ] {
            let refusal = Target::parse(uri).unwrap_err();
            assert!(!format!("{refusal:?}").contains("secret"), "{refusal:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(https://)?\\PC{0,60}") {
            let _ = Target::parse(&text);
        }
    }
}
