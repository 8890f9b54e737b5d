//! `install.sh` in home folders of its own, with programs of one line.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;

/// An archive that was unpacked, and a home folder.
struct Stage {
    work: TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { work: tempfile::tempdir().unwrap() };
        fs::create_dir(stage.home()).unwrap();
        stage.unpack("first");
        stage
    }

    fn home(&self) -> PathBuf {
        self.work.path().join("home")
    }

    fn installed(&self, path: &str) -> PathBuf {
        self.home().join(".local").join(path)
    }

    /// Packs and unpacks an archive whose `keyfob` says this.
    fn unpack(&self, said: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installers/linux/archive/install.sh");
        let program = |path: &str| {
            let text = format!("#!/bin/sh\n[ \"$1\" = agent ] || echo {said}\n");
            Entry { mode: tree::PROGRAM, ..Entry::bytes(path, text) }
        };
        let entries = vec![
            program("bin/keyfob"),
            program("bin/keyfobd"),
            program("bin/keyfob-tray"),
            Entry::link("bin/git-credential-keyfob", "keyfob"),
            Entry::bytes("etc/xdg/autostart/dev.keyfob.tray.desktop", "Exec=/usr/bin/keyfob-tray --hidden\n"),
            Entry::bytes(
                "lib/systemd/user/keyfobd.service",
                format!("# {said}\nExecStart=/usr/bin/keyfobd\n"),
            ),
            Entry::bytes("lib/systemd/user/keyfobd.socket", "ListenStream=%t/keyfob/agent.sock\n"),
            Entry::bytes("share/man/man1/keyfob.1.gz", "page"),
            Entry::program("install.sh", script),
        ];
        let archive = pack(entries, "keyfob", 1_767_225_600, self.work.path()).unwrap();
        run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(self.work.path())).unwrap();
    }

    fn install(&self, more: &[&str]) -> Output {
        self.run(&self.work.path().join("keyfob/install.sh"), more)
    }

    fn uninstall(&self) -> Output {
        self.run(&self.installed("share/keyfob/uninstall.sh"), &[])
    }

    /// The prefix is told, so that root may try it, too.
    fn run(&self, script: &Path, more: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.arg(script).arg("--prefix").arg(self.home().join(".local")).args(more);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.home()).output().unwrap()
    }

    fn keyfob_says(&self) -> String {
        let output = Command::new(self.installed("bin/keyfob")).arg("get").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[test]
fn what_was_installed_is_removed_and_nothing_else() {
    let stage = Stage::new();
    let neighbour = stage.installed("bin/neighbour");
    fs::create_dir_all(neighbour.parent().unwrap()).unwrap();
    fs::write(&neighbour, "mine").unwrap();
    let output = stage.install(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("is not in your PATH"), "{}", said(&output));
    assert_eq!(stage.keyfob_says(), "first");
    assert_eq!(fs::read_link(stage.installed("bin/git-credential-keyfob")).unwrap(), Path::new("keyfob"));
    let output = stage.uninstall();
    assert!(output.status.success(), "{}", said(&output));
    let left: Vec<_> =
        fs::read_dir(stage.home().join(".local")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, [stage.installed("bin")]);
    assert_eq!(checksums::files(&stage.installed("bin")).unwrap(), [neighbour]);
}

#[test]
fn an_upgrade_replaces_programs_that_run_by_new_files() {
    let stage = Stage::new();
    assert!(stage.install(&[]).status.success());
    let keyfob = stage.installed("bin/keyfob");
    let running = fs::File::open(&keyfob).unwrap();
    stage.unpack("second");
    assert!(stage.install(&[]).status.success());
    assert_eq!(stage.keyfob_says(), "second");
    assert_ne!(running.metadata().unwrap().ino(), fs::metadata(&keyfob).unwrap().ino());
    assert!(std::io::read_to_string(running).unwrap().contains("first"), "the file that runs was written to");
}

#[test]
fn callers_notice_nothing_of_an_upgrade() {
    let stage = Stage::new();
    assert!(stage.install(&[]).status.success());
    stage.unpack("second");
    let is_done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let mut answers = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                answers.push(stage.keyfob_says());
            }
            answers
        });
        let output = stage.install(&[]);
        is_done.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", said(&output));
        calls.join().unwrap()
    });
    assert!(answers.iter().all(|answer| answer == "first" || answer == "second"), "{answers:?}");
    assert_eq!(stage.keyfob_says(), "second");
}

#[test]
fn a_file_of_somebody_else_is_replaced_only_when_told_to() {
    let stage = Stage::new();
    let keyfob = stage.installed("bin/keyfob");
    fs::create_dir_all(keyfob.parent().unwrap()).unwrap();
    fs::write(&keyfob, "built by hand").unwrap();
    let output = stage.install(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("bin/keyfob"), "{}", said(&output));
    assert_eq!(fs::read_to_string(&keyfob).unwrap(), "built by hand");
    assert!(!stage.installed("bin/keyfobd").exists(), "half of it was installed");
    assert!(stage.install(&["--force"]).status.success());
    assert_eq!(stage.keyfob_says(), "first");
}

#[test]
fn a_file_that_was_changed_since_is_kept_at_the_removal() {
    let stage = Stage::new();
    assert!(stage.install(&[]).status.success());
    let page = stage.installed("share/man/man1/keyfob.1.gz");
    fs::write(&page, "changed").unwrap();
    let output = stage.uninstall();
    assert!(output.status.success());
    assert!(said(&output).contains("keyfob.1.gz"), "{}", said(&output));
    assert_eq!(fs::read_to_string(&page).unwrap(), "changed");
    assert!(!stage.installed("bin").exists());
}

#[test]
fn an_edited_unit_is_kept_with_a_word_through_upgrades_and_holds_none_back() {
    let stage = Stage::new();
    assert!(stage.install(&[]).status.success());
    let unit = stage.installed("share/systemd/user/keyfobd.service");
    fs::write(&unit, "edited").unwrap();
    for version in ["second", "third"] {
        stage.unpack(version);
        let output = stage.install(&[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("keyfobd.service, which was edited"), "{}", said(&output));
        assert_eq!(fs::read_to_string(&unit).unwrap(), "edited");
        assert_eq!(stage.keyfob_says(), version);
    }
    // The control: whoever wants the new one gets it.
    assert!(stage.install(&["--force"]).status.success());
    assert!(fs::read_to_string(&unit).unwrap().starts_with("# third\n"));
}

/// No manager of units answers here.
#[test]
fn a_removal_takes_the_link_that_enables_our_unit_and_no_other() {
    let stage = Stage::new();
    let ours = stage.installed("share/systemd/user/keyfobd.socket");
    let config = stage.home().join(".config/systemd");
    let link = config.join("user/sockets.target.wants/keyfobd.socket");
    for (target, is_left) in [(Path::new("/usr/lib/systemd/user/keyfobd.socket"), true), (&ours, false)] {
        assert!(stage.install(&[]).status.success());
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert!(stage.uninstall().status.success());
        assert_eq!(link.is_symlink(), is_left, "{}", target.display());
    }
    assert!(!config.exists(), "empty folders are left");
}

/// The moment is after some renames: `mv` ends the script that has called it, as a power cut would.
#[test]
fn what_an_installation_that_was_cut_off_has_left_is_removed_by_the_next_and_by_a_removal() {
    let found = |stage: &Stage, named: &str| {
        let output =
            Command::new("find").arg(stage.home()).args(["!", "-type", "d", "-name", named]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let leftovers = |stage: &Stage| found(stage, "*.keyfob-new");
    for renames in 1..8 {
        let stage = Stage::new();
        let tools = stage.work.path().join("tools");
        fs::create_dir(&tools).unwrap();
        let count = stage.work.path().join("count");
        let text = format!(
            "#!/bin/sh\necho >>{0}\n[ $(wc -l <{0}) -lt {renames} ] || {{ kill -KILL $PPID; exit 1; }}\nexec /bin/mv \"$@\"\n",
            count.display()
        );
        fs::write(tools.join("mv"), text).unwrap();
        fs::set_permissions(tools.join("mv"), fs::Permissions::from_mode(0o755)).unwrap();
        let cut_off = || {
            let _ = fs::remove_file(&count);
            let mut command = Command::new("sh");
            command.arg(stage.work.path().join("keyfob/install.sh"));
            command.arg("--prefix").arg(stage.home().join(".local")).env_clear().env("HOME", stage.home());
            let output = command.env("PATH", format!("{}:/usr/bin:/bin", tools.display())).output().unwrap();
            assert!(!output.status.success());
            assert_ne!(leftovers(&stage), "", "the control, cut off at rename {renames}");
        };
        cut_off();
        assert!(stage.install(&[]).status.success());
        assert_eq!(leftovers(&stage), "", "cut off at rename {renames}");
        assert!(stage.uninstall().status.success());
        cut_off();
        stage.run(&stage.work.path().join("keyfob/install.sh"), &["--uninstall"]);
        assert_eq!(found(&stage, "*"), "", "cut off at rename {renames}");
    }
}

#[test]
fn an_archive_that_is_not_whole_installs_nothing() {
    let stage = Stage::new();
    let inside = stage.work.path().join("keyfob");
    let page = inside.join("share/man/man1/keyfob.1.gz");
    let whole = fs::read(&page).unwrap();
    fs::remove_file(&page).unwrap();
    let refused = |what: &str| {
        let output = stage.install(&[]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
        assert!(!stage.installed("bin").exists(), "{what}");
    };
    refused("a file is missing");
    fs::write(&page, "other bytes").unwrap();
    refused("a file is another");
    fs::write(&page, whole).unwrap();
    // The control: whole again, it is installed.
    assert!(stage.install(&[]).status.success());
}

#[test]
fn without_the_tray_nothing_of_it_is_there() {
    let stage = Stage::new();
    assert!(stage.install(&[]).status.success());
    assert!(stage.installed("bin/keyfob-tray").exists());
    assert!(stage.install(&["--without-tray"]).status.success());
    assert!(!stage.installed("bin/keyfob-tray").exists());
    assert_eq!(stage.keyfob_says(), "first");
}

#[test]
fn root_is_asked_where_to_and_paths_with_blanks_are_refused() {
    let stage = Stage::new();
    let script = stage.work.path().join("keyfob/install.sh");
    let blanks = stage.run(&script, &["--prefix", "/tmp/a b"]);
    assert_eq!(blanks.status.code(), Some(2), "{}", said(&blanks));
    if rustix::process::geteuid().is_root() {
        let mut plain = Command::new("sh");
        plain.arg(&script).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", stage.home());
        assert_eq!(plain.output().unwrap().status.code(), Some(2));
    }
    assert!(!stage.home().join(".local").exists());
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let packed = || {
        let folder = tempfile::tempdir().unwrap();
        let entries =
            vec![Entry::bytes("share/b", "b"), Entry::link("bin/a", "b"), Entry::bytes("bin/b", "c")];
        let archive = pack(entries, "keyfob-1", 1_767_225_600, folder.path()).unwrap();
        fs::set_permissions(&archive, fs::Permissions::from_mode(0o600)).unwrap();
        fs::read(archive).unwrap()
    };
    assert_eq!(packed(), packed());
}
