//! `keyfob machine claims`, and what `setup` says for CI.

use keyfob_ipc::reply::{Claim, ClaimsReport};
use keyfob_ipc::{Door, Reply};

use crate::fake::{Profile, err, out};

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

#[test]
fn a_workflow_is_printed_and_never_written() {
    let profile = Profile::new();
    for system in ["github-actions", "circleci"] {
        let output = profile.keyfob(&["setup", system], b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("only prints"), "{}", err(&output));
        assert!(err(&output).contains(&format!("keyfob setup {system} --print")), "{}", err(&output));
    }
    assert_eq!(std::fs::read_dir(profile.path("home")).unwrap().count(), 0);
}
