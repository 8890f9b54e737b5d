//! `allow`: real programs, found by their files among those that stand behind `keyfob`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use keyfob_e2e::{Company, Profile, Stage, run, wait_for};
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::json;

use crate::programs::{file, get, input, keyfob, program, through};
use crate::{VALUE, configure, house};

fn allow(path: &Path) -> String {
    format!("allow = ['{}']", path.display())
}

#[test]
fn a_program_gets_what_its_path_is_allowed_and_another_one_does_not() {
    let profile = house("");
    let (terraform, stray) = (program(&profile, "terraform"), program(&profile, "stray"));
    // The control: without a policy both get it.
    for program in [&terraform, &stray] {
        assert!(get(&profile, program).ok().stdout.contains(VALUE));
    }
    configure(&profile, &allow(&terraform));
    assert!(get(&profile, &terraform).ok().stdout.contains(VALUE));
    let refused = get(&profile, &stray).exits(1);
    assert!(refused.stdout.is_empty(), "{refused:?}");
    let line = format!("add \"{}\" to allow of [policy.\"token.aspect\"]", stray.display());
    assert!(refused.stderr.contains(&line), "{refused:?}");
    // `why` says the same, for whoever asks it.
    let why = |program| run(through(&profile, program, &[&keyfob(), "why", "aspect", "--json"]), "").json();
    assert!(why(&terraform)["refusal"].is_null());
    assert_eq!(why(&stray)["refusal"]["code"], "not_allowed");
    assert_eq!(why(&stray)["entry"]["facts"]["allow"], terraform.to_str().unwrap());
}

#[test]
fn a_program_is_its_file_whatever_leads_to_it() {
    let profile = house("");
    let terraform = program(&profile, "terraform");
    let (linked, symbolic) = (profile.path().join("linked"), profile.path().join("symbolic"));
    fs::hard_link(&terraform, &linked).unwrap();
    symlink(&terraform, &symbolic).unwrap();
    for path in [&linked, &symbolic] {
        configure(&profile, &allow(path));
        get(&profile, &terraform).ok();
    }
    configure(&profile, &allow(&terraform));
    for path in [&linked, &symbolic] {
        get(&profile, path).ok();
    }
    // A copy is another program.
    let copy = program(&profile, "copy");
    get(&profile, &copy).exits(1);
    // And keyfob is itself by every name it has: it never stands for the one that asks.
    let other = profile.path().join("any-name");
    symlink(keyfob(), &other).unwrap();
    run(through(&profile, &copy, &[other.to_str().unwrap(), "get"]), input()).exits(1);
    run(through(&profile, &terraform, &[other.to_str().unwrap(), "get"]), input()).ok();
}

#[test]
fn a_script_is_its_interpreter_and_the_refusal_says_so() {
    let profile = house("");
    let (shell, stray) = (program(&profile, "shell"), program(&profile, "stray"));
    let script = file(&profile, "deploy", &format!("#!{}\n\"$@\"\nexit $?\n", shell.display()));
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let by_script = || {
        let mut command = profile.command(&script);
        command.args([&keyfob(), "get"]);
        run(command, input())
    };
    by_script().ok();
    configure(&profile, &allow(&script));
    let refused = by_script().exits(1);
    assert!(refused.stderr.contains("is a script, and what runs is its interpreter"), "{refused:?}");
    configure(&profile, &allow(&shell));
    by_script().ok();
    get(&profile, &stray).exits(1);
}

#[test]
fn a_program_that_was_replaced_while_it_ran_is_named() {
    let profile = house("");
    let (terraform, upgraded) = (program(&profile, "terraform"), program(&profile, "upgraded"));
    configure(&profile, &allow(&terraform));
    let script =
        file(&profile, "loop", "while read -r line; do \"$@\" <<END\n$line\nEND\necho \"code $?\"; done\n");
    let mut command = profile.command(&terraform);
    command.arg(script).args([&keyfob(), "get"]);
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program");
    let (mut stdin, mut stdout) =
        (running.stdin.take().unwrap(), BufReader::new(running.stdout.take().unwrap()));
    let mut ask = move || {
        writeln!(stdin, "{}", input()).unwrap();
        let mut said = String::new();
        while !said.contains("code ") {
            assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{said}");
        }
        said
    };
    // The control: before.
    assert!(ask().contains(VALUE));
    fs::rename(&upgraded, &terraform).unwrap();
    let said = ask();
    assert!(said.contains("code 1") && !said.contains(VALUE), "{said}");
    drop(ask);
    let mut stderr = String::new();
    running.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    running.wait().unwrap();
    let say = format!("`{}` was replaced while it ran", terraform.display());
    assert!(stderr.contains(&say) && stderr.contains("start it again"), "{stderr}");
    // The new one has the path, and is allowed.
    get(&profile, &terraform).ok();
}

/// Runs a program in a mount namespace of its own, after some mounts.
fn elsewhere(profile: &Profile, mounts: &str, program: &Path) -> keyfob_e2e::Output {
    let script = format!(
        "{mounts}\nexec '{}' '{}' '{}' get\n",
        program.display(),
        file(profile, "inside", "readlink \"/proc/$$/exe\" >&2\n\"$@\"\nexit $?\n").display(),
        keyfob()
    );
    let mut command = profile.command("/usr/bin/unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "--", "/bin/sh"])
        .arg(file(profile, "mounts", &script));
    run(command, input())
}

#[test]
fn a_path_in_another_mount_namespace_proves_nothing() {
    let profile = house("");
    let (terraform, stray) = (program(&profile, "terraform"), program(&profile, "stray"));
    let trick = format!("mount --bind '{}' '{}' || exit 99", stray.display(), terraform.display());
    let path = format!("{}\n", terraform.display());
    // The control: the trick works, by its path it is the allowed program, and without a policy it is answered.
    let tricked = elsewhere(&profile, &trick, &terraform).ok();
    assert_eq!(tricked.stderr, path);
    assert!(tricked.stdout.contains(VALUE));
    configure(&profile, &allow(&terraform));
    get(&profile, &terraform).ok();
    let tricked = elsewhere(&profile, &trick, &terraform).exits(1);
    assert!(tricked.stderr.starts_with(&path) && tricked.stdout.is_empty(), "{tricked:?}");
    assert!(tricked.stderr.contains("runs in a container or sandbox"), "{tricked:?}");
    // The very file is not enough there: what it reads may be anything.
    elsewhere(&profile, "", &terraform).exits(1);
    // No question is opened about such a program, either.
    configure(&profile, "confirm = 'first'");
    elsewhere(&profile, &trick, &terraform).exits(1);
    assert!(profile.status()["questions"].as_u64().unwrap_or(0) == 0);
}

#[test]
fn the_policy_of_a_session_binds_the_keys_bought_with_it() {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    let (terraform, stray) = (program(&profile, "terraform"), program(&profile, "stray"));
    // As an SDK runs it.
    let line = format!("'{}' credential-process dev", keyfob());
    let keys = |program: &Path| run(through(&profile, program, &["/bin/sh", "-c", &line]), "");
    // The control.
    for program in [&terraform, &stray] {
        assert!(keys(program).ok().json()["SecretAccessKey"].is_string());
    }
    profile.configure(&format!("{}[policy.\"sso.okta\"]\n{}\n", company.config(), allow(&terraform)));
    assert!(keys(&terraform).ok().json()["SecretAccessKey"].is_string());
    let refused = keys(&stray).exits(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("[policy.\"sso.okta\"]"), "{refused:?}");
    assert!(refused.stderr.contains(stray.to_str().unwrap()), "the shell between is not meant: {refused:?}");
}

/// Asks for keys, says so, and runs `head` in its place as soon as it is told to.
const TURNCOAT: &str = r#"
import json, os, socket, struct, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
message = json.dumps({"v": 1, "first": True, "ask": {"credential-process": {"name": "dev"}}}).encode()
connection.sendall(struct.pack("<I", len(message)) + message)
sys.stdin.read()
os.dup2(connection.fileno(), 0)
os.execv("/usr/bin/head", ["head", "-c", "4"])
"#;

#[test]
fn a_program_that_runs_another_one_before_the_answer_leaves_gets_nothing() {
    let company = Company::start();
    let python = Stage::get().python("python");
    let bytes = |policy: &str| {
        let profile = Profile::new(&format!("{}{policy}", company.config()));
        company.sign_in(&profile, "okta");
        company.faults().set(Endpoint::Sts, Fault::Slow(Duration::from_secs(2)));
        let before = company.counts().arrived(Endpoint::Sts);
        let mut command = profile.command(&python);
        command.arg(file(&profile, "turncoat.py", TURNCOAT)).arg(profile.agent_socket());
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
        // It was decided when the keys were asked for.
        wait_for("a call of AWS", Duration::from_secs(20), || {
            company.counts().arrived(Endpoint::Sts) > before
        });
        drop(running.stdin.take());
        let mut bytes = Vec::new();
        running.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        running.wait().unwrap();
        company.faults().clear_all();
        bytes
    };
    // The control: without a policy whoever holds the connection gets the answer.
    assert_eq!(bytes("").len(), 4);
    let allowed = format!("[policy.\"aws.dev\"]\n{}\n", allow(&python));
    assert_eq!(bytes(&allowed), b"");
}

#[test]
fn a_caller_that_cannot_be_read_gets_nothing_with_a_policy() {
    let profile = house("");
    let python = Stage::get().python("python");
    // `PR_SET_DUMPABLE` 0: its files in /proc are root's.
    let hides = r#"
import ctypes, json, socket, struct, sys
assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
message = json.dumps({"v": 1, "ask": {"get": {"uri": sys.argv[2]}}}).encode()
connection.sendall(struct.pack("<I", len(message)) + message)
length = struct.unpack("<I", connection.recv(4))[0]
print(connection.recv(length).decode())
"#;
    let hidden = || {
        let mut command = profile.command(&python);
        command.arg(file(&profile, "hides.py", hides)).arg(profile.agent_socket()).arg(crate::ASPECT);
        run(command, "").ok().json()["reply"].clone()
    };
    assert!(hidden()["headers"]["headers"]["X-Aspect"].is_array());
    for lines in [allow(&python), "confirm = 'first'".to_owned()] {
        configure(&profile, &lines);
        let refused = hidden();
        assert_eq!(refused["refused"]["code"], json!("not_allowed"), "{refused}");
    }
}
