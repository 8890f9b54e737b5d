//! Programs of the same user at the agent's process: a debugger, `/proc`, and the calls that read another one's memory.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{Lines, Part};
use keyfob_e2e::{MEMORY, PATIENCE, Profile, Stage, folder, run, start, wait_for, wait_for_some};

const PYTHON: &str = "/usr/bin/python3";
const ATTACK: &str = include_str!("attack.py");
const TRACED: &str = include_str!("traced.py");
/// A program that lets others attach where the system asks for that (Yama's `PR_SET_PTRACER`), and nothing else.
const OPEN: &str = "import ctypes, sys; ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1)); print('open', flush=True); sys.stdin.read()";

/// What came of each way: `done`, or the name of the error.
fn attack(target: u32) -> Vec<(String, String)> {
    let mut command = Command::new(PYTHON);
    command.args(["-I", "-c", ATTACK, &target.to_string()]);
    let tried = run(command, "").ok().json();
    let tried = tried.as_object().cloned().unwrap_or_default();
    tried.into_iter().map(|(way, became)| (way, became.as_str().unwrap_or_default().to_owned())).collect()
}

#[test]
fn a_debugger_of_the_same_user_is_refused() {
    let mut open = Command::new(PYTHON);
    open.args(["-I", "-c", OPEN]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut open = Part::start(&mut open);
    let stdout = open.child().stdout.take().expect("it is piped");
    Lines::of(stdout).find("`open`", |line| (line == "open").then_some(()));
    let ways = attack(open.child().id());
    assert!(ways.len() > 15, "{ways:?}");
    for (way, became) in &ways {
        assert_eq!(became, "done", "{way}: this would not harm a program that is open");
    }

    let profile = Profile::new(MEMORY);
    let agent = profile.start_agent();
    for (way, became) in attack(agent) {
        let is_call = way.starts_with("ptrace") || way.starts_with("process_vm") || way.starts_with("pidfd");
        assert_eq!(became, if is_call { "EPERM" } else { "EACCES" }, "{way}");
    }
    assert_eq!(profile.agent_pid(), agent, "it lives on");
}

#[test]
fn a_debugger_that_was_there_first_is_told() {
    let profile = Profile::new(MEMORY);
    let mut traced = profile.command(PYTHON);
    traced.args(["-I", "-c", TRACED]).arg(Stage::get().bin("keyfobd"));
    let debugger = start(traced, "");
    let agent = profile.agent_pid();
    assert_eq!(process::field(agent, 1), Some(debugger.pid().to_string()));
    let log = fs::read_to_string(profile.state().join("keyfobd.log")).expect("a log");
    assert!(log.contains(&format!("process {} is attached", debugger.pid())), "{log}");
    profile.run(&["agent", "stop"], "").ok();
    debugger.output(PATIENCE).ok();

    profile.start_agent();
    let log = fs::read_to_string(profile.state().join("keyfobd.log")).expect("a log");
    let (_, second) = log.rsplit_once("the agent starts").expect("a second start");
    assert!(!second.contains("attached\""), "{second}");
}

/// A line of `/proc/PID/NAME` behind its first words.
fn kernel_says(process: u32, name: &str, words: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/{name}")).expect("everybody may read this");
    let line = text.lines().find_map(|line| line.strip_prefix(words)).unwrap_or_default();
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A program in a folder where it could leave a core file, with leave to write one of any size.
fn where_cores_are_written(profile: &Profile, program: &Path, folder: &Path) -> Command {
    let mut command = profile.command("/bin/sh");
    command.args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh"]).arg(program).current_dir(folder);
    command
}

/// How a program ends that a fault ends.
fn crash(part: &mut Part) -> ExitStatus {
    process::signal(part.child().id(), Signal::ABORT);
    wait_for_some("the end of a program", PATIENCE, || part.child().try_wait().ok().flatten())
}

#[test]
fn a_crash_leaves_no_picture_of_the_memory() {
    let (profile, folder) = (Profile::new(MEMORY), folder());
    let mut twin = where_cores_are_written(&profile, Path::new("/usr/bin/tail"), folder.path());
    let mut twin = Part::start(twin.args(["-f", "/dev/null"]).stdin(Stdio::null()));
    let process = twin.child().id();
    wait_for("the twin", PATIENCE, || process::name(process).as_deref() == Some("tail"));
    let limit = kernel_says(process, "limits", "Max core file size");
    assert!(limit.starts_with("unlimited"), "{limit}: this system lets nobody write a core file");
    assert!(crash(&mut twin).core_dumped(), "this system writes no core files");

    let mut agent = where_cores_are_written(&profile, &Stage::get().bin("keyfobd"), folder.path());
    let mut agent = Part::start(agent.stdin(Stdio::null()));
    let process = profile.agent_pid();
    assert_eq!(process, agent.child().id());
    assert_eq!(kernel_says(process, "limits", "Max core file size"), "0 0 bytes");
    let ended = crash(&mut agent);
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
}

#[test]
fn every_measure_takes_hold_here() {
    let profile = Profile::new(MEMORY);
    let agent = profile.start_agent();
    assert_eq!(kernel_says(agent, "status", "NoNewPrivs:"), "1");
    assert_eq!(kernel_says(std::process::id(), "status", "NoNewPrivs:"), "0", "it is not so by itself");
    let log = fs::read_to_string(profile.state().join("keyfobd.log")).expect("a log");
    for measure in ["no core dumps", "closed to debuggers", "no debugger attached", "no rights gained"] {
        assert!(log.contains(measure), "{measure}: {log}");
    }
    assert!(!log.contains("did not take hold"), "{log}");
}
