//! `lock_on`: what logind says on the system bus (org.freedesktop.login1(5)).
//!
//! Nothing runs where nothing is asked for. The bus may go and come back: it is tried again for a while, and then when its
//! socket appears.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::LockedBy;
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
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
        let (mut failures, mut has_heard) = (0, false);
        loop {
            let on = *wanted.borrow_and_update();
            if on == LockOn::default() {
                self.latch.say_trouble(None);
                (failures, has_heard) = (0, false);
                // The sender is the agent's own.
                let _ = wanted.changed().await;
                continue;
            }
            let mut ear = Ear { agent: &self, on, failures: &mut failures, has_heard: &mut has_heard };
            tokio::select! {
                error = ear.listen(&bus.0) => {
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
    failures: &'a mut u32,
    /// Whether anything was heard since somebody began to listen: what was said meanwhile is to be looked up.
    has_heard: &'a mut bool,
}

/// What is known of logind on one connection.
struct Logind {
    bus: Connection,
    owner: Option<String>,
    /// Holds the machine's sleep up until it is dropped.
    inhibitor: Option<OwnedFd>,
}

impl Ear<'_> {
    /// Until the connection ends; says why it did.
    async fn listen(&mut self, socket: &Path) -> zbus::Error {
        match self.hear(socket).await {
            Err(error) => error,
            Ok(()) => zbus::Error::Failure("the bus has gone".to_owned()),
        }
    }

    async fn hear(&mut self, socket: &Path) -> zbus::Result<()> {
        let bus = in_time(connect(socket)).await?;
        let mut signals = MessageStream::from(&bus);
        let rules =
            SCREEN.iter().filter(|_| self.on.screen).chain([&SLEEP].into_iter().filter(|_| self.on.sleep));
        for rule in rules.chain([&OWNER]) {
            call(&bus, BUS, BUS_PATH, BUS, "AddMatch", rule).await?;
        }
        let mut logind = Logind { bus, owner: None, inhibitor: None };
        logind.owner = logind.look_for_owner().await?;
        self.begin(&mut logind).await?;
        if std::mem::replace(self.has_heard, true) && self.on.screen && logind.is_locked().await? {
            self.lock(LockedBy::Screen).await;
        }
        while let Some(signal) = signals::next(&mut signals).await {
            *self.failures = 0;
            self.take(&mut logind, &signal?).await?;
        }
        Ok(())
    }

    /// With a logind that is new to us.
    async fn begin(&self, logind: &mut Logind) -> zbus::Result<()> {
        if logind.owner.is_none() {
            self.agent.latch.say_trouble(Some("no logind is on the system bus".to_owned()));
            return Ok(());
        }
        self.agent.latch.say_trouble(None);
        if self.on.sleep
            && let Err(error) = logind.inhibit().await
        {
            let say = format!("logind does not wait for us before the machine sleeps ({error})");
            self.agent.latch.say_trouble(Some(say));
        }
        Ok(())
    }

    async fn take(&self, logind: &mut Logind, signal: &Message) -> zbus::Result<()> {
        let header = signal.header();
        if header.message_type() != zbus::message::Type::Signal {
            return Ok(());
        }
        let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let sender = text(header.sender().map(|name| name.as_str()));
        let interface = text(header.interface().map(|name| name.as_str()));
        let member = text(header.member().map(|name| name.as_str()));
        if sender == BUS && member == "NameOwnerChanged" {
            let (name, _, owner): (String, String, String) = signal.body().deserialize()?;
            if name == LOGIND {
                logind.owner = Some(owner).filter(|owner| !owner.is_empty());
                self.begin(logind).await?;
            }
            return Ok(());
        }
        // Rules are for what is sent to all: anybody can send us something of the same name.
        if logind.owner.as_deref() != Some(&sender) {
            return Ok(());
        }
        match (interface.as_str(), member.as_str(), header.path()) {
            (MANAGER, "PrepareForSleep", _) => {
                let goes_to_sleep: bool = signal.body().deserialize()?;
                if goes_to_sleep {
                    self.lock(LockedBy::Sleep).await;
                    logind.inhibitor = None;
                } else {
                    self.begin(logind).await?;
                }
            }
            (SESSION, "Lock", Some(session)) => self.screen(logind, session.as_str()).await,
            (PROPERTIES, "PropertiesChanged", Some(session)) => {
                let (of, changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) =
                    signal.body().deserialize()?;
                let is_locked =
                    changed.get("LockedHint").is_some_and(|hint| bool::try_from(hint) == Ok(true));
                if of == SESSION && is_locked {
                    self.screen(logind, session.as_str()).await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The screen of a session was locked.
    async fn screen(&self, logind: &Logind, session: &str) {
        if logind.is_ours(session).await {
            self.lock(LockedBy::Screen).await;
        }
    }

    /// Locks, unless an edit says otherwise by now.
    async fn lock(&self, by: LockedBy) {
        drop(self.agent.config());
        let on = *self.agent.latch.wanted().borrow();
        let is_wanted = if by == LockedBy::Sleep { on.sleep } else { on.screen };
        if is_wanted && let Err(refusal) = self.agent.lock(by).await {
            tracing::warn!("{}", refusal.say);
        }
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
            Err(zbus::Error::MethodError(..)) => false,
            Err(_) => true,
        }
    }

    /// Whether the screen of a session of ours is locked.
    async fn is_locked(&self) -> zbus::Result<bool> {
        if self.owner.is_none() {
            return Ok(false);
        }
        let reply = call(&self.bus, LOGIND, MANAGER_PATH, MANAGER, "ListSessions", &()).await?;
        let sessions: Vec<(String, u32, String, String, OwnedObjectPath)> = reply.body().deserialize()?;
        for (_, user, _, _, session) in sessions {
            let hint = call(&self.bus, LOGIND, session.as_str(), PROPERTIES, "Get", &(SESSION, "LockedHint"));
            if is_me(user)
                && let Ok(reply) = hint.await
                && let Ok(hint) = reply.body().deserialize::<OwnedValue>()
                && bool::try_from(hint) == Ok(true)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
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
