use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::*;
use crate::net::{body, client};
use crate::{Fault, Lie, Options, Sandbox};

const NOW: i64 = 1_800_000_000;

struct Company {
    sandbox: Sandbox,
    second: Arc<AtomicI64>,
}

/// Status, whether the answer may be kept, type and JSON of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    no_store: bool,
    kind: String,
    json: serde_json::Value,
}

impl Company {
    async fn start() -> Self {
        let second = Arc::new(AtomicI64::new(NOW));
        let hand = Arc::clone(&second);
        let clock = Arc::new(move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap());
        let sandbox = Sandbox::start(Options { clock, ..Options::default() }).await.unwrap();
        Self { sandbox, second }
    }

    fn token(&self, owner: &str, admin: bool) -> String {
        let ends = Some(Timestamp::from_second(NOW + 3600).unwrap());
        let permissions = Permissions::ALL.everywhere();
        self.sandbox.portal().issue(Issue { owner: owner.into(), admin, permissions, ends })
    }

    fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sandbox.addresses().token_api_url);
        client().request(method, url).header("authorization", format!("Bearer {token}"))
    }

    async fn ask(&self, method: Method, path: &str, token: &str) -> Answer {
        read(self.request(method, path, token)).await
    }

    async fn tell(&self, method: Method, path: &str, token: &str, json: &str) -> Answer {
        let request = self.request(method, path, token).header("content-type", "application/json");
        read(request.body(json.to_owned())).await
    }

    /// Statuses of reading and writing at both clusters.
    async fn at_clusters(&self, token: &str) -> [u16; 4] {
        let addresses = self.sandbox.addresses();
        let mut seen = [0; 4];
        let calls = [&addresses.cluster_url, &addresses.second_cluster_url]
            .into_iter()
            .flat_map(|url| [client().get(url), client().put(url)]);
        for (seen, call) in seen.iter_mut().zip(calls) {
            *seen = call.header("X-Aspect", token).send().await.unwrap().status().as_u16();
        }
        seen
    }
}

async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name| response.headers().get(name).map_or("", |text| text.to_str().unwrap()).to_owned();
    let (status, no_store, kind) =
        (response.status().as_u16(), header("cache-control") == "no-store", header("content-type"));
    let json = serde_json::from_slice(&body(response).await.unwrap()).unwrap_or_default();
    Answer { status, no_store, kind, json }
}

#[tokio::test]
async fn a_rotation_is_atomic_and_keeps_everything_but_the_value() {
    let company = Company::start().await;
    let old = company.token("ada", false);
    let before = company.ask(Method::GET, "/tokens/self", &old).await.json;
    company.second.fetch_add(60, Ordering::Relaxed);
    let answer = company.ask(Method::POST, "/tokens/self/rotate", &old).await;
    assert_eq!((answer.status, answer.no_store), (200, true), "{answer:?}");
    let new = answer.json["value"].as_str().unwrap();
    assert!(new != old && new.starts_with(PREFIX) && new.len() == 43);
    for kept in ["id", "owner", "machine", "admin", "permissions", "created_at", "prefix"] {
        assert_eq!(answer.json[kept], before[kept], "{kept}");
    }
    assert_eq!(before["rotated_at"], json!(null));
    assert_eq!(answer.json["rotated_at"], "2027-01-15T08:01:00Z");
    assert_eq!(answer.json["expires_at"], "2027-01-15T09:01:00Z", "as long a life as before");
    assert_eq!(company.ask(Method::GET, "/tokens/self", &old).await.status, 401);
    let mut shown = company.ask(Method::GET, "/tokens/self", new).await.json;
    shown["value"] = new.into();
    assert_eq!(shown, answer.json, "the value is shown once");
    assert!(company.sandbox.portal().is_live(new) && !company.sandbox.portal().is_live(&old));
    let id = before["id"].as_str().unwrap();
    assert_eq!(company.sandbox.portal().token_of_id(id).as_deref(), Some(new));
    assert_eq!(company.sandbox.counts().rotations, 1);
}

#[tokio::test]
async fn an_end_may_be_asked_for_within_a_year() {
    let company = Company::start().await;
    let token = company.token("ada", false);
    let rotate =
        async |token: &str, body: &str| company.tell(Method::POST, "/tokens/self/rotate", token, body).await;
    let cases = [
        (r#"{"expires_at":"2027-01-15T08:00:00Z"}"#, 409),
        (r#"{"expires_at":"2029-01-15T08:00:00Z"}"#, 409),
        (r#"{"expires_at":"tomorrow"}"#, 422),
        (r#"{"expires_at":null}"#, 422),
        (r#"{"expires":"2027-02-01T00:00:00Z"}"#, 422),
        ("[]", 422),
        ("{", 400),
    ];
    for (body, status) in cases {
        let answer = rotate(&token, body).await;
        assert_eq!((answer.status, &*answer.kind), (status, "application/problem+json"), "{body}");
        assert_eq!(answer.json["status"], status);
    }
    let large = format!("{{\"expires_at\":\"{}\"}}", "0".repeat(64 * 1024));
    assert_eq!(rotate(&token, &large).await.status, 413);
    let form = company.request(Method::POST, "/tokens/self/rotate", &token).form(&[("expires_at", "x")]);
    assert_eq!(read(form).await.status, 415);
    assert!(company.sandbox.portal().is_live(&token), "a refusal changes nothing");
    let answer = rotate(&token, r#"{"expires_at":"2027-02-01T01:00:00+01:00"}"#).await;
    assert_eq!(answer.json["expires_at"], "2027-02-01T00:00:00Z");
}

#[tokio::test]
async fn a_token_that_has_ended_or_was_deleted_is_nobody() {
    let company = Company::start().await;
    let token = company.token("ada", false);
    let endless = company.sandbox.portal().issue(Issue {
        owner: "bob".into(),
        admin: false,
        permissions: BTreeMap::new(),
        ends: None,
    });
    company.second.fetch_add(3600, Ordering::Relaxed);
    for token in [&*token, "aw_nobody's", ""] {
        let answer = company.ask(Method::GET, "/tokens/self", token).await;
        assert_eq!((answer.status, &*answer.kind), (401, "application/problem+json"));
    }
    let shown = company.ask(Method::GET, "/tokens/self", &endless).await.json;
    assert_eq!(shown.get("expires_at"), None, "what the service does not say is absent");
    let rotated = company.ask(Method::POST, "/tokens/self/rotate", &endless).await.json;
    assert_eq!(rotated.get("expires_at"), None);
    let value = rotated["value"].as_str().unwrap();
    assert_eq!(company.ask(Method::DELETE, "/tokens/self", value).await.status, 204);
    assert_eq!(company.ask(Method::GET, "/tokens/self", value).await.status, 401);
}

#[tokio::test]
async fn administrators_turn_pages_and_change_rotate_and_delete() {
    let company = Company::start().await;
    let admin = company.token("root", true);
    let others: Vec<_> = (0..3).map(|_| company.token("ada", false)).collect();
    let mut ids = Vec::new();
    let mut path = "/tokens?owner=ada&limit=2".to_owned();
    loop {
        let answer = company.ask(Method::GET, &path, &admin).await;
        let tokens = answer.json["tokens"].as_array().unwrap();
        ids.extend(tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = answer.json["next_cursor"].as_str() else { break };
        path = format!("/tokens?owner=ada&limit=2&cursor={cursor}");
    }
    let expected: Vec<_> =
        others.iter().map(|token| company.sandbox.portal().id_of_token(token).unwrap()).collect();
    assert_eq!(ids, expected);
    for bad in ["limit=0", "limit=201", "limit=+1", "limit=", "limit=1&limit=1", "owner="] {
        assert_eq!(company.ask(Method::GET, &format!("/tokens?{bad}"), &admin).await.status, 422, "{bad}");
    }

    let one = format!("/tokens/{}", ids[0]);
    let change =
        |body: &'static str| company.tell(Method::PUT, "/tokens/token-000002/permissions", &admin, body);
    let cases = [
        (r#"{"permissions":[{"cluster":"aw-remote-far","read":true,"write":false,"execute":false}]}"#, 409),
        (r#"{"permissions":[{"cluster":"a b","read":true,"write":false,"execute":false}]}"#, 422),
        (r#"{"permissions":[{"cluster":"aw-remote-ext","read":true,"write":false}]}"#, 422),
        (r#"{"permissions":[["aw-remote-ext",true,false,false]]}"#, 422),
        ("", 400),
        (r#"{"permissions":[{"cluster":"aw-remote-ext","read":true,"write":false,"execute":false}]}"#, 200),
    ];
    for (body, status) in cases {
        assert_eq!(change(body).await.status, status, "{body}");
    }
    assert_eq!(company.at_clusters(&others[0]).await, [200, 403, 403, 403], "each cluster asks for its own");
    let rotated = company.ask(Method::POST, &format!("{one}/rotate"), &admin).await;
    assert_eq!(rotated.json["id"], *ids[0]);
    assert!(!company.sandbox.portal().is_live(&others[0]));
    assert_eq!(company.ask(Method::DELETE, &one, &admin).await.status, 204);
    for (method, path) in [(Method::GET, &*one), (Method::DELETE, &one), (Method::GET, "/tokens/none")] {
        assert_eq!(company.ask(method, path, &admin).await.status, 404);
    }
}

#[tokio::test]
async fn who_is_no_administrator_does_not_learn_what_there_is() {
    let company = Company::start().await;
    let token = company.token("ada", false);
    let calls = [
        (Method::GET, "/tokens"),
        (Method::GET, "/tokens/token-000001"),
        (Method::GET, "/tokens/none"),
        (Method::DELETE, "/tokens/token-000001"),
        (Method::PUT, "/tokens/token-000001/permissions"),
        (Method::POST, "/tokens/token-000001/rotate"),
        (Method::POST, "/machines"),
    ];
    for (method, path) in calls {
        let answer = company.ask(method.clone(), path, &token).await;
        assert_eq!((answer.status, &*answer.kind), (403, "application/problem+json"), "{method} {path}");
        assert_eq!(company.ask(method, path, "aw_x").await.status, 401);
    }
    assert_eq!(company.ask(Method::PUT, "/tokens/self", &token).await.status, 405);
    assert_eq!(company.ask(Method::GET, "/elsewhere", &token).await.kind, "application/problem+json");
}

#[tokio::test]
async fn a_machine_gets_a_token_of_its_own() {
    let company = Company::start().await;
    let admin = company.token("root", true);
    let make = async |owner: &str| {
        let body = json!({"owner": owner, "permissions": [
            {"cluster": "aw-remote-two", "read": true, "write": true, "execute": false}
        ]});
        company.tell(Method::POST, "/machines", &admin, &body.to_string()).await
    };
    for bad in ["ci", "bot-", "bot- ci", "BOT-ci"] {
        assert_eq!(make(bad).await.status, 422, "{bad}");
    }
    let answer = make("bot-ci").await;
    assert_eq!((answer.status, answer.no_store), (201, true));
    assert_eq!((&answer.json["machine"], &answer.json["owner"]), (&json!(true), &json!("bot-ci")));
    let value = answer.json["value"].as_str().unwrap();
    assert_eq!(company.at_clusters(value).await, [403, 403, 200, 200]);
    let shown = company.ask(Method::GET, "/tokens/self", value).await.json;
    assert_eq!(shown["last_used_at"], "2027-01-15T08:00:00Z");
}

#[tokio::test]
async fn each_cluster_remembers_for_itself() {
    let company = Company::start().await;
    let token = company.token("ada", false);
    let read = async |url: &str| {
        client().get(url).header("X-Aspect", &token).send().await.unwrap().status().as_u16()
    };
    let addresses = company.sandbox.addresses();
    assert_eq!(read(&addresses.cluster_url).await, 200);
    company.sandbox.portal().revoke(&token);
    assert_eq!([read(&addresses.cluster_url).await, read(&addresses.second_cluster_url).await], [200, 401]);
}

#[tokio::test]
async fn faults_of_a_rotation() {
    let company = Company::start().await;
    let faults = company.sandbox.faults();
    let token = company.token("ada", false);
    let id = company.sandbox.portal().id_of_token(&token).unwrap();
    let rotate = async |token: &str| company.ask(Method::POST, "/tokens/self/rotate", token).await;

    faults.set_times(Endpoint::TokenRotate, Fault::Busy(7), 1);
    assert_eq!(rotate(&token).await.status, 429);
    faults.set_times(Endpoint::TokenRotate, Fault::Status(503), 1);
    assert_eq!(rotate(&token).await.status, 503);
    assert!(company.sandbox.portal().is_live(&token), "not processed");

    faults.set_times(Endpoint::TokenRotate, Fault::Reset, 1);
    let cut = company.request(Method::POST, "/tokens/self/rotate", &token).send().await;
    let whole = match cut {
        Ok(answer) => body(answer).await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole, "the answer is lost");
    assert_eq!(rotate(&token).await.status, 401, "processed");

    let token = company.sandbox.portal().token_of_id(&id).unwrap();
    faults.set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    faults.set_times(Endpoint::TokenRotate, Fault::Lie(Lie::OtherOwner), 1);
    let answer = rotate(&token).await.json;
    assert_eq!(answer["owner"], "mallory");
    let less = json!({"cluster": "aw-remote-ext", "read": true, "write": false, "execute": false});
    assert_eq!(answer["permissions"][0], less);
    let value = answer["value"].as_str().unwrap();
    assert_eq!(company.at_clusters(value).await, [200, 403, 200, 403]);

    let other = company.token("ada", false);
    faults.set_times(Endpoint::TokenSelf, Fault::Lie(Lie::OtherOwner), 1);
    let mut owners = Vec::new();
    for _ in 0..2 {
        owners.push(company.ask(Method::GET, "/tokens/self", &other).await.json["owner"].clone());
    }
    assert_eq!(owners, ["mallory", "ada"]);
}

#[tokio::test]
async fn the_page_still_ends_the_persons_earlier_tokens() {
    let company = Company::start().await;
    let person = Options::default().issuer.person.name;
    let (mine, other) = (company.token(&person, false), company.token("bob", false));
    let page = client().get(&company.sandbox.addresses().portal_url).send().await.unwrap();
    let page = String::from_utf8(body(page).await.unwrap().to_vec()).unwrap();
    assert!(page.contains("Ends: 2028-01-15T08:00:00Z"), "{page}");
    let portal = company.sandbox.portal();
    assert!(!portal.is_live(&mine) && portal.is_live(&other));
    let made = portal.token_of_id("token-000003").unwrap();
    assert!(page.contains(&escaped(&made)));
    assert_eq!(company.at_clusters(&made).await, [200, 403, 200, 403]);
}
