//! `lock_on`, against a real message bus and a double of logind.

#[path = "logind_late.rs"]
mod late;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use keyfob_agent::lock::SystemBus;
use tempfile::TempDir;
use zbus::Connection;
use zbus::zvariant::{self, OwnedObjectPath};

use super::*;
use crate::company::CONFIG;

const MANAGER: &str = "/org/freedesktop/login1";
const OWN: &str = "/org/freedesktop/login1/session/_31";
const FOREIGN: &str = "/org/freedesktop/login1/session/_32";
const SESSION: &str = "org.freedesktop.login1.Session";

fn config(lock_on: &str) -> String {
    format!("[agent]\nlock_on = {lock_on}\n{CONFIG}")
}

/// A bus that is killed and waited for when this is dropped.
struct Bus {
    folder: TempDir,
    daemon: Option<Child>,
}

impl Bus {
    fn start() -> Self {
        let mut bus = Self { folder: TempDir::new().unwrap(), daemon: None };
        bus.begin();
        bus
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    fn begin(&mut self) {
        let configuration = self.folder.path().join("bus.conf");
        let text = format!(
            r#"<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context="default">
            <allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
            self.socket().display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address=1"]).stdout(Stdio::piped());
        command.arg(format!("--config-file={}", configuration.display())).stderr(Stdio::null());
        let mut daemon = command.spawn().expect("run `cargo xtask setup`");
        // It prints the address once it listens.
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.daemon = Some(daemon);
        assert!(line.starts_with("unix:"), "the bus did not start");
    }

    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    async fn connect(&self) -> Connection {
        let address = format!("unix:path={}", self.socket().display());
        zbus::connection::Builder::address(address.as_str()).unwrap().build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The other ends of what holds up the machine's sleep.
type Inhibitors = Arc<Mutex<Vec<std::fs::File>>>;

struct Manager {
    inhibitors: Inhibitors,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zvariant::OwnedFd {
        assert_eq!((what, who, mode), ("sleep", "Keyfob", "delay"), "{why}");
        let flags = rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC;
        let (ours, theirs): (OwnedFd, OwnedFd) = rustix::pipe::pipe_with(flags).unwrap();
        self.inhibitors.lock().unwrap().push(ours.into());
        theirs.into()
    }

    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let session = |name: &str, user, path: &str| {
            let path = OwnedObjectPath::try_from(path).unwrap();
            (name.to_owned(), user, String::new(), String::new(), path)
        };
        vec![session("2", me() + 1, FOREIGN), session("1", me(), OWN)]
    }
}

struct Session {
    user: u32,
    is_locked: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn user(&self) -> (u32, OwnedObjectPath) {
        (self.user, OwnedObjectPath::try_from("/org/freedesktop/login1/user/self").unwrap())
    }

    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }
}

/// logind, as far as it is listened to.
struct Logind {
    bus: Connection,
    inhibitors: Inhibitors,
    is_locked: Arc<AtomicBool>,
}

impl Logind {
    async fn start(bus: &Bus) -> Self {
        let (inhibitors, is_locked) = (Inhibitors::default(), Arc::new(AtomicBool::new(false)));
        let connection = bus.connect().await;
        let objects = connection.object_server();
        objects.at(MANAGER, Manager { inhibitors: inhibitors.clone() }).await.unwrap();
        for (path, user) in [(OWN, me()), (FOREIGN, me() + 1)] {
            objects.at(path, Session { user, is_locked: is_locked.clone() }).await.unwrap();
        }
        connection.request_name("org.freedesktop.login1").await.unwrap();
        Self { bus: connection, inhibitors, is_locked }
    }

    async fn says<B: serde::Serialize + zvariant::DynamicType>(
        &self,
        path: &str,
        of: &str,
        what: &str,
        body: &B,
    ) {
        self.bus.emit_signal(None::<&str>, path, of, what, body).await.unwrap();
    }

    async fn session(&self, path: &str, what: &str) {
        self.says(path, SESSION, what, &()).await;
    }

    async fn locked_hint(&self, path: &str, is_locked: bool) {
        let changed = std::collections::HashMap::from([("LockedHint", zvariant::Value::from(is_locked))]);
        let none: Vec<&str> = Vec::new();
        let body = (SESSION, changed, none);
        self.says(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body).await;
    }

    async fn sleep(&self, goes_to_sleep: bool) {
        self.says(MANAGER, "org.freedesktop.login1.Manager", "PrepareForSleep", &goes_to_sleep).await;
    }

    fn count(&self) -> usize {
        self.inhibitors.lock().unwrap().len()
    }

    /// Whether the newest inhibitor was given up.
    fn is_released(&self) -> bool {
        let mut inhibitors = self.inhibitors.lock().unwrap();
        inhibitors.last_mut().is_some_and(|file| matches!(file.read(&mut [0]), Ok(0)))
    }

    async fn is_listened_to(&self, count: usize) {
        eventually("an inhibitor is taken", async || self.count() == count).await;
    }

    /// Returns when everything that was said before is understood.
    async fn is_understood(&self) {
        let before = self.count();
        self.sleep(false).await;
        self.is_listened_to(before + 1).await;
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Somebody whose agent listens.
struct Desk {
    company: Company,
    bus: Bus,
    listening: tokio::task::JoinHandle<()>,
}

impl Desk {
    async fn new(lock_on: &str) -> Self {
        let bus = Bus::start();
        let company = Company::with(&config(lock_on), |_| {}).await;
        company.add_token("aspect", "aw_1").await.unwrap();
        let listening = tokio::spawn(company.agent.clone().lock_with_the_desktop(SystemBus(bus.socket())));
        Self { company, bus, listening }
    }

    fn locked_by(&self) -> Option<LockedBy> {
        self.company.agent.lock_report().map(|lock| lock.by)
    }

    async fn is_locked_by(&self, by: LockedBy) {
        eventually("it is locked", async || self.locked_by() == Some(by)).await;
        assert_eq!(self.company.get(CLUSTER).await.unwrap_err().code, Code::Locked);
        unlock(&self.company).await;
        self.company.get(CLUSTER).await.unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[tokio::test]
async fn it_is_locked_with_the_screen_of_this_user_and_no_other() {
    let desk = Desk::new("[\"screen\", \"sleep\"]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.is_listened_to(1).await;
    assert_eq!(desk.company.agent.lock_on_trouble(), None);
    logind.session(OWN, "Lock").await;
    desk.is_locked_by(LockedBy::Screen).await;
    logind.locked_hint(OWN, true).await;
    desk.is_locked_by(LockedBy::Screen).await;

    logind.session(FOREIGN, "Lock").await;
    logind.locked_hint(FOREIGN, true).await;
    logind.locked_hint(OWN, false).await;
    logind.session("/org/freedesktop/login1/session/_39", "Lock").await;
    logind.is_understood().await;
    assert_eq!(desk.locked_by(), None);

    // What unlocks the screen unlocks nothing else.
    logind.session(OWN, "Lock").await;
    logind.session(OWN, "Unlock").await;
    logind.locked_hint(OWN, false).await;
    logind.is_understood().await;
    desk.is_locked_by(LockedBy::Screen).await;
}

#[tokio::test]
async fn a_signal_that_logind_did_not_send_locks_nothing() {
    let desk = Desk::new("[\"screen\", \"sleep\"]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.is_listened_to(1).await;
    let stranger = desk.bus.connect().await;
    let (own, others) =
        (stranger.unique_name().unwrap().to_string(), logind.bus.unique_name().unwrap().to_string());
    let reply = stranger
        .call_method(Some("org.freedesktop.DBus"), "/", Some("org.freedesktop.DBus"), "ListNames", &())
        .await
        .unwrap();
    let names: Vec<String> = reply.body().deserialize().unwrap();
    let agent = names.iter().find(|name| name.starts_with(':') && **name != own && **name != others).unwrap();
    for to in [Some(agent.as_str()), None] {
        stranger.emit_signal(to, OWN, SESSION, "Lock", &()).await.unwrap();
        stranger
            .emit_signal(to, MANAGER, "org.freedesktop.login1.Manager", "PrepareForSleep", &true)
            .await
            .unwrap();
    }
    // Whatever the stranger said is on its way before this answer.
    stranger
        .call_method(Some("org.freedesktop.DBus"), "/", Some("org.freedesktop.DBus"), "GetId", &())
        .await
        .unwrap();
    logind.is_understood().await;
    assert_eq!(desk.locked_by(), None);
    // Control: the same from logind.
    logind.session(OWN, "Lock").await;
    desk.is_locked_by(LockedBy::Screen).await;
}

#[tokio::test]
async fn the_machine_sleeps_once_nothing_is_in_memory() {
    let desk = Desk::new("[\"sleep\"]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.is_listened_to(1).await;
    desk.company.get(CLUSTER).await.unwrap();
    logind.sleep(true).await;
    let is_clean = || desk.locked_by() == Some(LockedBy::Sleep) && is_empty(&desk.company);
    eventually("the machine may sleep", async || {
        let is_released = logind.is_released();
        assert!(!is_released || is_clean(), "it sleeps with secrets in memory");
        is_released
    })
    .await;
    // And the next time, too.
    logind.sleep(false).await;
    logind.is_listened_to(2).await;
    assert_eq!(desk.locked_by(), Some(LockedBy::Sleep), "waking up unlocks nothing");
    unlock(&desk.company).await;
    // A keychain that does not answer holds nothing up but the sleep, and that not for long.
    desk.company.vault.be_silent(true);
    logind.sleep(true).await;
    eventually("it is locked", async || is_clean()).await;
    assert!(!logind.is_released(), "locking is not over yet");
    eventually("the machine may sleep again", async || logind.is_released()).await;
    desk.company.vault.be_silent(false);
    // The screen was not asked for.
    unlock(&desk.company).await;
    logind.session(OWN, "Lock").await;
    logind.is_understood().await;
    assert_eq!(desk.locked_by(), None);
}

#[tokio::test]
async fn a_bus_that_comes_back_is_listened_to_and_what_was_missed_is_looked_up() {
    let mut desk = Desk::new("[\"screen\", \"sleep\"]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.is_listened_to(1).await;
    desk.bus.kill();
    drop(logind);
    eventually("it says so", async || desk.company.agent.lock_on_trouble().is_some()).await;
    assert_eq!(desk.locked_by(), None);
    desk.bus.begin();
    let logind = Logind::start(&desk.bus).await;
    logind.is_listened_to(1).await;
    eventually("all is well again", async || desk.company.agent.lock_on_trouble().is_none()).await;
    logind.session(OWN, "Lock").await;
    desk.is_locked_by(LockedBy::Screen).await;

    desk.bus.kill();
    drop(logind);
    eventually("it says so", async || desk.company.agent.lock_on_trouble().is_some()).await;
    // logind is there as soon as the bus is: nobody hears the signal.
    std::fs::rename(desk.bus.socket(), desk.bus.socket().with_extension("old")).unwrap();
    desk.bus.begin();
    let logind = Logind::start(&desk.bus).await;
    logind.is_locked.store(true, Ordering::Relaxed);
    desk.is_locked_by(LockedBy::Screen).await;
}

#[tokio::test]
async fn an_edit_takes_effect_and_without_a_wish_nobody_listens() {
    let desk = Desk::new("[]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.session(OWN, "Lock").await;
    desk.company.configure(&config("[\"screen\", \"sleep\"]"));
    desk.company.get(CLUSTER).await.unwrap();
    logind.is_listened_to(1).await;
    assert_eq!(desk.locked_by(), None, "nobody heard it");
    logind.session(OWN, "Lock").await;
    desk.is_locked_by(LockedBy::Screen).await;
    // The wish is gone, and nobody has asked the agent anything since.
    desk.company.configure(&config("[]"));
    logind.session(OWN, "Lock").await;
    eventually("nobody listens any more", async || logind.is_released()).await;
    assert_eq!(desk.locked_by(), None);
}

#[tokio::test]
async fn where_there_is_no_bus_it_is_said_and_its_socket_is_waited_for() {
    let mut bus = Bus::start();
    bus.kill();
    let _ = std::fs::remove_file(bus.socket());
    let company = Company::with(&config("[\"sleep\"]"), |_| {}).await;
    let listening = tokio::spawn(company.agent.clone().lock_with_the_desktop(SystemBus(bus.socket())));
    eventually("it says so", async || company.agent.lock_on_trouble().is_some()).await;
    let say = company.agent.lock_on_trouble().unwrap();
    assert!(say.contains("the system bus"), "{say}");
    bus.begin();
    eventually("no logind is there", async || {
        company.agent.lock_on_trouble().is_some_and(|say| say.contains("no logind"))
    })
    .await;
    let logind = Logind::start(&bus).await;
    logind.is_listened_to(1).await;
    listening.abort();
    assert!(SystemBus::of_address("unix:path=/x/bus,guid=1").is_some_and(|bus| bus.0 == Path::new("/x/bus")));
    assert!(SystemBus::of_address("tcp:host=x,port=1").is_none());
}
