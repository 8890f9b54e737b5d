//! The installer and the uninstaller, without a word and without an administrator, in this person's own folders and registry.

#![cfg(windows)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keyfob_windows_tests::{
    Folders, Installer, MEMORY, Profile, descriptor_of_folder, run, silently, token, wait_for,
};
use windows_registry::Type;

const URI: &str = "https://aw-remote-ext.acme.dev/a";
const HOST: &str = "aw-remote-ext.acme.dev";
const AWS: &str = "[aws.legacy]\ncommand = [\"C:/no/such/program.exe\"]\nregion = \"eu-west-1\"\n";
const LONG: Duration = Duration::from_secs(30);

const NAMES: [&str; 7] = [
    "bazel-credential-keyfob.exe",
    "docker-credential-keyfob.exe",
    "git-credential-keyfob.exe",
    "keyfob-tray.exe",
    "keyfob.exe",
    "keyfobd.exe",
    "uninstall.exe",
];

/// One test at a time: there is one person, with one registry. Whatever a test does, nothing is installed after it, and PATH is
/// what it was.
struct Turn {
    path: Option<(Type, Vec<u8>)>,
    _turn: MutexGuard<'static, ()>,
}

fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(Folders::apps_key().is_none(), "Keyfob is installed here already");
    Turn { path: path(), _turn: turn }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let uninstaller = Folders::programs().join("uninstall.exe");
        if uninstaller.is_file() {
            uninstall();
        }
        match &self.path {
            Some((kind, bytes)) => set_path(*kind, bytes),
            None => drop(Folders::environment_key().remove_value("Path")),
        }
    }
}

/// The person's own PATH, as it is in the registry.
fn path() -> Option<(Type, Vec<u8>)> {
    let value = Folders::environment_key().get_value("Path").ok()?;
    Some((value.ty(), value.to_vec()))
}

fn set_path(kind: Type, bytes: &[u8]) {
    Folders::environment_key().set_bytes("Path", kind, bytes).expect("it is this person's own");
}

fn text_of((kind, bytes): &(Type, Vec<u8>)) -> String {
    assert_eq!(*kind, Type::ExpandString);
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    String::from_utf16(&units).expect("it is a text").trim_end_matches('\0').to_owned()
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// It goes on in a copy of itself, which is waited for.
fn uninstall() {
    let programs = Folders::programs();
    let mut command = Command::new(programs.join("uninstall.exe"));
    command.arg("/S");
    run(command, "").ok();
    wait_for("the end of what was installed", LONG, || Folders::apps_key().is_none());
}

fn installed() -> Vec<String> {
    let files = fs::read_dir(Folders::programs()).into_iter().flatten().flatten();
    let mut names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.retain(|name| name != "WebView2Loader.dll");
    names
}

#[test]
fn all_is_there_after_a_silent_installation_and_gone_after_a_silent_removal() {
    let _turn = turn();
    Installer::first().run(None).ok();
    let programs = Folders::programs();
    assert_eq!(installed(), NAMES);
    assert!(Folders::start_menu().is_file());
    let line = format!("\"{}\" --hidden", programs.join("keyfob-tray.exe").display());
    assert_eq!(Folders::run_line(), Some(line), "as the tray reads it");
    let apps = Folders::apps_key().unwrap();
    let text = |name: &str| apps.get_string(name).unwrap();
    let uninstaller = format!("\"{}\"", programs.join("uninstall.exe").display());
    assert_eq!(text("DisplayName"), "Keyfob");
    assert!(text("DisplayVersion").starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(text("Publisher"), "The Keyfob authors");
    assert_eq!(text("UninstallString"), uninstaller);
    assert_eq!(text("QuietUninstallString"), format!("{uninstaller} /S"));
    let bytes: u64 = NAMES.iter().map(|name| fs::metadata(programs.join(name)).unwrap().len()).sum();
    let estimated = u64::from(apps.get_u32("EstimatedSize").unwrap()) * 1024;
    assert!(estimated > bytes / 2 && estimated < bytes * 2, "{estimated} of {bytes}");
    drop(apps);

    uninstall();
    wait_for("the end of the folder", LONG, || !programs.exists());
    assert_eq!(Folders::run_line(), None);
    assert!(!Folders::start_menu().exists());
}

#[test]
fn a_path_of_any_length_keeps_what_is_in_it() {
    let _turn = turn();
    let own = vec![r"%USERPROFILE%\some folder with tools"; 400].join(";");
    let entry = Folders::programs().display().to_string();
    for own in [own.clone(), format!("{own};"), r"C:\one".to_owned()] {
        set_path(Type::ExpandString, &bytes_of(&own));
        for _ in 0..2 {
            Installer::first().run(None).ok();
            let found = text_of(&path().unwrap());
            assert_eq!(found, format!("{};{entry}", own.trim_end_matches(';')), "once, and at the end");
        }
        uninstall();
        assert_eq!(text_of(&path().unwrap()), own.trim_end_matches(';'));
    }
    // Between others, and in other letters.
    Installer::first().run(None).ok();
    set_path(Type::ExpandString, &bytes_of(&format!(r"C:\one;{};C:\two", entry.to_uppercase())));
    uninstall();
    assert_eq!(text_of(&path().unwrap()), r"C:\one;C:\two");
    // None before, none after.
    Folders::environment_key().remove_value("Path").unwrap();
    Installer::first().run(None).ok();
    assert_eq!(text_of(&path().unwrap()), entry);
    uninstall();
    assert!(path().is_none());
}

#[test]
fn an_upgrade_takes_over_from_a_running_agent_and_no_call_fails() {
    let _turn = turn();
    Installer::first().run(None).ok();
    let mut profile = Profile::new(&token("aspect", HOST));
    // The agent that the installer finds is the one of its environment.
    profile.use_programs(&Folders::programs());
    profile.run(&["token", "add", "aspect"], "aw_kept").ok();
    let before = profile.agent();
    let get = || {
        let mut helper = profile.command(Folders::programs().join("bazel-credential-keyfob.exe"));
        helper.arg("get");
        run(helper, format!(r#"{{"uri":"{URI}"}}"#)).ok().json()["headers"]["X-Aspect"][0].clone()
    };
    assert_eq!(get(), "aw_kept");
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| Installer::next().run_with(&profile).ok());
        while !upgrade.is_finished() {
            assert_eq!(get(), "aw_kept");
        }
    });
    let after = profile.agent();
    assert_ne!(after["pid"], before["pid"], "another process");
    assert_eq!(get(), "aw_kept");
    let first = Folders::apps_key().unwrap().get_string("DisplayVersion").unwrap();
    assert_ne!(first, env!("CARGO_PKG_VERSION"), "the next version");
    assert_eq!(installed(), NAMES, "nothing of the version before");
    profile.run(&["token", "remove", "aspect"], "").ok();
    profile.run(&["agent", "stop"], "").ok();
}

/// Whoever has turned it off in the window is not asked again by an upgrade.
#[test]
fn an_upgrade_does_not_turn_start_at_sign_in_on_again() {
    let _turn = turn();
    Installer::first().run(None).ok();
    assert!(Folders::run_line().is_some());
    Folders::run_key().remove_value("Keyfob").unwrap();
    Installer::next().run(None).ok();
    assert_eq!(Folders::run_line(), None);
    // What somebody else starts under our name is theirs.
    Folders::run_key().set_string("Keyfob", r"C:\other\keyfob-tray.exe").unwrap();
    uninstall();
    assert_eq!(Folders::run_line().as_deref(), Some(r"C:\other\keyfob-tray.exe"));
    Folders::run_key().remove_value("Keyfob").unwrap();
}

#[test]
fn a_removal_ends_the_agent_and_leaves_configuration_and_credentials() {
    let _turn = turn();
    Installer::first().run(None).ok();
    // Lines in files of other programs are the main profile's, and stay where this one is not it.
    let mut profile = Profile::new(&token("aspect", HOST));
    let built = profile.programs().to_owned();
    profile.use_programs(&Folders::programs());
    profile.run(&["token", "add", "aspect"], "aw_left").ok();
    silently(&profile, &Folders::programs().join("uninstall.exe")).ok();
    wait_for("the end of what was installed", LONG, || !Folders::programs().exists());
    profile.use_programs(&built);
    profile.run(&["agent", "status"], "").exits(4);
    assert!(profile.home().join("config.toml").is_file());
    assert_eq!(profile.get(URI).ok().json()["headers"]["X-Aspect"][0], "aw_left");
    profile.run(&["token", "remove", "aspect"], "").ok();
}

#[test]
fn another_folder_with_spaces_takes_the_place_of_the_one_before() {
    let _turn = turn();
    let profile = Profile::named("Ada Łovelace", MEMORY);
    let folder = profile.home().join("Keyfob");
    Installer::first().run(None).ok();
    Installer::next().run(Some(&folder)).ok();
    assert!(!Folders::programs().exists(), "nothing stays in the first folder");
    assert!(folder.join("keyfob.exe").is_file());
    let line = Folders::run_line().unwrap();
    assert_eq!(line, format!("\"{}\" --hidden", folder.join("keyfob-tray.exe").display()));
    let mut command = Command::new(folder.join("uninstall.exe"));
    command.arg("/S");
    run(command, "").ok();
    wait_for("the end of the second folder", LONG, || !folder.exists());
    assert_eq!(Folders::run_line(), None);
}

#[test]
fn a_folder_with_files_of_somebody_else_is_refused() {
    let _turn = turn();
    let profile = Profile::new(MEMORY);
    let folder = profile.path().join("theirs");
    let file = folder.join("notes.txt");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "mine").unwrap();
    Installer::first().run(Some(&folder)).exits(2);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert!(Folders::apps_key().is_none());
    // Controls: it is taken when it is empty, and when it is ours.
    fs::remove_file(&file).unwrap();
    Installer::first().run(Some(&folder)).ok();
    Installer::next().run(Some(&folder)).ok();
    let mut command = Command::new(folder.join("uninstall.exe"));
    command.arg("/S");
    run(command, "").ok();
    wait_for("the end of the folder", LONG, || !folder.exists());
}

/// A helper that waits for its input.
fn waiting(program: &Path) -> Child {
    Command::new(program).arg("get").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it is there")
}

#[test]
fn a_removal_neither_ends_nor_removes_what_others_have_in_the_folder() {
    let _turn = turn();
    Installer::first().run(None).ok();
    let programs = Folders::programs();
    let (notes, below) = (programs.join("notes.old"), programs.join("theirs"));
    fs::write(&notes, "mine").unwrap();
    fs::create_dir(&below).unwrap();
    let helper = "bazel-credential-keyfob.exe";
    fs::copy(programs.join(helper), below.join(helper)).unwrap();
    let (mut ours, mut theirs) = (waiting(&programs.join(helper)), waiting(&below.join(helper)));
    uninstall();
    wait_for("the end of our own", LONG, || ours.try_wait().unwrap().is_some());
    let ended = theirs.try_wait().unwrap();
    theirs.kill().unwrap();
    theirs.wait().unwrap();
    assert_eq!(ended, None, "somebody else's program was ended");
    assert_eq!(installed(), ["notes.old", "theirs"]);
    fs::remove_dir_all(&programs).unwrap();
}

/// Entries of a folder's access list that are for somebody else than this person, the administrators and the system.
fn others_in(folder: &Path) -> Vec<String> {
    let user = keyfob_ipc::peer::this_user();
    let known = [format!(";;;{user}"), ";;;SY".to_owned(), ";;;BA".to_owned()];
    let descriptor = descriptor_of_folder(folder).expect("the folder is there");
    let entries = descriptor.split(['(', ')']).filter(|entry| entry.contains(";;;"));
    entries.filter(|entry| !known.iter().any(|end| entry.ends_with(end))).map(str::to_owned).collect()
}

/// Where the person's own folder has a space in it, as `/PLAIN` says here.
#[test]
fn a_folder_without_spaces_is_this_persons_alone_and_is_written_for_aws_tools() {
    let _turn = turn();
    let folder = PathBuf::from(format!(r"C:\Keyfob-{}", keyfob_ipc::peer::this_user()));
    assert!(!folder.exists());
    Installer::first().run_plain().ok();
    assert!(folder.join("keyfob.exe").is_file() && !Folders::programs().exists());
    let user = keyfob_ipc::peer::this_user();
    assert!(descriptor_of_folder(&folder).unwrap().starts_with(&format!("O:{user}D:")));
    assert_eq!(others_in(&folder), Vec::<String>::new());
    // The control: a folder that is made in the same place without a word about it.
    let ordinary = PathBuf::from(format!(r"C:\keyfob-test-{}", std::process::id()));
    fs::create_dir(&ordinary).unwrap();
    let others = others_in(&ordinary);
    fs::remove_dir(&ordinary).unwrap();
    assert_ne!(others, Vec::<String>::new());
    let config = [MEMORY, AWS].concat();
    let mut profile = Profile::new(&config);
    profile.use_programs(&folder);
    let printed = profile.run(&["setup", "aws", "--print"], "").ok().stdout;
    let plain = folder.display().to_string().replace('\\', "/");
    let line = format!("credential_process = {plain}/keyfob.exe credential-process aws.legacy");
    assert!(printed.lines().any(|printed| printed == line), "{printed}");
    profile.run(&["agent", "stop"], "").ok();
    // An upgrade stays where it is.
    Installer::next().run(None).ok();
    assert!(folder.join("keyfob.exe").is_file() && !Folders::programs().exists());
    let built = Profile::new(MEMORY).programs().to_owned();
    profile.use_programs(&built);
    let mut command = Command::new(folder.join("uninstall.exe"));
    command.arg("/S");
    run(command, "").ok();
    wait_for("the end of the folder", LONG, || !folder.exists());
}
