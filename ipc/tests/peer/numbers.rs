//! Process numbers that are used again. Each test has a namespace of process numbers to itself, in which it is the first
//! process and decides which number comes next.

use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use keyfob_ipc::peer::Process;

use crate::namespaces::unshare;
use crate::stage::{Door, Role, Running, arguments, plays, wait_until};

#[test]
fn a_caller_is_not_whoever_has_its_number_later() {
    if plays() || is_repeated_in_a_namespace("numbers::a_caller_is_not_whoever_has_its_number_later") {
        return;
    }
    let door = Door::open();
    let (child, connection) = door.call("numbers::a_caller_is_not_whoever_has_its_number_later", Role::Waits);
    let number = child.id();
    let by_socket = connection.caller.process.as_ref().unwrap();
    let by_number = Process::pin(number).unwrap();
    assert!(by_socket.is_alive() && by_number.is_alive());
    drop(child);
    let other = take(number);
    for process in [by_socket, &by_number] {
        assert!(!process.is_alive());
        assert_eq!(process.program(), None);
        assert_eq!(process.is_in_our_namespace(), None);
        assert_eq!(process.arguments(1), None);
    }
    // Control: the number alone names the other one.
    assert!(Process::pin(number).unwrap().is_alive());
    drop(other);
}

#[test]
fn a_caller_that_ended_before_it_was_accepted_is_not_whoever_has_its_number() {
    let test = "numbers::a_caller_that_ended_before_it_was_accepted_is_not_whoever_has_its_number";
    if plays() || is_repeated_in_a_namespace(test) {
        return;
    }
    let door = Door::open();
    let child = Running::start(&mut door.caller(std::env::current_exe().unwrap(), test, Role::Leaves));
    let number = child.id();
    child.end();
    let other = take(number);
    let connection = door.accept();
    // Control: the socket names the number, and the number alone names the other one.
    let told = rustix::net::sockopt::socket_peercred(connection.stream.as_fd()).unwrap();
    assert_eq!(told.pid.as_raw_nonzero().get().cast_unsigned(), other.id());
    assert!(Process::pin(number).unwrap().is_alive());
    // SO_PEERPIDFD came with Linux 6.5; an older kernel leaves this moment open.
    assert_eq!(connection.caller.process.is_none(), kernel() >= (6, 5), "{:?}", connection.caller);
}

#[test]
fn a_parent_is_not_whoever_has_its_number_later() {
    let test = "numbers::a_parent_is_not_whoever_has_its_number_later";
    if plays() || is_repeated_in_a_namespace(test) {
        return;
    }
    let door = Door::open();
    for child_ends in [true, false] {
        let mut command = Command::new("sh");
        // Not in its place: the shell stays the parent.
        command.args(["-c", r#""$@" & read -r line"#, "sh"]).arg(std::env::current_exe().unwrap());
        command.args(arguments(test)).stdin(Stdio::piped());
        let mut shell = Running::start(door.tell(&mut command, Role::Waits));
        let connection = door.accept();
        let child = connection.caller.process.unwrap();
        let number = shell.id();
        assert_eq!(child.parent().unwrap().id, number);

        drop(shell.0.stdin.take());
        shell.0.wait().unwrap();
        let kept = (!child_ends).then_some(connection.stream);
        wait_until("the end of the child, or its life", || child.is_alive() != child_ends);
        // Start times are told in hundredths of a second: the other one starts in a later one.
        let now = uptime();
        wait_until("the next hundredth of a second", || uptime() != now);
        let other = take(number);
        // Control: the number that the child named names the other one.
        assert!(Process::pin(number).unwrap().is_alive());
        assert!(child.parent().is_none(), "{:?}", child.parent());
        drop((other, kept));
    }
}

/// Starts a process that has this number, which nobody has at the moment.
fn take(number: u32) -> Running {
    // Threads of the test take numbers, too.
    for _ in 0..100 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string())
            .expect("this test needs /proc/sys/kernel/ns_last_pid (CONFIG_CHECKPOINT_RESTORE)");
        let process = Running::start(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()));
        if process.id() == number {
            return process;
        }
    }
    panic!("the number {number} was not given again");
}

/// Repeats the test as the first process of its own namespace of process numbers.
fn is_repeated_in_a_namespace(test: &str) -> bool {
    if std::process::id() == 1 {
        return false;
    }
    let output = unshare(&["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(arguments(test))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:#?}");
    true
}

fn uptime() -> String {
    std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().to_owned()
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    (numbers.next().unwrap().unwrap(), numbers.next().unwrap().unwrap())
}
