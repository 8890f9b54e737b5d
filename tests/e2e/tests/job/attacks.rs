//! Whoever reaches the port: another program, a page in a browser, one that says nothing. The twin is an endpoint as people
//! write it in an hour, which gives its keys to each of them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_e2e::{Company, Profile};

use crate::{Shell, keyfob, wait_for_the_end};

/// Asks with exactly these lines; what comes.
fn ask(address: &str, lines: &[String]) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has a deadline");
    let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    stream.write_all(format!("{head}\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    // What came before a reset is what came.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// An endpoint without any defence.
fn twin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 16 * 1024];
            // One after the other, and for as long as it takes.
            let read = stream.read(&mut head).unwrap_or_default();
            if read > 0 {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"AccessKeyId\":\"ASIATWIN\"}");
            }
        }
    });
    address
}

struct Endpoint {
    shell: Shell,
    address: String,
    token: String,
}

fn open(profile: &Profile) -> Endpoint {
    let mut shell = Shell::below(profile, &keyfob(), &["exec", "dev"], &[]);
    let url = shell.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let token = shell.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/credentials"));
    let address = address.unwrap_or_else(|| panic!("{url}")).to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    Endpoint { shell, address, token }
}

fn signed_in() -> (Company, Profile) {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    (company, profile)
}

#[test]
fn only_the_program_itself_gets_keys() {
    let (_company, profile) = signed_in();
    let Endpoint { shell, address, token } = open(&profile);
    let other = open(&profile);
    assert_ne!((&address, &token), (&other.address, &other.token), "two runs share nothing");
    let twin = twin();
    let right = |address: &str| {
        vec![
            "GET /credentials HTTP/1.1".to_owned(),
            format!("Host: {address}"),
            format!("Authorization: {token}"),
        ]
    };
    assert!(ask(&address, &right(&address)).starts_with("HTTP/1.1 200 "), "the right one is answered");
    let port = address.rsplit(':').next().unwrap_or_default().to_owned();
    type Change = (usize, Option<String>);
    let attacks: [(&str, Change, u16); 12] = [
        ("no token", (2, None), 403),
        ("another token", (2, Some(format!("Authorization: {}", other.token))), 403),
        ("a shorter token", (2, Some(format!("Authorization: {}", &token[..63]))), 403),
        ("a rebound name", (1, Some(format!("Host: evil.example:{port}"))), 403),
        ("another name", (1, Some(format!("Host: localhost:{port}"))), 403),
        ("no host", (1, None), 403),
        ("a page", (3, Some("Origin: https://evil.example".to_owned())), 403),
        ("a sandboxed page", (3, Some("Origin: null".to_owned())), 403),
        ("a proxy", (3, Some("X-Forwarded-For: 10.0.0.1".to_owned())), 403),
        ("a browser", (3, Some("Sec-Fetch-Site: cross-site".to_owned())), 403),
        ("another method", (0, Some("POST /credentials HTTP/1.1".to_owned())), 405),
        ("another path", (0, Some("GET /role HTTP/1.1".to_owned())), 404),
    ];
    for (what, (place, line), status) in attacks {
        let attack = |address: &str| {
            let mut lines = right(address);
            lines.push(String::new());
            match &line {
                Some(line) => lines[place].clone_from(line),
                None => lines[place].clear(),
            }
            lines.retain(|line| !line.is_empty());
            ask(address, &lines)
        };
        let answer = attack(&address);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(!answer.contains("AccessKeyId") && !answer.contains(&token), "{what}: {answer}");
        assert!(attack(&twin).contains("ASIATWIN"), "{what} does nothing to a twin");
    }
    let process = shell.pid();
    assert_eq!(shell.end("exit 0").0.code(), Some(0));
    wait_for_the_end(process);
    assert!(TcpStream::connect(&address).is_err(), "it is gone with the program");
}

#[test]
fn those_who_say_nothing_keep_no_program_waiting() {
    let (_company, profile) = signed_in();
    let Endpoint { shell: _shell, address, token } = open(&profile);
    let twin = twin();
    let silent = |address: &str| -> Vec<TcpStream> {
        (0..100).map(|_| TcpStream::connect(address).expect("it listens")).collect()
    };
    let _silent = [silent(&address), silent(&twin)];
    let lines = |address: &str| {
        [
            "GET /credentials HTTP/1.1".to_owned(),
            format!("Host: {address}"),
            format!("Authorization: {token}"),
        ]
    };
    // The most impatient SDK gives up after a second.
    let begun = Instant::now();
    assert!(ask(&address, &lines(&address)).starts_with("HTTP/1.1 200 "));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let mut kept_waiting = TcpStream::connect(&twin).expect("it listens");
    kept_waiting.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket has a deadline");
    kept_waiting.write_all(format!("{}\r\n\r\n", lines(&twin).join("\r\n")).as_bytes()).expect("room");
    assert!(kept_waiting.read(&mut [0]).is_err(), "a twin is kept from its program");
}
