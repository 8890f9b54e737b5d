//! Another version takes over while callers ask, and none of them notices.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_e2e::raw::Raw;
use keyfob_e2e::{Company, Output, Profile, Stage, process, run, token, wait_for};
use keyfob_sandbox::{Endpoint, Fault, IssuerOptions, Options};
use serde_json::{Value, json};

use crate::removed::activate;
use crate::{ASPECT, ELSEWHERE, Ends, SOON, VALUE, header, log, tell, told};

const STARTS: &str = "the agent starts";
const GOES_ON: &str = "this version goes on";
const SESSION: &str = "https://x.cache.acme.dev/a";
/// How long the program's file may be away.
const AWAY: Duration = Duration::from_secs(10);
/// Calls a second while another version takes over.
const RATE: u32 = 50;
const CALLERS: u32 = 5;

/// A profile whose programs are its own, so that they can be replaced.
struct Installed {
    profile: Profile,
    programs: PathBuf,
}

impl Installed {
    fn new(config: &str) -> Self {
        let profile = Profile::new(config);
        let programs = profile.path().join("bin");
        fs::DirBuilder::new().mode(0o755).create(&programs).expect("a new folder");
        process::copy_program(Stage::get().bin("keyfob"), programs.join("keyfob"));
        let installed = Self { profile, programs };
        installed.replace();
        installed
    }

    fn agent(&self) -> PathBuf {
        self.programs.join("keyfobd")
    }

    /// As an installer does it: another file under the old name.
    fn put(&self, make: impl FnOnce(&Path), mode: u32) {
        let new = self.programs.join("keyfobd.new");
        make(&new);
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).expect("a file of ours");
        fs::rename(&new, self.agent()).expect("a file of ours");
    }

    fn replace(&self) {
        self.put(copy_agent, 0o755);
    }

    fn script(&self, text: &str, mode: u32) {
        self.put(|new| fs::write(new, text).expect("a new file"), mode);
    }

    fn keyfob(&self, arguments: &[&str]) -> Command {
        let mut command = self.profile.command(self.programs.join("keyfob"));
        command.args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        run(self.keyfob(arguments), stdin)
    }

    #[track_caller]
    fn get(&self, uri: &str) -> Output {
        self.run(&["get"], &json!({"uri": uri}).to_string())
    }

    /// Starts the agent, which runs the file of this folder.
    #[track_caller]
    fn start(&self) -> u32 {
        self.run(&["agent", "start"], "").ok();
        self.profile.agent_pid()
    }

    /// Whether another program has taken over in the process: it has started as often.
    #[track_caller]
    fn wait_for_starts(&self, count: usize) {
        wait_for("another version to take over", Duration::from_secs(20), || {
            told(&self.profile, STARTS) >= count
        });
        assert_eq!(told(&self.profile, STARTS), count, "{}", log(&self.profile));
    }

    /// Ends the agent by SIGKILL; nobody answers at its door any more.
    #[track_caller]
    fn kill(&self) {
        self.profile.kill_agent();
        // Where it had several threads, the last of them closes the door.
        wait_for("the end of the door", SOON, || Raw::try_connect(&self.profile.agent_socket()).is_err());
    }

    fn sign_in(&self, company: &Company) {
        company.sign_in(&self.profile, "okta");
    }
}

fn copy_agent(to: &Path) {
    process::copy_program(Stage::get().bin("keyfobd"), to);
}

/// When a process was started (proc(5), field 22): it stays when the process becomes another program.
fn begun(process: u32) -> Option<String> {
    process::field(process, 19)
}

/// Calls at a steady rate while `act` runs; how many there were, and the slowest. Each must be right.
fn under_calls(installed: &Installed, calls: &[(&str, &str, &str)], act: impl FnOnce()) -> (usize, Duration) {
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let slowest = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (stop, count) = (&stop, &count);
                scope.spawn(move || {
                    let begun = Instant::now();
                    let mut slowest = Duration::ZERO;
                    for number in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let due = begun + Duration::from_secs(1) * CALLERS / RATE * number;
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let (uri, name, value) = calls[(number + caller) as usize % calls.len()];
                        let output = installed.get(uri);
                        slowest = slowest.max(output.took);
                        assert!(header(output, name).starts_with(value), "{uri}");
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    slowest
                })
            })
            .collect();
        // Also where it panics the others must end.
        let end = Ends(&stop);
        act();
        drop(end);
        callers.into_iter().map(|caller| caller.join().expect("each caller says why")).max()
    });
    (count.into_inner(), slowest.unwrap_or_default())
}

fn started(profile: &Profile) -> Value {
    profile.control_door().ask(&json!("about"))["about"]["started"].clone()
}

/// The first promise: nobody notices, and nothing that was in memory alone is lost.
#[test]
fn callers_notice_nothing_and_what_was_in_memory_still_serves() {
    let company = Company::start();
    let installed = Installed::new(&[company.config()].concat());
    let agent = installed.start();
    installed.sign_in(&company);
    installed.profile.add_token("aspect", VALUE);
    let process = begun(agent);
    let calls =
        [("https://aw-remote-ext.acme.dev/", "X-Aspect", VALUE), (SESSION, "Authorization", "Bearer at_")];
    let (count, slowest) = under_calls(&installed, &calls, || {
        for times in 2..=4 {
            thread::sleep(Duration::from_secs(1));
            installed.replace();
            installed.wait_for_starts(times);
        }
        thread::sleep(Duration::from_secs(1));
    });
    tell(&format!(
        "three versions took over during {count} calls: no failure, the slowest call took {} ms",
        slowest.as_millis()
    ));
    assert!(count > 100, "{count} calls");
    assert_eq!((installed.profile.agent_pid(), begun(agent)), (agent, process), "it is the same process");
    // An access token is bought anew, the session is the one that was there.
    assert_eq!(installed.profile.state_of("sso.okta"), "live");
    installed.run(&["credential-process", "dev"], "").ok();
    assert!(no_children(agent), "who kept the secrets is gone");
    // The names are the agent's own as before.
    installed.run(&["agent", "stop"], "").ok();
    assert!(!installed.profile.agent_socket().exists() && installed.profile.record().is_none());
}

/// The control: without taking over, callers fail and the keychain in memory is empty.
#[test]
fn a_restart_in_its_place_does_lose_what_was_in_memory() {
    let installed = Installed::new(&crate::config());
    installed.start();
    installed.profile.add_token("aspect", VALUE);
    assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE);
    installed.kill();
    installed.start();
    installed.get(ASPECT).exits(3);
}

fn no_children(process: u32) -> bool {
    let Ok(all) = fs::read_dir("/proc") else { return false };
    let parent = Some(process.to_string());
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .all(|other| process::field(other, 1) != parent)
}

/// A file that was opened by a typed passphrase stays open; nobody can type it again in a CI job.
#[test]
fn an_open_keychain_file_stays_open() {
    let config = ["[agent]\nkeychain = \"file\"\n", &token("aspect", "aw.acme.dev")].concat();
    let installed = Installed::new(&config);
    let agent = installed.start();
    let ask = json!({"unlock": {"passphrase": "correct horse battery staple"}});
    let opened = installed.profile.control_door().ask(&ask);
    assert!(opened["done"].is_object(), "{opened}");
    installed.profile.add_token("aspect", VALUE);
    installed.replace();
    installed.wait_for_starts(2);
    assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE);
    // It can also take something new.
    installed.profile.add_token("aspect", "aw_another_one_0123456789");
    assert_eq!(installed.profile.status()["keychain"]["state"], "present");
    assert_eq!(installed.profile.agent_pid(), agent);
    // The control: an agent that did not get it over asks for the passphrase.
    installed.kill();
    installed.start();
    installed.get(ASPECT).exits(5);
}

/// Nothing of it is in a file, in the arguments or in the environment of any process, and no process that has it can be
/// attached to.
#[test]
fn what_is_handed_over_stands_nowhere_else() {
    let installed = Installed::new(&crate::config());
    let agent = installed.start();
    installed.profile.add_token("aspect", VALUE);
    installed.replace();
    installed.wait_for_starts(2);
    assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE);
    let arguments = fs::read(format!("/proc/{agent}/cmdline")).unwrap();
    assert!(!contains(&arguments, VALUE));
    assert!(fs::read(format!("/proc/{agent}/environ")).is_err(), "the new program is closed to others");
    for file in files(installed.profile.path()) {
        let name = file.file_name().unwrap_or_default();
        if name != "keyfobd" && name != "keyfob" {
            assert!(!contains(&fs::read(&file).unwrap_or_default(), VALUE), "{}", file.display());
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of ours").flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn a_new_program_that_does_not_work_or_is_not_ours_alone_changes_nothing() {
    let installed = Installed::new(&crate::config());
    let agent = installed.start();
    installed.profile.add_token("aspect", VALUE);
    let cases: [(&str, &str, u32); 6] = [
        ("cannot be run", "#!/bin/sh\nexit 0\n", 0o644),
        ("does not work (exit status: 1)", "#!/bin/sh\nexit 1\n", 0o755),
        ("does not say its version in time", "#!/bin/sh\nexec sleep 60\n", 0o755),
        ("is another program", "#!/bin/sh\necho hello >&2\n", 0o755),
        ("cannot be run", "half a program", 0o755),
        ("can be written by others (mode 777)", "#!/bin/sh\necho keyfobd 9 >&2\n", 0o777),
    ];
    for (number, (why, text, mode)) in cases.into_iter().enumerate() {
        installed.script(text, mode);
        wait_for(why, SOON, || told(&installed.profile, GOES_ON) == number + 1);
        assert!(
            log(&installed.profile).lines().any(|line| line.contains(why)),
            "{}",
            log(&installed.profile)
        );
        assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE, "{why}");
    }
    // A good one that others can write is no good either, until they cannot.
    installed.put(copy_agent, 0o757);
    wait_for("a word about it", SOON, || told(&installed.profile, GOES_ON) == 7);
    assert_eq!((told(&installed.profile, STARTS), installed.profile.agent_pid()), (1, agent));
    fs::set_permissions(installed.agent(), fs::Permissions::from_mode(0o755)).unwrap();
    installed.wait_for_starts(2);
    assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE);
}

/// One that says its version and then cannot be started: the doors were closed for a moment, and nobody has seen it.
#[test]
fn a_program_that_cannot_be_started_after_all_leaves_the_old_one_serving() {
    let installed = Installed::new(&crate::config());
    let agent = installed.start();
    installed.profile.add_token("aspect", VALUE);
    let calls = [(ASPECT, "X-Aspect", VALUE)];
    let (count, _) = under_calls(&installed, &calls, || {
        // It takes its interpreter away when it is asked.
        let interpreter = installed.programs.join("interpreter");
        process::copy_program("/bin/sh", &interpreter);
        let text = format!("#!{0}\necho keyfobd 9 >&2\nrm {0}\n", interpreter.display());
        installed.script(&text, 0o755);
        wait_for("a word about it", SOON, || told(&installed.profile, "cannot be started") == 1);
        thread::sleep(Duration::from_secs(1));
    });
    assert!(count > 20);
    assert_eq!((told(&installed.profile, STARTS), installed.profile.agent_pid()), (1, agent));
    assert!(no_children(agent), "who kept the secrets is gone");
    installed.replace();
    installed.wait_for_starts(2);
    assert_eq!(header(installed.get(ASPECT), "X-Aspect"), VALUE);
}

/// A refresh token is good once: as long as one is being spent, nobody takes over.
#[test]
fn a_refresh_under_way_is_waited_for_and_nothing_of_it_is_lost() {
    let issuer = IssuerOptions { access_token_seconds: 1, id_token_seconds: 1, ..IssuerOptions::default() };
    let company = Company::with(Options { issuer, ..Options::default() });
    let installed = Installed::new(&company.config());
    let agent = installed.start();
    installed.sign_in(&company);
    company.faults().set(Endpoint::Token, Fault::Slow(Duration::from_secs(4)));
    thread::sleep(Duration::from_millis(1100));
    // It is told to come again: the renewal goes on without it.
    installed.get(SESSION);
    let before = company.counts().refreshes();
    installed.replace();
    wait_for("a word about it", SOON, || {
        told(&installed.profile, "takes over when nothing is in the middle") == 1
    });
    assert_eq!(told(&installed.profile, STARTS), 1, "a token is being spent");
    installed.wait_for_starts(2);
    company.faults().clear(Endpoint::Token);
    assert!(company.counts().refreshes() > before, "the renewal was finished first");
    // The issuer ends a session of which a token is used twice.
    installed.get(SESSION).ok();
    assert_eq!(installed.profile.state_of("sso.okta"), "live");
    assert_eq!(installed.profile.agent_pid(), agent);
}

#[test]
fn sockets_of_the_service_manager_are_handed_on_and_stay_its_own() {
    let installed = Installed::new(&crate::config());
    fs::DirBuilder::new().mode(0o700).create(installed.profile.runtime()).unwrap();
    let activator = activate(&installed.profile, &installed.agent());
    installed.get(ELSEWHERE).ok();
    let agent = installed.profile.agent_pid();
    assert_eq!(agent, activator.pid());
    installed.profile.add_token("aspect", VALUE);
    let first = started(&installed.profile);
    let (count, _) = under_calls(&installed, &[(ASPECT, "X-Aspect", VALUE)], || {
        thread::sleep(Duration::from_secs(1));
        installed.replace();
        installed.wait_for_starts(2);
        thread::sleep(Duration::from_secs(1));
    });
    assert!(count > 20);
    assert_ne!(started(&installed.profile), first);
    installed.run(&["agent", "stop"], "").ok();
    assert!(installed.profile.agent_socket().exists(), "the socket is the service manager's to remove");
}

/// A door that was opened anew, because its name was gone, is handed on as well.
#[test]
fn a_door_that_was_opened_anew_is_handed_on() {
    let installed = Installed::new(&crate::config());
    let agent = installed.start();
    fs::remove_file(installed.profile.agent_socket()).unwrap();
    wait_for("the door", SOON, || installed.profile.agent_socket().exists());
    installed.replace();
    installed.wait_for_starts(2);
    assert_eq!(installed.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
    fs::remove_file(installed.profile.agent_socket()).unwrap();
    wait_for("the door", SOON, || installed.profile.agent_socket().exists());
    assert_eq!(installed.profile.agent_pid(), agent);
}

/// Uninstalled: callers should find nobody instead of a program that is gone. An installer takes the file away for a moment, too.
#[test]
fn an_agent_whose_program_was_removed_ends_and_takes_its_doors_along() {
    let installed = Installed::new(&crate::config());
    let agent = installed.start();
    fs::remove_file(installed.agent()).unwrap();
    assert_eq!(installed.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
    installed.replace();
    installed.wait_for_starts(2);
    let removed = Instant::now();
    fs::remove_file(installed.agent()).unwrap();
    assert!(process::is_alive(agent));
    wait_for("the end of the agent", AWAY + SOON, || !process::is_alive(agent));
    assert!(removed.elapsed() >= AWAY, "an installer may take longer");
    assert!(!installed.profile.agent_socket().exists() && !installed.profile.control_socket().exists());
    assert!(installed.profile.record().is_none());
    // Back again, it is started as ever.
    installed.replace();
    assert_ne!(installed.start(), agent);
}

/// The doors of a service manager would lead to a program that is gone.
#[test]
fn a_removed_agent_takes_along_the_doors_that_it_was_handed() {
    let installed = Installed::new(&crate::config());
    fs::DirBuilder::new().mode(0o700).create(installed.profile.runtime()).unwrap();
    let activator = activate(&installed.profile, &installed.agent());
    installed.get(ELSEWHERE).ok();
    fs::remove_file(installed.agent()).unwrap();
    wait_for("the end of the agent", AWAY + SOON, || !process::is_alive(activator.pid()));
    assert!(!installed.profile.agent_socket().exists() && !installed.profile.control_socket().exists());
}

/// A window that watches is told by the end of its connection, and comes again.
#[test]
fn a_window_that_watches_does_not_keep_the_old_version() {
    let installed = Installed::new(&crate::config());
    installed.start();
    let mut window = installed.profile.control_door();
    window.ask(&json!({"watch": {"notices": true}}));
    installed.replace();
    assert!(window.is_closed());
    let mut window = installed.profile.control_door();
    assert_eq!(window.ask(&json!({"watch": {"notices": true}}))["event"], "watching");
    installed.wait_for_starts(2);
}
