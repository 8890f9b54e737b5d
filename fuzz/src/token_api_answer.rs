//! Answers of token services: no refusal is taken for success, nobody but the service ends a token, and nothing that is
//! told or said repeats it.
//!
//! Input: service and call in the first line, status and headers in the lines to the first empty one, then the body.

use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use keyfob_agent::service::{Api, Introspection, Minted, SERVICES, Service, ServiceError, Shape};
use keyfob_ipc::Secret;

use crate::scene::{answering, first_line, now};

const BASE: &str = "https://tokens.acme.example/api/";
/// What the service is asked with.
const TOKEN: &str = "kf_8s7d6f5g4h3j2k1l0q9w8e7r6t5y4u3i";
/// What a JFrog token is renewed with.
const COMPANION: &str = "cm_1q2w3e4r5t6z7u8i9o0p1a2s3d4f5g6h";

/// Checks one input.
pub fn check(data: &[u8]) {
    let (call, rest) = first_line(data);
    let mut words = call.split(' ');
    let Some(service) = words.next().and_then(service) else { return };
    let Some(answer) = answer(rest) else { return };
    let status = answer.status();
    let api = api(answer);
    let verdict = match words.next() {
        Some("introspect") => now(service.introspect(&api, &token())).map(tells_no_secret),
        Some("delete") => now(service.delete(&api, &token(), &told())),
        // Whether the new value can be one is looked at by whoever keeps it.
        Some("replace") => replace(service, &api).map(|minted| tells_no_secret(minted.told)),
        Some("list") => administer(service, &api),
        _ => return,
    };
    is_the_services_word(&verdict, status);
}

fn replace(service: &dyn Service, api: &Api) -> Result<Minted, ServiceError> {
    let (moment, companion) = (Timestamp::UNIX_EPOCH, Secret::from(COMPANION));
    match service.shape() {
        Shape::Native(native) => now(native.rotate(api, &token(), moment)),
        Shape::RefreshGrant(grant) => now(grant.refresh(api, &token(), &companion)),
        Shape::CreateThenDelete(two) => {
            let _ = now(two.find(api, &token(), &told(), "mark"));
            let _ = now(two.delete_other(api, &token(), &told(), "7"));
            now(two.create(api, &token(), &told(), "mark", moment, moment))
        }
        Shape::ByHand => Err(ServiceError::Unable),
    }
}

fn administer(service: &dyn Service, api: &Api) -> Result<(), ServiceError> {
    let Some(administration) = service.administration() else { return Err(ServiceError::Unable) };
    let _ = now(administration.rotate(api, &token(), "7"));
    let _ = now(administration.set_permissions(api, &token(), "7", &[]));
    let _ = now(administration.delete(api, &token(), "7"));
    let _ = now(administration.create_machine(api, &token(), "bot-ci", &[], None));
    let listed = now(administration.list(api, &token(), None))?;
    assert!(!format!("{listed:?}").contains(TOKEN), "a list repeats the token that it was asked with");
    Ok(())
}

fn is_the_services_word<T>(verdict: &Result<T, ServiceError>, status: StatusCode) {
    let Err(error) = verdict else {
        // Deleting what is dead counts as done.
        assert!(
            status.is_success() || [401, 404].contains(&status.as_u16()),
            "{status} is taken for success"
        );
        return;
    };
    let say = error.to_string();
    assert!(!say.contains(TOKEN) && !say.contains(COMPANION), "a token is in {say:?}");
    assert!(!say.chars().any(char::is_control), "{say:?}");
    assert!(say.len() < 4096, "{} bytes", say.len());
    match error {
        ServiceError::Dead => assert!(!status.is_server_error() && status != 429, "{status} ends a token"),
        ServiceError::Refused { status: named, .. } => {
            assert!((400..500).contains(named) && *named == status.as_u16());
        }
        ServiceError::Later { .. } => assert!([403, 429].contains(&status.as_u16()), "{status}"),
        _ => {}
    }
}

fn tells_no_secret(told: Introspection) {
    let shown = format!("{told:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(COMPANION), "what is told repeats the token");
}

fn api(answer: Response<Vec<u8>>) -> Api {
    let http = answering(move |_: &Request<Vec<u8>>| answer.clone());
    Api::new(http, BASE.parse().expect("the base is an address"))
}

/// Status and headers as HTTP/1.1 writes them, an empty line, the body.
fn answer(data: &[u8]) -> Option<Response<Vec<u8>>> {
    let (status, mut rest) = first_line(data);
    let mut answer = Response::builder().status(status.parse::<u16>().ok()?);
    loop {
        let (line, after) = first_line(rest);
        rest = after;
        let Some((name, value)) = line.split_once(": ") else { break };
        answer = answer.header(name, value);
    }
    answer.body(rest.to_vec()).ok()
}

fn service(name: &str) -> Option<&'static dyn Service> {
    SERVICES.iter().copied().find(|service| service.name() == name)
}

fn token() -> Secret<String> {
    Secret::from(TOKEN)
}

fn told() -> Introspection {
    Introspection { id: Some("5".to_owned()), owner: Some("ada".to_owned()), ..Introspection::default() }
}
