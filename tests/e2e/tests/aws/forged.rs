//! An STS that answers what a test tells it, well-formed or not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The answer of a good STS to `AssumeRoleWithWebIdentity`, in the order in which AWS writes it.
pub const GOOD: [(&str, &str); 4] = [
    ("SessionToken", "IQoJb3JpZ2luX2VjEXAMPLE"),
    ("SecretAccessKey", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("Expiration", "2999-01-01T00:00:00Z"),
    ("AccessKeyId", "ASIAIOSFODNN7EXAMPLE"),
];

/// A running one; it ends when this is dropped.
pub struct Forged {
    url: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    answer: Mutex<String>,
    calls: AtomicUsize,
    is_over: AtomicBool,
}

impl Forged {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::SeqCst) {
                    break;
                }
                // Whoever goes away in the middle gets nothing.
                let _ = serving.serve(stream);
            }
        });
        let forged = Self { url, shared, thread: Some(thread) };
        forged.set(&GOOD);
        forged
    }

    /// `[aws.NAME]` with this STS.
    pub fn entry(&self, name: &str) -> String {
        let url = &self.url;
        format!(
            "[aws.{name}]\nsso = \"okta\"\nrole_arn = \"arn:aws:iam::123456789012:role/OktaRole\"\n\
             region = \"eu-west-1\"\nendpoint_url = \"{url}\"\n"
        )
    }

    /// What it gives from now on, in the order given.
    pub fn set(&self, keys: &[(&str, &str)]) {
        let keys: String = keys.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let action = "AssumeRoleWithWebIdentity";
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <Credentials>{keys}</Credentials></{action}Result>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
        );
    }

    /// The same with one member replaced; without a value it is missing.
    pub fn set_but(&self, name: &str, value: Option<&str>) {
        let keys = GOOD.iter().filter_map(|(member, good)| match value {
            _ if *member != name => Some((*member, *good)),
            value => Some((*member, value?)),
        });
        self.set(&keys.collect::<Vec<_>>());
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header == "\r\n" {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        reader.take(length).read_to_end(&mut Vec::new())?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        let body = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n";
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }
}

impl Drop for Forged {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
