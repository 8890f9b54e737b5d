//! `keyfob grants`, `keyfob grants revoke`.

use keyfob_ipc::reply::GrantReport;
use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Profile, err, out};
use crate::{done, in_days, json, minutes_ago, refused};

fn grant(id: &str, entry: &str, program: &str) -> GrantReport {
    GrantReport {
        id: id.to_owned(),
        entry: entry.to_owned(),
        program: program.to_owned(),
        is_allowed: true,
        is_once: false,
        given: minutes_ago(12),
        until: None,
        by: "terminal".to_owned(),
        is_stale: false,
    }
}

#[test]
fn one_line_for_each_answer() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        let mut while_it_lasts = grant("3f9c", "aws.dev", "/usr/bin/terraform");
        while_it_lasts.until = Some(in_days(7));
        let mut never = grant("81aa", "token.aspect", "/tmp/e\u{1b}vil");
        never.is_allowed = false;
        let mut stale = grant("90b2", "sso.okta", "/opt/tool");
        stale.is_stale = true;
        let mut once = grant("a001", "aws.dev", "/opt/once");
        once.is_once = true;
        Reply::Grants(vec![while_it_lasts, never, stale, once]).into()
    });
    let mut command = profile.command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["grants"]);
    command.env("COLUMNS", "120");
    assert_eq!(
        out(&crate::fake::feed(command, b"")),
        "\
ID    ENTRY         PROGRAM             ANSWER          FOR            GIVEN
3f9c  aws.dev       /usr/bin/terraform  allowed         7 days         12 min ago, terminal
81aa  token.aspect  /tmp/e\\u{1b}vil     never           until revoked  12 min ago, terminal
90b2  sso.okta      /opt/tool           allowed, stale  until revoked  12 min ago, terminal
a001  aws.dev       /opt/once           allowed         the next use   12 min ago, terminal
"
    );
    let value = json(&out(&profile.keyfob(&["grants", "--json"], b"")));
    assert_eq!(value[1]["is_allowed"], false);
}

#[test]
fn none_is_said() {
    let profile = Profile::with_agent(Door::Control, |_, _| Reply::Grants(vec![]).into());
    let output = profile.keyfob(&["grants"], b"");
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "keyfob: you have allowed or refused nothing that is still in force\n")
    );
    assert_eq!(out(&profile.keyfob(&["grants", "--json"], b"")), "[]\n");
}

#[test]
fn nothing_is_revoked_by_accident() {
    let profile = Profile::with_agent(Door::Control, |_, _| done().into());
    let output = profile.keyfob(&["grants", "revoke"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        err(&output),
        "keyfob: say which answer to take back, by its id or its entry, or --all for every one. Run: keyfob grants\n"
    );
    assert_eq!(profile.keyfob(&["grants", "revoke", "dev", "--all"], b"").status.code(), Some(2));
    assert_eq!(profile.keyfob(&["grants", "revoke", "dev", "other"], b"").status.code(), Some(2));
    assert!(profile.asked().is_empty(), "the agent hears nothing of it");
}

#[test]
fn one_answer_those_of_an_entry_or_all_are_revoked() {
    let profile = Profile::with_agent(Door::Control, |number, _| match number {
        0 | 1 => done().into(),
        _ => refused(Refusal::new(Code::BadRequest, "there is no such answer").hint("keyfob grants")).into(),
    });
    assert_eq!(profile.keyfob(&["grants", "revoke", "aws.dev"], b"").status.code(), Some(0));
    assert_eq!(profile.keyfob(&["grants", "revoke", "--all"], b"").status.code(), Some(0));
    assert_eq!(profile.keyfob(&["grants", "revoke", "nope"], b"").status.code(), Some(1));
    assert_eq!(
        profile.asked(),
        [r#"{"revoke":{"which":"aws.dev"}}"#, r#"{"revoke":{}}"#, r#"{"revoke":{"which":"nope"}}"#].map(json)
    );
}
