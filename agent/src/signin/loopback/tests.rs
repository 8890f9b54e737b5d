//! What other users of the machine can do to it, by raw connections.

use std::io::{ErrorKind, Read as _};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CONNECTIONS, Loopback};

/// A limit of the tests themselves.
const SOON: Duration = Duration::from_secs(10);
const ISSUER: &str = "https://login.acme.dev";

async fn connect(loopback: &Loopback, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", loopback.port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

fn unfinished() -> &'static str {
    "GET /callback HTTP/1.1\r\nHost: "
}

fn genuine(loopback: &Loopback) -> String {
    loopback.expect("ours".to_owned(), ISSUER.to_owned(), false);
    format!("GET /callback?state=ours&code=c HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", loopback.port)
}

/// What comes until the other side ends it.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut all)).await.expect("the connection ends");
    assert!(ended.is_ok() || all.is_empty(), "an answer is not cut off");
    String::from_utf8(all).unwrap()
}

/// Whether the other side has put it out by now. Asks the kernel, which knows before the runtime does.
fn has_ended(stream: TcpStream) -> bool {
    match stream.into_std().unwrap().read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

#[tokio::test]
async fn a_full_house_lets_the_browser_in_and_whoever_was_silent_longest_goes() {
    // Nobody is put out for being slow.
    let mut loopback = Loopback::with_patience(&[], SOON * 100).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(connect(&loopback, unfinished()).await);
    }
    let mut browser = connect(&loopback, &genuine(&loopback)).await;
    let arrival = timeout(SOON, loopback.arrival()).await.expect("the browser is let in").unwrap();
    assert_eq!(rest(&mut idle.remove(0)).await, "", "the browser was one too many");
    assert!(!idle.into_iter().any(has_ended), "nobody else is put out");
    // Those who come later do not put it out, although its page is not written yet.
    let mut later = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        later.push(connect(&loopback, unfinished()).await);
    }
    assert_eq!(rest(&mut later[0]).await, "");
    arrival.tell(Ok("signed in")).await;
    assert!(rest(&mut browser).await.contains("Done: signed in."));
}

#[tokio::test]
async fn a_dribbled_head_gains_no_time() {
    let loopback = Loopback::with_patience(&[], Duration::from_millis(300)).await.unwrap();
    let mut slow = connect(&loopback, unfinished()).await;
    let put_out = async {
        while timeout(Duration::from_millis(10), slow.read(&mut [0])).await.is_err() {
            // Where it fails, it is put out, which the next read finds.
            let _ = slow.write_all(b"x").await;
        }
    };
    timeout(SOON, put_out).await.expect("it is put out");
}

#[tokio::test]
async fn the_genuine_return_stays_until_its_page_is_written() {
    let mut loopback = Loopback::with_patience(&[], Duration::from_millis(100)).await.unwrap();
    let mut browser = connect(&loopback, &genuine(&loopback)).await;
    let arrival = timeout(SOON, loopback.arrival()).await.unwrap().unwrap();
    // One that came later is put out before.
    assert_eq!(rest(&mut connect(&loopback, unfinished()).await).await, "");
    arrival.tell(Ok("signed in")).await;
    drop(loopback);
    let page = rest(&mut browser).await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("</html>"), "{page}");
}

#[tokio::test]
async fn other_requests_are_answered_and_put_out_at_once() {
    let loopback = Loopback::open(&[]).await.unwrap();
    let host = format!("Host: 127.0.0.1:{}\r\n", loopback.port);
    for (request, status) in [
        (format!("GET /callback?state=guessed HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("POST /callback HTTP/1.1\r\n{host}Content-Length: 1000000\r\n\r\n"), 405),
    ] {
        let answer = rest(&mut connect(&loopback, &request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_sign_in_that_ended() {
    // Nobody loses patience before the sign-in ends.
    let loopback = Loopback::with_patience(&[], SOON * 100).await.unwrap();
    let mut idle = Vec::new();
    for _ in 1..CONNECTIONS {
        idle.push(connect(&loopback, unfinished()).await);
    }
    // The answer to a later one shows that they are in.
    let later = rest(&mut connect(&loopback, "GET / HTTP/1.1\r\n\r\n").await).await;
    assert_eq!(later.get(..9), Some("HTTP/1.1 "));
    let port = loopback.port;
    drop(loopback);
    for stream in &mut idle {
        assert_eq!(rest(stream).await, "");
    }
    let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
