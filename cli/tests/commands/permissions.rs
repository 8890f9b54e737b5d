//! `keyfob permissions`.

use keyfob_ipc::reply::EntryPermissions;
use keyfob_ipc::reply::Right::{No, Unknown, WithoutEffect, Yes};
use keyfob_ipc::reply::Teller;
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::json as value;

use crate::fake::{Profile, err, feed, out};
use crate::{fact, in_days, json, minutes_ago, permitted, refused, rights, told};

fn company() -> Vec<EntryPermissions> {
    let mut aspect = permitted(
        "token.aspect",
        vec![
            told(rights("aw-remote-ext", Yes, Yes, WithoutEffect), Teller::Cluster),
            told(rights("aw-remote-ext", Yes, No, No), Teller::TokenService),
            told(rights("cache.eu-central-1.aw.acme.dev", Unknown, Unknown, Unknown), Teller::Cluster),
        ],
        vec![
            fact("owner", &["bot-ci"], Teller::TokenService),
            fact("ends", &[&in_days(365)], Teller::Configuration),
        ],
    );
    aspect.clusters[1].when = None;
    aspect.clusters[2].note = Some("it answers the same without the token, so it does not tell".to_owned());
    let mut okta = permitted(
        "sso.okta",
        vec![],
        vec![
            fact("scopes", &["openid", "profile", "email", "offline_access"], Teller::IdentityProvider),
            fact(
                "groups",
                &["engineering", "remote-execution", "build-infrastructure", "on-call"],
                Teller::IdentityProvider,
            ),
        ],
    );
    okta.facts[0].when = Some(minutes_ago(60 * 3));
    let mut dev = permitted("aws.dev", vec![], vec![fact("account", &["123456789012"], Teller::Aws)]);
    dev.refusals =
        vec![Refusal::new(Code::SignInNeeded, "nobody is signed in to okta").hint("keyfob login okta")];
    vec![okta, aspect, dev, permitted("token.other", vec![], vec![])]
}

fn door() -> Profile {
    Profile::with_agent(Door::Control, |_, _| Reply::Permissions(company()).into())
}

const WIDE: &str = "\
ENTRY         CLUSTER                         READ     WRITE    EXECUTE    SAYS               AGE
token.aspect  aw-remote-ext                   yes      yes      no effect  the cluster        12 min ago
token.aspect  aw-remote-ext                   yes      no       no         the token service  -
token.aspect  cache.eu-central-1.aw.acme.dev  unknown  unknown  unknown    the cluster        12 min ago

sso.okta
  scopes  openid, profile, email, offline_access (the identity provider, 3 h ago)
  groups  engineering, remote-execution, build-infrastructure, on-call (the identity provider, 12 min ago)

token.aspect
  owner  bot-ci (the token service, 12 min ago)
  ends   END, about 365 days (the configuration, 12 min ago)

aws.dev
  account  123456789012 (AWS, 12 min ago)

token.other
  nothing is known about it

token.aspect at cache.eu-central-1.aw.acme.dev: it answers the same without the token, so it does not tell
aws.dev: nobody is signed in to okta. Run: keyfob login okta
";

const NARROW: &str = "\
ENTRY         CLUSTER      READ     WRITE    EXECUTE    SAYS         AGE
token.aspect  aw-remote-   yes      yes      no effect  the cluster  12 min ago
              ext
token.aspect  aw-remote-   yes      no       no         the token    -
              ext                                       service
token.aspect  cache.eu-    unknown  unknown  unknown    the cluster  12 min ago
              central-1.
              aw.acme.dev

sso.okta
  scopes  openid, profile, email, offline_access (the identity provider, 3 h
          ago)
  groups  engineering, remote-execution, build-infrastructure, on-call (the
          identity provider, 12 min ago)
";

fn shown(columns: &str) -> String {
    let profile = door();
    let mut command = profile.command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["permissions"]);
    let output = feed(
        {
            command.env("COLUMNS", columns);
            command
        },
        b"",
    );
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    out(&output)
}

#[test]
fn every_right_names_who_says_so_and_how_old_that_is() {
    assert_eq!(shown("120"), WIDE.replace("END", &in_days(365)[..10]));
}

#[test]
fn eighty_columns_are_enough_and_what_is_taken_without_a_terminal() {
    let text = out(&door().keyfob(&["permissions"], b""));
    assert!(text.starts_with(NARROW), "{text}");
    let tables = text.lines().take_while(|line| !line.starts_with("token.aspect at"));
    assert!(tables.clone().count() > 10 && tables.map(str::len).all(|length| length <= 80), "{text}");
    assert_eq!(shown("80"), text);
    // Nonsense is no width.
    assert_eq!(shown("wide"), text);
    assert_eq!(shown("0"), shown("40"));
}

#[test]
fn for_programs_it_is_the_array_of_the_wire() {
    let profile = door();
    let output = profile.keyfob(&["permissions", "aspect", "--again", "--json"], b"");
    let text = out(&output);
    assert_eq!(text.lines().count(), 1);
    let all = json(&text);
    assert_eq!(all[1]["clusters"][0]["cluster"], "aw-remote-ext");
    assert_eq!(all[1]["clusters"][0]["execute"], "without-effect");
    assert_eq!(all[2]["refusals"][0]["hint"], "keyfob login okta");
    assert_eq!(profile.asked(), [value!({"permissions": {"name": "aspect", "again": true}})]);
}

#[test]
fn all_entries_are_asked_for_where_none_is_named() {
    let profile = Profile::with_agent(Door::Control, |_, _| Reply::Permissions(vec![]).into());
    let output = profile.keyfob(&["permissions"], b"");
    assert_eq!(out(&output), "no entry is configured. Run: keyfob status\n");
    assert_eq!(profile.asked(), [value!({"permissions": {}})]);
    assert_eq!(out(&profile.keyfob(&["permissions", "--json"], b"")), "[]\n");
}

#[test]
fn a_refusal_is_told() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        refused(Refusal::new(Code::UnknownEntry, "no entry `x`").hint("keyfob status")).into()
    });
    let output = profile.keyfob(&["permissions", "x"], b"");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert_eq!(err(&output), "keyfob: no entry `x`. Run: keyfob status\n");
}

#[test]
fn what_the_agent_sends_steers_no_terminal() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        let hostile = "\u{1b}[2J\u{202e}x";
        let mut entry = permitted(
            hostile,
            vec![told(rights(hostile, Yes, Yes, Yes), Teller::Unknown)],
            vec![fact(hostile, &[hostile], Teller::Person), fact("ends", &[hostile], Teller::Person)],
        );
        entry.clusters[0].note = Some(hostile.to_owned());
        entry.clusters[0].when = Some(hostile.to_owned());
        entry.refusals = vec![Refusal::new(Code::Offline, hostile).hint(hostile)];
        Reply::Permissions(vec![entry]).into()
    });
    let text = out(&profile.keyfob(&["permissions"], b""));
    assert!(text.contains("\\u{1b}[2J\\u{202e}x") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gives_colour_and_its_width() {
    let (code, screen, _) = crate::terminal::Session::start(&door(), &["permissions"], &[], false).ends();
    assert_eq!(code, Some(0));
    assert!(screen.contains("\u{1b}[32myes\u{1b}[0m"), "{screen}");
    // A hundred columns, none of which is taken by colour.
    assert!(screen.contains("aw-remote-ext"), "{screen}");
    let plain =
        crate::terminal::Session::start(&door(), &["permissions"], &[("NO_COLOR", "1")], false).ends().1;
    assert_eq!(plain, shown("100"));
}

#[test]
fn a_statement_has_a_line_and_no_job_is_no_trouble_on_a_desktop() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        let allows = ["ec2:Describe*, eim:Get* on *", "s3:Get* on b/*"];
        let key = permitted("outscale.monitoring", vec![], vec![fact("allows", &allows, Teller::Eim)]);
        let mut ci = permitted("machine.ci", vec![], vec![]);
        let missing = Refusal::new(Code::MachineIdentityMissing, "this agent runs in no job");
        ci.refusals = vec![missing.hint("run it in a job")];
        Reply::Permissions(vec![key, ci]).into()
    });
    let statements = "\
outscale.monitoring
  allows  ec2:Describe*, eim:Get* on *
          s3:Get* on b/*
          (";
    let desktop = out(&profile.keyfob(&["permissions"], b""));
    assert!(desktop.starts_with(statements), "{desktop}");
    assert!(desktop.ends_with("\n\nmachine.ci: no job here\n"), "{desktop}");
    let mut command = profile.command(std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")), &["permissions"]);
    command.env("CI", "true");
    let job = out(&feed(command, b""));
    assert!(job.ends_with("machine.ci: this agent runs in no job. Next: run it in a job\n"), "{job}");
}
