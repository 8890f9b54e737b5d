//! The few requests that a test makes itself, to see the provider's own word.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// No answer of a real part takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON in an answer: {error}"))
    }
}

/// `GET`, with one more header where there is one to send.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn get(url: &str, header: Option<(&str, &str)>) -> Answer {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    ask("GET", url, &header, "")
}

/// `POST` of a form.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn post(url: &str, fields: &[(&str, &str)]) -> Answer {
    let form: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let form = form.join("&");
    let headers =
        format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n", form.len());
    ask("POST", url, &headers, &form)
}

/// Any method, with a body of JSON where there is one; the patience is the caller's.
///
/// # Errors
/// When there is no answer in time.
pub fn json(
    method: &str,
    url: &str,
    body: Option<&serde_json::Value>,
    patience: Duration,
) -> std::io::Result<Answer> {
    let body = body.map(serde_json::Value::to_string).unwrap_or_default();
    let headers = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    try_ask(method, url, &headers, &body, patience)
}

/// Any method, with headers and a body of text.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut lines = format!("content-length: {}\r\n", body.len());
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    ask(method, url, &lines, body)
}

fn ask(method: &str, url: &str, headers: &str, body: &str) -> Answer {
    try_ask(method, url, headers, body, PATIENCE)
        .unwrap_or_else(|error| panic!("no answer of {url}: {error}"))
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn try_ask(
    method: &str,
    url: &str,
    headers: &str,
    body: &str,
    patience: Duration,
) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url} is not on this machine"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(patience))?;
    // In one piece: a server that answers the head alone would break the connection under the rest.
    let request = format!("{method} /{path} HTTP/1.0\r\nhost: {host}\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let half = || std::io::Error::other(format!("{host} gives half an answer"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(half)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(half)?;
    Ok(Answer { status, body: body.to_owned() })
}

/// A form's value (application/x-www-form-urlencoded).
fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value.bytes().fold(String::new(), |text, byte| {
        if is_plain(byte) {
            text + char::from(byte).encode_utf8(&mut [0])
        } else {
            format!("{text}%{byte:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_form_are_encoded() {
        assert_eq!(encoded("a-b_c.1"), "a-b_c.1");
        assert_eq!(encoded("a b&c=\u{e9}"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let server = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
        let address = server.local_addr().expect("its address");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("the request");
            let mut request = [0; 512];
            let length = stream.read(&mut request).expect("its bytes");
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nx: y\r\n\r\n{\"a\":1}")
                .expect("room for the answer");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = get(&format!("http://{address}/p?q=1"), Some(("x-test", "yes")));
        assert_eq!((answer.status, answer.json()), (404, serde_json::json!({"a": 1})));
        let request = served.join().expect("the server's end");
        assert!(request.starts_with("GET /p?q=1 HTTP/1.0\r\n") && request.contains("x-test: yes\r\n"));
    }
}
