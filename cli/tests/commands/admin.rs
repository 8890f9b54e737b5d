//! `keyfob admin tokens`.

use keyfob_ipc::reply::Right::{No, Yes};
use keyfob_ipc::reply::{Issued, IssuedToken};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};
use serde_json::{Value, json as value};

use crate::fake::{Profile, err, out};
use crate::{done, in_days, json, minutes_ago, refused, rights};

const END: &str = "2027-11-21T08:00:00Z";

fn token(id: &str, owner: &str) -> IssuedToken {
    IssuedToken {
        id: id.to_owned(),
        owner: owner.to_owned(),
        machine: owner.starts_with("bot-"),
        admin: false,
        last_four: None,
        created_at: None,
        expires_at: Some(END.to_owned()),
        last_used_at: None,
        permissions: vec![rights("aw-remote-ext", Yes, Yes, No)],
    }
}

fn issued(value: Option<&str>) -> Reply {
    Reply::Issued(Box::new(Issued {
        token: token("42", "bot-ci"),
        value: value.map(Secret::from),
        kept_by: value.is_none().then(|| "token.ci".to_owned()),
        say: "`42` of bot-ci has another value".to_owned(),
    }))
}

fn door(reply: fn(&Value) -> Reply) -> Profile {
    Profile::with_agent(Door::Control, move |_, ask| reply(&ask["admin"]["act"]).into())
}

fn run(profile: &Profile, line: &str) -> (Option<i32>, String, String) {
    let words: Vec<&str> = ["admin", "tokens"].into_iter().chain(line.split(' ')).collect();
    let output = profile.keyfob(&words, b"");
    (output.status.code(), out(&output), err(&output))
}

#[test]
fn tokens_are_listed() {
    let list = |_: &Value| {
        let mut ada = token("f3b8a1c2-0001-4d3e-9f00-1234567890ab", "ada@acme.dev");
        ada.admin = true;
        ada.last_used_at = Some(minutes_ago(12));
        ada.permissions.push(rights("eu", No, No, No));
        let mut bot = token("42", "bot-ci");
        bot.expires_at = None;
        bot.permissions.clear();
        Reply::Tokens(vec![ada, bot])
    };
    let profile = door(list);
    let (code, text, errors) = run(&profile, "list");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        text,
        "\
ID              OWNER             ENDS        LAST USED   MAY
f3b8a1c2-0001-  ada@acme.dev      2027-11-21  12 min ago  aw-remote-ext:
4d3e-9f00-      (admin)                                   read, write
1234567890ab                                              eu: nothing
42              bot-ci (machine)  unknown     unknown     nothing
"
    );
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    assert_eq!(profile.asked(), [value!({"admin": {"act": {"list": {}}}})]);

    let (_, text, _) = run(&profile, "list --owner bot-ci --with boss --json");
    assert_eq!(json(&text)[1]["id"], "42");
    assert_eq!(
        profile.asked()[1],
        value!({"admin": {"name": "token.boss", "act": {"list": {"owner": "bot-ci"}}}})
    );

    assert_eq!(run(&door(|_| Reply::Tokens(vec![])), "list").1, "the service lists no token\n");
}

#[test]
fn permissions_are_given_whole() {
    let profile = door(|_| Reply::Tokens(vec![token("42", "bot-ci")]));
    let (code, text, _) =
        run(&profile, "permissions 42 --cluster aw=read,execute --cluster eu=none --with boss");
    assert_eq!(code, Some(0));
    assert!(text.contains("aw-remote-ext: read, write"), "{text}");
    assert_eq!(
        profile.asked(),
        [value!({"admin": {"name": "token.boss", "act": {"set-permissions": {"id": "42", "permissions": [
            {"cluster": "aw", "read": "yes", "write": "no", "execute": "yes"},
            {"cluster": "eu", "read": "no", "write": "no", "execute": "no"},
        ]}}}})]
    );
}

#[test]
fn a_new_value_is_alone_on_standard_output() {
    let profile = door(|_| issued(Some("aw_s3cr3t")));
    let (code, text, errors) = run(&profile, "rotate 42");
    assert_eq!((code, text.as_str()), (Some(0), "aw_s3cr3t\n"));
    assert_eq!(
        errors,
        "\
keyfob: `42` of bot-ci has another value
  id          42
  belongs to  bot-ci (machine)
  end         2027-11-21
  may         aw-remote-ext: read, write
"
    );
    let (_, text, errors) = run(&profile, "rotate 42 --json");
    assert_eq!((json(&text)["value"].as_str(), errors.as_str()), (Some("aw_s3cr3t"), ""));
    assert_eq!(json(&text)["token"]["id"], "42");
    assert_eq!(profile.asked()[0], value!({"admin": {"act": {"rotate": {"id": "42"}}}}));
}

#[test]
fn a_value_that_an_entry_keeps_is_nowhere() {
    let profile = door(|_| issued(None));
    let (code, text, errors) = run(&profile, "rotate 42 --into ci");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        text,
        "\
keyfob: `42` of bot-ci has another value
  id          42
  belongs to  bot-ci (machine)
  end         2027-11-21
  may         aw-remote-ext: read, write
  kept by     token.ci
"
    );
    assert_eq!(profile.asked()[0], value!({"admin": {"act": {"rotate": {"id": "42", "into": "token.ci"}}}}));
}

#[test]
fn a_value_that_cannot_be_written_is_no_success() {
    let profile = door(|_| issued(Some("aw_s3cr3t")));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = profile
        .command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["admin", "tokens", "rotate", "42"]);
    let output = command.stdin(std::process::Stdio::null()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).ends_with("Run: keyfob admin tokens rotate 42\n"), "{}", err(&output));
    assert!(!err(&output).contains("s3cr3t"), "{}", err(&output));
}

#[test]
fn a_machine_token_is_made() {
    let profile = door(|_| issued(Some("aw_s3cr3t")));
    let (code, text, _) = run(&profile, "create bot-ci --cluster aw=read --ends 2027-03-01");
    assert_eq!((code, text.as_str()), (Some(0), "aw_s3cr3t\n"));
    assert_eq!(
        profile.asked(),
        [
            value!({"admin": {"act": {"create-machine": {"owner": "bot-ci", "ends": "2027-03-01", "permissions": [
                {"cluster": "aw", "read": "yes", "write": "no", "execute": "no"},
            ]}}}})
        ]
    );
}

#[test]
fn deleting_asks_a_person_or_for_yes() {
    let profile = door(|_| done());
    let (code, text, errors) = run(&profile, "delete 42");
    assert_eq!((code, text.as_str()), (Some(1), ""), "a pipe is no person");
    assert_eq!(errors, "keyfob: nothing was deleted. Run: keyfob admin tokens delete 42 --yes\n");
    assert!(profile.asked().is_empty());
    let (code, text, _) = run(&profile, "delete 42 --yes");
    assert_eq!((code, text.as_str()), (Some(0), "keyfob: done as asked\n"));
    assert_eq!(profile.asked(), [value!({"admin": {"act": {"delete": {"id": "42"}}}})]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_id_is_typed_before_a_token_goes() {
    for (typed, code, end) in
        [("42\r", 0, "keyfob: done as asked\n"), ("y\r", 1, "keyfob: nothing was deleted\n")]
    {
        let profile = door(|_| done());
        let mut session =
            crate::terminal::Session::start(&profile, &["admin", "tokens", "delete", "42"], &[], false);
        session.sees("Type `42` to delete it: ");
        session.types(typed);
        let (exit, screen, _) = session.ends();
        assert_eq!(exit, Some(code));
        assert!(screen.ends_with(end), "{screen}");
        assert_eq!(profile.asked().len(), usize::from(code == 0));
    }
}

#[test]
fn a_refusal_is_told() {
    let profile = door(|_| refused(Refusal::new(Code::ServiceRefused, "your token administers nothing")));
    let (code, text, errors) = run(&profile, "list");
    assert_eq!((code, text.as_str()), (Some(1), ""));
    assert_eq!(errors, "keyfob: your token administers nothing\n");
}

#[test]
fn what_the_service_sends_steers_no_terminal() {
    let hostile = |_: &Value| {
        let text = "\u{1b}[2J\u{202e}x";
        let mut token = token(text, text);
        token.expires_at = Some(text.to_owned());
        token.last_used_at = Some(text.to_owned());
        token.permissions = vec![rights(text, Yes, Yes, Yes)];
        Reply::Tokens(vec![token])
    };
    let (_, text, _) = run(&door(hostile), "list");
    assert!(text.contains("\\u{1b}") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let (_, text, errors) = run(&door(|_| issued(Some("aw\u{1b}[2J"))), "rotate 42");
    assert_eq!(text, "aw\\u{1b}[2J\n");
    assert!(!errors.contains('\u{1b}'));
}

#[test]
fn an_end_far_away_is_a_day() {
    let profile = door(|_| {
        let mut token = token("1", "bot");
        token.expires_at = Some(in_days(400));
        Reply::Tokens(vec![token])
    });
    assert!(run(&profile, "list").1.contains(&in_days(400)[..10]));
}
