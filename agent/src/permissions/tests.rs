//! How what clusters and services say is put together.

use keyfob_ipc::reply::{Right, Rights, Teller};

use super::*;
use crate::config::EntryName;
use crate::kind::{Header, Rotate};

const READ: Rights = Rights { read: Right::Yes, write: Right::No, execute: Right::No };

fn token(clusters: &[(&str, &str)]) -> Token {
    Token {
        hosts: Vec::new(),
        header: Header::Bearer,
        prefix: String::new(),
        portal: None,
        lifetime: Duration::from_secs(3600),
        service: crate::service::of("keyfob").unwrap(),
        api: None,
        rotate: Rotate::Remind,
        owner: None,
        clusters: clusters
            .iter()
            .map(|&(name, address)| (name.to_owned(), address.parse().unwrap()))
            .collect(),
    }
}

fn told(clusters: &[&str]) -> Facts {
    let told = Introspection {
        clusters: Some(clusters.iter().map(|&name| (name.to_owned(), READ)).collect()),
        ..Introspection::default()
    };
    let mut facts = Facts::default();
    facts.learn(told, Timestamp::UNIX_EPOCH);
    facts
}

fn by_service(token: &Token, facts: &Facts) -> Vec<String> {
    let rows = rows(token, facts).into_iter().filter(|row| row.by == Teller::TokenService);
    rows.map(|row| row.at.cluster).collect()
}

#[test]
fn a_service_may_call_a_cluster_by_its_name_or_its_host() {
    let token = token(&[("ext", "grpcs://aw-ext.acme.dev/main"), ("two", "grpcs://aw-two.acme.dev:8443")]);
    for names in [
        ["ext", "two"],
        ["aw-ext.acme.dev", "AW-two.acme.dev"],
        ["aw-ext.acme.dev:443", "aw-two.acme.dev:8443"],
    ] {
        assert_eq!(by_service(&token, &told(&names)), ["ext", "two"], "{names:?}");
    }
    assert_eq!(
        by_service(&token, &told(&["aw-two.acme.dev:443", "th\u{1b}ree"])),
        ["aw-two.acme.dev:443", "th\\u{1b}ree"]
    );
}

#[test]
fn a_host_that_has_two_clusters_stands_for_itself() {
    let token = token(&[("one", "grpcs://aw.acme.dev/one"), ("two", "grpcs://aw.acme.dev/two")]);
    assert_eq!(by_service(&token, &told(&["aw.acme.dev"])), ["aw.acme.dev"]);
}

#[test]
fn what_nobody_said_is_unknown() {
    let rows = rows(&token(&[("ext", "grpcs://aw.acme.dev")]), &Facts::default());
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.at.rights, row.by, &row.when), (Rights::default(), Teller::Cluster, &None));
    assert!(row.note.is_some());
}

#[test]
fn what_one_service_said_is_not_the_word_of_the_next() {
    let to = |places: &[&str]| Destination {
        hosts: vec!["h.acme.dev".to_owned()],
        places: places.iter().map(|&place| place.to_owned()).collect(),
    };
    let held = || Holding::new("a-token".into(), told(&["ext"]), to(&["header X", "api https://one/"]));
    let mut same = held();
    confirmed(&mut same, to(&["header X", "api https://one/", "cluster grpcs://aw.acme.dev"]));
    assert!(same.facts.token.told.is_some());
    for places in [&["header X", "api https://two/"][..], &["header X"]] {
        let mut other = held();
        confirmed(&mut other, to(places));
        assert_eq!((other.facts.token.told, other.destination), (None, to(places)));
    }
}

#[test]
fn what_failed_is_forgotten_after_its_rest() {
    let (asked, name) = (Asked::default(), EntryName { kind: "token", name: "aspect".to_owned() });
    let (now, value) = (Timestamp::UNIX_EPOCH, Secret::from("a-token"));
    let refusal = Refusal::new(Code::Offline, "it is down");
    let later = |seconds| crate::clock::after(now, Duration::from_secs(seconds));
    for seconds in 0..600 {
        let place = format!("grpcs://{seconds}.acme.dev");
        asked.note(&name, &place, &value, later(seconds), Some((&refusal, true)));
        assert!(asked.is_dead(&name, &place, &value));
        assert_eq!(asked.recent(&name, &place, &value, later(seconds)), Some(refusal.clone()));
        assert_eq!(asked.recent(&name, &place, &"another".into(), later(seconds)), None);
    }
    assert_eq!(asked.failures(), 60);
    asked.note(&name, "grpcs://other.acme.dev", &value, later(3600), None);
    assert_eq!(asked.failures(), 0);
    for entry in 0..100 {
        drop(asked.turn(&EntryName { kind: "token", name: entry.to_string() }));
    }
    assert_eq!(asked.turns(), 1, "the last one");
}

#[test]
fn iam_is_asked_where_it_is_and_the_sign_in_page_never() {
    const OWN: &str = "https://iam.amazonaws.com";
    let asked = |more: &str| {
        let text = format!(
            "[sso.okta]\nissuer = \"https://acme.okta.com\"\nclient_id = \"0oa1\"\n\
             [aws.dev]\nsso = \"okta\"\nrole_arn = \"arn:aws:iam::123456789012:role/Dev\"\n\
             region = \"eu-west-1\"\n{more}\n"
        );
        let config = crate::config::load(&text, crate::config::Limits { plain_loopback: true }).unwrap();
        let entry = config.entry(&EntryName { kind: "aws", name: "dev".to_owned() }).unwrap();
        entry.source.iam_endpoint(OWN).map(str::to_owned)
    };
    let sts = |address: &str| asked(&format!("endpoint_url = \"{address}\""));
    assert_eq!(asked("").as_deref(), Some(OWN));
    assert_eq!(asked("signin_url = \"http://127.0.0.1:9/federation\"").as_deref(), Some(OWN));
    assert_eq!(sts("http://127.0.0.1:9/").as_deref(), Some("http://127.0.0.1:9"));
    assert_eq!(sts("https://vpce-1.sts.eu-west-1.vpce.amazonaws.com").as_deref(), Some(OWN));
    assert_eq!(sts("https://sts.acme.dev"), None);
    assert_eq!(sts("https://amazonaws.com.acme.dev"), None);
}
