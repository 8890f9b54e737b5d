use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Made by Python's `zlib` and `base64`, as the page's own strings are read.
const REAL: &str = "foo:eJxNjj0PgjAYhP8K6WzauLIhKUpEIRU0TE2Bt9rw0QaqDsb/Lh0gjnf35O4+KN3xMD1H8Z7nZUaR7yE1dGoAtPHmLOMnmgdRkt4WqmCJgx7WmsknRBiFpdZYVwaLugdsYbLktSUGRtWDhXEiDUjx7CyZpZCdftd6kOq++stSRlk8r1Hm+v+y9cGFsmscUh4U+YEfaek4XbW8F2MLDfr+AG0TQjY=";

fn string(config: &Value) -> String {
    deflated(config.to_string().as_bytes())
}

fn deflated(bytes: &[u8]) -> String {
    format!("foo:{}", BASE64.encode(compress_to_vec_zlib(bytes, 9)))
}

fn inline() -> Value {
    json!({
        "OBP_METAFLOW_CONFIG_URL": "https://api.foo.obp.acme.test/v1/x",
        "OBP_PERIMETER": "default",
        "METAFLOW_SERVICE_AUTH_KEY": "obk_marked",
        "ELSE": "is left out",
    })
}

fn settings(text: &str) -> Settings {
    match Pasted::read(text) {
        Ok(Pasted::Inline(settings)) => settings,
        other => panic!("no settings: {other:?}"),
    }
}

#[test]
fn a_string_of_the_page_is_read_as_its_own_client_reads_it() {
    let read = settings(REAL);
    assert_eq!(read.key().expose(), "obk_marked");
    assert_eq!((read.perimeter(), read.whole()), (Some("default"), None));
    for same in [
        REAL.split_once(':').unwrap().1.to_owned(),
        format!("  {REAL}\n"),
        format!("outerbounds configure {REAL}"),
        REAL.replace("foo:eJxNjj", "other words:eJx\n Njj"),
        REAL.trim_end_matches('=').to_owned(),
    ] {
        assert_eq!(settings(&same), read, "{same}");
    }
    let plain = settings(&inline().to_string());
    assert_eq!(plain, settings(&string(&inline())));
    assert!(!plain.to_value().expose().contains("left out"));
    assert_eq!(Settings::read(plain.to_value().expose().as_bytes()), Ok(plain));
}

#[test]
fn a_whole_configuration_stays_whole() {
    let whole = json!({
        "METAFLOW_SERVICE_AUTH_KEY": "obk_marked",
        "METAFLOW_SERVICE_URL": "https://metadata.foo.obp.acme.test/",
        "OBP_AUTH_SERVER": "auth.foo.obp.acme.test",
        "OB_CONFIG_TYPE": "inline",
    });
    let read = settings(&string(&whole));
    let members: Vec<&String> = read.whole().unwrap().keys().collect();
    assert_eq!(members, ["METAFLOW_SERVICE_AUTH_KEY", "METAFLOW_SERVICE_URL", "OBP_AUTH_SERVER"]);
}

#[test]
fn a_string_chooses_no_program_and_no_entry() {
    let whole = json!({
        "METAFLOW_SERVICE_AUTH_KEY": "obk_marked",
        "METAFLOW_SERVICE_URL": "https://metadata.foo.obp.acme.test/",
        "METAFLOW_KEYFOB_PROGRAM": "/tmp/evil",
        "METAFLOW_KEYFOB_AWS": "aws.prod",
        "Metaflow_Keyfob_Service": "token.other",
        "METAFLOW_KEYFOBS": "is another word",
    });
    for read in [settings(&string(&whole)), Settings::read(whole.to_string().as_bytes()).unwrap()] {
        let members: Vec<&String> = read.whole().unwrap().keys().collect();
        assert_eq!(members, ["METAFLOW_KEYFOBS", "METAFLOW_SERVICE_AUTH_KEY", "METAFLOW_SERVICE_URL"]);
        assert!(!read.to_value().expose().contains("evil"));
    }
}

#[test]
fn a_pointer_names_a_secret_in_its_own_region() {
    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf";
    let pointer = |arn: &str, region: &str| {
        json!({
            "OB_CONFIG_TYPE": "aws-secrets-manager",
            "AWS_SECRETS_MANAGER_SECRET_ARN": arn,
            "AWS_SECRETS_MANAGER_REGION": region,
        })
    };
    let Ok(Pasted::Pointer(read)) = Pasted::read(&string(&pointer(ARN, "eu-west-1"))) else {
        panic!("no pointer")
    };
    assert_eq!((read.arn.as_str(), read.region.as_str()), (ARN, "eu-west-1"));
    for (arn, region) in [(ARN, "eu-west-2"), ("outerbounds/ci", "eu-west-1"), (ARN, "")] {
        assert!(
            matches!(Pasted::read(&string(&pointer(arn, region))), Err(NotPasted::Lacks(_))),
            "{arn} {region}"
        );
    }
    // One pointer leads to no other.
    assert_eq!(Settings::read(pointer(ARN, "eu-west-1").to_string().as_bytes()), Err(NotPasted::UnknownKind));
}

#[test]
fn what_is_no_such_string_is_refused_and_nothing_of_it_is_repeated() {
    let lacks = |key: Value| {
        let mut config = inline();
        config["METAFLOW_SERVICE_AUTH_KEY"] = key;
        string(&config)
    };
    let cases = [
        (String::new(), NotPasted::Empty),
        ("   ".to_owned(), NotPasted::Empty),
        ("marked".to_owned(), NotPasted::Malformed),
        ("foo:marked!".to_owned(), NotPasted::Malformed),
        (REAL[..REAL.len() - 40].to_owned(), NotPasted::Malformed),
        (REAL.replace("Njj0PgjAYhP8K", "Njj0PgjAYhP9K"), NotPasted::Malformed),
        (deflated(b"marked"), NotPasted::NoConfig),
        (deflated(b"[\"marked\"]"), NotPasted::NoConfig),
        ("{\"marked\":".to_owned(), NotPasted::NoConfig),
        (string(&json!({"OB_CONFIG_TYPE": "marked"})), NotPasted::UnknownKind),
        (string(&json!({"OB_CONFIG_TYPE": 1})), NotPasted::UnknownKind),
        (lacks(json!("")), NotPasted::Lacks(KEY)),
        (lacks(json!(7)), NotPasted::Lacks(KEY)),
        (lacks(json!("marked key")), NotPasted::Lacks(KEY)),
        (lacks(json!("marked\r\nx: y")), NotPasted::Lacks(KEY)),
        ("x".repeat(LONGEST + 1), NotPasted::TooLong),
    ];
    for (text, expected) in cases {
        let no = Pasted::read(&text).unwrap_err();
        assert_eq!(no, expected, "{text}");
        assert!(!no.to_string().contains("marked"));
    }
    let shown = format!("{:?}", settings(REAL));
    assert!(!shown.contains("marked"), "{shown}");
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    // 48 MiB in some 48 KiB.
    let bomb = deflated(&vec![b' '; INFLATED * 1024]);
    assert!(bomb.len() <= LONGEST, "{}", bomb.len());
    assert_eq!(Pasted::read(&bomb).unwrap_err(), NotPasted::TooLong);
    let sized = |length: usize| {
        let config = inline().to_string();
        let filler = " ".repeat(length - config.len());
        Pasted::read(&deflated(format!("{config}{filler}").as_bytes())).map(drop)
    };
    assert_eq!(sized(INFLATED), Ok(()));
    assert_eq!(sized(INFLATED + 1), Err(NotPasted::TooLong));
    let long = format!("{}{}", inline(), " ".repeat(INFLATED));
    assert_eq!(Pasted::read(&long).map(drop), Ok(()), "spaces around are nobody's");
    let deep = format!("{}{}", "{\"a\":".repeat(5000), "1");
    assert_eq!(Pasted::read(&deep).unwrap_err(), NotPasted::NoConfig);
}

#[test]
fn only_hosts_of_the_domain_are_of_it() {
    let check = |place: &str| {
        let config = json!({"METAFLOW_SERVICE_AUTH_KEY": "k", "OBP_METAFLOW_CONFIG_URL": place});
        settings(&config.to_string()).check_domain("foo.obp.acme.test", Some("http://127.0.0.1:8080"))
    };
    for good in [
        "https://api.foo.obp.acme.test/v1",
        "https://foo.obp.acme.test",
        "api.foo.obp.acme.test",
        "https://API.foo.obp.acme.TEST:8443/",
        "http://127.0.0.1:8080/v1",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in [
        "https://api.bar.obp.acme.test/",
        "https://evilfoo.obp.acme.test/",
        "https://foo.obp.acme.test.evil.example/",
        "https://foo.obp.acme.test@evil.example/",
        "https://evil.example/foo.obp.acme.test",
        "https://user:pass@api.foo.obp.acme.test/",
        "http://api.foo.obp.acme.test/",
        "http://127.0.0.1:8081/v1",
        "",
    ] {
        assert!(matches!(check(bad), Err(Some(_))), "{bad}");
    }
    let silent = settings(r#"{"METAFLOW_SERVICE_AUTH_KEY":"k"}"#);
    assert_eq!(silent.check_domain("foo.obp.acme.test", None), Err(None));
    // Each of them counts.
    let mixed = json!({
        "METAFLOW_SERVICE_AUTH_KEY": "k",
        "METAFLOW_SERVICE_URL": "https://metadata.foo.obp.acme.test/",
        "OBP_AUTH_SERVER": "auth.evil.example",
    });
    let mixed = settings(&mixed.to_string());
    assert_eq!(mixed.check_domain("foo.obp.acme.test", None), Err(Some("auth.evil.example".to_owned())));
}

#[test]
fn no_member_that_gets_the_key_leads_elsewhere() {
    let check = |member: &str, place: &Value| {
        let mut config = json!({
            "METAFLOW_SERVICE_AUTH_KEY": "k",
            "METAFLOW_SERVICE_URL": "https://metadata.foo.obp.acme.test/",
        });
        config[member] = place.clone();
        settings(&config.to_string()).check_domain("foo.obp.acme.test", None)
    };
    const OUTSIDE: [&str; 7] = [
        "METAFLOW_SERVICE_URL",
        "METAFLOW_UI_URL",
        "METAFLOW_ARGO_EVENTS_WEBHOOK_URL",
        "METAFLOW_FAST_BAKERY_URL",
        "METAFLOW_OTEL_ENDPOINT",
        "OBP_API_SERVER",
        "OBP_INTEGRATIONS_URL",
    ];
    const IN_CLUSTER: [&str; 3] = [
        "METAFLOW_SERVICE_INTERNAL_URL",
        "METAFLOW_ARGO_EVENTS_INTERNAL_WEBHOOK_URL",
        "METAFLOW_AWS_SANDBOX_INTERNAL_SERVICE_URL",
    ];
    for member in OUTSIDE.into_iter().chain(IN_CLUSTER) {
        assert_eq!(check(member, &json!("https://x.foo.obp.acme.test/")), Ok(()), "{member}");
        for bad in [
            "https://evil.test/",
            "http://evil.test/",
            "http://evil.test/#.svc",
            "http://svc",
            "http://a.xn--jobs-a",
        ] {
            assert!(matches!(check(member, &json!(bad)), Err(Some(_))), "{member}: {bad}");
        }
        assert!(matches!(check(member, &json!(["https://evil.test/"])), Err(Some(_))), "{member}");
    }
    // What only the network of a cluster knows.
    for place in [
        "http://metadata.default.svc.cluster.local:8080",
        "http://metadata.default.svc",
        "http://events-svc.jobs-default:12000/x",
    ] {
        for member in IN_CLUSTER {
            assert_eq!(check(member, &json!(place)), Ok(()), "{member}: {place}");
        }
        for member in OUTSIDE {
            assert!(check(member, &json!(place)).is_err(), "{member}: {place}");
        }
    }
    assert_eq!(check("METAFLOW_SERVICE_INTERNAL_URL", &Value::Null), Ok(()), "none");
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        let _ = Pasted::read(&text);
    }

    #[test]
    fn nothing_that_is_deflated_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Pasted::read(&deflated(&bytes));
        let _ = Pasted::read(&BASE64.encode(&bytes));
        let _ = Pasted::read(&BASE64.encode([&[0x78, 0x9c][..], &bytes].concat()));
    }

    #[test]
    fn a_damaged_string_is_refused_or_the_same(at in 4_usize..300, byte in 33_u8..127) {
        let mut text = REAL.as_bytes().to_vec();
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        if let Ok(Pasted::Inline(read)) = Pasted::read(&String::from_utf8(text).unwrap()) {
            prop_assert_eq!(read, settings(REAL));
        }
    }
}
