//! A profile whose programs have file systems of their own: a state folder on a small or a read-only disk, and other
//! files than the machine's in `/etc`. Made as an unprivileged user makes it, by a user namespace (unshare(1)).

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{Lines, Part};
use keyfob_e2e::{Output, Profile, Stage, run, wait_for};
use serde_json::json;

use crate::{FIRST_CALL, add_passphrase};

/// What the small disk holds, in KiB: identity, lock, log and some items, each at least a page of memory.
const SIZE: usize = 256;

/// Raises the loopback device (netdevice(7)), takes the port of the name service, and reads nothing from it.
const SILENT: &str = "
import fcntl, socket, struct, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(udp, 0x8914, struct.pack('16sH14s', b'lo', 1, b''))
udp.bind(('127.0.0.1', 53))
print('ready', flush=True)
sys.stdin.read()
";

/// A profile apart. Everything that it starts is gone when it is dropped.
pub struct Apart {
    /// The profile; its programs are started by [`Apart::run`] and the like alone.
    pub profile: Profile,
    holder: Part,
    namespaces: Vec<String>,
}

impl Apart {
    /// A profile over the encrypted file keychain, whose state folder is a disk of 256 KiB.
    pub fn on_a_small_disk(config: &str) -> Self {
        Self::new(config, &format!("mount -t tmpfs -o size={SIZE}k,mode=700 tmpfs \"$STATE\""))
    }

    /// The same on an ordinary disk, which can be made read-only.
    pub fn on_a_disk_of_its_own(config: &str) -> Self {
        Self::new(config, ":")
    }

    /// The same with a name service of its own: `hosts` in the profile's folder is `/etc/hosts`, and nobody is there
    /// to be asked about other names.
    pub fn with_names_of_its_own(config: &str) -> Self {
        Self::new(
            config,
            "cd \"$HOME/..\" && echo hosts: files dns > nsswitch && echo nameserver 127.0.0.1 > resolv && touch hosts \
             && mount --bind nsswitch /etc/nsswitch.conf && mount --bind resolv \"$(readlink -f /etc/resolv.conf)\" \
             && mount --bind hosts /etc/hosts",
        )
    }

    /// The same without any network but one of its own, with a name service that takes questions and answers none.
    pub fn with_a_silent_name_service(config: &str) -> Self {
        let script = "cd \"$HOME/..\" && echo hosts: dns > nsswitch && echo nameserver 127.0.0.1 > resolv \
             && mount --bind nsswitch /etc/nsswitch.conf && mount --bind resolv \"$(readlink -f /etc/resolv.conf)\" \
             && exec /usr/bin/python3 -I -c \"$SILENT\"";
        Self::with(config, script, &["--net"])
    }

    fn new(config: &str, script: &str) -> Self {
        Self::with(config, script, &[])
    }

    fn with(config: &str, script: &str, namespaces: &[&str]) -> Self {
        let mut profile = Profile::new(config);
        add_passphrase(&mut profile);
        fs::DirBuilder::new().mode(0o700).create(profile.state()).expect("a new folder");
        let mut command = profile.command("/usr/bin/unshare");
        command.args(["--user", "--map-root-user", "--mount"]).args(namespaces).args(["/bin/sh", "-ec"]);
        command.arg(format!("{script}\necho ready\nexec cat"));
        command.env("STATE", profile.state()).env("SILENT", SILENT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = Part::start(&mut command);
        let stdout = holder.child().stdout.take().expect("its standard output is piped");
        // Where the system forbids user namespaces, the script's own words are on standard error.
        Lines::of(stdout).find("the word that all is mounted", |line| (line == "ready").then_some(()));
        let namespaces =
            [&["--user", "--mount"], namespaces].concat().into_iter().map(str::to_owned).collect();
        Self { profile, holder, namespaces }
    }

    /// Any program, there.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let holder = self.holder.id().to_string();
        let mut command = self.profile.command("/usr/bin/nsenter");
        command.args(["--target", &holder, "--preserve-credentials"]).args(&self.namespaces).arg("--");
        command.arg(program.as_ref());
        command
    }

    /// A call of `keyfob`, there.
    pub fn keyfob(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Stage::get().bin("keyfob"));
        command.args(arguments);
        command
    }

    /// Runs `keyfob` to its end, there.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        run(self.keyfob(arguments), stdin)
    }

    /// `keyfob get`, there.
    #[track_caller]
    pub fn get(&self, uri: &str) -> Output {
        self.run(&["get"], &json!({"uri": uri}).to_string())
    }

    /// An agent that is started by hand, there.
    #[track_caller]
    pub fn agent_by_hand(&self) -> Output {
        run(self.command(Stage::get().bin("keyfobd")), "")
    }

    /// A program of the system, there, where it may do everything.
    #[track_caller]
    pub fn administer(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        command.args(arguments);
        run(command, "").ok();
    }

    /// Makes the disk of the state folder read-only, or takes that back.
    #[track_caller]
    pub fn set_read_only(&self, is_read_only: bool) {
        let state = self.profile.state().display().to_string();
        if is_read_only {
            // Over the one that the agent has files open on, which cannot be changed any more.
            self.administer("/usr/bin/mount", &["--bind", &state, &state]);
            self.administer("/usr/bin/mount", &["-o", "remount,bind,ro", &state]);
        } else {
            self.administer("/usr/bin/umount", &[&state]);
        }
    }

    /// The state folder, as this test sees it.
    pub fn state(&self) -> PathBuf {
        let inside = self.profile.state().strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside)
    }

    /// Fills the disk of the state folder to its last byte.
    #[track_caller]
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut ballast = fs::File::create(self.ballast()).expect("a new file");
        let error = loop {
            if let Err(error) = ballast.write_all(&[b'x'; 1024]) {
                break error;
            }
            assert!(
                ballast.metadata().expect("our own file").len() <= 1024 * SIZE as u64,
                "this disk is large"
            );
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    #[track_caller]
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }

    fn ballast(&self) -> PathBuf {
        self.state().join("ballast")
    }

    /// Where there is a name service of its own: lets a name stand for this machine, or none.
    #[track_caller]
    pub fn set_names(&self, hosts: &str) {
        // In place: it is this very file that is mounted.
        fs::write(self.profile.path().join("hosts"), hosts).expect("our own file");
    }

    /// The process of the running agent, if one has said where it is.
    pub fn agent(&self) -> Option<u32> {
        let record = fs::read(self.state().join("agent.json")).ok()?;
        let record: keyfob_ipc::place::Record = serde_json::from_slice(&record).ok()?;
        (process::name(record.pid).as_deref() == Some("keyfobd")).then_some(record.pid)
    }

    /// Ends the agent by SIGKILL.
    #[track_caller]
    pub fn kill_agent(&self) {
        let agent = self.agent().expect("an agent runs");
        process::signal(agent, Signal::KILL);
        wait_for("the end of the killed agent", FIRST_CALL, || !process::is_alive(agent));
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if let Some(agent) = self.agent() {
                process::signal_if_alive(agent, Signal::KILL);
            }
        } else {
            // There may be none.
            run(self.keyfob(&["agent", "stop"]), "");
        }
    }
}
