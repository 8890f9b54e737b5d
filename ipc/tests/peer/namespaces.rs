//! Callers of Linux that see other files than we do, or hide.
//!
//! As root the tests make their namespaces directly; others need a user namespace for that, and a test says so where the
//! system forbids it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use keyfob_ipc::peer::{FileId, this_user};

use crate::stage::{Door, Role, Running, arguments, plays, real};

#[test]
fn a_caller_of_another_mount_namespace_has_our_path_and_another_file() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "namespaces::a_caller_of_another_mount_namespace_has_our_path_and_another_file";
    let (allowed, hostile) = (door.copy("allowed"), door.copy("hostile"));

    let script = r#"mount --bind "$1" "$2" && shift && exec "$@""#;
    let mut command = unshare(&["--mount"]);
    command.args(["sh", "-c", script, "sh"]).args([&hostile, &allowed]).args(arguments(test));
    let _mounted = Running::start(door.tell(&mut command, Role::Waits));
    let connection = door.accept();
    let fake = connection.caller.process.as_ref().unwrap();
    let program = fake.program().unwrap();
    assert_eq!(connection.caller.user, this_user());
    // Control: by its path it is the allowed program.
    assert_eq!(program.path, real(&allowed));
    assert_eq!(fake.is_in_our_namespace(), Some(false));
    assert_eq!(program.file, FileId::of(&hostile).ok());
    assert_ne!(program.file, FileId::of(&allowed).ok());

    let _plain = Running::start(&mut door.caller(&allowed, test, Role::Waits));
    let connection = door.accept();
    let true_one = connection.caller.process.as_ref().unwrap();
    let program = true_one.program().unwrap();
    assert_eq!((program.path, program.file), (real(&allowed), FileId::of(&allowed).ok()));
    assert_eq!(true_one.is_in_our_namespace(), Some(true));
}

#[test]
fn a_caller_that_hides_is_known_as_far_as_it_can_be() {
    let test = "namespaces::a_caller_that_hides_is_known_as_far_as_it_can_be";
    if plays() || is_repeated_without_privileges(test) {
        return;
    }
    let door = Door::open();
    let (child, connection) = door.call(test, Role::Hides);
    let caller = &connection.caller;
    let process = caller.process.as_ref().unwrap();
    assert_eq!((&caller.user, process.id), (&this_user(), child.id()));
    assert!(caller.is_alive());
    assert_eq!((process.program(), process.is_in_our_namespace()), (None, None));
    assert_eq!(caller.executable(), None);
    assert_eq!(process.parent().unwrap().id, std::process::id());
    let _either = (process.arguments(1), process.has_terminal());

    // Control: it is its hiding that keeps these from us.
    let (_child, open) = door.call(test, Role::Waits);
    let process = open.caller.process.as_ref().unwrap();
    assert!(process.program().is_some());
    assert_eq!(process.is_in_our_namespace(), Some(true));
}

/// The agent forbids others to look at it, first thing. That must not keep it from looking at its callers and at itself.
#[test]
fn who_hides_as_the_agent_does_still_sees_its_callers() {
    let test = "namespaces::who_hides_as_the_agent_does_still_sees_its_callers";
    if plays() || is_repeated_without_privileges(test) {
        return;
    }
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
    let door = Door::open();
    let (child, connection) = door.call(test, Role::Waits);
    let process = connection.caller.process.as_ref().unwrap();
    let program = process.program().unwrap();
    let own = std::env::current_exe().unwrap();
    assert_eq!((program.path, program.file), (real(&own), FileId::of(&own).ok()));
    assert_eq!(process.is_in_our_namespace(), Some(true));
    assert_eq!(process.arguments(2).unwrap()[1], test);
    let ancestors = connection.caller.ancestors(2);
    assert_eq!(ancestors[0].id, std::process::id());
    assert_eq!((ancestors[0].is_alive(), ancestors.len()), (true, 2));
    // Control: we are hidden, even from what we have started.
    let own = format!("/proc/{}/exe", std::process::id());
    assert!(!Command::new("readlink").arg(own).output().unwrap().status.success());
    drop(connection);
    child.end();
}

/// unshare(1), with a user namespace where we have no other right to the rest.
pub fn unshare(options: &[&str]) -> Command {
    let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let possible = Command::new("unshare").args(user).args(["--mount", "true"]).output();
    assert!(
        possible.as_ref().is_ok_and(|output| output.status.success()),
        "this test needs unshare(1) of util-linux, and the right to use it: be root with CAP_SYS_ADMIN, or allow user \
         namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0): {possible:?}"
    );
    let mut command = Command::new("unshare");
    command.args(user).args(options);
    command
}

/// Repeats the test in a process of its own, in which it may do as it likes with itself. Root may look at everything, so
/// it is repeated as a user who may not.
fn is_repeated_without_privileges(test: &str) -> bool {
    const REPEATED: &str = "PEER_TEST_REPEATED";
    const NOBODY: u32 = 65534;
    if std::env::var_os(REPEATED).is_some() {
        assert!(!is_root());
        return false;
    }
    let door = Door::open();
    let (program, folder) = (door.copy("test"), door.path(""));
    let mut command = Command::new(program);
    command.args(arguments(test)).env(REPEATED, "").env("TMPDIR", &folder).current_dir(&folder);
    if is_root() {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:#?}");
    true
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
