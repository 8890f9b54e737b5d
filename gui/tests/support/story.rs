//! One controller on a desktop of its own, at places of its own.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use keyfob_gui::controller::{Controller, Input, Reach};
use keyfob_gui::page::{AgentState, News, Own, Page, PageAsk, PageReply, Tool, Trouble};
use keyfob_gui::texts::Texts;
use keyfob_ipc::start::Launch;
use keyfob_ipc::{Code, Places, Refusal, Surroundings};
use tempfile::TempDir;

use crate::fake_agent::{DEADLINE, FakeAgent};
use crate::fake_shell::{FakeCommandLine, FakeShell};
use crate::said;

/// All logs of this process. They are one, so a test looks for what only it could have left there.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

pub fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

struct ToLog;

impl io::Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The places of a story.
pub struct Scene {
    _folder: TempDir,
    pub places: Places,
}

impl Scene {
    pub fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let level = tracing_subscriber::filter::LevelFilter::TRACE;
            tracing_subscriber::fmt().with_max_level(level).with_writer(|| ToLog).init();
        });
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(folder.path().join(name));
        let surroundings = Surroundings {
            own_state: at("state"),
            own_runtime: at("run"),
            own_config: at("config.toml"),
            home: at("home"),
            ..Surroundings::default()
        };
        let places = Places::of(&surroundings).unwrap();
        fs::write(&places.config, "[agent]\n").unwrap();
        Self { _folder: folder, places }
    }

    pub fn agent(&self) -> FakeAgent {
        FakeAgent::start(&self.places, said::status(&self.places.config))
    }

    /// One that leaves no word of itself.
    pub fn agent_without_word(&self) -> FakeAgent {
        FakeAgent::start_without_word(&self.places, said::status(&self.places.config))
    }
}

/// For stories in which nobody may start an agent.
pub fn nothing_to_launch() -> Result<Launch, Refusal> {
    Err(Refusal::new(Code::AgentUnreachable, "there is nothing to start here"))
}

fn no_tools() -> Result<Vec<Tool>, Refusal> {
    Ok(Vec::new())
}

/// The moment at which all stories play.
pub fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

/// A controller that runs.
pub struct Story {
    pub shell: FakeShell,
    pub inputs: Sender<Input>,
    thread: Option<JoinHandle<()>>,
}

impl Story {
    /// With an agent that runs already, and a window.
    pub fn with_window(scene: &Scene) -> Self {
        let story = Self::begin(scene);
        story.await_tray("1.0.0 to be there", |_| true);
        story.open_window();
        story.await_page("a running agent", is_running);
        story
    }

    pub fn begin(scene: &Scene) -> Self {
        Self::begin_with(scene, nothing_to_launch, no_tools)
    }

    pub fn begin_with(
        scene: &Scene,
        launch: fn() -> Result<Launch, Refusal>,
        tools: fn() -> Result<Vec<Tool>, Refusal>,
    ) -> Self {
        let shell = FakeShell::default();
        let (inputs, received) = channel();
        let (at_desk, sender, places) = (shell.clone(), inputs.clone(), scene.places.clone());
        let thread = thread::spawn(move || {
            let command_line = Arc::new(FakeCommandLine(tools));
            let own = Own { version: "1.0.0".to_owned(), ..Own::default() };
            let reach = Reach { places, launch };
            Controller::new(at_desk, command_line, reach, now, Texts::english(), own).run(received, sender);
        });
        Self { shell, inputs, thread: Some(thread) }
    }

    pub fn send(&self, input: Input) {
        self.inputs.send(input).unwrap();
    }

    /// The person has the window before them.
    pub fn look_at_window(&self) {
        self.send(Input::WindowFocused(true));
        self.settle();
    }

    /// The page is there; what it is told to begin with is the first that it draws.
    pub fn open_window(&self) -> Begun {
        match self.ask(PageAsk::Begin).unwrap() {
            PageReply::Begin { view, deed, .. } => Begun { view, deed },
            other => panic!("not what to begin with: {other:?}"),
        }
    }

    /// Asks as the page does.
    pub fn ask(&self, ask: PageAsk) -> Result<PageReply, Trouble> {
        self.begin_ask(ask).recv_timeout(DEADLINE).unwrap()
    }

    /// The same, without waiting for the answer.
    pub fn begin_ask(&self, ask: PageAsk) -> Receiver<Result<PageReply, Trouble>> {
        let (sender, answer) = channel();
        let shell = self.shell.clone();
        let answering = move |reply: Result<PageReply, Trouble>| {
            // Noted in the controller's own order.
            if let Ok(PageReply::Begin { page, .. }) = &reply {
                shell.seen().news.push(News::Page(page.clone()));
            }
            drop(sender.send(reply));
        };
        self.send(Input::Page(ask, Box::new(answering)));
        answer
    }

    /// The sentence of something that is done.
    pub fn done(&self, ask: PageAsk) -> String {
        match self.ask(ask).unwrap() {
            PageReply::Done { say } => say,
            other => panic!("not done: {other:?}"),
        }
    }

    /// Waits until everything that was sent before this was taken.
    pub fn settle(&self) {
        self.ask(PageAsk::OpenSignInPage).unwrap_err();
    }

    pub fn await_page(&self, what: &str, is_so: impl Fn(&Page) -> bool) -> Page {
        self.shell.await_seen(what, |seen| seen.page().filter(|page| is_so(page)).cloned())
    }

    /// Waits until the words of the tray are so.
    pub fn await_tray(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.shell
            .await_seen(what, |seen| seen.trays.last().filter(|tray| is_so(&format!("{tray:?}"))).map(drop));
    }
}

/// Where the window begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    pub view: keyfob_gui::page::View,
    pub deed: Option<keyfob_gui::page::Deed>,
}

impl Drop for Story {
    fn drop(&mut self) {
        // It may have quit already.
        let _ = self.inputs.send(Input::Menu(keyfob_gui::view::tray::MenuAct::Quit));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the controller has failed");
        }
    }
}

pub fn is_running(page: &Page) -> bool {
    matches!(page.agent, AgentState::Running { .. })
}

pub fn is_absent(page: &Page) -> bool {
    matches!(page.agent, AgentState::Absent { .. })
}

/// A configuration of the person's, at the place that the agent names.
pub fn write_configuration(scene: &Scene, text: &str) -> PathBuf {
    fs::write(&scene.places.config, text).unwrap();
    scene.places.config.clone()
}
