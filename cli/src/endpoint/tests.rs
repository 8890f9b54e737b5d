use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use keyfob_ipc::reply::AwsCredentials;
use serde_json::Value;

use super::connection::HEAD;
use super::*;

fn keys() -> ExecKeys {
    ExecKeys {
        entry: "aws.dev".to_owned(),
        region: Some("eu-west-1".to_owned()),
        credentials: AwsCredentials {
            version: 1,
            access_key_id: "ASIAONE".to_owned(),
            secret_access_key: Secret::from("secret"),
            session_token: Some(Secret::from("session")),
            expiration: Some("2030-01-01T00:00:00Z".to_owned()),
            account_id: Some("123456789012".to_owned()),
        },
    }
}

/// One that is served as where nothing tells of what comes.
struct Served {
    address: SocketAddrV4,
    token: Secret<String>,
}

fn open_at(source: Box<Source>) -> Served {
    let (address, token, room) = Room::open(source).unwrap();
    thread::spawn(move || room.serve());
    Served { address, token }
}

fn open() -> Served {
    open_at(Box::new(|| Ok(keys())))
}

/// Sends these bytes; the status, and all that comes.
fn send(endpoint: &Served, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(endpoint.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A request that is right but for what a test changes.
struct Asked<'a> {
    line: &'a str,
    host: Option<String>,
    token: Option<String>,
    more: &'a str,
}

impl Asked<'_> {
    fn of(endpoint: &Served) -> Self {
        Self {
            line: "GET /credentials HTTP/1.1",
            host: Some(endpoint.address.to_string()),
            token: Some(endpoint.token.expose().clone()),
            more: "",
        }
    }

    fn status(&self, endpoint: &Served) -> u16 {
        let host = self.host.iter().map(|host| format!("Host: {host}\r\n")).collect::<String>();
        let token = self.token.iter().map(|token| format!("Authorization: {token}\r\n")).collect::<String>();
        let (status, answer) =
            send(endpoint, format!("{}\r\n{host}{token}{}\r\n", self.line, self.more).as_bytes());
        assert!(!answer.contains(endpoint.token.expose()), "{answer}");
        assert_eq!(answer.contains("ASIAONE"), status == 200, "{answer}");
        assert!(answer.contains("Cache-Control: no-store\r\n"), "{answer}");
        status
    }
}

#[test]
fn the_right_request_gets_the_keys_as_sdks_read_them() {
    let endpoint = open();
    let (status, answer) = send(
        &endpoint,
        format!(
            "GET /credentials HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\naccept: application/json\r\n\r\n",
            endpoint.address,
            endpoint.token.expose()
        )
        .as_bytes(),
    );
    assert_eq!(status, 200);
    let expected = serde_json::json!({
        "AccessKeyId": "ASIAONE", "SecretAccessKey": "secret", "Token": "session",
        "Expiration": "2030-01-01T00:00:00Z", "AccountId": "123456789012",
    });
    assert_eq!(body(&answer), expected);
    let endpoint_of_a_run = Endpoint::open(Box::new(|| Ok(keys()))).unwrap();
    assert_eq!(endpoint_of_a_run.url(), format!("http://{}/credentials", endpoint_of_a_run.address));
    for line in
        ["GET /credentials/ HTTP/1.1", "GET /credentials?a=b HTTP/1.1", "GET /credentials/?a HTTP/1.1"]
    {
        assert_eq!(Asked { line, ..Asked::of(&endpoint) }.status(&endpoint), 200, "{line}");
    }
}

#[test]
fn the_token_has_256_bits_and_each_run_its_own() {
    let (one, other) = (open(), open());
    for endpoint in [&one, &other] {
        let token = endpoint.token.expose();
        assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let asked = Asked { token: Some(one.token.expose().clone()), ..Asked::of(&other) };
    assert_eq!(asked.status(&other), 403);
}

#[test]
fn a_wrong_or_missing_token_is_refused() {
    let endpoint = open();
    let token = endpoint.token.expose();
    let wrong = [
        None,
        Some(String::new()),
        Some(token[..63].to_owned()),
        Some(format!("{token}0")),
        Some(format!("Bearer {token}")),
        Some(token.to_ascii_uppercase()).filter(|upper| upper != token),
        Some(format!("{token}\r\nAuthorization: {token}")),
    ];
    for token in wrong {
        assert_eq!(Asked { token, ..Asked::of(&endpoint) }.status(&endpoint), 403);
    }
    assert_eq!(Asked::of(&endpoint).status(&endpoint), 200, "the control");
}

#[test]
fn another_host_is_refused_and_so_is_what_a_browser_or_a_proxy_sends() {
    let endpoint = open();
    let port = endpoint.address.port();
    let hosts = [
        None,
        Some(format!("localhost:{port}")),
        Some("127.0.0.1".to_owned()),
        Some(format!("evil.example:{port}")),
        Some(format!("127.0.0.1:{port}\r\nHost: evil.example")),
    ];
    for host in hosts {
        assert_eq!(Asked { host, ..Asked::of(&endpoint) }.status(&endpoint), 403);
    }
    for more in [
        "Origin: https://evil.example\r\n",
        "origin: null\r\n",
        "X-Forwarded-For: 10.0.0.1\r\n",
        "X-Forwarded-Host: x\r\n",
        "Forwarded: for=10.0.0.1\r\n",
        "Via: 1.1 proxy\r\n",
        "Sec-Fetch-Mode: cors\r\n",
    ] {
        assert_eq!(Asked { more, ..Asked::of(&endpoint) }.status(&endpoint), 403, "{more}");
    }
    assert_eq!(Asked { more: "X-Amz-Trace: 1\r\n", ..Asked::of(&endpoint) }.status(&endpoint), 200);
}

#[test]
fn only_get_of_the_one_path_is_served() {
    let endpoint = open();
    for (line, status) in [
        ("POST /credentials HTTP/1.1", 405),
        ("PUT /credentials HTTP/1.1", 405),
        ("OPTIONS /credentials HTTP/1.1", 405),
        ("GET / HTTP/1.1", 404),
        ("GET /credentials/x HTTP/1.1", 404),
        ("GET /credentialsx HTTP/1.1", 404),
        ("GET http://127.0.0.1/credentials HTTP/1.1", 404),
        ("GET /credentials", 400),
        ("nonsense", 400),
    ] {
        assert_eq!(Asked { line, ..Asked::of(&endpoint) }.status(&endpoint), status, "{line}");
    }
}

#[test]
fn too_much_is_refused_and_too_slow_is_closed() {
    let endpoint = open();
    let long = format!("X-Long: {}\r\n", "x".repeat(9000));
    assert_eq!(Asked { more: &long, ..Asked::of(&endpoint) }.status(&endpoint), 431);
    let many = "X: y\r\n".repeat(60);
    assert_eq!(Asked { more: &many, ..Asked::of(&endpoint) }.status(&endpoint), 400);

    let mut slow = TcpStream::connect(endpoint.address).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let begun = Instant::now();
    let mut writer = slow.try_clone().unwrap();
    // A byte now and then, until it is closed.
    let typing = thread::spawn(move || {
        while writer.write_all(b"G").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut answer = Vec::new();
    // A connection that is reset has ended, too.
    let _ = slow.read_to_end(&mut answer);
    assert!(answer.is_empty() && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    typing.join().unwrap();
}

#[test]
fn those_who_say_nothing_keep_nobody_out() {
    let endpoint = open();
    let silent: Vec<_> = (0..400).map(|_| TcpStream::connect(endpoint.address).unwrap()).collect();
    let begun = Instant::now();
    assert_eq!(Asked::of(&endpoint).status(&endpoint), 200);
    assert!(begun.elapsed() < HEAD, "nobody waited for them");
    drop(silent);
}

#[test]
fn a_refusal_is_shown_and_only_what_can_pass_is_asked_again() {
    for (code, status) in [
        (Code::AgentUnreachable, 503),
        (Code::Pending, 503),
        (Code::Offline, 503),
        (Code::SignInNeeded, 403),
        (Code::NotAllowed, 403),
        (Code::Locked, 403),
    ] {
        let refusal = Refusal::new(code, "you are not signed in").hint("keyfob login okta");
        let answer = of_refusal(&refusal).to_bytes();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let told = body(answer);
        assert_eq!(told["message"], "you are not signed in. Run: keyfob login okta");
        assert_eq!(told["code"], serde_json::to_value(code).unwrap());
    }
}

#[test]
fn keys_without_a_session_token_are_not_given_half() {
    let mut keys = keys().credentials;
    keys.session_token = None;
    let answer = of_keys(&keys).to_bytes();
    assert!(answer.starts_with(b"HTTP/1.1 403 ") && !answer.windows(6).any(|part| part == b"secret"));
}

#[test]
fn the_agent_is_asked_for_each_answer() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let endpoint = open_at(Box::new(move || {
        if counter.fetch_add(1, Ordering::SeqCst) == 1 {
            return Err(Refusal::new(Code::AgentUnreachable, "the agent is not running"));
        }
        Ok(keys())
    }));
    let statuses = [(); 3].map(|()| Asked::of(&endpoint).status(&endpoint));
    assert_eq!((statuses, asked.load(Ordering::SeqCst)), ([200, 503, 200], 3));
}

#[test]
fn all_who_wait_have_the_answer_of_one_ask() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let (begun, begins) = channel();
    let (go_on, goes_on) = channel::<()>();
    let endpoint = open_at(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        begun.send(()).unwrap();
        goes_on.recv().unwrap();
        Ok(keys())
    }));
    let head = format!(
        "GET /credentials HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        endpoint.address,
        endpoint.token.expose()
    );
    let ask = || {
        let mut stream = TcpStream::connect(endpoint.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let first = ask();
    begins.recv().unwrap();
    // While the agent is asked for the first one.
    let burst: Vec<_> = (0..20).map(|_| ask()).collect();
    go_on.send(()).unwrap();
    begins.recv().unwrap();
    go_on.send(()).unwrap();
    for mut stream in burst.into_iter().chain([first]) {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
