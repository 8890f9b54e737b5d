//! `[aws.NAME] command = […]`: any other `credential_process`, with one run for everybody.

use std::fs;
use std::path::{Path, PathBuf};

use keyfob_e2e::real::{Sdk, alone, together};
use keyfob_e2e::{MEMORY, PATIENCE, Profile, process, run, wait_for};
use serde_json::{Map, Value, json};

use crate::crowd::{all_given, everybody};
use crate::{Recorder, end, line, refused, sdk, shell, write_default, write_program};

/// An hour is far away in a test.
const KEYS: &str = r#"{"Version": 1, "AccessKeyId": "ASIALEGACY", "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": "2999-01-01T00:00:00Z"}"#;

/// A program that prints what stands in a file beside it, and notes each run.
struct Legacy {
    program: PathBuf,
    says: PathBuf,
    runs: PathBuf,
}

impl Legacy {
    /// `before` are lines of shell that run first.
    fn new(profile: &Profile, before: &str) -> Self {
        let at = |name: &str| profile.path().join(name);
        let legacy = Self { program: at("legacy"), says: at("legacy-says"), runs: at("legacy-runs") };
        let text = format!(
            "#!/bin/sh\necho run >> '{}'\n{before}\nexec cat '{}'\n",
            legacy.runs.display(),
            legacy.says.display()
        );
        write_program(&legacy.program, &text);
        legacy.say(KEYS);
        legacy
    }

    fn say(&self, text: &str) {
        fs::write(&self.says, text).expect("room for a file");
    }

    fn runs(&self) -> usize {
        fs::read_to_string(&self.runs).unwrap_or_default().lines().count()
    }

    /// `[aws.NAME]` for it.
    fn entry(&self, name: &str) -> String {
        format!("[aws.{name}]\nregion = \"eu-west-1\"\ncommand = [\"{}\"]\n", self.program.display())
    }
}

/// A profile with entries `aws.l0` to `aws.lN` for one program.
fn legacies(before: &str, count: usize) -> (Profile, Legacy) {
    let profile = Profile::new(MEMORY);
    let legacy = Legacy::new(&profile, before);
    let entries: String = (0..count).map(|number| legacy.entry(&format!("l{number}"))).collect();
    profile.configure(&[MEMORY, &entries].concat());
    (profile, legacy)
}

#[test]
fn command_entries_run_their_program_once_for_a_hundred_and_fifty_callers() {
    let _turn = alone();
    let (profile, legacy) = legacies("sleep 1", 1);
    profile.start_agent();
    all_given("a slow program, cold", everybody(&profile, &["aws.l0"], 150));
    assert_eq!(legacy.runs(), 1);
    write_default(&profile, &line("aws.l0"), "");
    for one in Sdk::ALL {
        let keys = sdk(&profile, one, "http://127.0.0.1:9").ask("keys");
        assert_eq!(
            (&keys["AccessKeyId"], &keys["SessionToken"]),
            (&json!("ASIALEGACY"), &json!("token")),
            "{one:?}"
        );
    }
    assert_eq!(legacy.runs(), 1);
}

/// Case 9: keys of a person's own, without a session and without an end.
#[test]
fn command_case_09_keys_without_an_end_are_given_without_one_and_never_renewed() {
    let _turn = together();
    let (profile, legacy) = legacies("", 1);
    legacy.say(r#"{"Version": 1, "AccessKeyId": "AKIALONG", "SecretAccessKey": "secret"}"#);
    let recorder = Recorder::new(&profile);
    let answer = profile.credential_process("l0").ok();
    let members: Vec<String> = answer.json().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(members, ["AccessKeyId", "SecretAccessKey", "Version"], "nothing that is not there");
    write_default(&profile, &recorder.line("credential-process aws.l0"), "");
    for one in Sdk::ALL {
        let mut client = sdk(&profile, one, "http://127.0.0.1:9");
        let keys = client.ask("keys");
        let expected = json!({"AccessKeyId": "AKIALONG", "SecretAccessKey": "secret", "SessionToken": null,
            "AccountId": null, "Expiration": null});
        if one == Sdk::Rust {
            // It gives such keys an end of its own, after which it asks again.
            assert_eq!((&keys["AccessKeyId"], &keys["SessionToken"]), (&json!("AKIALONG"), &Value::Null));
        } else {
            assert_eq!(keys, expected, "{one:?}");
            recorder.take_starts();
            for _ in 0..3 {
                client.ask("keys");
            }
            assert_eq!(recorder.take_starts().len(), 0, "{one:?}");
        }
    }
}

/// Cases 7 and 8 for what comes from another program: every member missing, empty, `null`, and of another type.
#[test]
fn command_case_08_of_what_another_program_says_in_part_nothing_is_given() {
    let _turn = together();
    let good: Map<String, Value> = serde_json::from_str(KEYS).expect("an object");
    let mut cases: Vec<(String, bool)> = vec![
        (KEYS.to_owned(), true),
        (KEYS.replace(',', ",\r\n").replace('}', "}\r\n"), true),
        (String::new(), false),
        ("null".to_owned(), false),
        ("[]".to_owned(), false),
        (format!("Welcome!\n{KEYS}"), false),
        (format!("{KEYS}{KEYS}"), false),
        (format!("{KEYS}x"), false),
        (KEYS[..KEYS.len() - 1].to_owned(), false),
        (format!("{}\"{}\"}}", KEYS.replace('}', ", \"More\": "), "x".repeat(70_000)), false),
    ];
    for version in [json!("1"), json!(100), json!(2), json!(0), Value::Null] {
        cases.push((but(&good, "Version", Some(version)), false));
    }
    cases.push((but(&good, "Version", None), false));
    for member in ["AccessKeyId", "SecretAccessKey"] {
        for value in [None, Some(json!("")), Some(Value::Null), Some(json!(1)), Some(json!(["x"]))] {
            cases.push((but(&good, member, value), false));
        }
    }
    // Nobody can use these: an end that is past, or no time.
    for value in [
        json!("2016-01-01T00:00:00Z"),
        json!("soon"),
        json!(32_472_144_000_u64),
        json!("2999-01-01T00:00:00"),
    ] {
        cases.push((but(&good, "Expiration", Some(value)), false));
    }
    let (profile, legacy) = legacies("", cases.len());
    for (number, (says, is_good)) in cases.into_iter().enumerate() {
        legacy.say(&says);
        let output = profile.credential_process(&format!("l{number}"));
        assert_eq!(legacy.runs(), number + 1, "one run for each");
        let shown: String = says.chars().take(200).collect();
        assert_eq!(output.code == 0, is_good, "{shown}: {output:?}");
        if is_good {
            let json = output.json();
            assert!(output.stdout.starts_with("{\"Version\":1,"));
            assert_eq!(
                (&json["AccessKeyId"], &json["SecretAccessKey"]),
                (&good["AccessKeyId"], &good["SecretAccessKey"])
            );
        } else {
            let output = refused(output);
            assert!(
                !output.stderr.contains("secret\"") && !output.stderr.contains("ASIALEGACY"),
                "{output:?}"
            );
        }
    }
}

/// One member replaced, or taken out.
fn but(good: &Map<String, Value>, member: &str, value: Option<Value>) -> String {
    let mut other = good.clone();
    other.remove(member);
    other.extend(value.map(|value| (member.to_owned(), value)));
    Value::from(other).to_string()
}

/// Case 14: an end in a form that some SDK does not take is written anew, or the keys are refused.
#[test]
fn command_case_14_ends_of_another_program_are_written_in_the_one_form() {
    const ENDS: [(&str, &str); 4] = [
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
        ("2999-01-01T00:00:00.5Z", "2999-01-01T00:00:00Z"),
        ("2999-01-01T05:30:00+05:30", "2999-01-01T00:00:00Z"),
        ("2040-02-29T12:00:00-01:00", "2040-02-29T13:00:00Z"),
    ];
    let _turn = together();
    let good: Map<String, Value> = serde_json::from_str(KEYS).expect("an object");
    let (profile, legacy) = legacies("", ENDS.len());
    for (number, (says, means)) in ENDS.into_iter().enumerate() {
        legacy.say(&but(&good, "Expiration", Some(json!(says))));
        let answer = profile.credential_process(&format!("l{number}")).ok();
        assert_eq!(end(&answer).to_string(), means, "{says}");
    }
}

/// What is wrapped may say anything on its standard error, and may be us.
#[test]
fn command_that_fails_floods_hangs_or_calls_us_again_is_refused_in_one_sentence() {
    let _turn = alone();
    let profile = Profile::new(MEMORY);
    let hung = profile.path().join("hung");
    let says = |name: &str, text: &str| {
        let program = profile.path().join(name);
        write_program(&program, &format!("#!/bin/sh\n{text}\n"));
        format!("[aws.{name}]\nregion = \"eu-west-1\"\ncommand = [\"{}\"]\n", program.display())
    };
    let keyfob = keyfob_e2e::Stage::get().bin("keyfob").display().to_string();
    let [state, runtime, file] = [profile.state(), profile.runtime(), profile.config()].map(Path::display);
    let places = format!("KEYFOB_STATE_DIR={state} KEYFOB_RUNTIME_DIR={runtime} KEYFOB_CONFIG={file}");
    let config = [
        MEMORY.to_owned(),
        says("fails", "echo 'a secret on standard error' >&2; exit 3"),
        says("floods", "yes secret | head -c 200000 >&2; exit 1"),
        says("hangs", &format!("echo $$ > '{}'\nexec sleep 600", hung.display())),
        // It gets nothing of our surroundings, so this one says by itself which agent it means.
        says("again", &format!("{places} {keyfob} credential-process aws.again || exit 1")),
        says("becomes", &format!("{places} exec {keyfob} credential-process aws.becomes")),
    ];
    profile.configure(&config.concat());
    for name in ["fails", "floods", "again"] {
        let output = refused(run(shell(&profile, &line(&format!("aws.{name}"))), ""));
        assert!(output.stderr.contains(&format!("`aws.{name}`")), "{name}: {output:?}");
        assert!(!output.stderr.contains("secret"), "{output:?}");
    }
    for name in ["becomes", "hangs"] {
        refused(run(shell(&profile, &line(&format!("aws.{name}"))), ""));
    }
    let process = fs::read_to_string(&hung).ok().and_then(|text| text.trim().parse().ok()).expect("it ran");
    wait_for("the end of what hung", PATIENCE, || !process::is_alive(process));
    // By its own name it is not even run.
    let itself = format!("[aws.itself]\ncommand = [\"{keyfob}\", \"credential-process\", \"aws.itself\"]\n");
    let profile = Profile::new(&[MEMORY, &itself].concat());
    let output = refused(profile.credential_process("itself"));
    let check = profile.run(&["config", "check"], "");
    assert!(
        check.code > 0 && [&check.stdout, &check.stderr].iter().any(|text| text.contains("Keyfob itself")),
        "{check:?} {output:?}"
    );
}
