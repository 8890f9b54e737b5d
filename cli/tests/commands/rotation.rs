//! `keyfob token rotate`.

use keyfob_ipc::reply::{Note, Teller, Weight};
use keyfob_ipc::{Code, Refusal, Reply};
use serde_json::json as value;

use crate::fake::{Profile, err, out};
use crate::token::token_door;
use crate::{in_days, json, refused, report};

/// A token that its service rotates in this way.
fn rotating(rotation: &str) -> Profile {
    token_door(&[("rotation", rotation), ("prefix", "aw_")], |_| {
        Reply::Token(Box::new(report("`token.aspect` is replaced")))
    })
}

#[test]
fn a_service_with_an_api_is_asked_for_no_value_and_standard_input_stays_unread() {
    for rotation in ["native", "refresh-grant", "create-then-delete", "of-the-future"] {
        let profile = rotating(rotation);
        let output = profile.keyfob(&["token", "rotate", "aspect"], b"aw_s3cr3t");
        assert_eq!(
            (out(&output).as_str(), err(&output).as_str()),
            ("keyfob: `token.aspect` is replaced\n  end  unknown\n", ""),
            "{rotation}"
        );
        assert_eq!(profile.asked()[1], value!({"token-rotate": {"name": "token.aspect"}}), "{rotation}");
    }
}

#[test]
fn by_hand_the_value_comes_from_standard_input() {
    let arguments = ["token", "rotate", "aspect", "--ends", "2027-03-01"];
    let asked =
        value!({"token-rotate": {"name": "token.aspect", "value": "aw_s3cr3t", "ends": "2027-03-01"}});
    let profile = rotating("by-hand");
    let output = profile.keyfob(&arguments, b"aw_s3cr3t\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(profile.asked()[1], asked);

    let profile = rotating("native");
    let output = profile.keyfob(&[&arguments[..], &["--by-hand"]].concat(), b"aw_s3cr3t\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(profile.asked()[1], asked);
}

#[test]
fn a_wrong_value_never_leaves_the_command_and_is_asked_for_in_the_same_way() {
    for (rotation, arguments) in [
        ("by-hand", &["token", "rotate", "aspect"][..]),
        ("native", &["token", "rotate", "aspect", "--by-hand"]),
    ] {
        let profile = rotating(rotation);
        let output = profile.keyfob(arguments, b"gh_s3cr3t");
        assert_eq!(output.status.code(), Some(1));
        let again = format!("copy it again, then keyfob {}\n", arguments.join(" "));
        assert!(err(&output).ends_with(&again), "{}", err(&output));
        assert!(!err(&output).contains("s3cr3t"), "{}", err(&output));
        assert_eq!(profile.asked().len(), 1);
    }
}

#[test]
fn a_loss_is_loud_and_a_gain_is_told() {
    let door = || {
        token_door(&[("rotation", "native")], |_| {
            let mut report = report("`token.aspect` is replaced");
            report.until = Some(in_days(365));
            report.until_by = Some(Teller::Configuration);
            report.lost = vec!["write at aw-remote-ext".to_owned(), "scope api".to_owned()];
            report.gained = vec!["execute at eu".to_owned()];
            report.notes = vec![Note {
                weight: Weight::Known,
                say: "clusters may accept the earlier token until 14:05".to_owned(),
                hint: String::new(),
            }];
            Reply::Token(Box::new(report))
        })
    };
    let output = door().keyfob(&["token", "rotate", "aspect"], b"");
    assert_eq!(
        out(&output),
        format!(
            "\
keyfob: `token.aspect` is replaced
  end     taken to be {}, from `lifetime` (about 365 days)
  gained  execute at eu
clusters may accept the earlier token until 14:05
",
            &in_days(365)[..10]
        )
    );
    assert_eq!(
        err(&output),
        "keyfob: LOST: this token may not do what the one before it could: write at aw-remote-ext, scope api\n"
    );
    assert_eq!(output.status.code(), Some(0));
    let output = door().keyfob(&["token", "rotate", "aspect", "--json"], b"");
    assert_eq!(json(&out(&output))["lost"][0], "write at aw-remote-ext");
    assert_eq!(err(&output), "");
}

#[test]
fn a_refusal_keeps_its_way_out() {
    for (refusal, exit, text) in [
        (
            Refusal::new(Code::KeychainFailed, "the keychain did not take the new value")
                .hint("keyfob token rescue aspect"),
            1,
            "keyfob: the keychain did not take the new value. Run: keyfob token rescue aspect\n",
        ),
        (
            Refusal::new(Code::TokenNeeded, "nothing is held").hint("keyfob token add aspect"),
            3,
            "keyfob: nothing is held. Run: keyfob token add aspect\n",
        ),
    ] {
        let profile = token_door(&[("rotation", "native")], move |_| refused(refusal.clone()));
        let output = profile.keyfob(&["token", "rotate", "aspect"], b"");
        assert_eq!((out(&output).as_str(), err(&output).as_str()), ("", text));
        assert_eq!(output.status.code(), Some(exit));
    }
}

#[test]
fn only_tokens_are_rotated() {
    let profile = Profile::with_agent(keyfob_ipc::Door::Control, |_, _| {
        Reply::Entry(Box::new(crate::entry("sso.okta"))).into()
    });
    let output = profile.keyfob(&["token", "rotate", "sso.okta"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output), "keyfob: `sso.okta` takes no token. Run: keyfob status\n");
    assert_eq!(profile.asked().len(), 1);
}

#[cfg(target_os = "linux")]
mod at_a_terminal {
    use keyfob_ipc::Door;
    use keyfob_ipc::reply::EntryState;

    use super::*;
    use crate::fake::Act;
    use crate::terminal::Session;

    const PORTAL: (&str, &str) = ("portal", "https://aw.acme.dev/token");

    #[test]
    fn the_page_opens_and_the_new_value_is_asked_for() {
        let profile = token_door(&[("rotation", "by-hand"), PORTAL], |_| {
            let mut report = report("`token.aspect` is replaced");
            report.lost = vec!["write at eu".to_owned()];
            Reply::Token(Box::new(report))
        });
        let opened = profile.path("opened");
        let browser = format!("ln -s %s {}", opened.display());
        let mut session =
            Session::start(&profile, &["token", "rotate", "aspect"], &[("BROWSER", &browser)], false);
        session.sees("New token for token.aspect (not shown): ");
        session.types("aw_s3cr3t\r");
        let (code, screen, _) = session.ends();
        assert_eq!(
            screen,
            "\
keyfob: opening the page where the new token is made:

  https://aw.acme.dev/token

keyfob: tools get the old token until the new one is here; Ctrl-C leaves it as it is
New token for token.aspect (not shown): 
keyfob: `token.aspect` is replaced
  end  unknown
keyfob: \u{1b}[31mLOST: this token may not do what the one before it could: write at eu\u{1b}[0m
"
        );
        assert_eq!(code, Some(0));
        assert_eq!(profile.asked()[2]["token-rotate"]["value"], "aw_s3cr3t");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::fs::symlink_metadata(&opened).is_err() {
            assert!(std::time::Instant::now() < deadline, "the page was not opened");
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_link(&opened).unwrap().to_str(), Some(PORTAL.1));
    }

    #[test]
    fn called_off_nothing_is_asked_of_the_agent() {
        let profile = rotating("by-hand");
        let mut session = Session::start(&profile, &["token", "rotate", "aspect"], &[], false);
        session.sees("(not shown): ");
        session.types("aw_s3\u{3}");
        let (code, screen, _) = session.ends();
        assert_eq!(code, Some(1));
        assert!(screen.ends_with("\nkeyfob: called off\n"), "{screen}");
        assert!(profile.asked().iter().all(|ask| ask["token-rotate"].is_null()));
    }

    #[test]
    fn nobody_makes_a_token_where_none_is_held() {
        let profile = Profile::with_agent(Door::Control, |_, ask| {
            if ask == "status" {
                return crate::status().into();
            }
            let mut token = crate::entry("token.aspect");
            token.state = EntryState::SignedOut;
            token.facts.insert("rotation".to_owned(), "by-hand".to_owned());
            Reply::Entry(Box::new(token)).into()
        });
        let (code, screen, _) = Session::start(&profile, &["token", "rotate", "aspect"], &[], false).ends();
        assert_eq!(code, Some(3));
        assert_eq!(
            screen,
            "keyfob: `token.aspect` holds no token that could be replaced. Run: keyfob token add aspect\n"
        );
    }

    #[test]
    fn waiting_is_told_on_a_terminal_and_nowhere_else() {
        // The answer comes when the test lets it: once the note is on the screen.
        let slow = || {
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let wait = std::sync::Mutex::new(wait);
            let profile = Profile::with_agent(Door::Control, move |_, ask| {
                if ask["token-entry"].is_object() {
                    return Reply::Entry(Box::new(crate::entry("token.aspect"))).into();
                }
                if ask["token-remove"].is_object() {
                    let _ = wait.lock().unwrap().recv();
                    return crate::done().into();
                }
                Act::Nothing { open: false }
            });
            (profile, go)
        };
        let (profile, go) = slow();
        let session = Session::start(&profile, &["token", "remove", "aspect"], &[], true);
        session.sees("keyfob: waiting for the token service\n".trim_end());
        go.send(()).unwrap();
        let (code, screen, piped) = session.ends();
        assert_eq!((code, piped.as_str()), (Some(0), "keyfob: done as asked\n"));
        assert_eq!(screen, "keyfob: waiting for the token service\n");
    }

    #[test]
    fn a_quick_answer_needs_no_waiting() {
        let profile = token_door(&[], |_| crate::done());
        let (_, screen, _) = Session::start(&profile, &["token", "remove", "aspect"], &[], false).ends();
        assert_eq!(screen, "keyfob: done as asked\n");
    }
}
