//! `keyfob token add|remove|ends|snooze|rescue`.

use keyfob_ipc::reply::{Note, Teller, Weight};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};
use serde_json::{Value, json as value};

use crate::fake::{Profile, err, out};
use crate::{day, done, entry, fact, in_days, permitted, refused, report, rights, told};

use keyfob_ipc::reply::Right::{No, Unknown, Yes};

/// An agent with this entry, that answers everything else so.
pub fn token_door(
    facts: &[(&str, &str)],
    answer: impl Fn(&Value) -> Reply + Send + Sync + 'static,
) -> Profile {
    let facts: Vec<(String, String)> =
        facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect();
    Profile::with_agent(Door::Control, move |_, ask| {
        if ask["token-entry"].is_object() {
            let mut token = entry("token.aspect");
            token.facts.extend(facts.clone());
            Reply::Entry(Box::new(token)).into()
        } else if ask == "status" {
            crate::status().into()
        } else {
            answer(ask).into()
        }
    })
}

const KEPT: &str = "keyfob: `token.aspect` is kept\n  end  unknown\n";

fn aspect() -> Profile {
    token_door(&[("prefix", "aw_")], |_| Reply::Token(Box::new(report("`token.aspect` is kept"))))
}

#[test]
fn a_token_comes_from_standard_input_and_shows_nowhere() {
    let profile = aspect();
    let output = profile.keyfob(&["token", "add", "aspect"], b"  aw_s3cr3t\r\n");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), (KEPT, ""));
    let asked = profile.asked();
    assert_eq!(asked[0]["token-entry"]["name"], "aspect", "which kind has it is the agent's to say");
    assert_eq!(asked[1]["token-add"]["name"], "token.aspect");
    assert_eq!(asked[1]["token-add"]["value"], "aw_s3cr3t");
}

#[test]
fn a_wrong_token_never_leaves_the_command() {
    let profile = aspect();
    for wrong in ["", "gh_s3cr3t", "aw_s3 cr3t", "aw_s3cr3t\u{e9}", &"aw_".repeat(6000)] {
        let output = profile.keyfob(&["token", "add", "aspect"], wrong.as_bytes());
        assert_eq!(output.status.code(), Some(1));
        assert!(!err(&output).contains("s3"), "{}", err(&output));
        assert!(output.stdout.is_empty());
        assert!(err(&output).contains("copy it again, then keyfob token add aspect"), "{}", err(&output));
    }
    assert!(profile.asked().iter().all(|ask| ask["token-add"].is_null()));
}

#[test]
fn a_token_as_an_argument_is_refused_and_not_repeated() {
    let profile = Profile::new();
    for arguments in [
        &["token", "add", "aspect", "aw_s3cr3t"][..],
        &["token", "--json", "add", "aspect", "--token=aw_s3cr3t"],
    ] {
        let output = profile.keyfob(arguments, b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).starts_with("keyfob: the value is never an argument"), "{}", err(&output));
        assert!(!err(&output).contains("s3cr3t") && out(&output).is_empty());
    }
}

#[test]
fn what_the_service_told_is_shown() {
    let (until, asked) = (in_days(365), in_days(365));
    let profile = token_door(&[], move |_| {
        let mut report = report("`token.aspect` is kept");
        report.owner = Some("ada@acme.dev".to_owned());
        report.until = Some(until.clone());
        report.until_by = Some(Teller::TokenService);
        let clusters = vec![
            told(rights("aw-remote-ext", Yes, Yes, No), Teller::TokenService),
            told(rights("aw-remote-ext", Unknown, Unknown, Unknown), Teller::Cluster),
        ];
        let facts = vec![
            fact("owner", &["ada@acme.dev"], Teller::TokenService),
            fact("scopes", &["api", "read_user"], Teller::TokenService),
        ];
        let mut permissions = permitted("token.aspect", clusters, facts);
        permissions.clusters[1].note = Some("it answers the same without the token".to_owned());
        permissions.refusals =
            vec![Refusal::new(Code::Offline, "eu cannot be reached").hint("keyfob permissions --again")];
        report.permissions = Some(permissions);
        report.notes = vec![
            Note {
                weight: Weight::Urgent,
                say: "it ends soon".to_owned(),
                hint: "keyfob token rotate aspect".to_owned(),
            },
            Note { weight: Weight::Known, say: "it is shared".to_owned(), hint: String::new() },
        ];
        Reply::Token(Box::new(report))
    });
    let output = profile.keyfob(&["token", "add", "aspect", "--ends", "2027-03-01"], b"aw_s3cr3t");
    assert_eq!(
        out(&output),
        format!(
            "\
keyfob: `token.aspect` is kept
  belongs to  ada@acme.dev
  end         {}, the token service says so (365 days)
  scopes      api, read_user (the token service, 12 min ago)
CLUSTER        READ     WRITE    EXECUTE  SAYS               AGE
aw-remote-ext  yes      yes      no       the token service  12 min ago
aw-remote-ext  unknown  unknown  unknown  the cluster        12 min ago
token.aspect at aw-remote-ext: it answers the same without the token
token.aspect: eu cannot be reached. Run: keyfob permissions --again
it is shared
",
            day(&asked)
        )
    );
    assert_eq!(err(&output), "keyfob: it ends soon. Run: keyfob token rotate aspect\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        profile.asked()[1],
        value!({"token-add": {"name": "token.aspect", "value": "aw_s3cr3t", "ends": "2027-03-01"}})
    );
}

#[test]
fn an_end_that_nobody_knows_is_unknown() {
    let output = aspect().keyfob(&["token", "add", "aspect"], b"aw_s3cr3t");
    assert_eq!(out(&output), KEPT);
}

#[test]
fn an_end_by_the_persons_word() {
    let until = in_days(100);
    let day = day(&until).to_owned();
    let profile = token_door(&[], move |_| {
        let mut report = report("the end of `token.aspect` is noted");
        report.until = Some(until.clone());
        report.until_by = Some(Teller::Person);
        Reply::Token(Box::new(report))
    });
    let output = profile.keyfob(&["token", "ends", "aspect", "2027-03-01T08:00:00Z"], b"");
    assert_eq!(
        out(&output),
        format!("keyfob: the end of `token.aspect` is noted\n  end  {day}, as you said (100 days)\n")
    );
    assert_eq!(
        profile.asked()[1],
        value!({"token-ends": {"name": "token.aspect", "ends": "2027-03-01T08:00:00Z"}})
    );
}

#[test]
fn a_report_for_programs_is_one_object() {
    let output = aspect().keyfob(&["token", "add", "aspect", "--json"], b"aw_s3cr3t");
    assert_eq!(
        (out(&output).as_str(), err(&output).as_str()),
        ("{\"say\":\"`token.aspect` is kept\"}\n", "")
    );
}

#[test]
fn json_of_a_service_that_shows_it_is_passed_on_whole() {
    let jfrog = || token_door(&[("service", "jfrog"), ("prefix", "ey")], |_| done());
    let shown = b" {\n  \"access_token\": \"eyJ\"\n}\n";
    let profile = jfrog();
    assert_eq!(profile.keyfob(&["token", "add", "aspect"], shown).status.code(), Some(0));
    assert_eq!(profile.asked()[1]["token-add"]["value"], "{\n  \"access_token\": \"eyJ\"\n}");
    let profile = jfrog();
    assert_eq!(profile.keyfob(&["token", "add", "aspect"], b"eyJ eyJ").status.code(), Some(1));
    let profile = token_door(&[("service", "gitlab")], |_| done());
    assert_eq!(profile.keyfob(&["token", "add", "aspect"], shown).status.code(), Some(1));
    assert_eq!(profile.asked().len(), 1);
}

/// An agent with `outerbounds.prod`.
fn prod() -> Profile {
    Profile::with_agent(Door::Control, |_, ask| {
        if ask["token-entry"].is_object() {
            return Reply::Entry(Box::new(entry("outerbounds.prod"))).into();
        }
        if ask == "status" { crate::status().into() } else { done().into() }
    })
}

/// What a page offers, as people take it along.
const PASTES: [&str; 9] = [
    "foo:eJyrVk+/Lzw9QSk=",
    "outerbounds configure foo:eJyrVk+/Lzw9QSk=",
    "  $ outerbounds  configure foo:eJyrVk+/Lzw9QSk= \r\n",
    "outerbounds configure 'foo:eJyrVk+/Lzw9QSk='\n",
    "\"foo:eJyrVk+/Lzw9QSk=\"",
    "'outerbounds configure foo:eJyrVk+/Lzw9QSk='",
    "outerbounds configure \\\n  foo:eJyrVk+/Lzw9QSk=\n",
    "$ outerbounds configure \\\r\n  \"foo:eJyrVk+/\\\r\nLzw9QSk=\"\r\n",
    "outerbounds\tconfigure\\\n foo:eJyrVk+/Lzw9QSk=",
];

#[test]
fn the_command_that_the_page_of_outerbounds_offers_is_taken() {
    for paste in PASTES {
        let profile = prod();
        let output = profile.keyfob(&["token", "add", "prod"], paste.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{paste}: {}", err(&output));
        let value = profile.asked()[1]["token-add"]["value"].as_str().unwrap().to_owned();
        assert_eq!(value, "foo:eJyrVk+/Lzw9QSk=", "{paste}");
    }
    let profile = prod();
    for nothing in ["", " \n", "outerbounds configure", "$ outerbounds configure ''"] {
        let output = profile.keyfob(&["token", "add", "prod"], nothing.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{nothing}");
        assert!(err(&output).contains("no string was given"), "{}", err(&output));
    }
    assert!(profile.asked().iter().all(|ask| ask["token-add"].is_null()));
    // Another kind's value is no command.
    let output = aspect().keyfob(&["token", "add", "aspect"], b"'aw_s3cr3t'");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_becomes_of_a_token_is_asked_by_its_whole_name() {
    let profile = token_door(&[], |_| done());
    for (line, ask) in [
        (&["remove", "aspect"][..], value!({"token-remove": {"name": "token.aspect"}})),
        (
            &["remove", "token.aspect", "--keep-at-service"],
            value!({"token-remove": {"name": "token.aspect", "keep_at_service": true}}),
        ),
        (&["snooze", "aspect"], value!({"token-snooze": {"name": "token.aspect"}})),
        (&["snooze", "aspect", "0"], value!({"token-snooze": {"name": "token.aspect", "days": 0}})),
        (&["snooze", "aspect", "14"], value!({"token-snooze": {"name": "token.aspect", "days": 14}})),
    ] {
        let line: Vec<&str> = ["token"].iter().chain(line).copied().collect();
        let output = profile.keyfob(&line, b"");
        assert_eq!(
            (out(&output).as_str(), err(&output).as_str()),
            ("keyfob: done as asked\n", ""),
            "{line:?}"
        );
        assert_eq!(profile.asked().last(), Some(&ask));
    }
}

#[test]
fn a_rescued_value_is_all_that_is_written() {
    let profile = token_door(&[], |_| Reply::Value { value: Secret::from("aw_s3cr3t") });
    let output = profile.keyfob(&["token", "rescue", "aspect"], b"");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("aw_s3cr3t\n", ""));
    let output = profile.keyfob(&["token", "rescue", "aspect", "--json"], b"");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("{\"value\":\"aw_s3cr3t\"}\n", ""));
    assert_eq!(profile.asked()[1], value!({"token-rescue": {"name": "token.aspect"}}));

    let profile = token_door(&[], |_| refused(Refusal::new(Code::BadRequest, "nothing waits to be rescued")));
    let output = profile.keyfob(&["token", "rescue", "aspect"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("", "keyfob: nothing waits to be rescued\n"));
}

#[test]
fn a_value_of_an_entry_that_is_gone_is_rescued_too() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask["token-entry"].is_object() {
            return refused(Refusal::new(Code::UnknownEntry, "there is no entry `aspect`")).into();
        }
        Reply::Value { value: Secret::from("aw_s3cr3t") }.into()
    });
    let output = profile.keyfob(&["token", "rescue", "aspect"], b"");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("aw_s3cr3t\n", ""));
    assert_eq!(profile.asked()[1], value!({"token-rescue": {"name": "token.aspect"}}));
}

#[test]
fn a_value_that_cannot_be_written_is_no_success() {
    let profile = token_door(&[], |_| Reply::Value { value: Secret::from("aw_s3cr3t") });
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command =
        profile.command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["token", "rescue", "aspect"]);
    let output = command.stdin(std::process::Stdio::null()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("keyfob: the value could not be written"), "{}", err(&output));
    assert!(err(&output).ends_with("Run: keyfob token rescue aspect\n"), "{}", err(&output));
}

#[test]
fn what_the_agent_sends_steers_no_terminal() {
    let hostile = "\u{1b}[2J\u{202e}x";
    let profile = token_door(&[], move |_| {
        let mut report = report(hostile);
        report.owner = Some(hostile.to_owned());
        report.until = Some(hostile.to_owned());
        report.lost = vec![hostile.to_owned()];
        report.gained = vec![hostile.to_owned()];
        report.notes = vec![
            Note { weight: Weight::Urgent, say: hostile.to_owned(), hint: hostile.to_owned() },
            Note { weight: Weight::Due, say: hostile.to_owned(), hint: hostile.to_owned() },
        ];
        let clusters = vec![told(rights(hostile, Yes, Yes, Yes), Teller::Cluster)];
        let mut permissions =
            permitted("token.aspect", clusters, vec![fact(hostile, &[hostile], Teller::Person)]);
        permissions.clusters[0].note = Some(hostile.to_owned());
        permissions.clusters[0].when = Some(hostile.to_owned());
        permissions.refusals = vec![Refusal::new(Code::Offline, hostile).hint(hostile)];
        report.permissions = Some(permissions);
        Reply::Token(Box::new(report))
    });
    let output = profile.keyfob(&["token", "add", "aspect"], b"aw_s3cr3t");
    for text in [out(&output), err(&output)] {
        assert!(text.contains("\\u{1b}[2J\\u{202e}x") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_not_called_a_failure() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask["token-entry"].is_object() {
            return Reply::Entry(Box::new(entry("token.aspect"))).into();
        }
        crate::fake::Act::Nothing { open: false }
    });
    let output = profile.keyfob(&["token", "remove", "aspect"], b"");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        err(&output),
        "keyfob: the agent closed the connection without an answer, so it is not known whether this was done. \
         Run: keyfob status\n"
    );
}

#[cfg(target_os = "linux")]
mod at_a_terminal {
    use super::*;
    use crate::terminal::Session;

    #[test]
    fn the_value_is_asked_for_and_not_shown() {
        let profile = token_door(&[("portal", "https://aw.acme.dev/token")], |_| done());
        let mut session = Session::start(&profile, &["token", "add", "aspect"], &[], false);
        session.sees("Token for token.aspect (not shown): ");
        session.types("aw_s3cr3t\r");
        let (code, screen, _) = session.ends();
        assert_eq!(
            screen,
            "\
keyfob: the token is made at:

  https://aw.acme.dev/token

Token for token.aspect (not shown): 
keyfob: done as asked
"
        );
        assert_eq!(code, Some(0));
        assert_eq!(profile.asked()[2]["token-add"]["value"], "aw_s3cr3t");
    }

    #[test]
    fn the_command_of_outerbounds_is_taken_at_the_prompt() {
        for keys in [
            "outerbounds configure foo:eJyrVk+/Lzw9QSk=\r",
            "outerbounds configure \\\r  foo:eJyrVk+/Lzw9QSk=\r",
        ] {
            let profile = prod();
            let mut session = Session::start(&profile, &["token", "add", "prod"], &[], false);
            session.sees("Configuration string for outerbounds.prod (not shown): ");
            session.types(keys);
            let (code, screen, _) = session.ends();
            assert_eq!(code, Some(0), "{screen}");
            assert!(!screen.contains("eJyr"), "{screen}");
            assert_eq!(profile.asked()[2]["token-add"]["value"], "foo:eJyrVk+/Lzw9QSk=");
        }
    }

    #[test]
    fn in_ci_nobody_is_asked_on_a_terminal_that_is_there() {
        let profile = token_door(&[], |_| done());
        for variable in ["CI", "KEYFOB_JOB"] {
            let asked = [(variable, "1")];
            let (code, screen, _) =
                Session::start(&profile, &["token", "add", "aspect"], &asked, false).ends();
            assert_eq!(code, Some(1), "{screen}");
            assert!(screen.contains("nothing is asked for on a terminal"), "{screen}");
        }
    }

    #[test]
    fn json_of_several_lines_is_taken_whole() {
        let profile = token_door(&[("service", "jfrog")], |_| done());
        let mut session = Session::start(&profile, &["token", "add", "aspect"], &[], false);
        session.sees("(not shown): ");
        session.types("{\r  \"access_token\": \"eyJ\"\r}\r");
        let (code, screen, _) = session.ends();
        assert_eq!(code, Some(0), "{screen}");
        assert!(!screen.contains("eyJ"), "{screen}");
        assert_eq!(profile.asked()[2]["token-add"]["value"], "{\n  \"access_token\": \"eyJ\"\n}");
    }

    #[test]
    fn a_rescued_value_comes_with_advice() {
        let profile = token_door(&[], |_| Reply::Value { value: Secret::from("aw_s3cr3t") });
        let (code, screen, piped) =
            Session::start(&profile, &["token", "rescue", "aspect"], &[], true).ends();
        assert_eq!((code, piped.as_str()), (Some(0), "aw_s3cr3t\n"));
        assert!(screen.starts_with("keyfob: this is the new value of `token.aspect`"), "{screen}");
        assert!(!screen.contains("s3cr3t"), "{screen}");
    }
}
