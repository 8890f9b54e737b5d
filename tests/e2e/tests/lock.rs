//! The lock of the real agent: it outlives every end of the agent, and only a person lifts it.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::{MEMORY, Output, PATIENCE, Profile, Stage, run, token, wait_for};
use serde_json::{Value, json};

const VALUE: &str = "aw_0123456789abcdef0123456789";
const URI: &str = "https://aw.acme.dev/";
const FILE: &str = "[agent]\nkeychain = \"file\"\n";
const PASSPHRASE: &str = "correct horse battery staple";

fn config(keychain: &str) -> String {
    [keychain, &token("aspect", "aw.acme.dev")].concat()
}

/// A token in the encrypted file, which a passphrase has opened from a pipe.
fn with_a_passphrase() -> Profile {
    let profile = Profile::new(&config(FILE));
    profile.run(&["unlock"], format!("{PASSPHRASE}\n")).ok();
    profile.add_token("aspect", VALUE);
    profile
}

#[track_caller]
fn answers(profile: &Profile) {
    let answer = profile.get(URI).ok();
    assert_eq!(answer.json()["headers"]["X-Aspect"][0], VALUE);
}

/// Kills the agent; nothing of it listens any more when this returns.
#[track_caller]
fn kill(profile: &Profile) {
    profile.kill_agent();
    let lock = profile.state().join("agent.lock");
    wait_for("its files are closed", PATIENCE, || process::lock_holders(&lock).is_empty());
}

#[track_caller]
fn is_locked(profile: &Profile) {
    for answer in [profile.get(URI), profile.credential_process("aspect")] {
        let answer = answer.exits(5);
        assert_eq!(answer.stdout, "");
        assert!(answer.stderr.contains("keyfob is locked. Run: keyfob unlock"), "{answer:?}");
    }
    assert!(profile.status()["lock"].is_object());
}

/// A session without any terminal.
fn without_a_terminal(profile: &Profile, arguments: &[&str], stdin: &str) -> Output {
    let mut command = profile.command(Path::new("/usr/bin/setsid"));
    command.arg("--wait").arg(Stage::get().bin("keyfob")).args(arguments);
    run(command, stdin)
}

/// Runs its arguments on a terminal of its own, and types a line where the prompt is shown.
const TERMINAL: &str = "
import os, pty, sys
prompt, typed, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, waits = b'', bool(prompt)
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    seen += more
    if waits and prompt in seen:
        waits = False
        os.write(terminal, typed + b'\\n')
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

fn on_a_terminal(profile: &Profile, arguments: &[&str], prompt: &str, typed: &str) -> Output {
    let mut command = profile.command(Stage::get().python("python"));
    command.args(["-c", TERMINAL, prompt, typed]).arg(Stage::get().bin("keyfob")).args(arguments);
    run(command, "")
}

#[test]
fn a_passphrase_is_asked_for_on_a_terminal_and_nowhere_else() {
    let profile = with_a_passphrase();
    answers(&profile);
    let said = profile.run(&["lock"], "").ok();
    assert!(said.stdout.contains("asks for your password"), "{said:?}");
    is_locked(&profile);
    // A program of the same user, with the passphrase itself.
    let refused = without_a_terminal(&profile, &["unlock"], &format!("{PASSPHRASE}\n")).exits(5);
    assert!(refused.stderr.contains("on a terminal"), "{refused:?}");
    is_locked(&profile);
    let wrong = on_a_terminal(&profile, &["unlock"], "Passphrase", "correct horse").exits(1);
    assert!(wrong.stdout.contains("not the right one"), "{wrong:?}");
    is_locked(&profile);
    let said = on_a_terminal(&profile, &["unlock"], "Passphrase", PASSPHRASE).ok();
    assert!(said.stdout.contains("keyfob is unlocked") && !said.stdout.contains(PASSPHRASE), "{said:?}");
    answers(&profile);
    let log = profile.run(&["log", "--json"], "").ok().stdout;
    assert_eq!(log.matches("\"unlock\"").count(), 4, "{log}");
    assert!(!log.contains(VALUE) && !log.contains(PASSPHRASE));
}

#[test]
fn a_keychain_that_is_open_makes_it_a_pause_that_still_needs_a_person() {
    let profile = Profile::new(&config(MEMORY));
    profile.start_agent();
    profile.add_token("aspect", VALUE);
    let said = profile.run(&["lock"], "").ok();
    assert!(said.stdout.contains("a pause"), "{said:?}");
    is_locked(&profile);
    without_a_terminal(&profile, &["unlock"], "").exits(5);
    // Neither does the door of the tools know the word.
    let refused = profile.tool_door().ask(&json!({"unlock": {}}));
    assert_eq!(refused["refused"]["code"], "bad_request");
    is_locked(&profile);
    let said = on_a_terminal(&profile, &["unlock"], "", "").ok();
    assert!(said.stdout.contains("this was a pause"), "{said:?}");
    answers(&profile);
}

#[test]
fn a_window_unlocks_on_the_connection_on_which_it_watches() {
    let profile = Profile::new(&config(MEMORY));
    profile.start_agent();
    profile.add_token("aspect", VALUE);
    let mut window = profile.control_door();
    let event = |window: &mut keyfob_e2e::raw::Raw, wanted: &str| {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            let reply = window.receive().expect("an answer")["reply"].clone();
            if !reply[wanted].is_null() || !reply["event"].get(wanted).unwrap_or(&Value::Null).is_null() {
                return reply;
            }
        }
        panic!("no {wanted}");
    };
    window.send(&keyfob_e2e::raw::request(&json!({"watch": {"questions": true}})));
    profile.run(&["lock"], "").ok();
    let told = event(&mut window, "lock");
    assert_eq!(told["event"]["lock"]["by"], "person");
    is_locked(&profile);
    window.send(&keyfob_e2e::raw::request(&json!({"unlock": {}})));
    let done = event(&mut window, "done");
    assert!(done["done"]["say"].as_str().is_some_and(|say| say.contains("unlocked")), "{done}");
    answers(&profile);
}

#[test]
fn no_end_of_the_agent_lifts_it() {
    let profile = with_a_passphrase();
    profile.run(&["lock"], "").ok();
    kill(&profile);
    is_locked(&profile);
    profile.run(&["agent", "restart"], "").ok();
    is_locked(&profile);
    let agent = profile.agent_pid();
    process::signal(agent, Signal::TERM);
    wait_for("its end", PATIENCE, || !process::is_alive(agent));
    is_locked(&profile);
    // Whoever damages the file does not lift it either; who may remove it could read the keychain's files as well.
    fs::write(profile.state().join("lock.json"), "nonsense").expect("our own file");
    kill(&profile);
    is_locked(&profile);
    on_a_terminal(&profile, &["unlock"], "Passphrase", PASSPHRASE).ok();
    answers(&profile);
    kill(&profile);
    let opened = without_a_terminal(&profile, &["unlock"], &format!("{PASSPHRASE}\n")).ok();
    assert!(opened.stdout.contains("the keychain is open"), "without a lock, a pipe will do: {opened:?}");
    answers(&profile);
}

#[test]
fn a_passphrase_file_does_not_open_what_is_locked() {
    let mut profile = Profile::new(&config(FILE));
    let file = profile.path().join("passphrase");
    fs::write(&file, PASSPHRASE).expect("room for a file");
    let only_ours = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, only_ours).expect("our own file");
    profile.set("KEYFOB_PASSPHRASE_FILE", &file);
    profile.add_token("aspect", VALUE);
    let said = profile.run(&["lock"], "").ok();
    assert!(said.stdout.contains("a pause"), "{said:?}");
    is_locked(&profile);
    kill(&profile);
    is_locked(&profile);
    without_a_terminal(&profile, &["unlock"], "").exits(5);
    on_a_terminal(&profile, &["unlock"], "", "").ok();
    answers(&profile);
}
