//! Services that answer as no sandbox does.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A server that answers each request, whole as it came, with a status and JSON; its address, and what it was asked.
pub async fn fake(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::<Mutex<Vec<String>>>::default();
    let noted = log.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = request(&mut stream).await;
            let (status, body) = answer(&request);
            noted.lock().unwrap().push(request);
            let head = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (address, log)
}

async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0_u8; 4096];
    loop {
        let read = stream.read(&mut bytes).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return text;
            }
            continue;
        };
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

#[tokio::test]
async fn a_refresh_token_for_which_none_came_back_is_spent() {
    let (address, log) = fake(|request| {
        if request.starts_with("POST") {
            return (200, r#"{"access_token":"eynew","expires_in":3600}"#.to_owned());
        }
        (200, r#"{"token_id":"t","subject":"jfac@1/users/ada"}"#.to_owned())
    })
    .await;
    let config =
        format!("[token.jfrog]\nhosts = [\"jfrog.acme.dev\"]\nservice = \"jfrog\"\napi = \"{address}\"\n");
    let company = Company::with(&config, |_| {}).await;
    company.add_token("jfrog", r#"{"access_token":"eyold","refresh_token":"once-1"}"#).await.unwrap();
    rotate(&company, "jfrog").await.unwrap();
    let stored = item(&company, "jfrog").await;
    assert_eq!((stored["value"].as_str(), stored.get("companion")), (Some("eynew"), None));
    assert_eq!(rotate(&company, "jfrog").await.unwrap_err().hint, "keyfob token add jfrog");
    let spent = log.lock().unwrap().iter().filter(|request| request.contains("once-1")).count();
    assert_eq!(spent, 1);
}

#[tokio::test]
async fn a_service_that_says_more_than_an_item_holds_costs_no_token() {
    let clusters: Vec<_> = (0..5000)
        .map(|row| {
            format!(r#"{{"cluster":"cluster-with-a-name-{row}","read":true,"write":true,"execute":true}}"#)
        })
        .collect();
    let (clusters, value) = (clusters.join(","), r#","value":"aw_newnewnewnewnew""#);
    let (address, _) = fake(move |request| {
        let value = if request.starts_with("POST") { value } else { "" };
        let fixed =
            r#""id":"7","owner":"ada","machine":false,"admin":false,"created_at":"2026-11-21T08:00:00Z""#;
        (200, format!(r#"{{{fixed},"permissions":[{clusters}]{value}}}"#))
    })
    .await;
    let company = Company::with(&CONFIG.replace("TOKENS", &address), |_| {}).await;
    company.add_token("aspect", "aw_oldoldoldoldold").await.unwrap();
    company.vault.hold_store(3);
    let rotating = begin(&company, "aspect");
    // The proof is about to be noted: the largest that it gets is what lies there.
    let before = company.vault.stores();
    eventually("the proof is on its way", async || company.vault.stores() == before + 3).await;
    let size = item(&company, "aspect").await.to_string().len();
    assert!(size > 40_000 && size < keyfob_agent::keychain::MAX_VALUE, "{size} bytes while it is proven");
    company.vault.release_stores();
    rotating.await.unwrap().unwrap();
    assert_eq!(item(&company, "aspect").await["value"], "aw_newnewnewnewnew");
}
