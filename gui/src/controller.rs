//! Everything that happens, one thing after the other.
//!
//! One thread takes one [`Input`] at a time, changes what it knows, and draws what is different by then. It never waits for
//! the agent, a program or a person: whatever takes time has a thread of its own, which answers the page directly or comes
//! back as an input. Nothing here asks again and again; the one deadline is the next moment at which something is due by
//! the time alone.

mod asks;
mod connection;
mod console;
mod drawing;
mod notices;
mod owed;
mod questions;
mod reach;
mod settings;
mod sign_in;
mod speaking;
mod status;
mod threads;
mod tokens;
mod window;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyfob_ipc::reply::{Event, LockReport};
use keyfob_ipc::{Heard, Refusal};

use crate::beacon::Beacon;
use crate::page::{Own, PageAsk, PageReply, Trouble};
use crate::settings_file::TrayFile;
use crate::shell::{CommandLine, Shell};
use crate::texts::Texts;
use crate::view::tray::MenuAct;
use connection::Link;
use owed::Owed;
use questions::Questions;
pub use reach::Reach;
use reach::Way;
use sign_in::SigningIn;
use status::Taking;
use threads::{Said, Seats};
use window::Window;

/// Before a beacon that could not be lit is tried again.
const DARK: Duration = Duration::from_secs(60);

/// Something that happened.
pub enum Input {
    /// The page asks.
    Page(PageAsk, Answering),
    /// The window is being closed: it cannot be raised any more, and another cannot be made yet.
    WindowClosing,
    /// The window was closed; the page is gone.
    WindowClosed,
    /// The window has come to the front, or has left it.
    WindowFocused(bool),
    /// The menu was clicked. A panel can send the click of a line that is disabled, and any program on the bus can forge one:
    /// nothing here gives or approves anything.
    Menu(MenuAct),
    /// A notification was clicked, or somebody on the bus says so.
    NotificationOpened(u64),
    /// The program was started again.
    Raised,
    /// Whether a panel shows our icon, as far as is known now.
    TrayHost(bool),
    /// The connection number so-and-so brought something.
    Heard(u64, Heard),
    /// The connection number so-and-so is over.
    Gone(u64, Refusal),
    /// Something changed where an agent leaves word of itself: one may run now.
    AgentMayRun,
    /// The folder where an agent leaves word of itself is gone, and with it the watch on it.
    FolderGone,
    /// A thread of the controller's own has come to its end.
    Back(Back),
}

/// What a thread of the controller's own brings back.
pub struct Back(Said);

/// Takes the answer to the page, once.
pub type Answering = Box<dyn FnOnce(Result<PageReply, Trouble>) + Send>;

/// The program, ready to run.
pub struct Controller<S: Shell> {
    shell: S,
    command_line: Arc<dyn CommandLine>,
    reach: Reach,
    clock: fn() -> Timestamp,
    texts: Texts,
    own: Own,
}

impl<S: Shell> Controller<S> {
    /// On this desktop, with this agent. `own` is what this program knows of itself by now: its version.
    pub fn new(
        shell: S,
        command_line: Arc<dyn CommandLine>,
        reach: Reach,
        clock: fn() -> Timestamp,
        texts: Texts,
        own: Own,
    ) -> Self {
        Self { shell, command_line, reach, clock, texts, own }
    }

    /// Takes one input after the other until the person quits. `sender` is the other end of `inputs`: threads of the
    /// controller's own use it, too.
    pub fn run(self, inputs: Receiver<Input>, sender: Sender<Input>) {
        let mut running = Running::new(self, inputs, sender);
        // Lit before the first look for an agent, so that none comes unnoticed in between.
        running.light_beacon();
        running.connect(true);
        running.draw();
        while running.take_next() {
            running.draw();
        }
    }
}

/// The program as it runs.
struct Running<S: Shell> {
    shell: S,
    command_line: Arc<dyn CommandLine>,
    way: Arc<Way>,
    clock: fn() -> Timestamp,
    texts: Texts,
    inputs: Receiver<Input>,
    sender: Sender<Input>,
    /// Threads that work for the page.
    workers: Seats,
    /// Threads that claim notices.
    claims: Seats,
    /// Threads that sign in.
    sign_ins: Seats,
    /// Whoever edits the configuration has it.
    editing: Arc<Mutex<()>>,
    beacon: Option<Beacon>,
    /// When a beacon that could not be lit is tried again.
    next_lighting: Option<Instant>,
    link: Link,
    status: Taking,
    lock: Option<LockReport>,
    questions: Questions,
    signing_in: SigningIn,
    window: Window,
    own: Own,
    tray_file: TrayFile,
    /// Whether the desktop shows notifications, as far as was seen.
    notifies: bool,
}

impl<S: Shell> Running<S> {
    fn new(controller: Controller<S>, inputs: Receiver<Input>, sender: Sender<Input>) -> Self {
        let Controller { shell, command_line, reach, clock, texts, mut own } = controller;
        own.starts_at_sign_in = shell.starts_at_sign_in();
        Self {
            tray_file: TrayFile::read(&reach.places),
            way: Arc::new(Way::new(reach, texts.clone())),
            shell,
            command_line,
            clock,
            texts,
            inputs,
            sender,
            workers: Seats::new(threads::WORKERS),
            claims: Seats::new(threads::CLAIMS),
            sign_ins: Seats::new(threads::SIGN_INS),
            editing: Arc::default(),
            beacon: None,
            next_lighting: None,
            link: Link::default(),
            status: Taking::default(),
            lock: None,
            questions: Questions::default(),
            signing_in: SigningIn::default(),
            window: Window::default(),
            own,
            notifies: true,
        }
    }

    /// Waits for the next input, or for what is due before it; `false` where this was the last.
    fn take_next(&mut self) -> bool {
        let now = Instant::now();
        let left = self.deadline(now).saturating_duration_since(now);
        match self.inputs.recv_timeout(left) {
            Ok(input) => self.take(input),
            Err(RecvTimeoutError::Timeout) => {
                self.do_what_is_due(Instant::now());
                true
            }
            // Cannot be: we hold a sender ourselves.
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Does what an input asks for; `false` where this was the last.
    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Page(ask, answering) => self.page_asks(ask, Owed::new(answering, &self.texts)),
            Input::WindowClosing => self.window.closing(),
            Input::WindowClosed => self.window_closed(),
            Input::WindowFocused(is_focused) => self.window.focused(is_focused),
            Input::Menu(MenuAct::Quit) => {
                self.shell.quit();
                return false;
            }
            Input::Menu(act) => self.clicked(act),
            Input::NotificationOpened(_) => self.notification_opened(),
            Input::Raised => self.raised(),
            Input::TrayHost(is_there) => self.tray_host(is_there),
            Input::Heard(number, heard) => self.heard(number, heard),
            Input::Gone(number, refusal) => self.gone(number, refusal),
            Input::AgentMayRun => self.connect(false),
            Input::FolderGone => self.folder_gone(),
            Input::Back(Back(said)) => self.back(said),
        }
        true
    }

    fn heard(&mut self, number: u64, heard: Heard) {
        if !self.link.is_open_as(number) {
            return;
        }
        self.link.give_credit_back();
        match heard {
            Heard::Answer(answer) => self.answered(answer),
            Heard::Event(Event::Watching) => {}
            Heard::Event(Event::Changed { .. }) => self.want_status(),
            Heard::Event(Event::Lock(lock)) => {
                self.lock = lock;
                self.want_status();
            }
            Heard::Event(Event::Notice(notice)) => self.noticed(notice),
            Heard::Event(Event::Question(question)) => self.asked(question),
            Heard::Event(Event::QuestionClosed { id }) => self.question_closed(&id),
            Heard::Event(Event::Ledger(line)) => self.tell_activity(&line),
        }
    }

    fn back(&mut self, said: Said) {
        match said {
            Said::Connected(number, speaking, credits) => self.connected(number, speaking, credits),
            Said::Status(number, status) => self.status_taken(number, status),
            Said::Claimed(notice, claimed) => self.claimed(&notice, claimed),
            Said::SignIn(number, news) => self.sign_in_goes_on(number, news),
            Said::Console(url, opened) => self.console_address(&url, &opened),
            Said::Changed => self.want_status(),
        }
    }

    fn light_beacon(&mut self) {
        // The old one first: it is of no use any more.
        self.beacon = None;
        let lit = Beacon::light(self.way.places(), self.sender.clone());
        self.next_lighting = lit.is_err().then(|| Instant::now() + DARK);
        match lit {
            Ok(beacon) => self.beacon = Some(beacon),
            Err(refusal) => tracing::warn!(
                "the state folder cannot be watched, so an agent that starts is not noticed: {refusal}"
            ),
        }
    }

    /// Makes the folder again. Whatever was left there meanwhile told nobody.
    fn folder_gone(&mut self) {
        self.light_beacon();
        self.connect(false);
    }

    /// The next moment at which something is due by the time alone.
    fn deadline(&self, now: Instant) -> Instant {
        [
            Some(self.next_drawing(now)),
            self.link.next_try(),
            self.status.next_look().filter(|_| self.link.is_open()),
            self.link.next_overdue(),
            self.next_lighting,
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now)
    }

    fn do_what_is_due(&mut self, now: Instant) {
        if self.link.takes_try(now) {
            self.connect(false);
        }
        if self.next_lighting.is_some_and(|at| at <= now) {
            self.folder_gone();
        }
        self.look_if_due();
        self.refuse_overdue(now);
        // Words change with the time.
        self.window.is_stale = true;
    }
}
