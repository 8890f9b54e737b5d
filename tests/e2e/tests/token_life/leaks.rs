//! What must stay secret, and is found nowhere: no file, no log, no output, no process's arguments or environment.
//!
//! Everything that can be seen is kept while a token's life goes by, and is searched at the end, when all values are known.

mod evidence;
mod parrot;
mod story;
mod watch;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use keyfob_e2e::needles::{self, Secret};
use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::Part;
use keyfob_e2e::{Company, MEMORY, PATIENCE, Profile, at_once, wait_for};
use keyfob_sandbox::Permissions;
use serde_json::json;

use self::evidence::{Evidence, Shows};
use self::parrot::Parrot;
use self::story::{administration, config, life, listen};
use crate::{ADA, durable, given, issue};

/// Text that was nowhere before.
fn marker(prefix: &str) -> String {
    let mut bytes = [0; 20];
    let read = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    read.expect("there is randomness");
    bytes.iter().fold(prefix.to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Where programs of this user leave files: the profile, and what everybody may write to.
fn places(profile: &Profile) -> Vec<PathBuf> {
    let user = std::fs::metadata(profile.path()).expect("our own folder").uid();
    let is_ours =
        |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.uid() == user);
    let shared = [
        std::env::temp_dir(),
        "/tmp".into(),
        "/var/tmp".into(),
        "/dev/shm".into(),
        format!("/run/user/{user}").into(),
    ];
    let within = shared.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    within.map(|entry| entry.path()).filter(is_ours).chain([profile.path().to_owned()]).collect()
}

/// Nothing of these may be anywhere, and what was planted must be where it was planted.
#[track_caller]
fn judge(seen: &Evidence, profile: &Profile, secrets: &[Secret]) {
    let found = BTreeSet::from_iter(seen.search(secrets, &places(profile)));
    let some: Vec<_> = found.iter().take(40).map(String::as_str).collect();
    assert!(found.is_empty(), "{} findings, such as:\n{}", found.len(), some.join("\n"));
    let (count, all) = seen.sighted();
    assert!(count > 0 && 2 * count >= all, "only {count} of {all} commands were seen to run");
    let canary = Secret::new("the canary", &marker("canary"));
    let expected = plant(seen, profile, &canary);
    let found = seen.search(std::slice::from_ref(&canary), &[profile.path().to_owned()]);
    let missed: Vec<_> =
        expected.iter().filter(|place| !found.iter().any(|found| found.contains(*place))).collect();
    assert!(missed.is_empty(), "this search would miss {missed:?}: {found:?}");
}

/// Puts a canary wherever secrets are looked for, in every form.
fn plant(seen: &Evidence, profile: &Profile, canary: &Secret) -> Vec<String> {
    let mut expected = Vec::new();
    let mut file = |path: &Path, text: &[u8]| {
        std::fs::write(path, text).expect("room for a file");
        expected.push(path.display().to_string());
    };
    for (number, (_, text)) in needles::forms(canary.value()).iter().enumerate() {
        file(
            &profile.state().join(format!("planted-{number}")),
            &[b"\0\xff\xfe", text.as_bytes(), b"\xff"].concat(),
        );
    }
    file(&profile.runtime().join("planted"), canary.value().as_bytes());
    file(&profile.home().join(".planted"), canary.value().as_bytes());
    file(&profile.home().join(canary.value()), b"");
    let mut log =
        std::fs::OpenOptions::new().append(true).open(profile.state().join("keyfobd.log")).expect("the log");
    std::io::Write::write_all(&mut log, canary.value().as_bytes()).expect("room for a line");
    expected.push("keyfobd.log".to_owned());

    let mut command = profile.command("/bin/sh");
    command.args(["-c", "read line", "sh", canary.value()]).env("PLANTED", canary.value());
    let mut process = Part::start(command.stdin(std::process::Stdio::piped()));
    let number = process.child().id();
    wait_for("a process to be seen", PATIENCE, || seen.watch.has_seen(number, canary.value()));
    expected.extend(["in the cmdline of a process", "in the environ of a process"].map(str::to_owned));
    seen.note("a planted output", canary.value());
    expected.push("a planted output".to_owned());
    expected
}

/// Ends the agent as a fault of its own would, which must leave no picture of its memory.
fn crash(profile: &Profile) {
    let agent = profile.agent_pid();
    process::signal(agent, Signal::ABORT);
    wait_for("the end of the agent", PATIENCE, || !process::is_alive(agent));
}

#[test]
fn a_tokens_life_leaves_no_trace_with_nothing_at_rest() {
    let (company, cluster) = (Company::start(), Parrot::grpc());
    let profile = Profile::new(&[MEMORY, &config(&company, &cluster)].concat());
    let seen = Evidence::begin();
    profile.start_agent();
    let events = listen(&profile);
    let mut secrets = life(&seen, &company, &profile);
    secrets.extend(administration(&seen, &company, &profile));
    seen.run(&profile, &["token", "remove", "aspect"], "", Shows::Nothing).ok();
    crash(&profile);
    seen.note("events at the control door", events.join().expect("a whole stream"));
    judge(&seen, &profile, &secrets);
}

#[test]
fn a_tokens_life_leaves_no_trace_beside_the_encrypted_file() {
    let (company, cluster) = (Company::start(), Parrot::grpc());
    let profile = durable(&config(&company, &cluster));
    let seen = Evidence::begin();
    profile.start_agent();
    let events = listen(&profile);
    let mut secrets = life(&seen, &company, &profile);
    secrets.extend(administration(&seen, &company, &profile));
    let value = given(&profile);
    profile.kill_agent();
    assert_eq!(given(&profile), value, "it is in the encrypted file");
    seen.run(&profile, &["agent", "restart"], "", Shows::Nothing).ok();
    seen.run(&profile, &["status"], "", Shows::Nothing).ok();
    assert_eq!(given(&profile), value);
    crash(&profile);
    assert_eq!(given(&profile), value);
    seen.note("events at the control door", events.join().expect("a whole stream"));
    judge(&seen, &profile, &secrets);
}

#[test]
fn what_services_and_clusters_repeat_of_a_token_goes_no_further() {
    let (company, cluster) = (Company::start(), Parrot::grpc());
    let services = ["keyfob", "gitlab", "github", "jupyterhub", "jfrog"].map(|name| (name, Parrot::http()));
    let tables = services.iter().map(|(name, parrot)| {
        let api = parrot.address();
        format!(
            "[token.{name}]\nhosts = [\"{name}.example\"]\nservice = \"{name}\"\napi = \"http://{api}/\"\n"
        )
    });
    let profile = Profile::new(
        &[MEMORY.to_owned(), config(&company, &cluster)].into_iter().chain(tables).collect::<String>(),
    );
    let seen = Evidence::begin();
    let agent = profile.start_agent();
    let events = listen(&profile);

    let value = issue(&company, ADA, Permissions::ALL, 20);
    let secrets = Mutex::new(vec![Secret::new("the cluster's token", &value)]);
    seen.run(&profile, &["token", "add", "aspect"], &value, Shows::Nothing).ok();
    let mut door = profile.control_door();
    for (odd, block) in parrot::statuses(&value) {
        cluster.says(block);
        let reply = seen.ask(
            &mut door,
            &json!({"permissions": {"name": "aspect", "again": true}}),
            &format!("a cluster that said {odd}"),
        );
        assert!(reply["permissions"].is_array(), "{reply}");
    }
    seen.run(&profile, &["permissions", "aspect", "--again"], "", Shows::Nothing).ok();

    at_once(services, |(name, parrot)| {
        let (value, companion) = (marker("glpat-"), marker("refresh-"));
        let pasted = match name {
            "jfrog" => json!({"access_token": value, "refresh_token": companion}).to_string(),
            _ => value.clone(),
        };
        let mut answers = parrot::answers(&value);
        if name == "jfrog" {
            answers.extend(parrot::answers(&companion));
        }
        let mut door = profile.control_door();
        for (odd, answer) in &answers {
            parrot.says(answer.clone());
            for ask in [
                json!({"token-add": {"name": name, "value": pasted}}),
                json!({"permissions": {"name": name, "again": true}}),
                json!({"token-rotate": {"name": name}}),
                json!({"entry": {"name": name}}),
            ] {
                let verb = ask.as_object().and_then(|ask| ask.keys().next()).cloned().unwrap_or_default();
                seen.ask(&mut door, &ask, &format!("{verb} at {name}, which said {odd}"));
            }
        }
        parrot.says(answers[0].1.clone());
        seen.run(&profile, &["token", "rotate", name], "", Shows::Nothing);
        seen.run(&profile, &["permissions", name, "--again"], "", Shows::Nothing).ok();
        seen.run(&profile, &["admin", "tokens", "list", "--with", name], "", Shows::Nothing);
        seen.run(&profile, &["token", "remove", name], "", Shows::Nothing);
        let known = [
            Secret::new("a value that its service repeats", &value),
            Secret::new("a refresh token", &companion),
        ];
        secrets.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
    });
    seen.run(&profile, &["status"], "", Shows::Nothing).ok();
    assert_eq!(profile.agent_pid(), agent, "the agent that was there");
    let log = std::fs::read_to_string(profile.state().join("keyfobd.log")).expect("the log");
    assert!(!log.contains("a task of the agent failed"), "{log}");
    crash(&profile);
    seen.note("events at the control door", events.join().expect("a whole stream"));
    judge(&seen, &profile, &secrets.into_inner().unwrap_or_else(PoisonError::into_inner));
}
