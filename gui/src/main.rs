//! `keyfob-tray`: the tray and the window of Keyfob.
//!
//! This file is the only one that reads the environment, the arguments and the standard streams.

// On Windows a program without this has a console window.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::alloc::System;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use keyfob_gui::controller::{Controller, Reach};
use keyfob_gui::desktop::arguments::{Arguments, HELP, read};
use keyfob_gui::desktop::command_line::Keyfob;
use keyfob_gui::desktop::{Start, Surroundings, environment};
use keyfob_gui::page::Own;
use keyfob_gui::texts::Texts;
use keyfob_ipc::start::Launch;
use keyfob_ipc::{Places, Refusal};
use zeroizing_alloc::ZeroAlloc;

/// A token that is pasted into the window comes through buffers of libraries that do not wipe what they free.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    leave_no_core();
    // So that it is in the program.
    #[cfg(feature = "testing")]
    std::hint::black_box(environment::MARK);
    let program = match keyfob_ipc::start::own_file() {
        Ok(program) => program,
        Err(error) => {
            let texts = Texts::english();
            let say = texts.say("say.no-own-file", &[("error", &error.to_string())]);
            return complain(&say, &texts.say("say.install-again", &[]));
        }
    };
    if let Some(clean) = environment::cleaned(std::env::vars_os(), environment::belongs_to_root) {
        return start_again(&program, clean);
    }
    let is_hidden = match read(std::env::args_os().skip(1)) {
        Arguments::Show => false,
        Arguments::Hidden => true,
        Arguments::Version => return say(&format!("keyfob-tray {}\n", env!("CARGO_PKG_VERSION"))),
        Arguments::Help => return say(HELP),
        Arguments::Unknown(argument) => {
            let say = Texts::english().say("say.no-argument", &[("argument", &argument)]);
            return complain(&say, "keyfob-tray --help");
        }
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    match begin(program, is_hidden) {
        Ok(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(refusal) => complain(&refusal.say, &refusal.hint),
    }
}

/// Neither of this process nor of the web view's, which inherit that. This program stays readable to the person's other
/// programs all the same: the agent looks up what asks it.
fn leave_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Nobody is refused less than they have.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

fn begin(program: PathBuf, is_hidden: bool) -> Result<i32, Refusal> {
    let places = Places::of(&keyfob_ipc::Surroundings::of_this_process())?;
    let start = Start { places, program, is_hidden, surroundings: surroundings() };
    PROGRAM.get_or_init(|| start.program.clone());
    let reach = Reach { places: start.places.clone(), launch };
    let command_line = Arc::new(Keyfob::beside(&start.program, std::env::vars_os()));
    let own = Own { version: env!("CARGO_PKG_VERSION").to_owned(), ..Own::default() };
    keyfob_gui::desktop::run(&start, move |shell, inputs, sender| {
        Controller::new(shell, command_line, reach, Timestamp::now, Texts::english(), own)
            .run(inputs, sender);
    })
}

/// This program's own file, as it was called at the start: once an upgrade has put another one there, the system knows no path
/// of this one.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

fn launch() -> Result<Launch, Refusal> {
    match PROGRAM.get() {
        Some(program) => Launch::beside(program, std::env::vars_os()),
        None => Launch::of_this_process(),
    }
}

fn surroundings() -> Surroundings {
    let filled = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = |name: &str| filled(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = folder(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    Surroundings {
        browser: filled("BROWSER").and_then(|value| value.into_string().ok()),
        config_home: folder("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config"))),
        config_of_the_system: config_of_the_system(filled("XDG_CONFIG_DIRS").as_deref()),
        home,
        system_root: folder("SystemRoot"),
    }
}

/// `told` as the XDG Base Directory Specification has it: absolute paths, else the usual one.
fn config_of_the_system(told: Option<&OsStr>) -> Vec<PathBuf> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let folders = std::env::split_paths(told.unwrap_or("/etc/xdg".as_ref()));
    folders.filter(|folder| folder.is_absolute()).collect()
}

/// In the same process on Unix, so that whoever started this one waits for the right one.
fn start_again(program: &PathBuf, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1)).env_clear().envs(environment);
    #[cfg(unix)]
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(windows)]
    let error = match command.spawn() {
        Ok(_) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let texts = Texts::english();
    let say = texts.say("say.no-clean-start", &[("error", &error.to_string())]);
    complain(&say, &texts.say("say.install-again", &[]))
}

fn say(text: &str) -> ExitCode {
    // A closed pipe: nobody reads any more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(say: &str, hint: &str) -> ExitCode {
    let hint = if hint.is_empty() { String::new() } else { format!("\n  {hint}") };
    let _ = writeln!(std::io::stderr(), "keyfob-tray: {say}{hint}");
    ExitCode::FAILURE
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn what_is_freed_is_wiped() {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut seen = vec![0; 4096];
        let secret: Vec<u8> = b"kf-secret-".iter().copied().cycle().take(4096).collect();
        let place = secret.as_ptr().addr() as u64;
        let mut holds = || {
            memory.read_exact_at(&mut seen, place).unwrap();
            seen.windows(10).any(|piece| piece == b"kf-secret-")
        };
        // The control: it is to be seen there as long as it is kept.
        assert!(holds());
        drop(secret);
        assert!(!holds());
    }
}
