//! `keyfob config`.

use keyfob_ipc::reply::{Change, ConfigReport};
use keyfob_ipc::{Door, Reply};

use crate::fake::{Profile, err, out};

#[test]
fn config_check_fails_with_any_error() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Config(ConfigReport {
            path: "/c.toml".to_owned(),
            exists: true,
            errors: vec!["line 4: unknown key `isuer`".to_owned(), "line 9: no".to_owned()],
            in_force: true,
        })
        .into()
    });
    let output = profile.keyfob(&["config", "check"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "/c.toml: line 4: unknown key `isuer`\n/c.toml: line 9: no\n");
}

#[test]
fn config_confirm_asks_a_person_or_for_yes() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        assert!(ask["config-confirm"].is_object());
        let places = vec!["host *.evil.example".to_owned()];
        Reply::Changes(vec![Change { entry: "token.aspect".to_owned(), places }]).into()
    });
    let output = profile.keyfob(&["config", "confirm"], b"yes\n");
    assert_eq!(output.status.code(), Some(1), "a pipe is no person");
    assert!(out(&output).contains("host *.evil.example"));
    assert!(err(&output).ends_with("Run: keyfob config confirm --yes\n"), "{}", err(&output));
    assert_eq!(profile.asked().len(), 1);

    let output = profile.keyfob(&["config", "confirm", "token.aspect", "--yes"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let accepted = &profile.asked()[2]["config-confirm"];
    assert_eq!(accepted["name"], "token.aspect");
    assert_eq!(accepted["accept"][0]["places"][0], "host *.evil.example", "the list as it was shown");
}
