//! What a client asks, and whether it may.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keyfob_ipc::Secret;
use zeroize::Zeroizing;

use super::response::{Response, no};

/// Bytes of a head; those of SDKs have some hundreds.
const LONGEST: usize = 8 * 1024;

/// Header lines of a head.
const HEADERS: usize = 48;

/// Bytes behind a head that are taken away, so that the answer is not lost with them.
const SURPLUS: usize = 64 * 1024;

/// No answer yet: what to say, or nothing where nobody hears it.
pub(super) type Refused = Option<Response>;

/// Reads up to the empty line behind the headers.
pub(super) fn read(stream: &mut TcpStream, patience: Duration) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let deadline = Instant::now() + patience;
    // The token is in it: nothing that grows leaves copies behind.
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut chunk = Zeroizing::new([0; 1024]);
    loop {
        // The deadline is for all of it: a byte now and then does not extend it.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(None);
        }
        let room = chunk.len().min(LONGEST - head.len());
        match stream.read(&mut chunk[..room]) {
            Ok(0) => return Err(None),
            Ok(read) => head.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(None),
        }
        if head.windows(4).any(|window| window == b"\r\n\r\n") {
            return Ok(head);
        }
        if head.len() == LONGEST {
            return Err(Some(no(431, "TooLarge", "the request is too large")));
        }
    }
}

/// Takes what a client has sent beyond its head, for a moment.
pub(super) fn drain(stream: &mut TcpStream) {
    let mut chunk = [0; 4096];
    let mut taken = 0;
    let is_set = stream.set_read_timeout(Some(Duration::from_millis(200))).is_ok();
    while is_set
        && taken < SURPLUS
        && let Ok(read @ 1..) = stream.read(&mut chunk)
    {
        taken += read;
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
    pub(super) fn judge(&self, head: &[u8]) -> Result<(), Refused> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        let Ok(httparse::Status::Complete(_)) = request.parse(head) else {
            return Err(Some(no(400, "BadRequest", "this is no request of HTTP/1.1")));
        };
        let only = |wanted: &str| {
            let mut found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(wanted));
            found.next().map(|header| header.value).filter(|_| found.next().is_none())
        };
        if request.headers.iter().any(|header| came_by_others(header.name)) {
            return Err(Some(no(403, "Forbidden", "a browser or a proxy gets no keys")));
        }
        if only("host") != Some(self.host.as_bytes()) {
            return Err(Some(no(403, "Forbidden", "the request is for another host")));
        }
        let given = only("authorization").and_then(|value| std::str::from_utf8(value).ok()).map(Secret::from);
        // Compared in a time that does not tell how much of it is right ([`Secret`]).
        if given.as_ref() != Some(&self.token) {
            return Err(Some(no(403, "Forbidden", "the authorization token is not the one of this run")));
        }
        if request.method != Some("GET") {
            return Err(Some(no(405, "MethodNotAllowed", "keys are asked for by GET")));
        }
        let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
        if path.strip_suffix('/').unwrap_or(path) != self.path {
            return Err(Some(no(404, "NotFound", "there is nothing at this path")));
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
