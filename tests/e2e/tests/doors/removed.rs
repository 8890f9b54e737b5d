//! Names that are taken away, opened to others, or taken by somebody else, while the agent runs.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use keyfob_e2e::raw::Raw;
use keyfob_e2e::{Profile, Stage, start, wait_for};
use serde_json::json;

use crate::{ANSWER, ASPECT, ELSEWHERE, SOON, VALUE, config, header, mode, told};

const GONE: &str = "the socket was gone, and is there again";

fn pid_at(socket: &Path) -> Option<u64> {
    let mut door = Raw::try_connect(socket).ok()?;
    door.ask(&json!("about"))["about"]["pid"].as_u64()
}

/// Both doors are where they belong, as they should be, and this agent answers.
#[track_caller]
fn are_well(profile: &Profile, agent: u32) {
    let doors = [profile.agent_socket(), profile.control_socket()];
    wait_for("both doors, as they were", SOON, || {
        mode(profile.runtime()) == Some(0o700)
            && doors.iter().all(|door| mode(door) == Some(0o600) && pid_at(door) == Some(agent.into()))
    });
}

#[test]
fn a_removed_socket_is_there_again_and_who_is_connected_goes_on() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.add_token("aspect", VALUE);
    let (mut tool, mut control) = (profile.tool_door(), profile.control_door());
    tool.ask(&json!("about"));
    for door in [profile.agent_socket(), profile.control_socket()] {
        fs::remove_file(&door).unwrap();
        are_well(&profile, agent);
    }
    for door in [&mut tool, &mut control] {
        assert_eq!(door.ask(&json!("about"))["about"]["pid"], agent, "the old connection is still served");
    }
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
    assert_eq!(told(&profile, GONE), 2);
}

#[test]
fn a_removed_or_renamed_folder_is_made_again_for_this_user_alone() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    // A socket may be there again before its folder is gone.
    wait_for("the folder to go", SOON, || fs::remove_dir_all(profile.runtime()).is_ok());
    are_well(&profile, agent);
    fs::rename(profile.runtime(), profile.path().join("elsewhere")).unwrap();
    are_well(&profile, agent);
    // And the new folder is watched as the first one was.
    fs::remove_file(profile.agent_socket()).unwrap();
    are_well(&profile, agent);
}

#[test]
fn what_was_opened_to_others_is_closed_again() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    for (path, open) in
        [(profile.runtime(), 0o755), (&profile.agent_socket(), 0o666), (&profile.control_socket(), 0o777)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
        are_well(&profile, agent);
    }
    assert_eq!(told(&profile, GONE), 0);
}

#[test]
fn a_socket_that_is_moved_away_and_back_is_still_answered() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let (door, aside) = (profile.agent_socket(), profile.path().join("aside"));
    fs::rename(&door, &aside).unwrap();
    are_well(&profile, agent);
    assert_eq!(pid_at(&aside), Some(agent.into()));
    fs::rename(&aside, &door).unwrap();
    are_well(&profile, agent);
    fs::remove_file(&door).unwrap();
    are_well(&profile, agent);
}

/// Who comes with another environment finds the agent by its record alone.
#[test]
fn the_record_is_written_again() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let record = profile.record().unwrap();
    let file = profile.state().join("agent.json");
    fs::remove_file(&file).unwrap();
    wait_for("the record", SOON, || profile.record().as_ref() == Some(&record));
    fs::write(&file, "{}").unwrap();
    wait_for("the record", SOON, || profile.record().as_ref() == Some(&record));
    assert_eq!(profile.agent_pid(), agent);
}

/// The client finds no socket, and an agent that has the lock: it looks until the socket is there again.
#[test]
fn calls_while_the_socket_is_being_removed_see_no_error() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    for round in 0..7 {
        if round % 3 == 2 {
            fs::remove_dir_all(profile.runtime()).unwrap();
        } else {
            fs::remove_file(profile.agent_socket()).unwrap();
        }
        let output = profile.get(ELSEWHERE).ok();
        assert_eq!(output.stdout, "{\"headers\":{}}\n");
        assert!(output.took < ANSWER, "{output:?}");
        are_well(&profile, agent);
    }
    assert_eq!(told(&profile, "the agent starts"), 1);
}

/// A name that is removed as soon as it is there is not made again all the time.
#[test]
fn whoever_goes_on_removing_it_keeps_the_agent_neither_busy_nor_away() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        // Most of the time there is nothing to remove.
        let _ = fs::remove_file(profile.agent_socket());
        std::thread::sleep(Duration::from_millis(1));
    }
    let times = told(&profile, GONE);
    assert!((3..=12).contains(&times), "{times} times in three seconds");
    assert_eq!(profile.control_door().ask(&json!("about"))["about"]["pid"], agent);
    are_well(&profile, agent);
}

#[test]
fn somebody_else_at_the_name_is_told_of_and_not_fought() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let door = profile.agent_socket();
    // Renamed into place, so that the name is never free.
    let aside = profile.path().join("other.sock");
    let other = UnixListener::bind(&aside).unwrap();
    fs::rename(&aside, &door).unwrap();
    let number = fs::metadata(&door).unwrap().ino();
    let words = format!("another program (process {}) answers", std::process::id());
    wait_for("a word about it", SOON, || told(&profile, &words) == 1);
    // It has time to do more than to say it.
    let end = Instant::now() + Duration::from_millis(500);
    wait_for("half a second", SOON, || Instant::now() > end);
    assert_eq!(fs::metadata(&door).unwrap().ino(), number, "the other one's socket is left alone");
    assert_eq!((told(&profile, &words), told(&profile, GONE)), (1, 0));
    assert_eq!(pid_at(&profile.control_socket()), Some(agent.into()), "the other door is as it was");
    // Once the other one has gone, the name is taken back.
    drop(other);
    fs::remove_file(&door).unwrap();
    are_well(&profile, agent);
}

#[test]
fn what_is_no_socket_is_not_removed() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let door = profile.control_socket();
    let aside = profile.path().join("file");
    fs::write(&aside, "somebody's").unwrap();
    fs::rename(&aside, &door).unwrap();
    wait_for("a word about it", SOON, || told(&profile, "something that is no socket lies at") == 1);
    assert_eq!(fs::read_to_string(&door).unwrap(), "somebody's");
    fs::remove_file(&door).unwrap();
    are_well(&profile, agent);
}

/// A socket that nobody listens at is not somebody else's.
#[test]
fn a_dead_socket_at_the_name_is_replaced() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let aside = profile.path().join("dead.sock");
    drop(UnixListener::bind(&aside).unwrap());
    fs::rename(&aside, profile.agent_socket()).unwrap();
    are_well(&profile, agent);
}

#[test]
fn sockets_of_the_service_manager_are_watched_too() {
    let profile = Profile::new(&config());
    fs::DirBuilder::new().mode(0o700).create(profile.runtime()).unwrap();
    let activator = activated(&profile);
    profile.get(ELSEWHERE).ok();
    let agent = profile.agent_pid();
    assert_eq!(agent, activator.pid());
    fs::remove_file(profile.agent_socket()).unwrap();
    wait_for("the door", SOON, || pid_at(&profile.agent_socket()) == Some(agent.into()));
    profile.run(&["agent", "stop"], "").ok();
    assert!(!profile.agent_socket().exists(), "the agent's own is removed by it");
    assert!(profile.control_socket().exists(), "the other is the service manager's");
}

/// An agent that is started by the service manager's double at the first call.
pub(crate) fn activated(profile: &Profile) -> keyfob_e2e::Running {
    activate(profile, &Stage::get().bin("keyfobd"))
}

pub(crate) fn activate(profile: &Profile, program: &Path) -> keyfob_e2e::Running {
    let mut activator = profile.command("/usr/bin/systemd-socket-activate");
    activator.arg("-l").arg(profile.agent_socket()).arg("-l").arg(profile.control_socket());
    activator.arg("--fdname=agent:control");
    // It hands down little of its own environment.
    for (name, value) in profile.keyfob(&[]).get_envs() {
        if name.to_string_lossy().starts_with("KEYFOB_") {
            let pair = format!("{}={}", name.display(), value.unwrap_or_default().display());
            activator.args(["-E", &pair]);
        }
    }
    let activator = start(
        {
            activator.arg(program);
            activator
        },
        "",
    );
    wait_for("the service manager's sockets", SOON, || {
        profile.agent_socket().exists() && profile.control_socket().exists()
    });
    activator
}

/// The watch costs nothing: an agent that nobody asks does not wake up.
#[test]
fn an_agent_at_rest_does_not_wake_up() {
    const REST: Duration = Duration::from_secs(10);
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.get(ELSEWHERE).ok();
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{agent}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (mut since, mut count) = (Instant::now(), switches());
    // Spare threads end some seconds after they were used.
    wait_for("ten seconds without a single wake-up", Duration::from_secs(60), || {
        let now = switches();
        if now != count {
            (since, count) = (Instant::now(), now);
        }
        since.elapsed() > REST
    });
}
