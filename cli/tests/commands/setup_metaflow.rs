//! `keyfob setup metaflow`, and what `keyfob doctor` sees of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use keyfob_ipc::reply::EntryReport;
use keyfob_ipc::{Door, Reply};
use serde_json::{Value, json as value};

use crate::fake::{Profile, err, feed, out};
use crate::{entry, json, status};

fn of(name: &str, through: Option<&str>, facts: &[(&str, &str)]) -> EntryReport {
    let mut entry = entry(name);
    entry.through = through.map(str::to_owned);
    entry.facts = facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect();
    entry
}

fn dev() -> EntryReport {
    of("aws.dev", Some("sso.okta"), &[("region", "eu-west-1")])
}

/// A deployment with its role.
fn prod() -> [EntryReport; 2] {
    let domain = "foo.obp.outerbounds.com";
    let mut prod = of("outerbounds.prod", None, &[("domain", domain), ("perimeter", "default")]);
    prod.hosts.push(format!("*.{domain}"));
    [of("aws.prod", Some("outerbounds.prod"), &[("region", "us-west-2")]), prod]
}

/// An agent with these entries and no others.
fn agent(entries: impl Into<Vec<EntryReport>>) -> Profile {
    let entries = entries.into();
    Profile::with_agent(Door::Control, move |_, ask| {
        if ask == "doctor" {
            return Reply::Checks(vec![]).into();
        }
        let Reply::Status(mut status) = status() else { panic!("no status") };
        status.entries.clone_from(&entries);
        Reply::Status(status).into()
    })
}

fn run(profile: &Profile, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), arguments);
    command.envs(variables.iter().copied());
    feed(command, b"")
}

/// Runs it, and says what stands in the file then.
fn set_up(profile: &Profile, more: &[&str]) -> String {
    let output = run(profile, &[&["setup", "metaflow"], more].concat(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    fs::read_to_string(config(profile)).unwrap_or_default()
}

fn config(profile: &Profile) -> PathBuf {
    profile.path("home/.metaflowconfig/config.json")
}

fn put(profile: &Profile, text: &str) {
    fs::create_dir_all(config(profile).parent().unwrap()).unwrap();
    fs::write(config(profile), text).unwrap();
}

fn own() -> String {
    fs::canonicalize(env!("CARGO_BIN_EXE_keyfob")).unwrap().display().to_string()
}

fn of_dev() -> Value {
    value!({
        "METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER": "keyfob",
        "METAFLOW_KEYFOB_AWS": "aws.dev",
        "METAFLOW_KEYFOB_REGION": "eu-west-1",
        "METAFLOW_KEYFOB_PROGRAM": own(),
    })
}

#[test]
fn members_go_in_and_come_out_to_the_byte() {
    for before in [
        Some("{\r\n\t\"METAFLOW_DEFAULT_DATASTORE\" : \"s3\",\r\n\t\"a\" : [ ]\r\n}\r\n"),
        Some("{\"a\":1}"),
        Some("{}"),
        Some("{\n}\n"),
        Some(""),
        Some(" \n"),
        None,
    ] {
        let profile = agent([dev()]);
        before.iter().for_each(|before| put(&profile, before));
        let once = set_up(&profile, &[]);
        let mut members = json(&once);
        let expected = of_dev();
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(&members[name], expected, "{once}");
        }
        if let Some(mut mine) = before.and_then(|before| serde_json::from_str::<Value>(before).ok()) {
            mine.as_object_mut().unwrap().extend(of_dev().as_object().unwrap().clone());
            assert_eq!(members.take(), mine);
        }
        assert_eq!(set_up(&profile, &[]), once, "a second run changes nothing");
        set_up(&profile, &["--remove"]);
        assert_eq!(fs::read_to_string(config(&profile)).ok().as_deref(), before);
        let output = run(&profile, &["setup", "metaflow", "--remove"], &[]);
        assert!(out(&output).contains("has no members of keyfob's"), "{}", out(&output));
    }
}

#[test]
fn a_new_file_is_private_and_one_of_a_person_keeps_its_mode() {
    let mode = |profile: &Profile| fs::metadata(config(profile)).unwrap().permissions().mode() & 0o777;
    let profile = agent([dev()]);
    set_up(&profile, &[]);
    assert_eq!(mode(&profile), 0o600);
    put(&profile, "{\"METAFLOW_SERVICE_AUTH_KEY\": \"s3cr3t\"}");
    fs::set_permissions(config(&profile), fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&profile, &["setup", "metaflow"], &[]);
    let said = format!("{}{}", out(&output), err(&output));
    assert!(said.contains("in plain text: `keyfob import` moves it"), "{said}");
    assert!(said.contains("other users can read that file (mode 644): chmod 600 "), "{said}");
    assert_eq!((mode(&profile), said.contains("s3cr3t")), (0o644, false));
}

#[test]
fn a_deployment_is_asked_for_its_key_and_its_role() {
    let profile = agent(prod());
    let both = value!({
        "METAFLOW_KEYFOB_AWS": "aws.prod",
        "METAFLOW_KEYFOB_REGION": "us-west-2",
        "METAFLOW_KEYFOB_PROGRAM": own(),
        "METAFLOW_KEYFOB_SERVICE": "outerbounds.prod",
        "METAFLOW_KEYFOB_SETUP": "file service",
    });
    assert_eq!(json(&set_up(&profile, &[])), both);
    assert_eq!(json(&set_up(&profile, &["prod"])), both);
    set_up(&profile, &["--remove"]);
    assert!(!config(&profile).exists());
    let output = run(&profile, &["setup", "metaflow", "outerbounds.prod", "--print"], &[]);
    assert_eq!((json(&out(&output)), config(&profile).exists()), (both, false));
    let packages = "metaflow-keyfob and metaflow-keyfob-outerbounds, in integrations/ of keyfob's repository";
    assert!(err(&output).contains(packages) && !err(&output).contains("pip install"), "{}", err(&output));

    let profile = agent([prod()[1].clone()]);
    let output = run(&profile, &["setup", "metaflow", "--print"], &[]);
    assert!(err(&output).contains("add [aws.NAME] with `outerbounds = \"prod\"`"), "{}", err(&output));
}

#[test]
fn the_key_that_an_import_moved_stays_with_the_file() {
    let imported = "{\"OBP_METAFLOW_CONFIG_URL\": \"https://api.foo.obp.outerbounds.com/v1/perimeters/default/x\", \
                    \"METAFLOW_KEYFOB_SERVICE\": \"outerbounds.prod\"}";
    let [role, deployment] = prod();
    // The file says which of the entries it is of.
    let profile = agent([dev(), role, deployment]);
    put(&profile, imported);
    let with = json(&set_up(&profile, &[]));
    assert_eq!((&with["METAFLOW_KEYFOB_AWS"], with.get("METAFLOW_KEYFOB_SETUP")), (&"aws.prod".into(), None));
    let output = run(&profile, &["setup", "metaflow"], &[]);
    assert!(out(&output).ends_with("keyfob for aws.prod and outerbounds.prod\n"), "{}", out(&output));
    let output = run(&profile, &["setup", "metaflow", "--remove"], &[]);
    assert!(err(&output).contains("`keyfob import --undo` puts the key back"), "{}", err(&output));
    assert_eq!(fs::read_to_string(config(&profile)).unwrap(), imported);
    put(&profile, &imported.replace("outerbounds.prod", "outerbounds.old"));
    let output = run(&profile, &["setup", "metaflow", "prod"], &[]);
    assert!(
        err(&output).contains("gets its key from outerbounds.old, since `keyfob import`"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_service_of_plain_metaflow_is_asked_with_the_entry_of_its_host() {
    let mut token = of("token.meta", None, &[("header", "X-API-Key")]);
    token.hosts.push("*.acme.dev".to_owned());
    let profile = agent([dev(), token]);
    let before = "{\"METAFLOW_SERVICE_URL\":\"https://meta.acme.dev\"}";
    put(&profile, before);
    assert_eq!(json(&set_up(&profile, &[]))["METAFLOW_KEYFOB_SERVICE"], "token.meta");
    assert_eq!(set_up(&profile, &["--remove"]), before);
}

#[test]
fn one_of_several_entries_has_to_be_named() {
    let profile = agent([&[dev(), of("aws.ops", None, &[])][..], &prod()].concat());
    let output = run(&profile, &["setup", "metaflow"], &[]);
    assert_eq!((output.status.code(), config(&profile).exists()), (Some(1), false));
    assert_eq!(
        err(&output),
        "keyfob: several entries fit: outerbounds.prod, aws.dev, aws.ops. Run: keyfob setup metaflow outerbounds.prod\n"
    );
    for (name, entry) in [("dev", "aws.dev"), ("aws.ops", "aws.ops"), ("aws.prod", "aws.prod")] {
        let with = json(&set_up(&profile, &[name]));
        assert_eq!(with["METAFLOW_KEYFOB_AWS"], entry);
        // What the one before had and this one has not is gone.
        assert_eq!(with.get("METAFLOW_KEYFOB_REGION").is_some(), entry != "aws.ops", "{with}");
    }
    let output = run(&profile, &["setup", "metaflow", "no\u{1b}ne"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output)
            .contains("the name `no\\u{1b}ne`; there is aws.dev, aws.ops, aws.prod, outerbounds.prod"),
        "{}",
        err(&output)
    );
    let output = run(&agent([]), &["setup", "metaflow"], &[]);
    assert!(err(&output).ends_with("Next: add [aws.NAME] to /c.toml\n"), "{}", err(&output));
}

#[test]
fn what_a_file_names_already_is_kept_where_it_still_fits() {
    let profile = agent([&[dev(), of("aws.ops", None, &[])][..], &prod()].concat());
    for name in ["aws.ops", "outerbounds.prod", "aws.dev"] {
        let named = set_up(&profile, &[name]);
        assert_eq!(set_up(&profile, &[]), named);
    }
    put(&profile, "{\"METAFLOW_KEYFOB_AWS\": \"aws.old\"}");
    let output = run(&profile, &["setup", "metaflow"], &[]);
    assert!(err(&output).starts_with("keyfob: several entries fit: "), "{}", err(&output));
}

#[test]
fn one_of_several_roles_of_a_deployment_has_to_be_named() {
    let [role, deployment] = prod();
    let batch = of("aws.batch", Some("outerbounds.prod"), &[]);
    let profile = agent([role, batch, deployment]);
    for more in [&[][..], &["prod"], &["outerbounds.prod"]] {
        let output = run(&profile, &[&["setup", "metaflow"], more].concat(), &[]);
        assert_eq!((output.status.code(), config(&profile).exists()), (Some(1), false));
        assert_eq!(
            err(&output),
            "keyfob: several entries are obtained with `outerbounds.prod`: aws.prod, aws.batch. \
             Run: keyfob setup metaflow aws.prod\n"
        );
    }
    // Either of them brings the deployment along.
    for name in ["aws.prod", "batch", "aws.batch"] {
        let with = set_up(&profile, &[name]);
        let role = if name == "aws.prod" { "aws.prod" } else { "aws.batch" };
        assert_eq!(json(&with)["METAFLOW_KEYFOB_AWS"], role);
        assert_eq!(json(&with)["METAFLOW_KEYFOB_SERVICE"], "outerbounds.prod");
        assert_eq!(json(&with).get("METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER"), None);
        assert_eq!((set_up(&profile, &[]), set_up(&profile, &["prod"])), (with.clone(), with), "it is kept");
    }
}

#[test]
fn another_provider_is_not_overwritten() {
    let profile = agent([dev()]);
    let before = "{\"METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER\": \"boto3\"}";
    put(&profile, before);
    let output = run(&profile, &["setup", "metaflow"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("PROVIDER already, `boto3`. Next: remove that member there, then keyfob"),
        "{}",
        err(&output)
    );
    assert_eq!(fs::read_to_string(config(&profile)).unwrap(), before);
    run(&profile, &["setup", "metaflow", "--remove"], &[]);
    assert_eq!(fs::read_to_string(config(&profile)).unwrap(), before);
}

#[test]
fn variables_say_which_file_it_is_and_what_wins_over_it() {
    let profile = agent([dev()]);
    let folder = profile.path("flows").display().to_string();
    let variables = [
        ("METAFLOW_HOME", folder.as_str()),
        ("METAFLOW_PROFILE", "test"),
        ("METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER", "s3cr3t"),
        ("METAFLOW_KEYFOB_AWS", ""),
    ];
    let output = run(&profile, &["setup", "metaflow"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let members = json(&fs::read_to_string(profile.path("flows/config_test.json")).unwrap());
    assert_eq!(members["METAFLOW_KEYFOB_SETUP"], "file");
    assert!(err(&output).contains("unset METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER\n"), "{}", err(&output));
    assert!(
        !err(&output).contains("s3cr3t") && !err(&output).contains("METAFLOW_KEYFOB_AWS"),
        "{}",
        err(&output)
    );

    let output = run(&profile, &["setup", "metaflow"], &[("METAFLOW_HOME", "~/flows")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(profile.path("home/flows/config.json").exists());
    let file = profile.path("own.json").display().to_string();
    assert_eq!(run(&profile, &["setup", "metaflow", "--file", &file], &[]).status.code(), Some(0));
    assert!(profile.path("own.json").exists());
}

#[test]
fn files_that_are_no_object_are_left_as_they_are() {
    for (text, says) in [
        ("[1]", "is no JSON object"),
        ("{\"a\": s3cr3t}", "is no JSON (line 1, column 7)"),
        ("{\"a\": 1, \"a\": \"s3cr3t\"}", "has `a` more than once"),
    ] {
        let profile = agent([dev()]);
        put(&profile, text);
        for more in [&["setup", "metaflow"][..], &["setup", "metaflow", "--remove"]] {
            let output = run(&profile, more, &[]);
            assert_eq!(output.status.code(), Some(1));
            assert!(err(&output).contains(says) && !err(&output).contains("s3cr3t"), "{}", err(&output));
        }
        assert_eq!(fs::read_to_string(config(&profile)).unwrap(), text);
    }
}

#[test]
fn the_doctor_sees_a_plain_key_and_what_is_stale() {
    let look = |profile: &Profile| -> Vec<Value> {
        let report = json(&out(&run(profile, &["doctor", "--json"], &[])));
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().filter(|check| check["name"] == "metaflow").collect()
    };
    let profile = agent([dev()]);
    assert_eq!(look(&profile), Vec::<Value>::new());
    put(&profile, "{\"METAFLOW_SERVICE_AUTH_KEY\": \"s3cr3t\"}");
    assert_eq!(look(&profile)[0]["hint"], "keyfob import");
    put(&profile, "{}");
    assert_eq!(look(&profile), Vec::<Value>::new());

    let text = set_up(&profile, &[]);
    assert_eq!(look(&profile)[0]["health"], "good");
    let stale = |text: &str, says: &str, hint: &str| {
        put(&profile, text);
        let found = look(&profile);
        assert!(found.len() == 1 && found[0]["health"] == "attention", "{found:?}");
        assert!(found[0]["say"].as_str().unwrap().contains(says), "{found:?}");
        assert!(found[0]["hint"].as_str().unwrap().contains(hint), "{found:?}");
    };
    stale(
        &text.replace(&own(), "/gone/keyfob"),
        "runs `/gone/keyfob`, which is not there",
        "keyfob setup metaflow",
    );
    stale(&text.replace(&own(), "/bin/sh"), "runs another keyfob than this one", "keyfob setup metaflow");
    stale(
        &text.replace("aws.dev", "aws.old"),
        "asks for `aws.old`, which is no entry",
        "add [aws.old] to /c.toml",
    );
    stale("[]", "is no JSON object", "mend that file");
}
