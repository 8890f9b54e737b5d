//! The real desktop: Tauri for tray and window, `notify-rust` for notifications.
//!
//! GTK and AppKit are touched on the main thread alone ([`tauri::AppHandle::run_on_main_thread`]); the controller has a thread of
//! its own, and what a person does reaches it as an [`Input`].

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use keyfob_ipc::{Code, Places, Refusal};
use tauri::{AppHandle, RunEvent, State};
use tokio::sync::oneshot;

use crate::controller::Input;
use crate::page::{PageAsk, PageReply, Trouble};
use crate::texts::Texts;

pub mod arguments;
mod autostart;
mod browser;
pub mod command_line;
pub mod environment;
mod icons;
#[cfg(any(unix, test))]
mod markup;
mod notifications;
mod only_one;
mod shell;
#[cfg(target_os = "linux")]
mod spare_process;
mod tray;
#[cfg(target_os = "linux")]
mod tray_host;
mod window;

use only_one::Standing;
pub use shell::TauriShell;

/// How the program was started. Filled by `main` alone.
#[derive(Debug)]
pub struct Start {
    /// The places of the agent.
    pub places: Places,
    /// This program's own file.
    pub program: PathBuf,
    /// Whether the tray alone is shown.
    pub is_hidden: bool,
    /// What the environment says about this person's desktop.
    pub surroundings: Surroundings,
}

/// Facts out of environment variables.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `BROWSER`.
    pub browser: Option<String>,
    /// Where programs leave their configuration: `XDG_CONFIG_HOME` or `.config` in the home folder.
    pub config_home: Option<PathBuf>,
    /// Where the configuration of all people on this system lies, the first first: `XDG_CONFIG_DIRS` or `/etc/xdg`. Nowhere but
    /// on Linux.
    pub config_of_the_system: Vec<PathBuf>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// `SystemRoot` (Windows).
    pub system_root: Option<PathBuf>,
}

/// Shows tray and window until the person quits; where this program runs already, that one shows its window. `control` is the
/// program: it runs on a thread of its own, and when it returns, this does.
///
/// # Errors
/// Where there is no desktop, or the state folder takes no files.
pub fn run(
    start: &Start,
    control: impl FnOnce(TauriShell, Receiver<Input>, Sender<Input>) + Send + 'static,
) -> Result<i32, Refusal> {
    let Standing::First(only_one) = only_one::stand(&start.places, start.is_hidden)? else { return Ok(0) };
    await_desktop()?;
    let (inputs, received) = channel();
    let app = tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![ask])
        .manage(Inputs(inputs.clone()))
        .build(tauri::generate_context!())
        .map_err(|error| no_desktop(&error.to_string()))?;
    let shell = TauriShell::new(app.handle().clone(), inputs.clone(), start);
    if !start.is_hidden {
        send(&inputs, Input::Raised);
    }
    let mut beginning = Some((control, shell, received, inputs));
    let code = app.run_return(move |app, event| match event {
        RunEvent::Ready => {
            let Some((control, shell, received, inputs)) = beginning.take() else { return };
            begin(app.clone(), move || control(shell, received, inputs));
        }
        // The last window was closed: the tray stays. Without a code, nobody has asked for the end.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        _ => {}
    });
    drop(only_one);
    Ok(code)
}

/// What takes inputs; kept by Tauri for the one command.
struct Inputs(Sender<Input>);

/// The one command.
#[tauri::command]
async fn ask(ask: PageAsk, inputs: State<'_, Inputs>) -> Result<PageReply, Trouble> {
    let (answer, answered) = oneshot::channel();
    let answering = Box::new(move |answer_of: Result<PageReply, Trouble>| {
        // A page that is gone needs no answer.
        let _ = answer.send(answer_of);
    });
    send(&inputs.0, Input::Page(ask, answering));
    answered.await.unwrap_or_else(|_| {
        Err(Trouble {
            code: "busy".to_owned(),
            say: Texts::english().say("say.ending", &[]),
            hint: "keyfob-tray".to_owned(),
        })
    })
}

/// Once the controller is gone, this program ends, and nobody is left to be told.
fn send(inputs: &Sender<Input>, input: Input) {
    let _ = inputs.send(input);
}

/// A tray without its controller would show what was true once.
fn begin(app: AppHandle, control: impl FnOnce() + Send + 'static) {
    struct End(AppHandle);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.exit(i32::from(std::thread::panicking()));
        }
    }
    let end = End(app);
    let begun = std::thread::Builder::new().name("controller".to_owned()).spawn(move || {
        let _end = end;
        control();
    });
    if let Err(error) = begun {
        tracing::error!("no thread can be started ({error})");
    }
}

/// Tauri would panic where no display can be opened.
fn await_desktop() -> Result<(), Refusal> {
    #[cfg(target_os = "linux")]
    gtk::init().map_err(|_| no_desktop(&Texts::english().say("say.no-display", &[])))?;
    Ok(())
}

fn no_desktop(why: &str) -> Refusal {
    refusal(Code::Unknown, "say.no-desktop", &[("why", why)], "say.no-desktop-hint")
}

/// In our own words; `say` and `hint` are keys, and the values are for the first.
fn refusal(code: Code, say: &str, values: &[(&str, &str)], hint: &str) -> Refusal {
    let texts = Texts::english();
    Refusal::new(code, texts.say(say, values)).hint(texts.say(hint, &[]))
}
