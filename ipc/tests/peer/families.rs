//! Who is behind a caller.

use std::process::{Command, Stdio};

use crate::stage::{Connection, Door, Role, Running, arguments, plays, real, wait_until};

#[test]
fn ancestors_are_seen_behind_a_shell() {
    if plays() {
        return;
    }
    let door = Door::open();
    let (shell, connection) = behind_shell(&door, "families::ancestors_are_seen_behind_a_shell");
    let ancestors = connection.caller.ancestors(16);
    let ids: Vec<_> = ancestors.iter().map(|process| process.id).collect();
    assert_eq!(ids[..2], [shell.id(), std::process::id()]);
    assert_eq!(ancestors[0].executable().unwrap(), real("/bin/sh"));
    assert_eq!(ancestors[1].executable().unwrap(), real(std::env::current_exe().unwrap()));
    assert!(ancestors.iter().all(|process| process.is_alive()));
    assert_eq!(connection.caller.ancestors(1).len(), 1);
    assert!(connection.caller.ancestors(0).is_empty());
    // Whoever started the test is behind it; the list ends with the first process, if we see it.
    assert!(ancestors.len() > 2);
    assert!(ids.iter().position(|id| *id == 1).is_none_or(|first| first + 1 == ids.len()));
}

#[test]
fn a_parent_is_known_after_its_child_has_ended_and_no_longer_than_itself() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "families::a_parent_is_known_after_its_child_has_ended_and_no_longer_than_itself";
    let (mut shell, Connection { stream, caller }) = behind_shell(&door, test);
    let id = caller.process.as_ref().unwrap().id;
    drop(stream);
    // The shell has reaped it: nothing is left of it in the system.
    wait_until("the end of the caller", || {
        rustix::process::Pid::from_raw(id.cast_signed())
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_err())
    });
    assert!(!caller.is_alive());
    let ids: Vec<_> = caller.ancestors(2).iter().map(|process| process.id).collect();
    assert_eq!(ids, [shell.id(), std::process::id()]);
    drop(shell.0.stdin.take());
    shell.end();
    assert!(caller.process.unwrap().parent().is_none());
}

/// A caller that is the child of a shell, which waits for its own standard input to end after it.
fn behind_shell(door: &Door, test: &str) -> (Running, Connection) {
    let mut command = Command::new("sh");
    command.args(["-c", r#""$@"; read -r line; exit 0"#, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(arguments(test)).stdin(Stdio::piped());
    let shell = Running::start(door.tell(&mut command, Role::Waits));
    (shell, door.accept())
}
