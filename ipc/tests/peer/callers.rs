//! The caller itself: that it is the process that connected, and what it runs.

use std::io::{Read as _, Write as _};

use keyfob_ipc::peer::{FileId, this_user};

use crate::stage::{Door, Role, Running, TERMINAL, plays, real, wait_until};

#[test]
fn the_caller_is_the_process_that_connected() {
    if plays() {
        return;
    }
    let door = Door::open();
    let (child, connection) = door.call("callers::the_caller_is_the_process_that_connected", Role::Waits);
    let caller = connection.caller;
    let process = caller.process.as_ref().unwrap();
    assert_eq!((caller.user.clone(), process.id), (this_user(), child.id()));
    assert!(caller.is_alive());
    let own = std::env::current_exe().unwrap();
    assert_eq!(caller.executable().unwrap(), real(&own));
    let program = process.program().unwrap();
    assert_eq!((program.file, program.is_replaced), (FileId::of(&own).ok(), false));
    assert_eq!(process.is_in_our_namespace(), Some(true));
    let arguments = process.arguments(2).unwrap();
    assert_eq!(arguments[1], "callers::the_caller_is_the_process_that_connected");
    drop(connection.stream);
    child.end();
    assert!(!caller.is_alive());
    assert_eq!(caller.executable(), None);
}

#[test]
fn a_caller_that_handed_its_connection_on_and_ended_is_gone() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "callers::a_caller_that_handed_its_connection_on_and_ended_is_gone";
    let (child, mut connection) = door.call(test, Role::HandsOn);
    child.end();
    // Control: the request comes all the same, from whoever has the connection now, and the user is the same.
    let mut request = [0; 7];
    connection.stream.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"request");
    assert_eq!(connection.caller.user, this_user());
    assert!(!connection.caller.is_alive());
    assert_eq!(connection.caller.executable(), None);
}

/// What a process runs is asked just before a secret leaves, and means that moment. It does not say who sent the request:
/// a hostile program can let an allowed one take its place (or start one, and read what that prints).
#[test]
fn a_caller_that_runs_another_program_is_known_by_the_new_one() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "callers::a_caller_that_runs_another_program_is_known_by_the_new_one";
    let (child, mut connection) = door.call(test, Role::RunsAnother);
    let process = connection.caller.process.as_ref().unwrap();
    let before = process.program().unwrap();
    assert_eq!(before.path, real(std::env::current_exe().unwrap()));
    connection.stream.write_all(b".").unwrap();
    if cfg!(target_os = "linux") {
        let cat = FileId::of(&which("cat")).ok();
        // For a moment in between it shows itself to nobody.
        wait_until("another program", || process.program().is_some_and(|now| now.file != before.file));
        let now = process.program().unwrap();
        assert_eq!((now.path, now.file, now.is_replaced), (real(which("cat")), cat, false));
        assert!(connection.caller.is_alive());
    } else {
        // macOS counts the versions of a process: this is not the one that connected.
        wait_until("another program", || !process.is_alive());
        assert_eq!(process.program(), None);
    }
    drop(connection);
    child.end();
}

#[test]
fn a_replaced_program_is_named_as_replaced_and_without_a_mark() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "callers::a_replaced_program_is_named_as_replaced_and_without_a_mark";
    let (tool, other) = (door.copy("tool"), door.copy("other"));
    let _child = Running::start(&mut door.caller(&tool, test, Role::Waits));
    let connection = door.accept();
    let process = connection.caller.process.as_ref().unwrap();
    let before = process.program().unwrap();
    assert_eq!((before.path.clone(), before.is_replaced), (real(&tool), false));
    assert_eq!(before.file, FileId::of(&tool).ok());

    let path = real(&tool);
    std::fs::rename(other, &tool).unwrap();
    let replaced = process.program().unwrap();
    assert!(replaced.is_replaced);
    if cfg!(target_os = "linux") {
        assert_eq!((&replaced.path, replaced.file), (&path, before.file));
        // Control: asked by its path, the program is another file; and the kernel's own word for it has a mark.
        assert_ne!(replaced.file, FileId::of(&replaced.path).ok());
        let link = std::fs::read_link(format!("/proc/{}/exe", process.id)).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("{} (deleted)", path.display()));

        std::fs::remove_file(&tool).unwrap();
        let removed = process.program().unwrap();
        assert_eq!((removed.path, removed.is_replaced), (path, true));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_name_ends_like_the_mark_keeps_its_name() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "callers::a_program_whose_name_ends_like_the_mark_keeps_its_name";
    // A file that pretends to be a replaced `tool`.
    let (tool, pretender) = (door.copy("tool"), door.copy("tool (deleted)"));
    let _child = Running::start(&mut door.caller(&pretender, test, Role::Waits));
    let connection = door.accept();
    let program = connection.caller.process.as_ref().unwrap().program().unwrap();
    assert_eq!((program.path, program.is_replaced), (real(&pretender), false));
    assert_ne!(program.file, FileId::of(&tool).ok());
}

#[test]
fn a_terminal_is_told_by_the_kernel() {
    if plays() {
        return;
    }
    let door = Door::open();
    let test = "callers::a_terminal_is_told_by_the_kernel";
    let (_child, without) = door.call(test, Role::WithoutTerminal);
    assert!(!without.caller.process.unwrap().has_terminal());

    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let controller = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&controller).unwrap();
    rustix::pty::unlockpt(&controller).unwrap();
    let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
    let mut command = door.caller(std::env::current_exe().unwrap(), test, Role::InTerminal);
    let _child = Running::start(command.env(TERMINAL, name.to_str().unwrap()));
    assert!(door.accept().caller.process.unwrap().has_terminal());
}

/// Where a program is, by the search path.
fn which(program: &str) -> std::path::PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists()).unwrap()
}
