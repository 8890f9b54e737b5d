//! `keyfob machine claims`, and what `setup` says for CI.

use keyfob_ipc::reply::{Claim, ClaimsReport};
use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Profile, err, feed, out};
use crate::{entry, json, status};

fn report() -> ClaimsReport {
    let claim = |name: &str, claim: &str, value: &str, condition: Option<&str>| Claim {
        name: name.to_owned(),
        claim: claim.to_owned(),
        value: value.to_owned(),
        condition: condition.map(str::to_owned),
    };
    ClaimsReport {
        entry: "machine.ci".to_owned(),
        identity: "github-actions".to_owned(),
        claims: vec![
            claim("subject", "sub", "repo:acme/app:ref:refs/heads/main", Some("provider:sub")),
            claim("actor", "actor", "ada\u{1b}[31m", None),
        ],
        trust_policy: Some("{\n  \"Version\": \"2012-10-17\"\n}\u{1b}]0;x".to_owned()),
        notes: vec!["one note".to_owned()],
    }
}

#[test]
fn claims_stand_beside_what_a_policy_names_and_reach_a_terminal_as_text() {
    let profile = Profile::with_agent(Door::Control, |_, _| Reply::Claims(Box::new(report())).into());
    let page = out(&profile.keyfob(&["machine", "claims", "ci"], b""));
    for part in [
        "machine.ci: github-actions",
        "repo:acme/app:ref:refs/heads/main (sub)",
        "provider:sub",
        "* one note",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("\n{\n  \"Version\": \"2012-10-17\"\n"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page:?}");
    assert_eq!(profile.asked()[0]["machine-claims"]["name"], "machine.ci");
    let json = out(&profile.keyfob(&["machine", "claims", "ci", "--json"], b""));
    assert_eq!(serde_json::from_str::<ClaimsReport>(&json).unwrap(), report());
}

/// An agent that has these machines, with their identity where they name one, and a role of the first.
fn machines(named: &[(&str, Option<&str>)]) -> Profile {
    let mut entries = Vec::new();
    for (name, identity) in named {
        let mut machine = entry(name);
        machine.facts.extend(identity.map(|identity| ("identity".to_owned(), identity.to_owned())));
        entries.push(machine);
    }
    let (mut hub, mut far, mut session) = (entry("aws.hub"), entry("aws.far"), entry("sso.company"));
    session.through = named.first().map(|(name, _)| (*name).to_owned());
    hub.through = Some("sso.company".to_owned());
    hub.facts.insert("role_arn".to_owned(), "arn:aws:iam::123456789012:role/Hub".to_owned());
    hub.facts.insert("region".to_owned(), "eu-west-1".to_owned());
    far.through = Some("aws.hub".to_owned());
    far.facts.insert("role_arn".to_owned(), "arn:aws:iam::210987654321:role/Far".to_owned());
    entries.extend([far, hub, session]);
    let Reply::Status(mut status) = status() else { panic!("no status") };
    status.entries = entries;
    Profile::with_agent(Door::Control, move |_, _| Reply::Status(status.clone()).into())
}

#[test]
fn a_workflow_shows_the_least_configuration_and_marks_what_is_to_be_replaced() {
    let profile = machines(&[("machine.ci", Some("circleci"))]);
    let output = profile.keyfob(&["setup", "circleci", "--print"], b"");
    let text = out(&output);
    for part in [
        "#   [machine.ci]\n#   identity = \"circleci\"\n#   [sso.company]\n#   machine = \"ci\"\n#   [aws.hub]\n\
         #   sso = \"company\"\n#   role_arn = \"arn:aws:iam::123456789012:role/Hub\"\n#   region = \"eu-west-1\"\n\
         #   [aws.far]\n#   source = \"hub\"\n#   role_arn = \"arn:aws:iam::210987654321:role/Far\"\nversion: 2.1\n",
        "# A placeholder: a context of your organisation.",
        "# A placeholder: your own command in the place of `make deploy`.",
        "integrations/circleci-orb",
        "keyfob run aws.far --config",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = profile.keyfob(&["setup", "circleci", "--print", "--json"], b"");
    assert_eq!(json(&out(&output))["workflow"], text);
    assert_eq!(err(&output), "");
}

#[test]
fn a_machine_of_another_system_is_refused_and_several_can_be_told_apart() {
    let profile = machines(&[
        ("machine.a", Some("circleci")),
        ("machine.b", None),
        ("machine.c", Some("github-actions")),
    ]);
    let output = profile.keyfob(&["setup", "github-actions", "--print"], b"");
    assert!(out(&output).contains("keyfob machine claims b\n"), "{}", out(&output));
    assert!(err(&output).contains("keyfob setup github-actions machine.c --print"), "{}", err(&output));
    for name in ["c", "machine.c"] {
        let output = profile.keyfob(&["setup", "github-actions", name, "--print"], b"");
        assert!(out(&output).contains("keyfob machine claims c\n"), "{}", out(&output));
    }
    for (name, said) in [
        ("a", "`machine.a` has the identity circleci, so a job of GitHub Actions cannot be it"),
        ("absent", "there is no entry `machine.absent`; there is machine.a, machine.b, machine.c"),
    ] {
        let output = profile.keyfob(&["setup", "github-actions", name, "--print"], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(said) && out(&output).is_empty(), "{}", err(&output));
    }
}

#[test]
fn in_a_job_without_an_identity_it_is_named_what_is_missing() {
    let refusal = Refusal::new(Code::MachineIdentityMissing, "`machine.ci` has no identity here")
        .hint("keyfob run -- COMMAND, in a job of GitHub Actions or CircleCI");
    let profile = Profile::with_agent(Door::Control, move |_, _| Reply::Refused(refusal.clone()).into());
    let said = |name: &str| {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_keyfob"));
        let mut command = profile.command(program, &["machine", "claims", "ci"]);
        command.env(name, "1");
        err(&feed(command, b""))
    };
    assert!(said("CI").contains("Run: keyfob run -- COMMAND"));
    let text = said("KEYFOB_JOB");
    assert!(text.contains("ACTIONS_ID_TOKEN_REQUEST_URL") && !text.contains("keyfob run --"), "{text}");
}

#[test]
fn a_workflow_is_printed_and_never_written() {
    let profile = Profile::new();
    for system in ["github-actions", "circleci"] {
        let output = profile.keyfob(&["setup", system], b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("only prints"), "{}", err(&output));
        assert!(err(&output).contains(&format!("keyfob setup {system} --print")), "{}", err(&output));
        // A repository has one file of CircleCI, and this would be all of it.
        assert!(!err(&output).contains("> .circleci"), "{}", err(&output));
    }
    assert!(
        err(&profile.keyfob(&["setup", "github-actions"], b"")).contains("mkdir -p .github/workflows && ")
    );
    assert_eq!(std::fs::read_dir(profile.path("home")).unwrap().count(), 0);
}

#[test]
fn what_is_too_long_for_the_table_stands_below_it_to_be_copied() {
    let organisation = "6f1c2b1e-0a53-4c1f-9d55-0c3e4f7a9b21";
    let issuer = format!("oidc.circleci.com/org/{organisation}");
    let subject = format!("org/{organisation}/project/{organisation}/user/{organisation}");
    let (condition, value) = (format!("{issuer}:sub"), subject.clone());
    let profile = Profile::with_agent(Door::Control, move |_, _| {
        let mut report = report();
        report.trust_policy = None;
        report.claims[0].value = subject.clone();
        report.claims[0].condition = Some(format!("{issuer}:sub"));
        report.claims[1].condition = Some("aud".to_owned());
        Reply::Claims(Box::new(report)).into()
    });
    for width in [60, 80] {
        let mut command =
            profile.command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["machine", "claims", "ci"]);
        command.env("COLUMNS", width.to_string());
        let page = out(&feed(command, b""));
        let copied = format!("  {condition}\n    {value}\n");
        assert!(page.contains(&copied), "{page}");
        let rest = page.replace(&copied, "");
        assert!(rest.lines().all(|line| line.chars().count() <= width), "{page}");
    }
}
