//! What is handed to an agent when it starts: by another version of itself, by a service manager, or by somebody who says
//! so. And what another version does not take over.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_e2e::real::{Lines, Part};
use keyfob_e2e::{PATIENCE, Profile, Running, Stage, process, run, start, wait_for, wait_for_some};
use serde_json::json;

use crate::{ASPECT, ELSEWHERE, SOON, VALUE, config, header, log, told};

const PYTHON: &str = "/usr/bin/python3";
const STARTS: &str = "the agent starts";
const WAITS: &str = "another version waits";

/// Starts a program as anybody can: with descriptors and names of its own choice. Who keeps the estate lives on as a child.
const STARTER: &str = r#"
import fcntl, json, os, socket, sys, time
program, names, handed = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
numbers = []
for kind, place in handed:
    if kind == "socket":
        one = socket.socket(socket.AF_UNIX)
        one.bind(place)
        one.listen()
        number = one.detach()
    elif kind == "estate":
        here, there = socket.socketpair()
        parent = os.getpid()
        if os.fork() == 0:
            here.close()
            there.recv(1)
            there.sendall(b"keyfob estate 1\n.")
            there.close()
            while os.getppid() == parent:
                time.sleep(0.01)
            os._exit(0)
        number = here.detach()
    else:
        number = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        if kind == "held":
            fcntl.flock(number, fcntl.LOCK_EX)
    numbers.append(fcntl.fcntl(number, fcntl.F_DUPFD, 30))
for place, number in enumerate(numbers):
    os.dup2(number, 3 + place)
handed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(numbers)), "LISTEN_FDNAMES": names}
os.execve(program, [program], {**os.environ, **handed})
"#;

fn handing(profile: &Profile, names: &str, handed: &[(&str, PathBuf)]) -> Running {
    let mut starter = profile.command(PYTHON);
    starter.args(["-I", "-c", STARTER]).arg(Stage::get().bin("keyfobd"));
    starter.arg(names).arg(json!(handed).to_string());
    start(starter, "")
}

/// A profile that no agent was in, with the folders where one would be.
fn fresh() -> Profile {
    let profile = Profile::new(&config());
    for folder in [profile.state(), profile.runtime(), &profile.path().join("elsewhere")] {
        make(folder, 0o700);
    }
    fs::write(profile.state().join("agent.lock"), "").expect("our own folder");
    profile
}

fn make(folder: &Path, mode: u32) {
    fs::DirBuilder::new().create(folder).expect("a new folder");
    set_mode(folder, mode);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
}

#[test]
fn what_only_an_agent_hands_over_is_taken_from_nobody_else() {
    // Of names, of what is handed over, and where; and what is said about it.
    let cases = [
        ("estate:agent-own:control-own", "elsewhere", None, "without an agent's lock"),
        ("estate:agent:control", "elsewhere", None, "without an agent's lock"),
        ("estate:agent-own:control-own:lock", "run", Some(("lock", "state/agent.lock")), "nobody holds it"),
        ("estate:agent-own:control-own:lock", "run", Some(("held", "elsewhere/x")), "another file is there"),
        (
            "estate:agent-own:control-own:lock",
            "elsewhere",
            Some(("held", "state/agent.lock")),
            "and the agent's own place is",
        ),
    ];
    for (names, folder, lock, said) in cases {
        let profile = fresh();
        let output = handing(&profile, names, &descriptors(&profile, folder, lock)).output(PATIENCE).exits(1);
        assert!(output.stderr.contains(said), "{names}: {output:?}");
        assert!(profile.record().is_none(), "{names}");
    }
    // The control: with the lock that it holds, and at the agent's own places, all of it is taken; and nobody waits for the
    // end of somebody else's child.
    let profile = fresh();
    let lock = Some(("held", "state/agent.lock"));
    let names = "estate:agent-own:control-own:lock";
    let agent = handing(&profile, names, &descriptors(&profile, "run", lock));
    assert_eq!(profile.agent_pid(), agent.pid());
    profile.get(ELSEWHERE).ok();
    assert!(!log(&profile).contains("could not hand on"), "{}", log(&profile));
}

fn descriptors(
    profile: &Profile,
    folder: &str,
    lock: Option<(&'static str, &str)>,
) -> Vec<(&'static str, PathBuf)> {
    let at = |name: &str| profile.path().join(folder).join(name);
    let mut all =
        vec![("estate", PathBuf::new()), ("socket", at("agent.sock")), ("socket", at("control.sock"))];
    all.extend(lock.map(|(kind, place)| (kind, profile.path().join(place))));
    all
}

#[test]
fn descriptors_that_cannot_be_there_are_refused() {
    for (count, said) in [
        ("2", "descriptor 3 is not open"),
        ("5", "at most 4 are taken"),
        ("100", "at most 4 are taken"),
        ("2147483647", "at most 4 are taken"),
        ("4294967295", "at most 4 are taken"),
    ] {
        let profile = fresh();
        let mut command = profile.command("/bin/sh");
        command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=$1 exec \"$2\"", "sh", count]);
        command.arg(Stage::get().bin("keyfobd"));
        let output = run(command, "").exits(1);
        assert!(output.stderr.contains(said), "{count}: {output:?}");
    }
}

#[test]
fn doors_of_a_service_manager_that_others_can_come_to_are_refused() {
    let profile = fresh();
    let doors = || {
        let at = |name: &str| ("socket", profile.path().join("elsewhere").join(name));
        let doors = [at("agent.sock"), at("control.sock")];
        doors.iter().for_each(|(_, door)| drop(fs::remove_file(door)));
        doors
    };
    let folder = profile.path().join("elsewhere");
    set_mode(&folder, 0o755);
    let output = handing(&profile, "agent:control", &doors()).output(PATIENCE).exits(1);
    let place = folder.display().to_string();
    assert!(output.stderr.contains(&place) && output.stderr.contains("mode 755"), "{output:?}");
    set_mode(&folder, 0o700);
    let agent = handing(&profile, "agent:control", &doors());
    assert_eq!(profile.agent_pid(), agent.pid());
    assert_eq!(profile.record().map(|record| record.agent), Some(folder.join("agent.sock")));
}

/// An agent whose program can be replaced.
struct Installed {
    profile: Profile,
    programs: PathBuf,
}

impl Installed {
    fn start() -> (Self, u32) {
        let profile = Profile::new(&config());
        let programs = profile.path().join("bin");
        make(&programs, 0o755);
        let installed = Self { profile, programs };
        process::copy_program(Stage::get().bin("keyfob"), installed.programs.join("keyfob"));
        installed.replace();
        installed.run(&["agent", "start"]).ok();
        let agent = installed.profile.agent_pid();
        installed.profile.add_token("aspect", VALUE);
        (installed, agent)
    }

    fn run(&self, arguments: &[&str]) -> keyfob_e2e::Output {
        let mut command = self.profile.command(self.programs.join("keyfob"));
        command.args(arguments);
        run(command, "")
    }

    fn replace(&self) {
        self.put(|new| {
            process::copy_program(Stage::get().bin("keyfobd"), new);
        });
    }

    /// A program that says its version, and then does this.
    fn script(&self, lines: &str) {
        let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo keyfobd 9 >&2 && exit 0\n{lines}\n");
        self.put(|new| fs::write(new, text).expect("our own folder"));
    }

    fn put(&self, make: impl FnOnce(&Path)) {
        let new = self.programs.join("keyfobd.new");
        make(&new);
        set_mode(&new, 0o755);
        fs::rename(&new, self.programs.join("keyfobd")).expect("our own folder");
    }

    #[track_caller]
    fn serves(&self) {
        assert_eq!(header(self.profile.get(ASPECT), "X-Aspect"), VALUE);
    }

    #[track_caller]
    fn is_said(&self, words: &str) {
        wait_for(words, SOON, || told(&self.profile, words) > 0);
    }

    #[track_caller]
    fn wait_for_starts(&self, count: usize) {
        wait_for("another version to take over", SOON * 2, || told(&self.profile, STARTS) >= count);
    }
}

/// Else whoever asks once it has taken over would get what was locked away.
#[test]
fn a_lock_that_is_not_written_down_keeps_the_old_version() {
    let (installed, agent) = Installed::start();
    let profile = &installed.profile;
    let in_the_way = profile.state().join("lock.json.new");
    fs::create_dir_all(in_the_way.join("x")).expect("our own folder");
    profile.run(&["lock"], "").exits(1);
    profile.get(ASPECT).exits(5);
    installed.replace();
    installed.is_said("the lock cannot be written down");
    assert_eq!(told(profile, STARTS), 1, "{}", log(profile));
    profile.get(ASPECT).exits(5);
    fs::remove_dir_all(&in_the_way).expect("our own folder");
    installed.wait_for_starts(2);
    assert_eq!(told(profile, WAITS), 1, "it is said once");
    profile.get(ASPECT).exits(5);
    assert!(profile.status()["lock"].is_object());
    assert_eq!(profile.agent_pid(), agent);
}

#[test]
fn a_state_folder_that_takes_no_file_keeps_the_old_version() {
    let (installed, agent) = Installed::start();
    set_mode(installed.profile.state(), 0o500);
    installed.replace();
    installed.is_said(WAITS);
    assert!(log(&installed.profile).contains("agent.json` cannot be written"), "{}", log(&installed.profile));
    installed.serves();
    assert_eq!(told(&installed.profile, STARTS), 1);
    set_mode(installed.profile.state(), 0o700);
    installed.wait_for_starts(2);
    installed.serves();
    assert_eq!(installed.profile.agent_pid(), agent);
}

/// The same, a moment too late to be seen.
#[test]
fn a_state_folder_that_takes_no_file_any_more_does_not_end_the_new_version() {
    let (installed, agent) = Installed::start();
    let real = Stage::get().bin("keyfobd");
    installed.script(&format!("/bin/chmod 500 \"$KEYFOB_STATE_DIR\"\nexec '{}'", real.display()));
    installed.wait_for_starts(2);
    installed.serves();
    assert!(log(&installed.profile).contains("agent.json` cannot be written"), "{}", log(&installed.profile));
    set_mode(installed.profile.state(), 0o700);
    assert_eq!(installed.profile.agent_pid(), agent);
}

#[test]
fn a_program_that_others_can_put_another_in_place_of_waits_for_the_person() {
    let (installed, agent) = Installed::start();
    set_mode(&installed.programs, 0o775);
    installed.replace();
    installed.is_said("which others can write to (mode 775); run: keyfob agent restart");
    installed.serves();
    assert_eq!((told(&installed.profile, STARTS), installed.profile.agent_pid()), (1, agent));
    installed.run(&["agent", "restart"]).ok();
    assert_ne!(installed.profile.agent_pid(), agent);
    // What nobody else can write to takes over by itself.
    set_mode(&installed.programs, 0o755);
    installed.replace();
    installed.wait_for_starts(3);
}

const ATTACK: &str = include_str!("../hardening/attack.py");

/// A copy of a program that lets others attach, as far as the system asks for that (Yama's `PR_SET_PTRACER`).
const TWIN: &str = "
import ctypes, os, sys
if os.fork() == 0:
    ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1))
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
os.wait()
";

/// What came of each way to look into a process or to change it.
fn attack(target: u32) -> Vec<(String, String)> {
    let mut command = Command::new(PYTHON);
    command.args(["-I", "-c", ATTACK, &target.to_string()]);
    let tried = run(command, "").ok().json();
    let tried = tried.as_object().cloned().unwrap_or_default();
    tried.into_iter().map(|(way, became)| (way, became.as_str().unwrap_or_default().to_owned())).collect()
}

/// While the new program has not closed itself yet, what was in memory waits in a copy of the old one.
#[test]
fn who_keeps_the_secrets_meanwhile_is_closed_to_others() {
    let mut twin = Command::new(PYTHON);
    twin.args(["-I", "-c", TWIN]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut twin = Part::start(&mut twin);
    let stdout = twin.child().stdout.take().expect("it is piped");
    let copy: u32 = Lines::of(stdout).find("its number", |line| line.parse().ok());
    for (way, became) in attack(copy) {
        assert_eq!(became, "done", "{way}: this would not harm a copy of a program that is open");
    }

    let (installed, agent) = Installed::start();
    installed.script("exec /bin/sleep 60");
    wait_for("a new program that does nothing", SOON, || process::name(agent).as_deref() == Some("sleep"));
    let keeper = wait_for_some("who keeps the secrets", SOON, || child_of(agent));
    let ways = attack(keeper);
    assert!(process::is_alive(keeper), "it was there all the time");
    assert!(ways.len() > 15, "{ways:?}");
    for (way, became) in ways {
        let is_call = way.starts_with("ptrace") || way.starts_with("process_vm") || way.starts_with("pidfd");
        assert_eq!(became, if is_call { "EPERM" } else { "EACCES" }, "{way}");
    }
    process::signal(agent, process::Signal::KILL);
    wait_for("the end of who keeps the secrets", SOON, || !process::is_alive(keeper));
}

fn child_of(process: u32) -> Option<u32> {
    let parent = Some(process.to_string());
    let all = fs::read_dir("/proc").ok()?.flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|other| process::field(*other, 1) == parent && process::is_alive(*other))
}
