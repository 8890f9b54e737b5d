//! [`Shell`] for real.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_ipc::{Code, Refusal};
use tauri::{AppHandle, Emitter as _};

use super::notifications::Notifications;
use super::{Start, Surroundings, autostart, browser, refusal, send, tray, window};
use crate::controller::Input;
use crate::page::News;
use crate::shell::{NotShown, Notification, Shell};
use crate::view::tray::Tray;

/// Tauri and the rest of the desktop.
pub struct TauriShell {
    app: AppHandle,
    inputs: Sender<Input>,
    /// What is to be seen in the panel.
    drawn: Option<Tray>,
    /// Touched on the main thread alone.
    tray: Arc<Mutex<tray::Shown>>,
    notifications: Notifications,
    /// Files of this program's own.
    folder: PathBuf,
    program: PathBuf,
    surroundings: Surroundings,
    is_own_profile: bool,
}

impl TauriShell {
    pub(super) fn new(app: AppHandle, inputs: Sender<Input>, start: &Start) -> Self {
        let folder = start.places.state.join("tray");
        let notifications = Notifications::new(inputs.clone(), picture(&folder));
        Self {
            app,
            inputs,
            drawn: None,
            tray: Arc::default(),
            notifications,
            folder,
            program: start.program.clone(),
            surroundings: start.surroundings.clone(),
            is_own_profile: start.places.own_profile,
        }
    }

    fn on_main_thread(&self, act: impl FnOnce() + Send + 'static) {
        if let Err(error) = self.app.run_on_main_thread(act) {
            tracing::warn!("the desktop is gone ({error})");
        }
    }
}

impl Shell for TauriShell {
    fn draw_tray(&mut self, tray: &Tray) {
        if self.drawn.as_ref() == Some(tray) {
            return;
        }
        self.drawn = Some(tray.clone());
        let (app, inputs, shown) = (self.app.clone(), self.inputs.clone(), Arc::clone(&self.tray));
        let (tray, folder) = (tray.clone(), self.folder.clone());
        self.on_main_thread(move || {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            match shown.draw(&app, &tray, &folder, &inputs) {
                // What shows it is another program.
                #[cfg(target_os = "linux")]
                Some(true) => drop(tauri::async_runtime::spawn(super::tray_host::follow(inputs))),
                Some(is_shown) => send(&inputs, Input::TrayHost(is_shown)),
                None => {}
            }
        });
    }

    fn show_window(&mut self) {
        let (app, inputs, data) = (self.app.clone(), self.inputs.clone(), self.folder.join("web"));
        self.on_main_thread(move || {
            if let Err(error) = window::show(&app, &data, &inputs) {
                tracing::error!("the window cannot be shown ({error})");
            }
        });
    }

    fn tell_page(&mut self, news: &News) {
        if let Err(error) = self.app.emit_to(window::LABEL, "news", news) {
            tracing::warn!("the page cannot be told ({error})");
        }
    }

    fn notify(&mut self, notification: &Notification) -> Result<(), NotShown> {
        self.notifications.show(notification)
    }

    fn withdraw(&mut self, number: u64) {
        self.notifications.withdraw(number);
    }

    fn open_address(&mut self, address: &str) -> bool {
        browser::open_address(address, &self.surroundings)
    }

    fn open_file(&mut self, file: &Path) -> Result<(), Refusal> {
        if browser::open_file(file, &self.surroundings) {
            return Ok(());
        }
        let file = file.display().to_string();
        Err(refusal(Code::Internal, "say.no-opener", &[("file", &file)], "say.no-opener-hint"))
    }

    fn starts_at_sign_in(&self) -> Option<bool> {
        // At sign-in no variable would lead to a second profile.
        if self.is_own_profile { None } else { autostart::is_on(&self.program, &self.surroundings) }
    }

    fn set_start_at_sign_in(&mut self, on: bool) -> Result<(), Refusal> {
        if self.is_own_profile {
            return Err(refusal(Code::BadRequest, "say.second-profile", &[], "say.second-profile-hint"));
        }
        autostart::set(on, &self.program, &self.surroundings)
    }

    fn quit(&mut self) {
        self.app.exit(0);
    }
}

/// Notification servers read pictures from files.
fn picture(folder: &Path) -> Option<PathBuf> {
    keyfob_ipc::start::create_private(folder).ok()?;
    forget_icons(folder);
    let file = folder.join("keyfob.png");
    std::fs::write(&file, include_bytes!("../../icons/icon-64.png")).ok()?;
    Some(file)
}

/// So do panels. What an earlier run that was killed has left is nobody's.
fn forget_icons(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.filter(|file| file.file_name().to_string_lossy().starts_with("tray-icon-")) {
        // One that stays does no harm.
        let _ = std::fs::remove_file(file.path());
    }
}
