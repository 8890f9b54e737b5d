//! What is read of an output.

use jiff::Timestamp;

use super::output::{Odd, read};

fn output(more: &str) -> Vec<u8> {
    format!(r#"{{"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "s"{more}}}"#).into_bytes()
}

fn odd(text: impl AsRef<[u8]>) -> Odd {
    read(text.as_ref()).err().unwrap()
}

#[test]
fn the_four_forms_of_an_end() {
    let noon: Timestamp = "2063-04-05T12:00:00Z".parse().unwrap();
    for text in [
        "2063-04-05T12:00:00Z",
        "2063-04-05T12:00:00.000+0000",
        "2063-04-05T14:00:00+0200",
        "2063-04-05T14:00:00+02:00",
        "2063-04-05T12:00:00.000000Z",
    ] {
        let keys = read(&output(&format!(r#", "Expiration": "{text}""#))).unwrap();
        assert_eq!(keys.until, Some(noon), "{text}");
    }
    for text in [
        "\"2063-04-05T12:00:00\"",
        "\"2063-04-05\"",
        "1800000000",
        "\"\"",
        "\"tomorrow\"",
        "true",
        "\"\u{e9}0000\"",
    ] {
        assert_eq!(odd(output(&format!(r#", "Expiration": {text}"#))), Odd::Expiration, "{text}");
    }
    for none in ["", r#", "Expiration": null"#] {
        assert_eq!(read(&output(none)).unwrap().until, None);
    }
}

#[test]
fn a_token_and_an_account_are_passed_on_where_they_are_some() {
    let keys = read(&output(r#", "SessionToken": "t", "AccountId": "123456789012", "Other": {}"#)).unwrap();
    assert_eq!(keys.keys.session_token.unwrap().expose(), "t");
    assert_eq!(keys.account.as_deref(), Some("123456789012"));
    for none in [r#", "SessionToken": null"#, r#", "SessionToken": """#, r#", "AccountId": "12""#] {
        let keys = read(&output(none)).unwrap();
        assert!(keys.keys.session_token.is_none() && keys.account.is_none(), "{none}");
    }
}

#[test]
fn what_the_sdks_refuse_is_refused() {
    for (text, expected) in [
        ("", Odd::Json),
        ("[]", Odd::Json),
        ("Welcome!\n{\"Version\": 1}", Odd::Json),
        ("{\"Version\": 1} {}", Odd::Json),
        ("\u{feff}{\"Version\": 1}", Odd::Json),
        (r#"{"AccessKeyId": "a", "SecretAccessKey": "s"}"#, Odd::Version),
        (r#"{"Version": "1", "AccessKeyId": "a", "SecretAccessKey": "s"}"#, Odd::Version),
        (r#"{"Version": 100, "AccessKeyId": "a", "SecretAccessKey": "s"}"#, Odd::Version),
        (r#"{"Version": 1, "SecretAccessKey": "s"}"#, Odd::Missing("AccessKeyId")),
        (r#"{"Version": 1, "AccessKeyId": "", "SecretAccessKey": "s"}"#, Odd::Missing("AccessKeyId")),
        (r#"{"Version": 1, "AccessKeyId": "a"}"#, Odd::Missing("SecretAccessKey")),
        (r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": 7}"#, Odd::Missing("SecretAccessKey")),
        (r#"{"Version": 1, "accesskeyid": "a", "SecretAccessKey": "s"}"#, Odd::Missing("AccessKeyId")),
    ] {
        assert_eq!(odd(text), expected, "{text}");
    }
    assert_eq!(
        odd(output(&format!(r#", "SessionToken": "{}""#, "x".repeat(40_000)))),
        Odd::Missing("SessionToken")
    );
}
