//! A token service and a cluster that repeat the token in whatever they answer, as a badly made proxy or a debug page does.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

/// No caller takes longer for its request.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves one prepared answer at a time, to any request.
#[derive(Debug)]
pub struct Parrot {
    address: String,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Parrot {
    /// Over HTTP/1.1.
    pub fn http() -> Self {
        Self::start(|stream, answer| {
            read_request(stream)?;
            stream.write_all(answer)
        })
    }

    /// Over HTTP/2 with prior knowledge, as gRPC speaks it without TLS.
    pub fn grpc() -> Self {
        Self::start(converse)
    }

    fn start(serve: fn(&mut TcpStream, &[u8]) -> std::io::Result<()>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
        let address = listener.local_addr().expect("its address").to_string();
        let answer = Arc::<Mutex<Vec<u8>>>::default();
        let said = Arc::clone(&answer);
        // It goes with the test: a thread that waits for callers holds nothing up.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let answer = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    // A caller who is gone hears nothing.
                    let _ = serve(&mut stream, &answer);
                });
            }
        });
        Self { address, answer }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is answered from here on.
    pub fn says(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

/// The head and, by its length, the body.
fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
    stream.read_exact(&mut vec![0; length])
}

/// Answers of a token service that has seen `value`, by what is odd about them.
pub fn answers(value: &str) -> Vec<(String, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut add = |name: &str, status: &str, headers: &str, body: &str| {
        let text = format!(
            "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        answers.push((format!("{name} {}", &status[..3]), text.into_bytes()));
    };
    let json = "content-type: application/json\r\n";
    let header =
        format!("www-authenticate: Bearer error=\"{value}\"\r\nretry-after: {value}\r\nx-token: {value}\r\n");
    let page =
        format!("<html><body><h1>Bad Gateway</h1><pre>Authorization: Bearer {value}</pre></body></html>");
    let words = |text: &str| {
        [
            json!({"type": "about:blank", "title": text, "detail": text, "status": 400}),
            json!({"message": text, "status": 400}),
            json!({"error": text, "error_description": text}),
            json!({"errors": [{"status": 400, "message": text}]}),
        ]
        .map(|body| body.to_string())
    };
    for body in words(value) {
        add("words", "400 Bad", &format!("{json}{header}"), &body);
    }
    let statuses = ["401 Who", "403 No", "404 Where", "409 But", "422 How", "429 Later", "500 Oh", "502 Ah"];
    for (status, body) in statuses.iter().zip(words(value).iter().cycle()) {
        add("words", status, &format!("{json}{header}"), body);
    }
    for status in ["400 Bad", "502 Ah"] {
        add("page", status, &format!("content-type: text/html\r\n{header}"), &page);
    }
    add("status line", &format!("400 {value}"), "", value);
    add("page", "200 OK", "content-type: text/html\r\n", &page);
    add("elsewhere", "302 Found", &format!("location: http://127.0.0.1:1/{value}\r\n"), value);
    // The escapes are gone once it is read.
    let escaped: String = value.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
    add("escaped", "400 Bad", json, &format!("{{\"detail\":\"{escaped}\",\"message\":\"{escaped}\"}}"));
    // Cut somewhere in the middle, whatever the limit.
    for (length, body) in [80, 100, 120, 160, 190, 200, 240, 500].into_iter().zip([0, 1, 2, 3].iter().cycle())
    {
        let long = format!("{}{value}", "-".repeat(length - value.len() / 2));
        add("long words", "400 Bad", json, &words(&long)[*body]);
    }
    // Not what should stand there.
    for member in [
        "id",
        "owner",
        "expires_at",
        "created_at",
        "machine",
        "permissions",
        "scopes",
        "active",
        "expires_in",
    ] {
        add(
            "wrong member",
            "200 OK",
            json,
            &json!({"id": 7, "kind": 7, "name": 7, member: value}).to_string(),
        );
    }
    add("text", "200 OK", json, &json!(value).to_string());
    add("half", "200 OK", json, &format!("{{\"id\":\"{value}"));
    answers
}

/// A caller's whole connection: every request gets the same header block and the end of its stream.
fn converse(stream: &mut TcpStream, block: &[u8]) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    stream.read_exact(&mut [0; "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize])?;
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            // END_STREAM and END_HEADERS.
            (HEADERS, _) => stream.write_all(&frame(HEADERS, 5, number, block))?,
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// Header blocks of a cluster that has seen `value`, by what is odd about them.
pub fn statuses(value: &str) -> Vec<(String, Vec<u8>)> {
    let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut statuses = Vec::new();
    for (name, message) in [
        ("as it is", value.to_owned()),
        ("encoded", encoded),
        ("long", format!("{}{value}", "-".repeat(200 - value.len() / 2))),
        ("bearer", format!("Bearer {value}")),
    ] {
        for code in ["2", "3", "7", "13", "14", "16", value] {
            let fields =
                [("content-type", "application/grpc"), ("grpc-status", code), ("grpc-message", &message)];
            // `:status: 200` is the eighth of the static table (RFC 7541, appendix A).
            let block =
                fields.iter().fold(vec![0x88], |block, (name, text)| [block, literal(name, text)].concat());
            statuses.push((format!("{name} {}", if code == value { "as status" } else { code }), block));
        }
    }
    statuses
}

/// A literal header field that is not indexed (RFC 7541, section 6.2.2), without Huffman coding.
fn literal(name: &str, text: &str) -> Vec<u8> {
    [&[0][..], &length(name.len()), name.as_bytes(), &length(text.len()), text.as_bytes()].concat()
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![length as u8] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}
