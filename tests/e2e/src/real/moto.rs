//! PyPI `moto_server`: STS, S3, Secrets Manager and the rest of AWS, in memory.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

use super::http::{self, Answer};
use super::part::{Lines, Part};
use crate::Stage;

/// Whoever calls; moto asks for no more than the form.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/";

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    _part: Part,
    url: String,
}

impl Moto {
    /// Starts it on a port that the system chooses.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new(Stage::get().python("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut part = Part::start(command.stderr(Stdio::piped()));
        let stderr = part.child().stderr.take().expect("its standard error is piped");
        let url = Lines::of(stderr).find("the address of moto_server", |line| {
            let (_, rest) = line.split_once("Running on ")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        Self { _part: part, url }
    }

    /// One that the tests of a file have together; the last of them ends it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// Its endpoint, for every service.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// When that is refused.
    pub fn make_bucket(&self, name: &str) {
        let made = self.s3("PUT", name, "us-east-1");
        assert_eq!(made.status, 200, "{made:?}");
    }

    /// The names of what is in a bucket.
    ///
    /// # Panics
    /// When that is refused.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let listed = self.s3("GET", &format!("{bucket}?list-type=2"), "eu-west-1");
        assert_eq!(listed.status, 200, "{listed:?}");
        let keys = listed.body.split("<Key>").skip(1);
        keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
    }

    /// What an object holds, as far as it is text.
    #[must_use]
    pub fn object(&self, bucket: &str, name: &str) -> String {
        self.s3("GET", &format!("{bucket}/{name}"), "eu-west-1").body
    }

    /// Puts a secret into Secrets Manager of `eu-west-1`: text, or bytes where the member is `SecretBinary`. Its ARN.
    ///
    /// # Panics
    /// When that is refused.
    pub fn put_secret(&self, name: &str, member: &str, value: &str) -> String {
        static PUT: AtomicU64 = AtomicU64::new(1);
        let token = format!("00000000-0000-0000-0000-{:012}", PUT.fetch_add(1, Ordering::Relaxed));
        let mut body = json!({ "Name": name, "ClientRequestToken": token });
        body[member] = Value::from(value);
        let authorization =
            format!("{AUTHORIZATION}secretsmanager/aws4_request, SignedHeaders=host, Signature=0");
        let headers = [
            ("authorization", &*authorization),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "secretsmanager.CreateSecret"),
        ];
        let made = http::send("POST", &self.url, &headers, &body.to_string());
        assert_eq!(made.status, 200, "{name}: {made:?}");
        made.json()["ARN"].as_str().expect("an ARN").to_owned()
    }

    fn s3(&self, method: &str, path: &str, region: &str) -> Answer {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIA/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        http::send(method, &format!("{}/{path}", self.url), &[("authorization", &authorization)], "")
    }
}
