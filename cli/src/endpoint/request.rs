//! What a client asks, and whether it may.

use std::io::{self, Read};

use keyfob_ipc::Secret;
use zeroize::Zeroizing;

use super::response::{Response, no};

/// Bytes of a head; those of SDKs have some hundreds.
const LONGEST: usize = 8 * 1024;

/// Header lines of a head.
const HEADERS: usize = 48;

/// What has come of a request so far.
pub(super) struct Head(Zeroizing<Vec<u8>>);

/// How much that is.
pub(super) enum Heard {
    /// More is to come.
    Part,
    /// It goes up to the empty line behind the headers, and may have keys or not.
    All(Result<(), Response>),
    /// Nobody is there any more.
    Nobody,
}

impl Head {
    pub(super) fn new() -> Self {
        // The token is in it: nothing that grows leaves copies behind.
        Self(Zeroizing::new(Vec::with_capacity(LONGEST)))
    }

    /// Reads what is there. The stream does not block.
    pub(super) fn read(&mut self, stream: &mut impl Read, gate: &Gate) -> Heard {
        let mut chunk = Zeroizing::new([0; 1024]);
        loop {
            let known = self.0.len();
            let room = chunk.len().min(LONGEST - known);
            match stream.read(&mut chunk[..room]) {
                Ok(read @ 1..) => self.0.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Part,
                Ok(0) | Err(_) => return Heard::Nobody,
            }
            // A byte at a time does not make us look through all of it each time.
            if self.0[known.saturating_sub(3)..].windows(4).any(|window| window == b"\r\n\r\n") {
                return Heard::All(gate.judge(&self.0));
            }
            if self.0.len() == LONGEST {
                return Heard::All(Err(no(431, "TooLarge", "the request is too large")));
            }
        }
    }
}

/// What opens the endpoint.
pub(super) struct Gate {
    /// `127.0.0.1:PORT`, as `Host` must say: a name that leads here is a page's trick.
    pub(super) host: String,
    /// The one path.
    pub(super) path: &'static str,
    /// As `Authorization` must say.
    pub(super) token: Secret<String>,
}

impl Gate {
    /// Whether a head may have keys.
    fn judge(&self, head: &[u8]) -> Result<(), Response> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        let Ok(httparse::Status::Complete(_)) = request.parse(head) else {
            return Err(no(400, "BadRequest", "this is no request of HTTP/1.1"));
        };
        let only = |wanted: &str| {
            let mut found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(wanted));
            found.next().map(|header| header.value).filter(|_| found.next().is_none())
        };
        if request.headers.iter().any(|header| came_by_others(header.name)) {
            return Err(no(403, "Forbidden", "a browser or a proxy gets no keys"));
        }
        if only("host") != Some(self.host.as_bytes()) {
            return Err(no(403, "Forbidden", "the request is for another host"));
        }
        let given = only("authorization").and_then(|value| std::str::from_utf8(value).ok()).map(Secret::from);
        // Compared in a time that does not tell how much of it is right ([`Secret`]).
        if given.as_ref() != Some(&self.token) {
            return Err(no(403, "Forbidden", "the authorization token is not the one of this run"));
        }
        if request.method != Some("GET") {
            return Err(no(405, "MethodNotAllowed", "keys are asked for by GET"));
        }
        let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
        if path.strip_suffix('/').unwrap_or(path) != self.path {
            return Err(no(404, "NotFound", "there is nothing at this path"));
        }
        Ok(())
    }
}

/// Headers that browsers and proxies add, and no SDK.
fn came_by_others(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let exact = ["origin", "referer", "forwarded", "via", "cookie", "x-real-ip"];
    exact.contains(&name.as_str()) || name.starts_with("x-forwarded") || name.starts_with("sec-fetch")
}
