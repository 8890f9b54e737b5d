//! `keyfob secret`, with an agent of a few lines.

use std::process::Output;

use keyfob_ipc::reply::{EntryReport, EntryState, SecretValues};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};

use crate::fake::{Profile, err, out};
use crate::{done, entry, json, refused, status};

fn my_secret() -> EntryReport {
    let mut secret = entry("secret.my-secret");
    secret.facts.insert("keys".to_owned(), "SECRET_KEY1, SECRET_KEY2".to_owned());
    secret
}

fn db() -> EntryReport {
    let mut secret = entry("secret.db");
    secret.facts.insert("from".to_owned(), "aws-secrets-manager".to_owned());
    secret.state = EntryState::Refused;
    secret.refusal = Some(Refusal::new(Code::RoleRefused, "the role is refused").hint("keyfob why db"));
    secret
}

/// An agent with `secret.my-secret` in the keychain and `secret.db` in AWS.
fn people() -> Profile {
    Profile::with_agent(Door::Control, |_, ask| {
        if let Some(name) = ask["entry"]["name"].as_str() {
            let found = match name {
                "secret.my-secret" => my_secret(),
                "secret.db" => db(),
                "secret.gone" => {
                    return refused(Refusal::new(Code::UnknownEntry, "there is no entry `secret.gone`"))
                        .into();
                }
                _ => entry("token.aspect"),
            };
            return Reply::Entry(Box::new(found)).into();
        }
        if ask == "status" {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            status.entries.extend([my_secret(), db()]);
            return Reply::Status(status).into();
        }
        done().into()
    })
}

pub fn values(entry: &str, values: &[(&str, &str)]) -> Reply {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect();
    Reply::Secret(Box::new(SecretValues { entry: entry.to_owned(), values }))
}

/// An agent whose `secret.my-secret` has two values, one of several lines.
fn tools() -> Profile {
    Profile::with_agent(Door::Tool, |_, ask| {
        if ask["secret"]["name"] == "secret.my-secret" {
            return values(
                "secret.my-secret",
                &[("SECRET_KEY1", "s3cret one"), ("SECRET_KEY2", "a\nb\u{e9}")],
            )
            .into();
        }
        let say = "there is no entry `secret.other`; there is secret.my-secret";
        refused(Refusal::new(Code::UnknownEntry, say).hint("keyfob status")).into()
    })
}

/// Whatever it is, no value is in what people see.
fn shows_nothing(output: &Output) {
    assert!(!(out(output) + &err(output)).contains("s3cret"), "{}{}", out(output), err(output));
}

#[test]
fn one_value_comes_from_standard_input_without_its_last_line_end() {
    let profile = people();
    let output = profile.keyfob(&["secret", "set", "my-secret", "SECRET_KEY1"], b"s3cret\nof two lines\n");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "keyfob: done as asked\n"));
    shows_nothing(&output);
    let expected =
        r#"{"secret-set":{"name":"secret.my-secret","values":{"SECRET_KEY1":"s3cret\nof two lines"}}}"#;
    assert_eq!(profile.asked().last(), Some(&json(expected)));
}

#[test]
fn several_come_as_an_object_and_may_be_all() {
    let profile = people();
    let given = br#"{"SECRET_KEY1": "s3cret1", "SECRET_KEY2": "s3cret2"}"#;
    let output = profile.keyfob(&["secret", "set", "secret.my-secret", "--replace", "--json"], given);
    assert_eq!(out(&output), "{\"done\":{\"say\":\"done as asked\"}}\n", "{}", err(&output));
    let asked = profile.asked();
    let ask = &asked.last().unwrap()["secret-set"];
    assert_eq!(ask["values"], json(std::str::from_utf8(given).unwrap()));
    assert_eq!(ask["replace"], true);
}

#[test]
fn what_is_wrong_with_values_is_said_without_them_and_sent_nowhere() {
    let profile = people();
    let set = ["secret", "set", "my-secret"];
    let one = ". Run: keyfob secret set secret.my-secret SECRET_KEY1\n";
    let cases: [(&[&str], &[u8], i32, &str); 15] = [
        (&[], b"s3cret", 1, &format!("a JSON object of strings{one}")),
        (&[], b"{\"SECRET_KEY1\": 5, \"s3cret\": 1}", 1, "all different strings"),
        (&[], b"{\"s3cret-1\": \"\"}", 1, "no name of a variable"),
        (&[], b"{}", 1, &format!("no value was given{one}")),
        (&[], &[b'x'; 70_000], 1, &format!("more than 61440 bytes{one}")),
        (
            &[],
            b"{\"SECRET_KEY2\": \"s3cret\\u0000\"}",
            1,
            "no variable can. Next: keep it in base64: base64 < FILE | keyfob secret set secret.my-secret SECRET_KEY2\n",
        ),
        (&["SECRET_KEY1"], b"s3cret\0", 1, "`SECRET_KEY1` holds a NUL"),
        (
            &["SECRET_KEY1"],
            b"s3cret\xff",
            1,
            "no text. Next: keep it in base64: base64 < FILE | keyfob secret set ",
        ),
        (&["SECRET_KEY1"], &[b'x'; 70_000], 1, "more than 61440 bytes. Next: a value has at most 16 KiB\n"),
        (
            &["SECRET_KEY1=s3cret"],
            b"",
            2,
            "never the value itself. Run: keyfob secret set secret.my-secret KEY\n",
        ),
        (&["s3cret=x"], b"", 2, "never the value itself"),
        (&["-"], b"x", 2, "never the value itself"),
        (&["s3cret"], b"x", 1, "no value of that name; it has SECRET_KEY1, SECRET_KEY2"),
        (&["SECRET_KEY1", "s3cret"], b"", 2, "never an argument: it comes by the hidden prompt or a pipe"),
        (&["--value=s3cret"], b"", 2, "never an argument"),
    ];
    for (more, input, code, say) in cases {
        let output = profile.keyfob(&[&set[..], more, &["--json"]].concat(), input);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", err(&output));
        assert!(err(&output).contains(say), "{more:?}: {}", err(&output));
        shows_nothing(&output);
    }
    assert!(!format!("{:?}", profile.asked()).contains("s3cret"));
    assert!(profile.asked().iter().all(|ask| ask["secret-set"].is_null()));
}

#[test]
fn what_the_keychain_does_not_have_is_not_asked_for() {
    let profile = people();
    let set = |name: &str| {
        let output = profile.keyfob(&["secret", "set", name, "A"], b"s3cret");
        assert_eq!(output.status.code(), Some(1));
        err(&output)
    };
    assert_eq!(
        set("db"),
        "keyfob: `secret.db` has its values in AWS Secrets Manager. Next: change them there\n"
    );
    assert_eq!(set("token.aspect"), "keyfob: `token.aspect` is no secret. Run: keyfob secret list\n");
}

#[test]
fn one_value_is_given_as_it_is_and_several_as_an_object() {
    let profile = tools();
    let get = |more: &[&str]| profile.keyfob(&[&["secret", "get", "my-secret"], more].concat(), b"");
    assert_eq!(out(&get(&["SECRET_KEY1"])), "s3cret one\n");
    assert_eq!(out(&get(&["SECRET_KEY2"])), "a\nb\u{e9}\n");
    let all = "{\"SECRET_KEY1\":\"s3cret one\",\"SECRET_KEY2\":\"a\\nb\u{e9}\"}\n";
    assert_eq!(out(&get(&[])), all);
    assert_eq!(out(&get(&["--json"])), all);
    assert_eq!(out(&get(&["SECRET_KEY1", "--json"])), "{\"SECRET_KEY1\":\"s3cret one\"}\n");
    get(&["--role-arn", "arn:aws:iam::123456789012:role/x"]);
    let asked =
        json(r#"{"secret":{"name":"secret.my-secret","role_arn":"arn:aws:iam::123456789012:role/x"}}"#);
    assert_eq!(profile.asked().last(), Some(&asked));
}

#[test]
fn what_cannot_be_given_leaves_standard_output_to_the_refusal() {
    let profile = tools();
    let wrong = profile.keyfob(&["secret", "get", "my-secret", "s3cret"], b"");
    assert_eq!((wrong.status.code(), out(&wrong).as_str()), (Some(1), ""));
    assert_eq!(
        err(&wrong),
        "keyfob: `secret.my-secret` has no value of that name; it has SECRET_KEY1, SECRET_KEY2. Run: keyfob secret list\n"
    );
    let unknown = profile.keyfob(&["secret", "get", "other", "--json"], b"");
    assert_eq!(json(&out(&unknown))["refused"]["code"], "unknown_entry");
    for (code, exit) in [(Code::TokenNeeded, 3), (Code::Locked, 5), (Code::Offline, 1)] {
        let profile = Profile::with_agent(Door::Tool, move |_, _| refused(Refusal::new(code, "no")).into());
        assert_eq!(profile.keyfob(&["secret", "get", "x"], b"").status.code(), Some(exit));
    }
    let alone = Profile::new();
    let mut nobody = alone.command(&crate::alone(&alone), &["secret", "get", "x"]);
    assert_eq!(nobody.output().unwrap().status.code(), Some(4));
}

#[test]
fn a_list_names_values_and_places() {
    let profile = people();
    assert_eq!(
        out(&profile.keyfob(&["secret", "list"], b"")),
        "ENTRY             VALUES                    FROM                 STATE\n\
         secret.my-secret  SECRET_KEY1, SECRET_KEY2  keychain             live\n\
         secret.db         all                       aws-secrets-manager  refused\n\
         \n\
         secret.db: the role is refused. Run: keyfob why db\n"
    );
    let list = json(&out(&profile.keyfob(&["secret", "list", "--json"], b"")));
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["secret.my-secret", "secret.db"]);
    let broken = Profile::with_agent(Door::Control, |_, _| {
        let Reply::Status(mut status) = status() else { panic!("no status") };
        status.entries.clear();
        status.config.errors = vec!["line 4: unknown key `kees`".to_owned()];
        Reply::Status(status).into()
    });
    for json in [&[][..], &["--json"]] {
        let output = broken.keyfob(&[&["secret", "list"], json].concat(), b"");
        assert_eq!(output.status.code(), Some(1), "{}", out(&output));
        assert!(
            err(&output).contains("line 4: unknown key `kees`. Run: keyfob config check"),
            "{}",
            err(&output)
        );
    }
    let none = Profile::with_agent(Door::Control, |_, _| status().into());
    assert_eq!(out(&none.keyfob(&["secret", "list"], b"")), "keyfob: the configuration has no secrets\n");
}

#[test]
fn values_are_forgotten_one_by_one_or_all() {
    let profile = people();
    profile.keyfob(&["secret", "remove", "my-secret", "SECRET_KEY1"], b"");
    profile.keyfob(&["secret", "remove", "secret.my-secret"], b"");
    assert_eq!(
        profile.asked(),
        [
            json(r#"{"secret-remove":{"name":"secret.my-secret","key":"SECRET_KEY1"}}"#),
            json(r#"{"secret-remove":{"name":"secret.my-secret"}}"#),
        ]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn each_value_is_asked_for_unseen_and_an_empty_answer_leaves_it() {
    use crate::terminal::Session;
    let profile = people();
    let mut session = Session::start(&profile, &["secret", "set", "my-secret"], &[], false);
    session.sees("SECRET_KEY1 of secret.my-secret (not shown): ");
    session.types("s3cret\r");
    session.sees("SECRET_KEY2 of secret.my-secret (not shown): ");
    session.types("\r");
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.ends_with("keyfob: done as asked\n") && !screen.contains("s3cret"), "{screen}");
    let asked = profile.asked();
    assert_eq!(asked.last().unwrap()["secret-set"]["values"], json(r#"{"SECRET_KEY1":"s3cret"}"#));

    // Nobody is there to be asked.
    let session = Session::start(&profile, &["secret", "set", "my-secret"], &[("CI", "1")], false);
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(1));
    assert!(screen.contains("CI is set") && !screen.contains("(not shown)"), "{screen}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_value_of_several_lines_that_is_pasted_is_refused_whole() {
    use crate::terminal::Session;
    let profile = people();
    for rest in ["s3cret line\r-----END KEY-----\r".to_owned(), "s3cret line\r".repeat(3000)] {
        let mut session = Session::start(&profile, &["secret", "set", "my-secret"], &[], false);
        session.sees("SECRET_KEY1 of secret.my-secret (not shown): ");
        session.types(&format!("-----BEGIN KEY-----\r{rest}"));
        let (code, screen, _) = session.ends();
        assert_eq!(code, Some(1), "{screen}");
        let hint = ". Run: keyfob secret set secret.my-secret SECRET_KEY1 < FILE\n";
        assert!(screen.ends_with(&format!("keyfob: the value has several lines{hint}")), "{screen}");
        assert!(!screen.contains("s3cret") && !screen.contains("SECRET_KEY2 of"), "{screen}");
    }
    assert!(profile.asked().iter().all(|ask| ask["secret-set"].is_null()));

    // What is copied with the end of its line, or two, is one line.
    let mut session = Session::start(&profile, &["secret", "set", "my-secret", "SECRET_KEY2"], &[], false);
    session.sees("(not shown): ");
    session.types("one line\r\n\r");
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(
        profile.asked().last().unwrap()["secret-set"]["values"],
        json(r#"{"SECRET_KEY2":"one line"}"#)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_asked_for_what_a_locked_agent_cannot_keep() {
    use crate::terminal::Session;
    use keyfob_ipc::reply::{LockReport, LockedBy};
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask == "status" {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            let since = "2026-11-21T07:00:00Z".to_owned();
            status.lock = Some(LockReport { since, by: LockedBy::Person, is_pause: false });
            return Reply::Status(status).into();
        }
        Reply::Entry(Box::new(my_secret())).into()
    });
    let (code, screen, _) = Session::start(&profile, &["secret", "set", "my-secret"], &[], false).ends();
    assert_eq!((code, screen.as_str()), (Some(5), "keyfob: keyfob is locked. Run: keyfob unlock\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_only_copy_is_forgotten_by_a_person_who_says_so() {
    use crate::terminal::Session;
    let profile = people();
    let removed = || profile.asked().iter().filter(|ask| ask["secret-remove"].is_object()).count();
    let remove = ["secret", "remove", "my-secret"];
    for (answer, code, count) in [("\r", 1, 0), ("n\r", 1, 0), ("y\r", 0, 1)] {
        let mut session = Session::start(&profile, &remove, &[], false);
        session
            .sees("Forget SECRET_KEY1, SECRET_KEY2 of secret.my-secret, which are kept nowhere else? [y/N] ");
        session.types(answer);
        let (is, screen, _) = session.ends();
        assert_eq!((is, removed()), (Some(code), count), "{screen}");
        assert_eq!(screen.contains("nothing was removed"), code == 1, "{screen}");
    }
    let mut session = Session::start(&profile, &[&remove[..], &["SECRET_KEY1"]].concat(), &[], false);
    session.sees("Forget SECRET_KEY1 of secret.my-secret, which is kept nowhere else? [y/N] ");
    session.types("y\r");
    assert_eq!((session.ends().0, removed()), (Some(0), 2));
    // The configuration may not have it any more.
    let mut session = Session::start(&profile, &["secret", "remove", "gone"], &[], false);
    session.sees("Forget the values of secret.gone, which are kept nowhere else? [y/N] ");
    session.types("y\r");
    assert_eq!((session.ends().0, removed()), (Some(0), 3));
    // Who says so beforehand is not asked, nor is anybody in a job.
    for (more, variables) in [(&["--yes"][..], &[][..]), (&[], &[("CI", "1")])] {
        let before = removed();
        let session = Session::start(&profile, &[&remove[..], more].concat(), variables, false);
        let (code, screen, _) = session.ends();
        assert_eq!((code, removed()), (Some(0), before + 1), "{screen}");
        assert!(!screen.contains("[y/N]"), "{screen}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_value_steers_no_terminal() {
    use crate::terminal::Session;
    let answer = std::collections::BTreeMap::from([("A", "x\u{1b}[2Jy\u{9b}")]);
    let profile = Profile::with_agent(Door::Tool, move |_, _| {
        values("secret.x", &answer.iter().map(|(name, value)| (*name, *value)).collect::<Vec<_>>()).into()
    });
    let (_, screen, _) = Session::start(&profile, &["secret", "get", "x", "A"], &[], false).ends();
    assert_eq!(screen, "x\\u{1b}[2Jy\\u{9b}\n");
    let (_, screen, _) = Session::start(&profile, &["secret", "get", "x"], &[], false).ends();
    assert_eq!(screen, "{\"A\":\"x\\u001b[2Jy\\u{9b}\"}\n");
    let (_, _, piped) = Session::start(&profile, &["secret", "get", "x", "A"], &[], true).ends();
    assert_eq!(piped, "x\u{1b}[2Jy\u{9b}\n");
}
