//! `keyfobd`: the agent of one user.
//!
//! The only reader of the environment in this crate. It sheds what its first caller left it, takes the lock, opens the
//! doors and serves until it is told to stop.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob_agent::agent::{Agent, Keychains, Parts};
use keyfob_agent::clock::SystemClock;
use keyfob_agent::config::KeychainKind;
use keyfob_agent::door::{self, listen};
use keyfob_agent::keychain::{Deadline, FileKeychain, Keychain, MemoryKeychain, Passphrase, system};
use keyfob_agent::notices::Desktop;
use keyfob_agent::single::{Single, Taken};
use keyfob_agent::{harden, log};
use keyfob_ipc::place::{Record, fingerprint};
use keyfob_ipc::{Code, Door, Places, Refusal, Surroundings, start};

const USAGE: &str = "\
keyfobd: the Keyfob agent. It is started on demand by `keyfob`, or by the service manager.

Usage: keyfobd [--version | --help]

Variables: KEYFOB_STATE_DIR, KEYFOB_RUNTIME_DIR, KEYFOB_CONFIG (a profile of its own),
           KEYFOB_PASSPHRASE_FILE (opens the encrypted keychain file)
";

/// Deadline of every keychain call.
const KEYCHAIN: Duration = Duration::from_secs(5);

/// How long an agent that is told to stop waits for tokens that are being spent: the provider has a minute for its answer, the
/// keychain some seconds.
const LAST_FLIGHTS: Duration = Duration::from_secs(75);

/// How much longer the next agent waits for it.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    harden::shed(handed_over());
    let held = harden::keep_out();
    harden::make_room();
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version" | "-V") => {
            return say(concat!("keyfobd ", env!("CARGO_PKG_VERSION"), "\n"), ExitCode::SUCCESS);
        }
        Some("--help" | "-h") => return say(USAGE, ExitCode::SUCCESS),
        Some(_) => return say(USAGE, ExitCode::from(2)),
    }
    if let Some(code) = cleansed() {
        return code;
    }
    #[cfg(feature = "testing")]
    if let Ok(point) = std::env::var(keyfob_agent::fault::VARIABLE) {
        keyfob_agent::fault::arm(point);
    }
    let places = match Places::of(&Surroundings::of_this_process()) {
        Ok(places) => places,
        Err(refusal) => return refuse(None, &refusal),
    };
    match run(&places, &held) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => refuse(Some(&places), &refusal),
    }
}

/// Whoever started us may have left anything in the environment: what is not allowed is gone before anything else of
/// this program runs. `None` where there was nothing to shed.
fn cleansed() -> Option<ExitCode> {
    let all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let allowed = start::allowed(all.clone());
    if allowed.len() == all.len() {
        return None;
    }
    #[cfg(unix)]
    {
        let program = std::env::current_exe().ok()?;
        let mut command = std::process::Command::new(program);
        command.env_clear().envs(allowed);
        // Only returns where it failed.
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Some(say(&format!("keyfob: the agent cannot start itself again ({error})\n"), ExitCode::FAILURE))
    }
    #[cfg(windows)]
    {
        // In place: no variable has a say in loading a program here, so none has taken effect yet. A second process
        // would be the only other way, for Windows replaces none. `keyfob` starts us with a clean environment already;
        // this is for a start by hand or at sign-in. Names that begin with `=` are Windows' own (`=C:`).
        let kept = |name: &OsString| allowed.iter().any(|(known, _)| known == name);
        for (name, _) in all.iter().filter(|(name, _)| !kept(name)) {
            if !name.as_encoded_bytes().starts_with(b"=") {
                harden::forget(name);
            }
        }
        None
    }
}

fn run(places: &Places, held: &[&str]) -> Result<(), Refusal> {
    let mut single = match Single::wait(places, LAST_FLIGHTS + GRACE) {
        Ok(single) => single,
        Err(Taken::Running(record)) => {
            let pid = record.map(|record| format!(" (process {})", record.pid)).unwrap_or_default();
            say(&format!("keyfob: the agent runs already{pid}\n"), ExitCode::SUCCESS);
            return Ok(());
        }
        Err(Taken::Refused(refusal)) => return Err(refusal),
    };
    log::open(&places.log());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), hardened = ?held, "the agent starts");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Refusal::new(Code::Internal, format!("the agent's runtime cannot start ({error})"))
    })?;
    let ended = runtime.block_on(serve(places, &mut single));
    single.forget();
    // A keychain call that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    tracing::info!("the agent ends");
    ended
}

async fn serve(places: &Places, single: &mut Single) -> Result<(), Refusal> {
    let (doors, own) = match inherited()? {
        Some(doors) => (doors, false),
        None => (listen::open(places)?, true),
    };
    let [tool, control] = doors.addresses;
    let record = Record {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent: tool,
        control,
    };
    let agent = Agent::new(Parts {
        places: places.clone(),
        socket: record.agent.clone(),
        clock: Arc::new(SystemClock),
        keychains: keychains(places),
        notifier: Arc::new(Desktop),
    });
    single.record(&record)?;
    tokio::spawn(door::serve(agent.clone(), Door::Tool, doors.tool));
    tokio::spawn(door::serve(agent.clone(), Door::Control, doors.control));
    tokio::spawn(agent.clone().renew_ahead());
    tokio::spawn(agent.clone().remind());
    tokio::spawn(agent.clone().mend_rotations());
    tokio::spawn(agent.clone().rotate_ahead());
    told_to_stop(&agent).await;
    // From here on a caller starts the next agent, which waits for this one's lock.
    single.forget();
    if own {
        listen::close(places);
    }
    // No token is spent from here on, and those that are being spent reach the keychain before we go.
    if tokio::time::timeout(LAST_FLIGHTS, agent.wind_up()).await.is_err() {
        for name in agent.all_unsaved() {
            tracing::error!(%name, "the keychain did not take what was new, and it is lost with this process");
        }
    }
    Ok(())
}

/// How many descriptors the service manager handed to this process (sd_listen_fds(3)).
fn handed_over() -> u32 {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    handed_to(std::process::id(), number("LISTEN_PID"), number("LISTEN_FDS"))
}

/// Whatever a service starts inherits its variables. The descriptors are for the process that they name.
fn handed_to(me: u32, process: Option<u32>, count: Option<u32>) -> u32 {
    count.filter(|_| process == Some(me)).unwrap_or(0)
}

fn inherited() -> Result<Option<listen::Doors>, Refusal> {
    if handed_over() == 0 {
        return Ok(None);
    }
    #[cfg(unix)]
    return listen::inherited(std::env::var("LISTEN_FDNAMES").ok().as_deref());
    #[cfg(windows)]
    Ok(None)
}

fn keychains(places: &Places) -> Keychains {
    let namespace = places.own_profile.then(|| format!("{:016x}", fingerprint(&places.state)));
    let folder = places.state.join("keychain");
    let passphrase = || match (path("KEYFOB_PASSPHRASE_FILE"), path("CREDENTIALS_DIRECTORY")) {
        (Some(file), _) => Passphrase::File(file),
        (None, Some(folder)) => Passphrase::SystemdCredential(folder),
        (None, None) => Passphrase::Prompt,
    };
    let file = move || FileKeychain::new(folder.clone(), passphrase(), FileKeychain::WORK_FACTOR);
    Box::new(move |kind| {
        let keychain: Arc<dyn Keychain> = match kind {
            KeychainKind::System => system(namespace.as_deref()),
            KeychainKind::File => Arc::new(file()),
            KeychainKind::Memory => Arc::new(MemoryKeychain::default()),
        };
        Arc::new(Deadline::new(keychain, KEYCHAIN))
    })
}

fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

async fn told_to_stop(agent: &Agent) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return agent.stop.notified().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            () = agent.stop.notified() => {}
        }
    }
    #[cfg(windows)]
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = agent.stop.notified() => {}
    }
}

/// The starter reads the refusal from a file: this process has null streams.
fn refuse(places: Option<&Places>, refusal: &Refusal) -> ExitCode {
    if let Some(places) = places {
        start::leave_failure(places, refusal);
    }
    tracing::error!(code = ?refusal.code, "{}", refusal.say);
    let hint = if refusal.hint.is_empty() { String::new() } else { format!(". Run: {}", refusal.hint) };
    say(&format!("keyfob: {}{hint}\n", refusal.say), ExitCode::from(refusal.code.exit()))
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    use std::io::Write as _;
    // A closed stream changes nothing.
    let _ = std::io::stderr().write_all(text.as_bytes());
    code
}

#[cfg(test)]
mod tests {
    use super::handed_to;

    #[test]
    fn descriptors_are_for_the_process_that_they_name() {
        assert_eq!(handed_to(7, Some(7), Some(2)), 2);
        for (process, count) in [(None, Some(2)), (Some(8), Some(2)), (Some(7), None)] {
            assert_eq!(handed_to(7, process, count), 0, "{process:?} {count:?}");
        }
    }
}
