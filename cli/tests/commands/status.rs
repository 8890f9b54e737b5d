//! `keyfob status`, `keyfob why`.

use keyfob_ipc::reply::{EntryState, Note, Teller, Weight, Why};
use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Profile, out};
use crate::{entry, json, status};

#[test]
fn status_as_a_table_and_as_json() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let text = out(&profile.keyfob(&["status"], b""));
    assert!(text.starts_with("ENTRY "), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
    let value = json(&out(&profile.keyfob(&["status", "--json"], b"")));
    assert_eq!(value["entries"][1]["name"], "aws.dev");
}

#[test]
fn why_ends_with_the_code_that_the_tool_would_get() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        Reply::Why(Box::new(Why {
            subject: "aw.acme.dev".to_owned(),
            entry: Some(entry("token.aspect")),
            refusal: Some(Refusal::new(Code::TokenNeeded, "no token").hint("keyfob token add aspect")),
            say: "token.aspect answers for aw.acme.dev".to_owned(),
        }))
        .into()
    });
    let output = profile.keyfob(&["why", "https://aw.acme.dev/x?sig=1"], b"");
    assert_eq!(output.status.code(), Some(3));
    assert!(out(&output).ends_with("no token. Run: keyfob token add aspect\n"), "{}", out(&output));
}

#[test]
fn notes_are_under_the_table_the_most_urgent_first() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        let Reply::Status(mut status) = status() else { panic!("no status") };
        let note =
            |weight, say: &str, hint: &str| Note { weight, say: say.to_owned(), hint: hint.to_owned() };
        let mut bot = entry("token.bot");
        bot.owner = Some("bot-ci".to_owned());
        bot.state = EntryState::Refused;
        bot.refusal = Some(Refusal::new(Code::ServiceRefused, "the service refused").hint("keyfob why bot"));
        bot.notes = vec![note(Weight::Known, "an earlier token may be accepted until 14:05", "")];
        let mut lost = entry("token.lost");
        lost.notes = vec![
            note(Weight::Urgent, "the keychain did not take the new value", "keyfob token rescue lost"),
            note(Weight::Due, "it ends in 6 days", "keyfob token rotate lost"),
        ];
        let mut gone = entry("token.gone");
        gone.state = EntryState::SignedOut;
        status.entries = vec![bot, lost, gone, entry("sso.okta")];
        Reply::Status(status).into()
    });
    let output = profile.keyfob(&["status"], b"");
    assert_eq!(
        out(&output),
        "\
ENTRY       FOR  WHO     LEFT     STATE     NEXT
token.bot   -    bot-ci  unknown  refused   keyfob why bot
token.lost  -    -       unknown  live      keyfob token rescue lost
token.gone  -    -       -        no token
sso.okta    -    -       -        live

token.lost: the keychain did not take the new value. Run: keyfob token rescue lost
token.bot: the service refused
token.lost: it ends in 6 days. Run: keyfob token rotate lost
token.bot: an earlier token may be accepted until 14:05
"
    );
    let value = json(&out(&profile.keyfob(&["status", "--json"], b"")));
    assert_eq!(value["entries"][1]["notes"][0]["weight"], "urgent");
}

#[test]
fn why_shows_the_notes_too_and_who_told_the_end() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        let mut token = entry("token.aspect");
        token.until = Some("2020-01-01T00:00:00Z".to_owned());
        token.until_by = Some(Teller::TokenService);
        token.notes = vec![Note {
            weight: Weight::Urgent,
            say: "it has ended".to_owned(),
            hint: "keyfob token rotate aspect".to_owned(),
        }];
        Reply::Why(Box::new(Why {
            subject: "aspect".to_owned(),
            entry: Some(token),
            refusal: None,
            say: "token.aspect answers".to_owned(),
        }))
        .into()
    });
    assert_eq!(
        out(&profile.keyfob(&["why", "aspect"], b"")),
        "\
token.aspect answers
  entry     token.aspect
  state     live
  left      ended (until 2020-01-01T00:00:00Z, the token service says so)
token.aspect: it has ended. Run: keyfob token rotate aspect
"
    );
}
