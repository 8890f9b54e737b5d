//! From processes to a chain: which program is Keyfob's own, which only passes a command on, which is a Bazel server.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use keyfob_ipc::Caller;
use keyfob_ipc::peer::{FileId, Process};

use crate::policy::{Chain, Link, Role};

/// The names of Keyfob's own program, beside the agent's.
const OWN: [&str; 4] =
    ["keyfob", "bazel-credential-keyfob", "docker-credential-keyfob", "git-credential-keyfob"];

/// Shells that people and SDKs use, by the names of their files.
const SHELLS: [&str; 10] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "mksh", "busybox", "cmd"];

/// Arguments that are looked at: those of Bazel's virtual machine stand before its own.
const ARGUMENTS: usize = 64;

/// Longest claim that is kept.
const CLAIM: usize = 128;

/// What the system tells of whoever asks.
pub trait Origin: Send + Sync {
    /// Whether the process that connected still runs.
    fn is_alive(&self) -> bool;

    /// Whether the process that connected has a controlling terminal.
    fn has_terminal(&self) -> bool;

    /// The programs behind the connection, the caller first, at most so many. May wait for any of them.
    fn chain(&self, at_most: usize) -> Chain;
}

impl Origin for Caller {
    fn is_alive(&self) -> bool {
        Self::is_alive(self)
    }

    fn has_terminal(&self) -> bool {
        self.process.as_ref().is_some_and(Process::has_terminal)
    }

    fn chain(&self, at_most: usize) -> Chain {
        let Some(caller) = &self.process else { return Chain::default() };
        let own = own_files();
        let ancestors = self.ancestors(at_most.saturating_sub(1));
        Chain {
            links: std::iter::once(caller).chain(&ancestors).map(|process| link(process, &own)).collect(),
        }
    }
}

/// The files of Keyfob's own program: those of that name beside the agent, by whatever link they are called.
fn own_files() -> Vec<FileId> {
    let agent = std::env::current_exe().unwrap_or_default();
    let Some(folder) = agent.parent() else { return Vec::new() };
    let named = |name: &&str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    OWN.iter().filter_map(|name| FileId::of(&named(name)).ok()).collect()
}

fn link(process: &Process, own: &[FileId]) -> Link {
    let Some(program) = process.program() else {
        return Link {
            process: process.id,
            path: PathBuf::new(),
            file: None,
            is_replaced: false,
            is_attested: false,
            role: if process.is_alive() { Role::Program } else { Role::Gone },
        };
    };
    let is_attested = process.is_in_our_namespace() == Some(true);
    let role = match program.file {
        Some(file) if is_attested && own.contains(&file) => Role::Keyfob,
        Some(_) if is_attested && is_called_keyfob(&program.path) => Role::Copy,
        Some(file) if is_attested => role(process, &program.path, file),
        _ => Role::Program,
    };
    Link {
        process: process.id,
        path: program.path,
        file: program.file,
        is_replaced: program.is_replaced,
        is_attested,
        role,
    }
}

fn is_called_keyfob(path: &Path) -> bool {
    OWN.contains(&name(path).as_ref())
}

/// The name of a program, without what Windows adds to each.
fn name(path: &Path) -> Cow<'_, str> {
    let name = if cfg!(windows) { path.file_stem() } else { path.file_name() };
    name.unwrap_or_default().to_string_lossy()
}

/// What a program is by its own word. Its arguments are read only where they can matter: whoever reads them waits for it.
fn role(process: &Process, path: &Path, file: FileId) -> Role {
    let name = name(path);
    let is_shell = SHELLS.contains(&name.as_ref());
    if !is_shell && name != "java" && install_base(path).is_none() {
        return Role::Program;
    }
    let Some(arguments) = process.arguments(ARGUMENTS) else { return Role::Program };
    if is_shell && is_one_command(&arguments) {
        return Role::OneCommand;
    }
    match bazel_server(path, file, &arguments) {
        Some(claim) => Role::BazelServer(claim),
        None => Role::Program,
    }
}

/// Whether a shell was given its command as an argument: `sh -c`, `bash -lc`, `cmd /d /c`.
fn is_one_command(arguments: &[String]) -> bool {
    let is_option = |argument: &&String| {
        argument.len() > 1
            && (argument.starts_with(['-', '+']) || argument.starts_with('/') && argument.len() == 2)
    };
    let gives_command = |option: &String| match option.strip_prefix('-') {
        Some(letters) => !letters.starts_with('-') && letters.contains('c'),
        None => option.eq_ignore_ascii_case("/c"),
    };
    // `busybox sh -c` names its applet first.
    let named = arguments.get(1).filter(|argument| SHELLS.contains(&argument.as_str()));
    let options = arguments.iter().skip(if named.is_some() { 2 } else { 1 }).take_while(is_option);
    options.into_iter().any(gives_command)
}

/// What a Bazel server calls itself. It is started with `bazel(NAME OF THE WORKSPACE)` as its name, and runs the Java of
/// its install base, or another one with the archive of the install base.
fn bazel_server(path: &Path, file: FileId, arguments: &[String]) -> Option<String> {
    let claim = arguments.first().filter(|name| name.starts_with("bazel("))?;
    let archive = || {
        let after = arguments.iter().skip_while(|argument| *argument != "-jar").nth(1);
        let archive = Path::new(after?);
        let is_bazel = archive.file_name().is_some_and(|name| name == "A-server.jar");
        let is_in_base = archive.parent().is_some_and(is_install_base);
        (is_bazel && is_in_base && is_ours(archive, None)).then_some(())
    };
    let embedded = || (install_base(path).is_some() && is_ours(path, Some(file))).then_some(());
    embedded().or_else(archive)?;
    Some(claim.chars().take(CLAIM).collect())
}

/// The folder into which Bazel unpacked itself: `…/install/` and 32 hexadecimal digits.
fn install_base(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| is_install_base(folder))
}

fn is_install_base(folder: &Path) -> bool {
    let is_digest = |name: &str| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    folder.file_name().and_then(|name| name.to_str()).is_some_and(is_digest)
        && folder.parent().and_then(Path::file_name).is_some_and(|name| name == "install")
}

/// Whether a file is this user's: Bazel unpacks itself for each user.
#[cfg(unix)]
fn is_ours(path: &Path, file: Option<FileId>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| {
        let is_same = |file| file == FileId { device: metadata.dev(), inode: metadata.ino() };
        metadata.uid() == rustix::process::geteuid().as_raw() && file.is_none_or(is_same)
    })
}

/// Windows drops the name that Bazel gives its server, so there none is found.
#[cfg(windows)]
fn is_ours(path: &Path, file: Option<FileId>) -> bool {
    FileId::of(path).is_ok_and(|now| file.is_none_or(|file| file == now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_was_given_a_command_is_told_from_one_that_is_talked_to() {
        for (line, expected) in [
            ("sh -c true", true),
            ("/bin/sh -ec true", true),
            ("bash -l -c true", true),
            ("bash --norc -c true", true),
            ("zsh -lc true", true),
            ("busybox sh -c true", true),
            ("cmd.exe /d /s /C echo", true),
            ("bash", false),
            ("-bash", false),
            ("bash -i", false),
            ("bash /home/ada/script -c", false),
            ("bash script -c", false),
            ("bash --color", false),
            ("sh - -c", false),
            ("busybox", false),
        ] {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_one_command(&arguments), expected, "{line}");
        }
    }

    #[test]
    fn what_is_called_keyfob_and_is_another_file_is_told_from_others() {
        for (path, expected) in [
            ("/tmp/keyfob", true),
            ("/tmp/bazel-credential-keyfob", true),
            ("/usr/bin/keyfobd", false),
            ("/usr/bin/python3", false),
        ] {
            assert_eq!(is_called_keyfob(Path::new(path)), expected, "{path}");
        }
        #[cfg(unix)]
        assert!(!SHELLS.contains(&name(Path::new("/tmp/sh.anything")).as_ref()));
    }

    #[test]
    fn an_install_base_is_named_by_a_digest() {
        let digest = "e19ea8923dbfce8067709e51ae6330ce";
        for (path, expected) in [
            (format!("/home/ada/.cache/bazel/_bazel_ada/install/{digest}/embedded_tools/jdk/bin/java"), true),
            (format!("/home/ada/install/{digest}/java"), true),
            (format!("/home/ada/install/{digest}"), false),
            (format!("/home/ada/other/{digest}/java"), false),
            (format!("/home/ada/install/{}/java", &digest[1..]), false),
            ("/home/ada/install/jdk/bin/java".to_owned(), false),
        ] {
            assert_eq!(install_base(Path::new(&path)).is_some(), expected, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_bazel_server_has_its_name_and_its_install_base() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("install/e19ea8923dbfce8067709e51ae6330ce");
        std::fs::create_dir_all(base.join("bin")).unwrap();
        let (java, archive) = (base.join("bin/java"), base.join("A-server.jar"));
        let other = folder.path().join("java");
        for file in [&java, &archive, &other] {
            std::fs::write(file, "").unwrap();
        }
        let is_server = |path: &Path, file: FileId, arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
            bazel_server(path, file, &arguments).is_some()
        };
        let (embedded, system) = (FileId::of(&java).unwrap(), FileId::of(&other).unwrap());
        let jar = archive.to_str().unwrap();
        assert!(is_server(&java, embedded, &["bazel(ws)", "-server"]));
        assert!(is_server(&other, system, &["bazel(ws)", "-Xmx1g", "-jar", jar]));
        assert!(!is_server(&java, embedded, &["java", "-jar", jar]), "another name");
        assert!(
            !is_server(&other, system, &["bazel(ws)", "-jar", other.to_str().unwrap()]),
            "another archive"
        );
        assert!(!is_server(&java, system, &["bazel(ws)"]), "another file runs");
        assert!(!is_server(Path::new("/bin/sh"), FileId::of(Path::new("/bin/sh")).unwrap(), &["bazel(ws)"]));
        // The archive of an install base that is not there.
        std::fs::remove_file(&archive).unwrap();
        assert!(!is_server(&other, system, &["bazel(ws)", "-jar", jar]));
    }
}
