//! A socket to connect to, and callers that do as they are told.
//!
//! A test that needs a caller begins with [`plays`]: started again as a caller, it plays that and nothing else.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyfob_ipc::Caller;
use keyfob_ipc::peer::caller_of;
use tempfile::TempDir;

const ROLE: &str = "PEER_TEST_ROLE";
const DOOR: &str = "PEER_TEST_DOOR";
/// The terminal that a caller takes.
pub const TERMINAL: &str = "PEER_TEST_TERMINAL";

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller does once it is connected.
#[derive(Clone, Copy)]
pub enum Role {
    /// Waits until we close the connection.
    Waits,
    /// Ends at once.
    Leaves,
    /// Gives the connection to a shell that sends `request` and waits, and ends.
    HandsOn,
    /// Runs `cat` in its own place as soon as it gets a byte.
    RunsAnother,
    /// Forbids others to look at it, and waits.
    Hides,
    /// Waits in a session without a terminal.
    WithoutTerminal,
    /// Waits in a session of the terminal [`TERMINAL`].
    InTerminal,
}

impl Role {
    const ALL: [(Self, &str); 7] = [
        (Self::Waits, "waits"),
        (Self::Leaves, "leaves"),
        (Self::HandsOn, "hands on"),
        (Self::RunsAnother, "runs another"),
        (Self::Hides, "hides"),
        (Self::WithoutTerminal, "without terminal"),
        (Self::InTerminal, "in terminal"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Whether this process was started to play a caller; then it has done so.
pub fn plays() -> bool {
    let Ok(name) = std::env::var(ROLE) else { return false };
    let (role, _) = *Role::ALL.iter().find(|(_, known)| *known == name).unwrap();
    match role {
        Role::WithoutTerminal => drop(rustix::process::setsid().unwrap()),
        Role::InTerminal => take_terminal(),
        Role::Hides => hide(),
        Role::Waits | Role::Leaves | Role::HandsOn | Role::RunsAnother => {}
    }
    let mut stream = UnixStream::connect(std::env::var_os(DOOR).unwrap()).unwrap();
    match role {
        Role::Leaves => {}
        Role::HandsOn => hand_on(stream),
        Role::RunsAnother => {
            stream.read_exact(&mut [0]).unwrap();
            panic!("{}", Command::new("cat").stdin(OwnedFd::from(stream)).exec());
        }
        Role::Waits | Role::Hides | Role::WithoutTerminal | Role::InTerminal => {
            let _ = stream.read(&mut [0]);
        }
    }
    true
}

#[expect(clippy::zombie_processes, reason = "it outlives this process, and ends with the connection")]
fn hand_on(stream: UnixStream) {
    let (in_, out) = (OwnedFd::from(stream.try_clone().unwrap()), OwnedFd::from(stream));
    let script = "printf request; exec cat >/dev/null";
    Command::new("sh").args(["-c", script]).stdin(in_).stdout(out).spawn().unwrap();
}

fn take_terminal() {
    rustix::process::setsid().unwrap();
    let path = std::env::var_os(TERMINAL).unwrap();
    let terminal = std::fs::File::options().read(true).write(true).open(path).unwrap();
    rustix::process::ioctl_tiocsctty(terminal).unwrap();
}

fn hide() {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
}

/// A socket of our own, in a folder of its own.
pub struct Door {
    folder: TempDir,
    listener: UnixListener,
}

impl Door {
    pub fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("door")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { folder, listener }
    }

    /// A path in the folder of this door.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of this test program. Another process makes it: a descriptor of ours that can write to it, inherited by a
    /// caller that another test starts at the same moment, would keep it from being run.
    pub fn copy(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        let done = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status().unwrap();
        assert!(done.success());
        copy
    }

    /// How to start this test program as a caller: `program` is it, or a copy of it, and `test` the test that calls.
    pub fn caller(&self, program: impl AsRef<OsStr>, test: &str, role: Role) -> Command {
        let mut command = Command::new(program);
        self.tell(&mut command, role).args(arguments(test));
        command
    }

    /// Tells a command whose program runs this test program in turn.
    pub fn tell<'a>(&self, command: &'a mut Command, role: Role) -> &'a mut Command {
        command.env(ROLE, role.name()).env(DOOR, self.path("door")).stdout(Stdio::null())
    }

    /// Starts a caller, and takes its connection.
    pub fn call(&self, test: &str, role: Role) -> (Running, Connection) {
        let running = Running::start(&mut self.caller(std::env::current_exe().unwrap(), test, role));
        (running, self.accept())
    }

    /// The next connection.
    pub fn accept(&self) -> Connection {
        let stream = wait_for("a caller", || self.listener.accept().ok()).0;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let caller = caller_of(stream.as_fd()).unwrap();
        Connection { stream, caller }
    }
}

/// What makes this test program run one test.
pub fn arguments(test: &str) -> [&str; 3] {
    [test, "--exact", "--nocapture"]
}

/// An accepted connection.
pub struct Connection {
    pub stream: UnixStream,
    pub caller: Caller,
}

/// A process of a test, ended with it.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for an end without complaint.
    pub fn end(mut self) {
        let status = wait_for("the end of a process", || self.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until something holds.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// The path without links in it, as the system names files.
pub fn real(path: impl AsRef<Path>) -> PathBuf {
    std::fs::canonicalize(path).unwrap()
}
