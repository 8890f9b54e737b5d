//! Wrong use, and help.

use crate::fake::{Profile, err, out};

#[test]
fn an_argument_that_may_be_a_token_is_never_repeated() {
    let profile = Profile::new();
    for (line, says) in [
        ("token add aspect aw_s3cr3t", "the value is never an argument"),
        ("token add aspect --token=aw_s3cr3t", "the value is never an argument"),
        ("token add aspect --ends aw_s3cr3t", "a date is 2027-03-01"),
        ("token --json rotate aspect aw_s3cr3t", "the value is never an argument"),
        ("token rotate aspect --by-hand=aw_s3cr3t", "the value is never an argument"),
        ("token ends aspect aw_s3cr3t", "a date is 2027-03-01"),
        ("token ends aspect 2027-03-01 aw_s3cr3t", "an argument is unknown or too many"),
        ("token remove aspect aw_s3cr3t", "an argument is unknown or too many"),
        ("token snooze aspect aw_s3cr3t", "days are a whole number"),
        ("token snooze aspect 5 aw_s3cr3t", "an argument is unknown or too many"),
        ("token rescue aspect aw_s3cr3t", "an argument is unknown or too many"),
        ("token aw_s3cr3t", "`keyfob token` goes on with add, rotate"),
        ("token aspect aw_s3cr3t", "`keyfob token` goes on with add, rotate"),
        ("token --ends aw_s3cr3t add", "`keyfob token` goes on with add, rotate"),
    ] {
        let output = profile.keyfob(&line.split(' ').collect::<Vec<_>>(), b"");
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(err(&output).starts_with(&format!("keyfob: {says}")), "{line}: {}", err(&output));
        assert!(err(&output).contains(". Run: keyfob token "), "{line}: {}", err(&output));
        assert!(!err(&output).contains("s3cr3t") && out(&output).is_empty(), "{line}: {}", err(&output));
    }
}

#[test]
fn wrong_use_ends_with_two_before_the_agent_is_asked() {
    let profile = Profile::new();
    for line in [
        "token",
        "token add",
        "token ends aspect",
        "token ends aspect 2027-02-30",
        "token snooze aspect -1",
        "permissions a b",
        "admin",
        "admin tokens",
        "admin tokens permissions 42",
        "admin tokens permissions 42 --cluster aw=reed",
        "admin tokens create bot-ci",
        "admin tokens create bot-ci --cluster aw=read --ends tomorrow",
        "admin tokens delete",
    ] {
        let output = profile.keyfob(&line.split(' ').collect::<Vec<_>>(), b"");
        assert_eq!(output.status.code(), Some(2), "{line}: {}", err(&output));
        assert!(out(&output).is_empty() && !err(&output).is_empty(), "{line}");
    }
}

#[test]
fn help_of_each_command_names_its_exit_codes() {
    let profile = Profile::new();
    for line in [
        "token add",
        "token rotate",
        "token remove",
        "token ends",
        "token snooze",
        "token rescue",
        "permissions",
        "status",
        "why",
        "admin tokens list",
        "admin tokens permissions",
        "admin tokens rotate",
        "admin tokens delete",
        "admin tokens create",
    ] {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.push("--help");
        let output = profile.keyfob(&words, b"");
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""), "{line}");
        let text = out(&output);
        assert!(text.contains("EXAMPLE") && text.contains("EXIT CODES\n  0 "), "{text}");
        assert!(text.contains("4 agent not reachable"), "{text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest.is_some_and(|longest| longest <= 118), "{text}");
    }
}
