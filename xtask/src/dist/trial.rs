//! The packages on a machine as people have it: a Debian of its own, made by debootstrap, with systemd in it and a person who has
//! signed in.
//!
//! There the socket unit starts the agent, the next version takes over under calls, and the removal leaves what it should. It needs root,
//! directly or by sudo.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use serde_json::json;

use super::Release;
use super::linux::deb;
use super::linux::tree::{Entry, Package};
use crate::cargo::Kind;
use crate::failure::{Doing as _, Failure, run as run_command};
use crate::scene::{Company, Programs, Setting, configuration};
use crate::setup::parts::filled;
use crate::{Checkout, say};

/// What a desktop has and the smallest Debian has not.
const INCLUDED: &str = "--include=ca-certificates,dbus,dbus-user-session,init,libpam-systemd,systemd";

const ARCHIVE: &str = "root.tar";

const BOOT: &str = include_str!("trial/boot.sh");
const STORY: &str = include_str!("trial/story.sh");

/// How long the machine may take to start.
const START: Duration = Duration::from_secs(60);

/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(100);

/// Tries the packages in the release's folder out. What went wrong is on standard error, and in the failure in one sentence.
pub fn run(checkout: &Checkout, release: &Release, packages: &[Package; 2]) -> Result<(), Failure> {
    let begun = Instant::now();
    let next = next(checkout, release, packages)?;
    let programs = Programs::around(release.keyfob.clone(), checkout)?;
    let company = Company::start(&programs.company, &json!({}))?;
    let clean = clean_root()?;
    for pass in ["keep", "purge"] {
        let root = Root::unpack(&clean)?;
        let setting = Setting { keychain: "file", ..Setting::default() };
        let text = match pass {
            "keep" => PERSONS_OWN.to_owned(),
            _ => configuration(&company, &setting),
        };
        let packages = [deb_of(release, "keyfob", &release.version)?, next.deb.clone()];
        root.prepare(&packages, &text, &company.make_token(30)?, &programs.browser)?;
        let machine = Machine::boot(&root)?;
        run_command(machine.command().args([
            "sh",
            "/trial/story.sh",
            &release.version,
            &next.version,
            pass,
        ]))?;
        drop(machine);
        if pass == "purge" {
            root.installs_the_tray(release)?;
            root.takes_the_rpm(release)?;
        }
    }
    say(&format!("the trial of the packages took {} s", begun.elapsed().as_secs()));
    Ok(())
}

/// The person's own agent takes no company without TLS.
const PERSONS_OWN: &str = r#"[agent]
keychain = "file"

[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
"#;

/// A package of the next version.
struct Next {
    version: String,
    deb: PathBuf,
    _folder: tempfile::TempDir,
}

/// The same sources with the next version, built without the time that a release takes, and the rest of the package as it is. The
/// next ordinary build in the same folder builds them again.
fn next(checkout: &Checkout, release: &Release, packages: &[Package; 2]) -> Result<Next, Failure> {
    let version = after(&release.version)?;
    say(&format!("builds version {version} to upgrade to"));
    let arguments = ["build", "--quiet", "--package", "keyfob", "--package", "keyfob-agent", "--bins"];
    let built = checkout.artifacts_of_version(&arguments, &version)?;
    let folder = tempfile::tempdir().doing("make a folder for the next version")?;
    let [package, _] = packages;
    let mut package = Package { name: package.name, entries: package.entries.clone() };
    for name in ["keyfob", "keyfobd"] {
        let found = built.iter().find(|artifact| artifact.name == name && artifact.kind == Kind::Program);
        let found = found.ok_or_else(|| Failure::new(format!("cargo built no program {name}")))?;
        let stripped = folder.path().join(name);
        run_command(Command::new("strip").arg("-o").arg(&stripped).arg(&found.path))?;
        let path = format!("usr/bin/{name}");
        package.entries.retain(|entry| entry.path != path);
        package.entries.push(Entry::program(path, stripped));
    }
    let deb = deb::make(checkout, release, &package, &version, folder.path())?;
    Ok(Next { version, deb, _folder: folder })
}

/// `0.1.1` after `0.1.0`.
fn after(version: &str) -> Result<String, Failure> {
    let next =
        version.rsplit_once('.').and_then(|(front, last)| Some((front, last.parse::<u32>().ok()? + 1)));
    let (front, last) = next.ok_or_else(|| Failure::new(format!("`{version}` has no next version")))?;
    Ok(format!("{front}.{last}"))
}

fn deb_of(release: &Release, name: &str, version: &str) -> Result<PathBuf, Failure> {
    Ok(release.folder.join(format!("{name}_{version}_{}.deb", deb::architecture()?)))
}

/// A command that is run as root.
fn as_root(program: &str) -> Command {
    if geteuid().is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["--non-interactive", "--", program]);
    sudo
}

/// An archive of a Debian that nothing was installed in, made once and kept.
fn clean_root() -> Result<PathBuf, Failure> {
    let system = fs::read_to_string("/etc/os-release").doing("read which system this is")?;
    let name = system.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    let folder = filled(&format!("clean-{name}"), |folder| {
        say(&format!("makes a clean {name}, once"));
        let root = folder.join("root");
        // What it mounts there is gone with it, however it ends: whoever removes the folder later must not walk into this system.
        let mut make = as_root("unshare");
        make.args(["--mount", "--propagation=private", "debootstrap", "--variant=minbase", INCLUDED, name]);
        make.arg(&root).args(mirror(name));
        run_command(make.stdout(Stdio::null()))?;
        run_command(as_root("tar").arg("-C").arg(&root).arg("-cf").arg(folder.join(ARCHIVE)).arg("."))?;
        run_command(as_root("rm").args(["-rf", "--one-file-system"]).arg(&root))
    })?;
    Ok(folder.join(ARCHIVE))
}

/// Where this machine's own packages of that system come from, as far as apt knows; else debootstrap knows a place.
fn mirror(name: &str) -> Option<String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]);
    let told = apt.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?.stdout;
    let told = String::from_utf8_lossy(&told);
    let place = told.lines().find_map(|line| line.strip_prefix(&format!("{name} main ")))?;
    place.starts_with("http").then(|| place.to_owned())
}

/// A system of its own below a folder; removed when it is dropped.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn unpack(archive: &Path) -> Result<Self, Failure> {
        let folder = archive.parent().unwrap_or(Path::new("/var/tmp"));
        let folder = tempfile::tempdir_in(folder).doing("make a folder for a system")?;
        let root = Self { folder };
        // Other users are in there, who go through it.
        fs::set_permissions(root.folder.path(), fs::Permissions::from_mode(0o755))
            .doing("open that folder")?;
        run_command(as_root("mkdir").arg(root.path()))?;
        run_command(as_root("tar").arg("-C").arg(root.path()).arg("-xpf").arg(archive))?;
        Ok(root)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Puts into `/trial` what the story needs, and makes the network's names known.
    fn prepare(
        &self,
        packages: &[PathBuf],
        config: &str,
        token: &str,
        browser: &Path,
    ) -> Result<(), Failure> {
        let ready = tempfile::tempdir().doing("make a folder for the trial")?;
        for (name, text) in [("story.sh", STORY), ("config.toml", config), ("token", token)] {
            fs::write(ready.path().join(name), text).doing("write down the trial")?;
        }
        let trial = self.path().join("trial");
        run_command(as_root("mkdir").arg(&trial))?;
        let files = ["story.sh", "config.toml", "token"].map(|name| ready.path().join(name));
        let mut copy = as_root("cp");
        copy.args(packages).args(files).arg(browser).arg("-t").arg(&trial);
        run_command(&mut copy)?;
        // All of it is made up.
        run_command(as_root("chmod").args(["-R", "a+rX"]).arg(&trial))?;
        run_command(as_root("cp").args(["-L", "/etc/resolv.conf"]).arg(self.path().join("etc/resolv.conf")))
    }

    fn chroot(&self) -> Command {
        let mut command = as_root("chroot");
        command.arg(self.path()).args([
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C",
        ]);
        command
    }

    /// Everything that the tray needs is in this Debian.
    fn installs_the_tray(&self, release: &Release) -> Result<(), Failure> {
        let packages = ["keyfob", "keyfob-tray"].map(|name| deb_of(release, name, &release.version));
        let packages = packages.into_iter().collect::<Result<Vec<_>, _>>()?;
        let trial = self.path().join("trial");
        run_command(as_root("cp").args(&packages).arg("-t").arg(&trial))?;
        let inside =
            packages.iter().filter_map(|path| Some(format!("/trial/{}", path.file_name()?.to_str()?)));
        run_command(self.chroot().args(["apt-get", "update", "-qq"]))?;
        let mut install = self.chroot();
        install.args(["apt-get", "install", "-qq", "--simulate"]).args(inside);
        run_command(install.stdout(Stdio::null()))?;
        say("apt finds everything that keyfob-tray depends on");
        Ok(())
    }

    /// The other kind of package: its files are as it says, and gone when it is.
    fn takes_the_rpm(&self, release: &Release) -> Result<(), Failure> {
        let package = release.folder.join(format!("keyfob-{}-1.x86_64.rpm", release.version));
        let rpm = || {
            let mut rpm = as_root("rpm");
            // Debian's warns of itself.
            rpm.args(["--force-debian", "--root"]).arg(self.path()).arg("--nodeps");
            rpm
        };
        run_command(rpm().arg("-i").arg(&package))?;
        run_command(rpm().args(["-V", "keyfob"]))?;
        let version = self.chroot().args(["/usr/bin/keyfob", "--version"]).output().doing("run keyfob")?;
        if version.stdout != format!("keyfob {}\n", release.version).as_bytes() {
            return Err(Failure::new("the keyfob of the .rpm does not say its version"));
        }
        run_command(rpm().args(["-e", "keyfob"]))?;
        let left = Command::new("find")
            .arg(self.path().join("usr"))
            .arg(self.path().join("etc"))
            .args(["-name", "*keyfob*"])
            .output();
        let left = left.doing("look for what is left of the .rpm")?.stdout;
        if !left.is_empty() {
            return Err(Failure::new(format!("the .rpm leaves {}", String::from_utf8_lossy(&left).trim())));
        }
        say("the .rpm is installed, verified and removed, and leaves nothing");
        Ok(())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // What is left is seen by whoever looks for room.
        let _ = as_root("rm").args(["-rf", "--one-file-system"]).arg(self.path()).status();
    }
}

/// A root whose systemd runs; ended when it is dropped.
struct Machine {
    starter: Child,
    /// systemd's number here.
    number: String,
    group: String,
}

impl Machine {
    fn boot(root: &Root) -> Result<Self, Failure> {
        let group = format!("keyfob-trial-{}", std::process::id());
        let mut boot = as_root("sh");
        boot.args(["-c", BOOT, "sh"]).arg(root.path()).arg(&group);
        let starter = boot.stdin(Stdio::null()).stdout(Stdio::null()).spawn().doing("start a system")?;
        let mut machine = Self { starter, number: String::new(), group };
        let deadline = Instant::now() + START;
        loop {
            if machine.number.is_empty() {
                machine.number = machine.find().unwrap_or_default();
            } else {
                let mut look = machine.command();
                look.args(["systemctl", "is-system-running"]).stdin(Stdio::null()).stderr(Stdio::null());
                let state = look.output().doing("look at the system")?.stdout;
                if [&b"running\n"[..], b"degraded\n"].contains(&&*state) {
                    return Ok(machine);
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::new("the system of the trial does not start"));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// As `boot.sh` has made it.
    fn group(&self) -> PathBuf {
        let all = Path::new("/sys/fs/cgroup");
        let named = all.join("systemd");
        if named.is_dir() { named.join(&self.group) } else { all.join(&self.group) }
    }

    /// Of the group that it was started in, the process that is the first there by its own number.
    fn find(&self) -> Option<String> {
        let group = self.group();
        let processes =
            ["init.scope/cgroup.procs", "cgroup.procs"].map(|file| fs::read_to_string(group.join(file)));
        let processes: String = processes.into_iter().filter_map(Result::ok).collect();
        let is_first = |process: &&str| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            let numbers: Vec<_> = numbers.split_whitespace().collect();
            numbers.len() > 1 && numbers.last() == Some(&"1")
        };
        processes.lines().find(is_first).map(str::to_owned)
    }

    /// A command in it, as root.
    fn command(&self) -> Command {
        let mut command = as_root("nsenter");
        command.args([
            "--target",
            &self.number,
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--root",
            "--wd=/",
        ]);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.number.is_empty() {
            // With the first process all others go.
            let _ = as_root("kill").args(["-KILL", &self.number]).status();
        } else {
            let _ = self.starter.kill();
        }
        let _ = self.starter.wait();
        let _ = as_root("find")
            .arg(self.group())
            .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
            .stderr(Stdio::null())
            .status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_the_one_after() {
        assert_eq!(after("0.1.9").ok().as_deref(), Some("0.1.10"));
        assert!(after("next").is_err());
    }
}
