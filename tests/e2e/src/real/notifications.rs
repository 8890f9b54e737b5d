//! A real notification server, Debian's `dunst`, on a test's session bus; it draws on an X server without a screen.
//!
//! The agent finds it where its starter's environment has `DBUS_SESSION_BUS_ADDRESS`, which passes only where the socket
//! belongs to the same user: `profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address())`. dunst speaks version 1.2 of the
//! Desktop Notifications Specification with the capabilities `actions`, `body`, `body-markup` and `body-hyperlinks`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::part::{Lines, Part};
use super::session_bus::SessionBus;
use crate::process::{self, Signal};
use crate::{PATIENCE, Stage, folder, run, wait_for_some};

/// The sender of our own marks, which are not among what was shown.
const MARK: &str = "keyfob-tests-mark";

/// How long the X server may take to tidy up.
const TIDY: Duration = Duration::from_secs(5);

/// What came in a call of `Notify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Who sent it.
    pub app_name: String,
    /// The title.
    pub summary: String,
    /// The text as it was sent: where it holds `&lt;`, the person sees `<`; where it holds `<b>`, the person sees bold.
    pub body: String,
    /// The hint `urgency`; normal where there was none.
    pub urgency: Urgency,
}

/// How loudly a notification is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// 0
    Low,
    /// 1
    Normal,
    /// 2: stays until the person closes it.
    Critical,
}

/// A running server.
#[derive(Debug)]
pub struct NotificationServer {
    // Dropped in this order: the server, then the screen that it draws on, then the folder that it writes into.
    _server: Part,
    /// Where it has one of its own.
    _screen: Option<Screen>,
    display: String,
    _folder: TempDir,
    bus: String,
    shown: Arc<Mutex<Vec<(u32, Notification)>>>,
    marks: AtomicU32,
}

impl NotificationServer {
    /// Starts it with a screen of its own, and waits until the bus has its name.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(bus: &SessionBus) -> Self {
        let screen = Screen::start();
        let display = screen.display.clone();
        Self::with(bus, display, Some(screen))
    }

    /// Starts it on a screen that others draw on too.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_on(bus: &SessionBus, screen: &Screen) -> Self {
        Self::with(bus, screen.display.clone(), None)
    }

    fn with(bus: &SessionBus, display: String, screen: Option<Screen>) -> Self {
        let folder = folder();
        let log = folder.path().join("dunst.log");
        let mut command = Command::new("dunst");
        command.arg("-conf").arg(Stage::get().real("dunstrc")).arg("-print");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env("HOME", folder.path()).env("DBUS_SESSION_BUS_ADDRESS", bus.address());
        command.env("DISPLAY", &display);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("room for a log"));
        let mut server = Part::start(&mut command);
        let stdout = server.child().stdout.take().expect("its standard output is piped");
        let shown = collect(stdout);
        wait_for_some("a notification server on the bus", PATIENCE, || {
            let ended = server.child().try_wait().expect("its state can be asked");
            assert!(ended.is_none(), "dunst ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            has_server(&bus.address()).then_some(())
        });
        Self {
            _server: server,
            _screen: screen,
            display,
            _folder: folder,
            bus: bus.address(),
            shown,
            marks: AtomicU32::new(0),
        }
    }

    /// Everything that was shown so far, in order. What a caller of `Notify` has an answer for is among it.
    ///
    /// # Panics
    /// When the server has ended.
    #[must_use]
    #[track_caller]
    pub fn shown(&self) -> Vec<Notification> {
        // The server takes one call after the other, so what came before our mark is printed before it.
        let mark = self.marks.fetch_add(1, Ordering::Relaxed).to_string();
        self.notify(&Notification {
            app_name: MARK.to_owned(),
            summary: mark.clone(),
            body: String::new(),
            urgency: Urgency::Low,
        });
        wait_for_some("a notification of our own", PATIENCE, || {
            let all: Vec<_> = self.so_far().into_iter().map(|(_, shown)| shown).collect();
            let end = all.iter().position(|shown| shown.app_name == MARK && shown.summary == mark)?;
            Some(all.into_iter().take(end).filter(|shown| shown.app_name != MARK).collect())
        })
    }

    /// Waits for a notification, and returns the first that is wanted; one that is there already counts.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Notification) -> bool) -> Notification {
        wait_for_some(what, PATIENCE, || self.so_far().into_iter().map(|(_, shown)| shown).find(&wanted))
    }

    /// The number that the server gave to the first that is wanted, by which its sender and everybody else on the bus can
    /// speak of it.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn number(&self, what: &str, wanted: impl Fn(&Notification) -> bool) -> u32 {
        let find = || self.so_far().into_iter().find(|(_, shown)| wanted(shown)).map(|(number, _)| number);
        wait_for_some(what, PATIENCE, find)
    }

    /// Says on the bus that the person has clicked on a notification, as any program of this session can.
    ///
    /// # Panics
    /// When the bus does not take it.
    pub fn forge_click(&self, number: u32, action: &str) {
        let mut forged = Command::new("busctl");
        forged.arg(format!("--address={}", self.bus)).args(["emit", "/org/freedesktop/Notifications"]);
        forged.args(["org.freedesktop.Notifications", "ActionInvoked", "us", &number.to_string(), action]);
        run(forged, "").ok();
    }

    /// Sends one, as any program of this session can.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn notify(&self, notification: &Notification) {
        let Notification { app_name, summary, body, urgency } = notification;
        let urgency = (*urgency as u8).to_string();
        let mut call = call(&self.bus, "org.freedesktop.Notifications", "/org/freedesktop/Notifications");
        call.args(["org.freedesktop.Notifications", "Notify", "susssasa{sv}i", app_name, "0", "", summary]);
        // No actions, one hint, and a second on the screen.
        call.args([body, "0", "1", "urgency", "y", &urgency, "1000"]);
        run(call, "").ok();
    }

    /// The X server's address, for `DISPLAY`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    fn so_far(&self) -> Vec<(u32, Notification)> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An X server that draws into memory.
#[derive(Debug)]
pub struct Screen {
    part: Part,
    display: String,
}

impl Screen {
    /// Starts it with a number of its own choice, which it says once it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::of_size(640, 480)
    }

    /// The same, so many pixels wide and high.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn of_size(width: u32, height: u32) -> Self {
        let mut command = Command::new("Xvfb");
        let size = format!("{width}x{height}x24");
        command.args(["-displayfd", "1", "-screen", "0", &size, "-nolisten", "tcp", "-noreset"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut part = Part::start(&mut command);
        let stdout = part.child().stdout.take().expect("its standard output is piped");
        let number = Lines::of(stdout).find("the number of the display", |line| line.parse::<u32>().ok());
        Self { part, display: format!(":{number}") }
    }

    /// For `DISPLAY`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Asked to end, it removes its socket, which is in a folder that everybody shares.
        process::signal_if_alive(self.part.child().id(), Signal::TERM);
        let end = Instant::now() + TIDY;
        while matches!(self.part.child().try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn has_server(bus: &str) -> bool {
    let mut call = call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus");
    call.args(["org.freedesktop.DBus", "NameHasOwner", "s", "org.freedesktop.Notifications"]);
    run(call, "").ok().stdout.trim() == "b true"
}

fn call(bus: &str, service: &str, object: &str) -> Command {
    let mut command = Command::new("busctl");
    command.arg(format!("--address={bus}")).args(["call", "--", service, object]);
    command
}

/// Reads what `dunst -print` says, as long as it says anything.
fn collect(stdout: impl Read + Send + 'static) -> Arc<Mutex<Vec<(u32, Notification)>>> {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let filled = Arc::clone(&shown);
    std::thread::spawn(move || {
        let mut record = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let is_last = line.starts_with("\tscript_count: ");
            record.extend([&line, "\n"]);
            if is_last {
                let read = Notification::read(&record);
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
                record.clear();
            }
        }
    });
    shown
}

impl Notification {
    /// A record of `dunst -print`, with its number: `{`, members with a tab before their names, `}`.
    fn read(record: &str) -> Option<(u32, Self)> {
        // What is behind the body is written by dunst alone down to `formatted`, which repeats summary and body.
        let (shown, rest) = record.split_once("'\n\ticon: '")?;
        let (_, shown) = shown.split_once("\tappname: '")?;
        let (app_name, shown) = shown.split_once("'\n\tsummary: '")?;
        let (summary, body) = shown.split_once("'\n\tbody: '")?;
        let (_, urgency) = rest.split_once("\n\turgency: ")?;
        let urgency = match urgency.split('\n').next()? {
            "LOW" => Urgency::Low,
            "NORMAL" => Urgency::Normal,
            "CRITICAL" => Urgency::Critical,
            _ => return None,
        };
        let (_, number) = rest.split_once("\n\tid: ")?;
        let number = number.split('\n').next()?.parse().ok()?;
        let notification = Self {
            app_name: app_name.to_owned(),
            summary: summary.to_owned(),
            body: body.to_owned(),
            urgency,
        };
        Some((number, notification))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read() {
        let record = "}\n{\n\tappname: 'keyfob'\n\tsummary: 'it\'s'\n\tbody: 'a\nb &amp; 'c''\n\ticon: 'dialog-warning'\n\
                      \traw_icon set: false\n\turgency: CRITICAL\n\ttransient: 0\n\tid: 7\n\tscript_count: 0\n";
        let expected = Notification {
            app_name: "keyfob".to_owned(),
            summary: "it's".to_owned(),
            body: "a\nb &amp; 'c'".to_owned(),
            urgency: Urgency::Critical,
        };
        assert_eq!(Notification::read(record), Some((7, expected)));
        assert_eq!(Notification::read("{\n\tappname: 'keyfob'\n"), None);
    }
}
