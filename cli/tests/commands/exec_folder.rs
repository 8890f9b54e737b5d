//! The folder that `keyfob exec` makes for an Outerbounds deployment, with an agent of a few lines.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use keyfob_ipc::{Door, Reply};
use rustix::process::{Pid, Signal, kill_process};

use crate::fake::{Act, Profile, err, feed, out};
use crate::metaflow::{CONFIG, config};
use crate::{entry, status};

const URL: &str = "https://api.foo.example/v1/perimeters/default/metaflowconfigs/default";

fn agent() -> Profile {
    Profile::with_agent(Door::Tool, |_, ask| match ask["exec"]["name"].as_str() {
        Some("prod") => config(Some(URL)).into(),
        Some("pasted") => config(None).into(),
        _ => Act::Nothing { open: false },
    })
}

/// A place in memory of this test's own, as a session has one.
fn runtime() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn command(profile: &Profile, runtime: &Path, name: &str, program: &[&str]) -> Command {
    let keyfob = Path::new(env!("CARGO_BIN_EXE_keyfob"));
    let mut command = profile.command(keyfob, &[&["exec", name, "--"], program].concat());
    command.env("PATH", "/usr/bin:/bin").env("XDG_RUNTIME_DIR", runtime).env("TMPDIR", profile.path("home"));
    command
}

fn folders(place: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(place).unwrap().map(|found| found.unwrap().path()).collect()
}

/// A program below, when it has told its process and its folder.
struct Running {
    process: Child,
    /// Until it has ended.
    below: Option<Pid>,
    folder: PathBuf,
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        let below = Pid::from_raw(next().parse().unwrap());
        let folder = PathBuf::from(next());
        Self { process, below, folder, _lines: lines }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap()).unwrap()
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        if let Some(below) = self.below {
            // A failure may have come between its end and that word.
            let _ = kill_process(below, Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const WAITS: &[&str] = &["sh", "-c", "echo $$; echo $METAFLOW_HOME; exec sleep 600"];

#[test]
fn both_readers_find_their_files_and_nothing_of_another_configuration() {
    let (profile, runtime) = (agent(), runtime());
    let script = "env; cd $METAFLOW_HOME; stat -c '%a %n' . *; cat config.json; echo; cat ob_config.json";
    let mut command = command(&profile, runtime.path(), "prod", &["sh", "-c", script]);
    for name in
        ["METAFLOW_PROFILE", "METAFLOW_SERVICE_AUTH_KEY", "__REMOTE_CONFIG_HAS_BEEN_RESOLVED__", "MINE"]
    {
        command.env(name, "of-the-caller");
    }
    let output = feed(command, b"");
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")[..]));
    let home = value("METAFLOW_HOME").unwrap();
    assert!(Path::new(home).starts_with(runtime.path()), "{home}");
    assert_eq!((value("OBP_CONFIG_DIR"), value("MINE")), (Some(home), Some("of-the-caller")));
    assert_eq!(text.matches("of-the-caller").count(), 1, "{text}");
    let files = format!(
        "700 .\n600 config.json\n600 ob_config.json\n{CONFIG}\n\
         {{\"OB_CURRENT_PERIMETER\":\"default\",\"OB_CURRENT_PERIMETER_MF_CONFIG_URL\":\"{URL}\"}}"
    );
    assert!(text.ends_with(&files), "{text}");
    assert!(folders(runtime.path()).is_empty(), "gone with the program");
}

/// The names of ours that a program has.
const OURS: &str = "env | grep ^METAFLOW_KEYFOB_ | sort";

#[test]
fn flows_below_find_this_program_and_the_role_of_the_deployment() {
    let own = std::fs::canonicalize(env!("CARGO_BIN_EXE_keyfob")).unwrap();
    let program = format!("METAFLOW_KEYFOB_PROGRAM={}\n", own.display());
    let role = |name: &str, through: &str, region: Option<&str>| {
        let mut role = entry(name);
        role.through = Some(through.to_owned());
        role.facts.extend(region.map(|region| ("region".to_owned(), region.to_owned())));
        role
    };
    let prod = "outerbounds.prod";
    let others = [role("aws.dev", "sso.okta", Some("eu-west-1")), role("token.x", prod, None), entry(prod)];
    let of_caller = "METAFLOW_KEYFOB_AWS=aws.mine\nMETAFLOW_KEYFOB_REGION=eu-mine-1\n";
    for (roles, expected) in [
        (
            vec![role("aws.prod", prod, Some("us-west-2"))],
            format!("METAFLOW_KEYFOB_AWS=aws.prod\n{program}METAFLOW_KEYFOB_REGION=us-west-2\n"),
        ),
        // The service says it, and one of another entry would be wrong.
        (vec![role("aws.prod", prod, None)], format!("METAFLOW_KEYFOB_AWS=aws.prod\n{program}")),
        (vec![], of_caller.replacen('\n', &format!("\n{program}"), 1)),
        (
            vec![role("aws.a", prod, None), role("aws.b", prod, None)],
            of_caller.replacen('\n', &format!("\n{program}"), 1),
        ),
    ] {
        let (profile, runtime) = (agent(), runtime());
        let entries = [&others[..], &roles].concat();
        profile.answer(Door::Control, move |_, _| {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            status.entries.clone_from(&entries);
            Reply::Status(status).into()
        });
        let mut command = command(&profile, runtime.path(), "prod", &["sh", "-c", OURS]);
        command.env("METAFLOW_KEYFOB_AWS", "aws.mine").env("METAFLOW_KEYFOB_REGION", "eu-mine-1");
        command.env("METAFLOW_KEYFOB_SERVICE", "token.mine");
        assert_eq!(out(&feed(command, b"")), expected);
    }
}

#[test]
fn a_configuration_without_an_address_is_one_file() {
    let (profile, runtime) = (agent(), runtime());
    let script = "ls $METAFLOW_HOME; echo ${OBP_CONFIG_DIR-none}";
    let mut command = command(&profile, runtime.path(), "pasted", &["sh", "-c", script]);
    command.env("OBP_CONFIG_DIR", "/of-the-caller");
    assert_eq!(out(&feed(command, b"")), "config.json\nnone\n");
}

#[test]
fn the_folder_goes_with_the_program_however_it_ends() {
    let (profile, runtime) = (agent(), runtime());
    let run = |program: &[&str]| feed(command(&profile, runtime.path(), "prod", program), b"").status;
    // Whatever it puts there goes, too.
    assert_eq!(
        run(&["sh", "-c", "mkdir $METAFLOW_HOME/cache; echo x > $METAFLOW_HOME/cache/x; exit 7"]).code(),
        Some(7)
    );
    assert!(folders(runtime.path()).is_empty());
    assert_eq!(run(&["sh", "-c", "kill -KILL $$"]).signal(), Some(9));
    assert!(folders(runtime.path()).is_empty());
    assert_eq!(run(&["no-such-program-here"]).code(), Some(127));
    assert!(folders(runtime.path()).is_empty());
    for signal in [Signal::TERM, Signal::USR1, Signal::USR2] {
        let mut running = Running::of(command(&profile, runtime.path(), "prod", WAITS));
        assert!(running.folder.join("config.json").exists());
        kill_process(running.id(), signal).unwrap();
        assert_eq!(running.process.wait().unwrap().signal(), Some(signal.as_raw()));
        running.below = None;
        assert!(folders(runtime.path()).is_empty(), "{signal:?}");
    }
}

#[test]
fn what_a_killed_command_left_is_swept_by_the_next_and_what_lives_is_not() {
    let (profile, runtime) = (agent(), runtime());
    let living = Running::of(command(&profile, runtime.path(), "prod", WAITS));
    let mut killed = Running::of(command(&profile, runtime.path(), "prod", WAITS));
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    assert!(killed.folder.join("config.json").exists(), "nobody was there to remove it");
    // One with other entries, too: it sweeps and then is refused.
    feed(command(&profile, runtime.path(), "unknown", &["true"]), b"");
    assert!(!killed.folder.exists() && living.folder.join("config.json").exists());
    let (folder, mut living) = (living.folder.clone(), living);
    kill_process(living.below.take().unwrap(), Signal::KILL).unwrap();
    living.process.wait().unwrap();
    assert!(!folder.exists());
}

#[test]
fn a_link_in_the_place_of_a_folder_leads_nowhere() {
    let (profile, runtime) = (agent(), runtime());
    let mine = profile.path("home").join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::set_permissions(&mine, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(mine.join("config.json"), "mine").unwrap();
    let link = runtime.path().join("keyfob-exec-0123456789abcdef");
    std::os::unix::fs::symlink(&mine, &link).unwrap();
    feed(command(&profile, runtime.path(), "prod", &["true"]), b"");
    assert_eq!(std::fs::read_to_string(mine.join("config.json")).unwrap(), "mine");
    // The folder itself under that name is swept: the name and the lock are what counts.
    std::fs::remove_file(&link).unwrap();
    std::fs::create_dir(&link).unwrap();
    std::fs::set_permissions(&link, std::fs::Permissions::from_mode(0o700)).unwrap();
    feed(command(&profile, runtime.path(), "prod", &["true"]), b"");
    assert!(!link.exists());
}

#[test]
fn a_runtime_folder_that_is_not_in_memory_is_passed_over() {
    let profile = agent();
    let disk = profile.path("state").join("runtime");
    std::fs::create_dir(&disk).unwrap();
    std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o700)).unwrap();
    let output = feed(command(&profile, &disk, "prod", &["sh", "-c", "echo $METAFLOW_HOME"]), b"");
    assert!(out(&output).starts_with("/dev/shm/keyfob-exec-"), "{}", out(&output));
    assert!(!Path::new(out(&output).trim()).exists());
}
