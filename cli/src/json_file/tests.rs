//! Every byte that is not ours stays.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn read(text: &str) -> Object {
    Object::read(text.as_bytes()).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

fn text(object: &Object) -> &str {
    std::str::from_utf8(object.text()).unwrap()
}

fn with_two(object: &Object) -> Object {
    object.set("A", "x").unwrap().set("B", "y\"").unwrap()
}

#[test]
fn members_go_in_as_the_others_stand() {
    for (before, after) in [
        ("{}", "{\"A\": \"x\", \"B\": \"y\\\"\"}"),
        ("{\n}\n", "{\n    \"A\": \"x\",\n    \"B\": \"y\\\"\"\n}\n"),
        ("{\r\n}", "{\r\n    \"A\": \"x\",\r\n    \"B\": \"y\\\"\"\r\n}"),
        ("{\"a\":1}", "{\"a\":1,\"A\":\"x\",\"B\":\"y\\\"\"}"),
        ("{\"a\": 1}", "{\"a\": 1, \"A\": \"x\", \"B\": \"y\\\"\"}"),
        (
            "{\n\t\"a\" : [1, {\"b\": \"}\\\"\"}]\n}",
            "{\n\t\"a\" : [1, {\"b\": \"}\\\"\"}],\n\t\"A\" : \"x\",\n\t\"B\" : \"y\\\"\"\n}",
        ),
        ("{\"a\":1 , \"b\":-2e3 }", "{\"a\":1 , \"b\":-2e3 , \"A\":\"x\" , \"B\":\"y\\\"\" }"),
    ] {
        let object = read(before);
        let with = with_two(&object);
        assert_eq!(text(&with), after);
        assert_eq!(text(&with.without("B").unwrap().without("A").unwrap()), before);
        assert_eq!(text(&with.without("A").unwrap().without("B").unwrap()), before);
    }
}

#[test]
fn a_member_changes_where_it_stands() {
    let object = read("{\n  \"a\":  \"1\",\n  \"b\": null\n}");
    assert_eq!(text(&object.set("a", "2").unwrap()), "{\n  \"a\":  \"2\",\n  \"b\": null\n}");
    let other = object.put_in_place("a", "c", "3").unwrap();
    assert_eq!(text(&other), "{\n  \"c\":  \"3\",\n  \"b\": null\n}");
    assert_eq!(text(&other.put_in_place("c", "a", "1").unwrap()), text(&object));
    assert_eq!(object.put_in_place("a", "b", "3").err(), Some(Wrong::Twice("b".to_owned())));
    assert_eq!(text(&object.without("a").unwrap()), "{\n  \"b\": null\n}");
    assert_eq!((object.plain("a").as_deref(), object.plain("b")), (Some("1"), None));
    assert!(object.has("b") && !object.has("c"));
}

#[test]
fn what_is_no_object_is_told_by_its_place_and_not_by_its_text() {
    for (wrong, says) in [
        (&b""[..], "is no JSON (line 1, column 0)"),
        (b"{\n\"s3cr3t\": s3cr3t}", "is no JSON (line 2, column 11)"),
        (b"\xef\xbb\xbf{}", "is no JSON (line 1, column 1)"),
        (b"{\"a\": 1,}", "is no JSON (line 1, column 9)"),
        (b"{\n \"a\": \"\xff\"}", "is no JSON (line 2, column 8)"),
        (b"{} {}", "is no JSON (line 1, column 4)"),
        (b"[\"s3cr3t\"]", "is no JSON object"),
        (b"\"{\"", "is no JSON object"),
        (b"{\"a\": \"s3cr3t\", \"\\u0061\": 2}", "has `a` more than once"),
    ] {
        assert_eq!(Object::read(wrong).err().unwrap().to_string(), says);
    }
}

#[test]
fn odd_names_and_depths_are_fine() {
    assert_eq!(read("{\"\\ud800\": 1, \"\\\\\": {}}").names().nth(1), Some("\\"));
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(text(&read(&deep).set("a", "").unwrap()), "{\"a\": \"\"}");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~\u{e9}\\\\\"{}\\[\\],:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same with other white space outside of strings.
fn respaced(text: &str, style: usize) -> String {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let mut other = String::new();
    for character in text.chars() {
        let space = !is_quoted && (character == '\n' || character == ' ');
        match (style, character) {
            (1, '\n') if space => other.push_str("\r\n"),
            (2, ' ') if space => other.push('\t'),
            (3, '\n') if space => other.push_str(" \n\n"),
            _ => other.push(character),
        }
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
    }
    other
}

proptest! {
    #[test]
    fn taking_out_gives_back_every_byte(
        members in proptest::collection::btree_map("[ -@\\[-~]{0,6}", values(), 0..5),
        style in 0_usize..5,
        around in ("[ \t\r\n]{0,3}", "[ \t\r\n]{0,3}"),
        value in "\\PC{0,12}",
    ) {
        let all = Value::Object(members.into_iter().collect::<Map<_, _>>());
        let json = if style == 4 { all.to_string() } else { serde_json::to_string_pretty(&all).unwrap() };
        let before = format!("{}{}{}", around.0, respaced(&json, style), around.1);
        let with = read(&before).set("A", "x").unwrap().set("B", &value).unwrap();
        let mut expected = all.clone();
        expected["A"] = "x".into();
        expected["B"] = value.clone().into();
        prop_assert_eq!(serde_json::from_slice::<Value>(with.text()).unwrap(), expected);
        prop_assert_eq!(with.plain("B"), Some(value));
        let changed = with.put_in_place("A", "C", "z").unwrap().put_in_place("C", "A", "x").unwrap();
        prop_assert_eq!(changed.text(), with.text());
        let rest = changed.without("A").unwrap().without("B").unwrap();
        prop_assert_eq!(text(&rest), &before);
        prop_assert_eq!(rest.around(), [around.0.as_bytes(), around.1.as_bytes()].concat());
        prop_assert_eq!(serde_json::from_slice::<Value>(rest.text()).unwrap(), all);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(object) = Object::read(&bytes) {
            prop_assert_eq!(object.text(), &bytes[..]);
        }
    }
}
