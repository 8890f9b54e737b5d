//! `keyfobd`: the agent of one user.
//!
//! The only reader of the environment in this crate. It sheds what its first caller left it, takes the lock, opens the
//! doors and serves until it is told to stop.

#[path = "main/start.rs"]
mod beginning;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob_agent::agent::{Agent, Keychains, Parts};
use keyfob_agent::ambient::Ambient;
use keyfob_agent::clock::SystemClock;
use keyfob_agent::config::KeychainKind;
use keyfob_agent::door::guard::Guard;
use keyfob_agent::door::{Rooms, listen};
use keyfob_agent::harden::Measure;
#[cfg(windows)]
use keyfob_agent::keychain::MemoryKeychain;
use keyfob_agent::keychain::{Deadline, FileKeychain, Keychain, Passphrase, system};
use keyfob_agent::lock::SystemBus;
use keyfob_agent::notices::{Desktop, Notifier};
use keyfob_agent::person::Person;
use keyfob_agent::single::{Single, Taken};
#[cfg(unix)]
use keyfob_agent::upgrade::Awaited;
use keyfob_agent::{harden, job, log};
use keyfob_ipc::place::fingerprint;
use keyfob_ipc::{Code, Places, Refusal, Surroundings, start};

use beginning::{Start, handed_over};

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

/// What libraries give back may hold secrets.
#[global_allocator]
static MEMORY: harden::Wiping = harden::Wiping::SYSTEM;

fn main() -> ExitCode {
    harden::shed(handed_over());
    let hardening = harden::keep_out();
    harden::make_room();
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version" | "-V") => {
            return say(&format!("keyfobd {}\n", keyfob_ipc::VERSION), ExitCode::SUCCESS);
        }
        Some("--help" | "-h") => return say(USAGE, ExitCode::SUCCESS),
        Some(_) => return say(USAGE, ExitCode::from(2)),
    }
    #[cfg_attr(unix, expect(unused_variables, reason = "there it comes to the program that begins anew"))]
    let ambient = match cleansed() {
        Ok(ambient) => ambient,
        Err(code) => return code,
    };
    // So that it is in the program.
    #[cfg(feature = "testing")]
    std::hint::black_box(keyfob_agent::fault::MARK);
    #[cfg(feature = "testing")]
    if let Ok(point) = std::env::var(keyfob_agent::fault::VARIABLE) {
        keyfob_agent::fault::arm(point);
    }
    let places = match Places::of(&Surroundings::of_this_process()) {
        Ok(places) => places,
        Err(refusal) => return refuse(None, &refusal),
    };
    #[cfg(unix)]
    let start = Start::of();
    #[cfg(windows)]
    let start = Start::of(ambient);
    let start = match start {
        Ok(start) => start,
        Err(refusal) => return refuse(Some(&places), &refusal),
    };
    match run(&places, &hardening, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => refuse(Some(&places), &refusal),
    }
}

/// Whoever started us may have left anything in the environment: what is not allowed is gone before anything else of
/// this program runs, and so is what the surroundings say of a job ([`Ambient`]), for that is secret.
fn cleansed() -> Result<Vec<(OsString, OsString)>, ExitCode> {
    let all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let (ambient, rest): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|(name, _)| start::is_ambient(name));
    let allowed = start::allowed(rest);
    // Read by an agent that is built for tests alone.
    #[cfg(feature = "testing")]
    let allowed: Vec<_> = {
        let point = all.iter().filter(|(name, _)| name == keyfob_agent::fault::VARIABLE);
        allowed.into_iter().chain(point.cloned()).collect()
    };
    #[cfg(target_os = "macos")]
    let (allowed, has_doors) = match beginning::with_doors_of_launchd(&allowed) {
        Ok(None) => (allowed, false),
        Ok(Some(with_doors)) => (with_doors, true),
        Err(error) => {
            return Err(say(&format!("keyfob: the doors cannot be taken ({error})\n"), ExitCode::FAILURE));
        }
    };
    #[cfg(not(target_os = "macos"))]
    let has_doors = false;
    if allowed.len() == all.len() && !has_doors {
        return Ok(Vec::new());
    }
    #[cfg(unix)]
    {
        let error = beginning::begin_anew(allowed, ambient);
        Err(say(&format!("keyfob: the agent cannot start itself again ({error})\n"), ExitCode::FAILURE))
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
        Ok(ambient)
    }
}

/// Whether this is the agent of a job (`keyfob run`). The person's own is none, whatever its first caller says.
fn is_of_a_job(places: &Places) -> bool {
    places.own_profile && std::env::var_os(start::job::JOB).is_some_and(|value| value == "1")
}

fn run(places: &Places, hardening: &[Measure], mut start: Start) -> Result<(), Refusal> {
    if is_of_a_job(places) && !job::has_starter() {
        return Err(job::no_starter());
    }
    let single = match start.lock(places, LAST_FLIGHTS + GRACE) {
        Ok(single) => single,
        Err(Taken::Running(record)) => {
            let pid = record.map(|record| format!(" (process {})", record.pid)).unwrap_or_default();
            say(&format!("keyfob: the agent runs already{pid}\n"), ExitCode::SUCCESS);
            return Ok(());
        }
        Err(Taken::Refused(refusal)) => return Err(refusal),
    };
    log::open(&places.log());
    let held: Vec<_> = hardening.iter().filter(|one| one.held.is_ok()).map(|one| one.name).collect();
    tracing::info!(version = keyfob_ipc::VERSION, pid = std::process::id(), hardened = ?held, "the agent starts");
    for Measure { name, held } in hardening {
        if let Err(reason) = held {
            tracing::warn!(reason, "this did not take hold: {name}");
        }
    }
    #[cfg(unix)]
    start.receive(hardening);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Refusal::new(Code::Internal, format!("the agent's runtime cannot start ({error})"))
    })?;
    let ended = runtime.block_on(serve(places, single, start, hardening));
    // A keychain call that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    tracing::info!("the agent ends");
    // With it goes the lock, last of all.
    ended.map(drop)
}

async fn serve(
    places: &Places,
    single: Single,
    mut start: Start,
    hardening: &[Measure],
) -> Result<Guard, Refusal> {
    let is_job = is_of_a_job(places);
    let doors = match start.doors(places)? {
        Some(doors) => doors,
        None => listen::open(places)?,
    };
    let agent = Agent::new(Parts {
        places: places.clone(),
        socket: doors.tool.address.clone(),
        clock: Arc::new(SystemClock),
        keychains: keychains(places, &start),
        notifier: if is_job { Arc::new(job::Nobody) as Arc<dyn Notifier> } else { Arc::new(Desktop) },
        hardening: hardening.to_vec(),
        ambient: surroundings(&start),
        person: Person::read(|name| std::env::var_os(name)),
        host: host(),
    });
    if is_job {
        let has_log = agent.ambient.is_github;
        agent.job.get_or_init(|| if has_log { job::log_of_this_process() } else { job::Masks::default() });
    }
    let rooms = Rooms::within(harden::descriptors());
    let mut guard = Guard::over(agent.clone(), rooms.clone(), doors, single)?;
    tokio::spawn(agent.clone().renew_ahead());
    tokio::spawn(agent.clone().remind());
    tokio::spawn(agent.clone().tell_news());
    tokio::spawn(agent.clone().mend_rotations());
    tokio::spawn(agent.clone().rotate_ahead());
    tokio::spawn(agent.clone().mend_outscale());
    if !is_job {
        tokio::spawn(agent.clone().lock_with_the_desktop(system_bus(places)));
    }
    until_told_to_stop(&agent, &rooms, &mut guard, start, is_job).await;
    // From here on a caller starts the next agent, which waits for this one's lock.
    guard.close();
    // No token is spent from here on, and those that are being spent reach the keychain before we go.
    if tokio::time::timeout(LAST_FLIGHTS, agent.wind_up()).await.is_err() {
        for name in agent.all_unsaved() {
            tracing::error!(%name, "the keychain did not take what was new, and it is lost with this process");
        }
    }
    Ok(guard)
}

/// What is said of a job. Below `keyfob exec` what AWS programs find are keys of ours, and this machine is not asked for its own.
fn surroundings(start: &Start) -> Ambient {
    let ambient = Ambient::read(|name| start.variable(name));
    match std::env::var_os(start::HAS_OUR_KEYS) {
        Some(value) if !value.is_empty() => ambient.without_machine(),
        _ => ambient,
    }
}

#[cfg(unix)]
async fn until_told_to_stop(
    agent: &Arc<Agent>,
    rooms: &Rooms,
    guard: &mut Guard,
    mut start: Start,
    is_job: bool,
) {
    let mut upgrade = start.upgrade();
    // One for all of the time: a signal that comes while another version is to take over is not lost.
    let mut stop = std::pin::pin!(told_to_stop(agent, is_job));
    loop {
        let awaited = async {
            match &mut upgrade {
                Some(upgrade) => upgrade.awaited(agent, rooms).await,
                None => std::future::pending().await,
            }
        };
        let awaited = tokio::select! {
            () = &mut stop => return,
            _ = guard.keep() => continue,
            awaited = awaited => awaited,
        };
        if awaited == Awaited::Nothing {
            // A job is in the middle until it ends.
            if is_job {
                upgrade = None;
                continue;
            }
            tracing::info!("the program of this agent was removed, and so it ends");
            return guard.take_doors_along();
        }
        if let Some(upgrade) = &mut upgrade {
            upgrade.take_over(agent, rooms, guard, &start.heirs).await;
        }
    }
}

#[cfg(windows)]
async fn until_told_to_stop(agent: &Arc<Agent>, _: &Rooms, guard: &mut Guard, _: Start, is_job: bool) {
    tokio::select! {
        () = told_to_stop(agent, is_job) => {}
        _ = guard.keep() => {}
    }
}

#[cfg_attr(windows, expect(unused_variables, reason = "nothing is handed over there"))]
fn keychains(places: &Places, start: &Start) -> Keychains {
    let namespace = places.own_profile.then(|| format!("{:016x}", fingerprint(&places.state)));
    let folder = places.state.join("keychain");
    let passphrase = || match (path("KEYFOB_PASSPHRASE_FILE"), path("CREDENTIALS_DIRECTORY")) {
        (Some(file), _) => Passphrase::File(file),
        (None, Some(folder)) => Passphrase::SystemdCredential(folder),
        (None, None) => Passphrase::Prompt,
    };
    let file = move || FileKeychain::new(folder.clone(), passphrase(), FileKeychain::WORK_FACTOR);
    #[cfg(unix)]
    let heirs = start.heirs.clone();
    let is_job = is_of_a_job(places);
    Box::new(move |kind| {
        // Of a job nothing stays, whatever the configuration says.
        let kind = if is_job { KeychainKind::Memory } else { kind };
        let keychain: Arc<dyn Keychain> = match kind {
            KeychainKind::System => system(namespace.as_deref()),
            #[cfg(unix)]
            KeychainKind::File => heirs.file(file()),
            #[cfg(unix)]
            KeychainKind::Memory => heirs.memory(),
            #[cfg(windows)]
            KeychainKind::File => Arc::new(file()),
            #[cfg(windows)]
            KeychainKind::Memory => Arc::new(MemoryKeychain::default()),
        };
        Arc::new(Deadline::new(keychain, KEYCHAIN))
    })
}

/// A second profile may be told of another one: a program that starts the person's own agent has no say in it.
fn system_bus(places: &Places) -> SystemBus {
    let named = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok().filter(|_| places.own_profile);
    named.and_then(|address| SystemBus::of_address(&address)).unwrap_or_default()
}

/// This machine's name, for whoever finds in a console what was made here.
fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(windows)]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

async fn told_to_stop(agent: &Agent, is_job: bool) {
    tokio::select! {
        () = told_by_somebody(agent) => {}
        () = job::starter_ended(), if is_job => tracing::info!("the job has ended"),
    }
}

async fn told_by_somebody(agent: &Agent) {
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
