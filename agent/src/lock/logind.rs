//! `lock_on`: what logind says on the system bus (org.freedesktop.login1(5)).
//!
//! Nothing runs where nothing is asked for. The bus may go and come back: it is tried again for a while, and then when its
//! socket appears. What it says is taken in at once and dealt with beside that, the sleep of the machine first: neither many
//! signals nor a logind that is slow to say whose session it is hold that up.

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob_ipc::reply::LockedBy;
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use zbus::zvariant::{self, OwnedObjectPath, OwnedValue, Structure};
use zbus::{Connection, Message, MessageStream};

use super::SystemBus;
use crate::agent::Agent;
use crate::config::LockOn;
use crate::signals;

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/login1";
const SESSION: &str = "org.freedesktop.login1.Session";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// What the bus is asked to pass on.
const SCREEN: [&str; 2] = [
    "type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.login1.Session',member='Lock'",
    "type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.DBus.Properties',\
     member='PropertiesChanged',path_namespace='/org/freedesktop/login1/session',\
     arg0='org.freedesktop.login1.Session'",
];
const SLEEP: &str = "type='signal',sender='org.freedesktop.login1',\
     interface='org.freedesktop.login1.Manager',member='PrepareForSleep'";
const OWNER: &str = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
     member='NameOwnerChanged',arg0='org.freedesktop.login1'";

/// Sessions that wait to be asked after, at most: more than a machine has.
const SESSIONS: usize = 64;

/// Signals in a row that are taken in before something else has its turn.
const TURN: u32 = 32;

/// How long the bus has for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Pauses before the bus is tried again, each twice as long as the one before; then its socket is waited for.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const PAUSES: u32 = 6;

/// Where no socket can be waited for.
const LAST_PAUSE: Duration = Duration::from_secs(3600);

impl Agent {
    /// Locks when the screen is locked and when the machine goes to sleep, where the configuration says so, for as long as the
    /// agent lives.
    pub async fn lock_with_the_desktop(self: Arc<Self>, bus: SystemBus) {
        let mut wanted = self.latch.wanted();
        let mut failures = 0;
        loop {
            let on = *wanted.borrow_and_update();
            if on == LockOn::default() {
                self.latch.say_trouble(None);
                failures = 0;
                // The sender is the agent's own.
                let _ = wanted.changed().await;
                continue;
            }
            let ear = Ear { agent: &self, on };
            tokio::select! {
                error = ear.listen(&bus.0, &mut failures) => {
                    let say = format!("the system bus `{}` cannot be used ({error})", bus.0.display());
                    self.latch.say_trouble(Some(say));
                }
                _ = wanted.changed() => continue,
            }
            failures += 1;
            tokio::select! {
                () = comes_back(&bus.0, failures) => {}
                _ = wanted.changed() => {}
            }
        }
    }
}

/// Listens to one connection.
struct Ear<'a> {
    agent: &'a Arc<Agent>,
    on: LockOn,
}

/// What is known of logind on one connection.
struct Logind {
    bus: Connection,
    /// Holds the machine's sleep up until it is dropped.
    inhibitor: Option<OwnedFd>,
}

/// What was heard on one connection.
struct Heard {
    due: Mutex<Due>,
    more: Notify,
}

/// What is to be done about it.
#[derive(Default)]
struct Due {
    /// Who logind is.
    owner: Option<String>,
    sleeps: bool,
    begins: bool,
    /// Whether the screen is to be looked at: what was said before anybody listened was not heard.
    looks: bool,
    is_crowded: bool,
    sessions: BTreeSet<String>,
    wakes: bool,
}

#[derive(PartialEq)]
enum Task {
    /// The machine goes to sleep.
    Sleep,
    /// There is a logind, or none, that is new to us.
    Begin,
    Look,
    /// More sessions have spoken than there can be: one of them is taken to be ours.
    Crowd,
    /// The screen of a session was locked.
    Session(String),
    /// The machine is awake.
    Wake,
}

impl Due {
    fn take(&mut self) -> Option<Task> {
        let flags = [
            (&mut self.sleeps, Task::Sleep),
            (&mut self.begins, Task::Begin),
            (&mut self.looks, Task::Look),
            (&mut self.is_crowded, Task::Crowd),
        ];
        for (flag, task) in flags {
            if std::mem::take(flag) {
                return Some(task);
            }
        }
        let session = self.sessions.pop_first().map(Task::Session);
        session.or_else(|| std::mem::take(&mut self.wakes).then_some(Task::Wake))
    }

    fn put(&mut self, task: Task) {
        match task {
            Task::Sleep => (self.sleeps, self.wakes) = (true, false),
            Task::Begin => self.begins = true,
            Task::Look => self.looks = true,
            Task::Crowd => self.is_crowded = true,
            Task::Session(_) if self.sessions.len() >= SESSIONS => self.is_crowded = true,
            Task::Session(session) => drop(self.sessions.insert(session)),
            Task::Wake => self.wakes = true,
        }
    }

    fn owner(&mut self, owner: Option<String>) {
        if self.owner != owner {
            self.owner = owner;
            (self.begins, self.looks) = (true, true);
        }
    }

    /// Takes in a signal.
    fn hear(&mut self, signal: &Message) -> zbus::Result<()> {
        let header = signal.header();
        if header.message_type() != zbus::message::Type::Signal {
            return Ok(());
        }
        let sender = header.sender().map(|name| name.as_str());
        let interface = header.interface().map(|name| name.as_str()).unwrap_or_default();
        let member = header.member().map(|name| name.as_str()).unwrap_or_default();
        if sender == Some(BUS) && member == "NameOwnerChanged" {
            let (name, _, owner): (String, String, String) = signal.body().deserialize()?;
            if name == LOGIND {
                self.owner(Some(owner).filter(|owner| !owner.is_empty()));
            }
            return Ok(());
        }
        // Rules are for what is sent to all: anybody can send us something of the same name.
        if sender.is_none() || self.owner.as_deref() != sender {
            return Ok(());
        }
        match (interface, member, header.path()) {
            (MANAGER, "PrepareForSleep", _) => {
                let goes_to_sleep: bool = signal.body().deserialize()?;
                self.put(if goes_to_sleep { Task::Sleep } else { Task::Wake });
            }
            (SESSION, "Lock", Some(session)) => self.put(Task::Session(session.to_string())),
            (PROPERTIES, "PropertiesChanged", Some(session)) => {
                let (of, changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) =
                    signal.body().deserialize()?;
                let is_locked =
                    changed.get("LockedHint").is_some_and(|hint| bool::try_from(hint) == Ok(true));
                if of == SESSION && is_locked {
                    self.put(Task::Session(session.to_string()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Heard {
    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the connection ends.
    async fn listen(&self, signals: &mut MessageStream, failures: &mut u32) -> zbus::Result<()> {
        let mut count = 0_u32;
        while let Some(signal) = signals::next(signals).await {
            *failures = 0;
            self.due().hear(&signal?)?;
            self.more.notify_one();
            count = count.wrapping_add(1);
            if count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn next(&self) -> Task {
        loop {
            if let Some(task) = self.due().take() {
                return task;
            }
            self.more.notified().await;
        }
    }

    /// Returns when the machine goes to sleep.
    async fn sleeps(&self) {
        while !self.due().sleeps {
            self.more.notified().await;
        }
    }
}

impl Ear<'_> {
    /// Until the connection ends; says why it did.
    async fn listen(&self, socket: &Path, failures: &mut u32) -> zbus::Error {
        match self.hear(socket, failures).await {
            Err(error) => error,
            Ok(()) => zbus::Error::Failure("the bus has gone".to_owned()),
        }
    }

    async fn hear(&self, socket: &Path, failures: &mut u32) -> zbus::Result<()> {
        let bus = in_time(connect(socket)).await?;
        let mut signals = MessageStream::from(&bus);
        call(&bus, BUS, BUS_PATH, BUS, "AddMatch", &OWNER).await?;
        let mut logind = Logind { bus, inhibitor: None };
        let owner = logind.look_for_owner().await?;
        let due = Due { owner, begins: true, looks: true, ..Due::default() };
        let heard = Heard { due: Mutex::new(due), more: Notify::new() };
        tokio::select! {
            end = heard.listen(&mut signals, failures) => end,
            end = self.work(&mut logind, &heard) => end,
        }
    }

    /// Does what is due. The sleep of the machine waits for nothing else.
    async fn work(&self, logind: &mut Logind, heard: &Heard) -> zbus::Result<()> {
        let rules =
            SCREEN.iter().filter(|_| self.on.screen).chain([&SLEEP].into_iter().filter(|_| self.on.sleep));
        for rule in rules {
            call(&logind.bus, BUS, BUS_PATH, BUS, "AddMatch", rule).await?;
        }
        loop {
            let task = heard.next().await;
            if task == Task::Sleep {
                self.lock(LockedBy::Sleep).await;
                logind.inhibitor = None;
                continue;
            }
            let has_owner = heard.due().owner.is_some();
            let is_done = tokio::select! {
                biased;
                () = heard.sleeps() => None,
                done = self.perform(logind, &task, has_owner) => Some(done),
            };
            match is_done {
                Some(done) => done?,
                None => heard.due().put(task),
            }
        }
    }

    async fn perform(&self, logind: &mut Logind, task: &Task, has_owner: bool) -> zbus::Result<()> {
        match task {
            Task::Sleep => {}
            Task::Begin | Task::Wake => self.begin(logind, has_owner).await,
            Task::Look => {
                if self.on.screen && has_owner && logind.is_locked().await? {
                    self.lock(LockedBy::Screen).await;
                }
            }
            Task::Crowd => self.lock(LockedBy::Screen).await,
            Task::Session(session) => {
                if logind.is_ours(session).await {
                    self.lock(LockedBy::Screen).await;
                }
            }
        }
        Ok(())
    }

    /// With a logind that is new to us, or that has let the machine sleep.
    async fn begin(&self, logind: &mut Logind, has_owner: bool) {
        if !has_owner {
            self.agent.latch.say_trouble(Some("no logind is on the system bus".to_owned()));
            return;
        }
        self.agent.latch.say_trouble(None);
        if self.on.sleep
            && let Err(error) = logind.inhibit().await
        {
            let say = format!("logind does not wait for us before the machine sleeps ({error})");
            self.agent.latch.say_trouble(Some(say));
        }
    }

    /// Locks, unless an edit says otherwise by now. It goes on where nobody waits for it any more.
    async fn lock(&self, by: LockedBy) {
        let agent = Arc::clone(self.agent);
        let locking = tokio::spawn(async move {
            drop(agent.config());
            let on = *agent.latch.wanted().borrow();
            let is_wanted = if by == LockedBy::Sleep { on.sleep } else { on.screen };
            if is_wanted && let Err(refusal) = agent.lock(by).await {
                tracing::warn!("{}", refusal.say);
            }
        });
        let _ = locking.await;
    }
}

impl Logind {
    async fn look_for_owner(&self) -> zbus::Result<Option<String>> {
        match call(&self.bus, BUS, BUS_PATH, BUS, "GetNameOwner", &LOGIND).await {
            Ok(reply) => Ok(Some(reply.body().deserialize()?)),
            Err(zbus::Error::MethodError(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inhibit(&mut self) -> zbus::Result<()> {
        let body = ("sleep", "Keyfob", "forgets what it holds", "delay");
        let reply = call(&self.bus, LOGIND, MANAGER_PATH, MANAGER, "Inhibit", &body).await?;
        let inhibitor: zvariant::OwnedFd = reply.body().deserialize()?;
        self.inhibitor = Some(inhibitor.into());
        Ok(())
    }

    /// Whether a session is this user's. Where it has gone it is nobody's, and where that cannot be told it may be ours.
    async fn is_ours(&self, session: &str) -> bool {
        match call(&self.bus, LOGIND, session, PROPERTIES, "Get", &(SESSION, "User")).await {
            Ok(reply) => user(&reply).is_none_or(is_me),
            Err(error) => !is_error(&error, "UnknownObject"),
        }
    }

    /// Whether the screen of a session of ours is locked, or one where that cannot be told.
    async fn is_locked(&self) -> zbus::Result<bool> {
        let reply = call(&self.bus, LOGIND, MANAGER_PATH, MANAGER, "ListSessions", &()).await?;
        let sessions: Vec<(String, u32, String, String, OwnedObjectPath)> = reply.body().deserialize()?;
        for (_, user, _, _, session) in sessions {
            if !is_me(user) {
                continue;
            }
            let hint = call(&self.bus, LOGIND, session.as_str(), PROPERTIES, "Get", &(SESSION, "LockedHint"));
            let is_locked = match hint.await {
                Ok(reply) => {
                    let hint = reply.body().deserialize::<OwnedValue>();
                    hint.ok().and_then(|hint| bool::try_from(hint).ok()).unwrap_or(true)
                }
                // It ends at this moment, or its logind is too old to know.
                Err(error) if is_error(&error, "UnknownObject") || is_error(&error, "UnknownProperty") => {
                    false
                }
                // Whoever comes back is asked again.
                Err(error)
                    if !matches!(error, zbus::Error::MethodError(..)) || is_error(&error, "NoReply") =>
                {
                    return Err(error);
                }
                Err(_) => true,
            };
            if is_locked {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether it is this one of the bus's own errors (D-Bus specification, standard errors).
fn is_error(error: &zbus::Error, which: &str) -> bool {
    let zbus::Error::MethodError(name, ..) = error else { return false };
    name.as_str().strip_prefix("org.freedesktop.DBus.Error.") == Some(which)
}

/// Of the property `User`: a number and an object.
fn user(reply: &Message) -> Option<u32> {
    let value: OwnedValue = reply.body().deserialize().ok()?;
    let structure = Structure::try_from(value).ok()?;
    u32::try_from(structure.fields().first()?).ok()
}

fn is_me(user: u32) -> bool {
    user == rustix::process::geteuid().as_raw()
}

async fn connect(socket: &Path) -> zbus::Result<Connection> {
    let stream = UnixStream::connect(socket).await?;
    zbus::connection::Builder::unix_stream(stream).build().await
}

async fn call<B: serde::Serialize + zvariant::DynamicType + Sync>(
    bus: &Connection,
    whom: &str,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> zbus::Result<Message> {
    in_time(bus.call_method(Some(whom), path, Some(interface), method, body)).await
}

async fn in_time<T>(call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    let late = || Err(zbus::Error::Failure("it does not answer".to_owned()));
    tokio::time::timeout(ANSWER, call).await.unwrap_or_else(|_| late())
}

/// Returns when the bus is worth another try.
async fn comes_back(socket: &Path, failures: u32) {
    if failures <= PAUSES {
        // A service manager keeps the socket while the bus starts again.
        return tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(failures - 1)).await;
    }
    let appears = async {
        if appears(socket).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let _ = tokio::time::timeout(LAST_PAUSE, appears).await;
}

/// Returns when something new is in the folder of the socket.
async fn appears(socket: &Path) -> std::io::Result<()> {
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO)?;
    // It may have come before anybody watched.
    if UnixStream::connect(socket).await.is_ok() {
        return Ok(());
    }
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps its descriptor for life, which is what the successor asks for"
    )]
    let watch = AsyncFd::new(watch)?;
    loop {
        let mut ready = watch.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(watch.get_ref(), &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(std::ffi::CStr::to_bytes);
                    if name == socket.file_name().map(std::ffi::OsStr::as_encoded_bytes) {
                        return Ok(());
                    }
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
    }
}
