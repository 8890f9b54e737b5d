//! Where a person sits: a desktop, and a profile whose programs run on it.

use std::process::Stdio;

use keyfob_e2e::real::{Desktop, Family, SessionBus, TrayMenu, WebDriver};
use keyfob_e2e::{Profile, Stage};

/// The title of the window.
pub const TITLE: &str = "Keyfob";

/// A desktop with a profile.
pub struct Seat {
    // Dropped in this order: the agent, then what it may speak to.
    pub profile: Profile,
    pub desktop: Desktop,
}

impl Seat {
    /// A seat without a keychain of the desktop's.
    pub fn new(config: &str) -> Self {
        Self::at(Desktop::start(), Profile::new(config))
    }

    /// A profile at a desktop; programs of it that run already know nothing of that.
    pub fn at(desktop: Desktop, mut profile: Profile) -> Self {
        desktop.seat(&mut profile);
        profile.set("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
        Self { profile, desktop }
    }

    /// The bus.
    pub fn bus(&self) -> &SessionBus {
        self.desktop.bus()
    }

    /// Tray and window, where a driver holds the window. Nothing on it moves any more by itself: the agent has answered, and
    /// that no panel shows the icon was read and put away.
    #[track_caller]
    pub fn drive(&self) -> WebDriver {
        let window = self.drive_as_it_comes();
        window.wait_for("[data-no-tray]");
        window.click("[data-no-tray] button[data-act=close]");
        window.wait_for_none("[data-no-tray]");
        window
    }

    /// Tray and window, where a driver holds the window; its first page is drawn.
    #[track_caller]
    pub fn drive_as_it_comes(&self) -> WebDriver {
        let driver = self.profile.command(Stage::get().tauri_driver());
        let window = WebDriver::start(driver, &Stage::get().bin("keyfob-tray"), &[]);
        window.wait_for("body[data-ready]");
        window
    }

    /// Tray and window as they are started by hand.
    pub fn start(&self, arguments: &[&str]) -> Family {
        self.start_program("keyfob-tray", arguments)
    }

    /// The same of another build.
    pub fn start_program(&self, name: &str, arguments: &[&str]) -> Family {
        let mut command = self.profile.command(Stage::get().bin(name));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Family::start(&mut command)
    }

    /// The icon and the menu of a tray.
    #[track_caller]
    pub fn menu(&self, process: u32) -> TrayMenu {
        TrayMenu::of(self.bus(), process)
    }
}

/// The row of an entry.
pub fn row(entry: &str) -> String {
    format!("[data-entry=\"{entry}\"]")
}

/// The button of a row for what is due.
pub fn due(entry: &str, deed: &str) -> String {
    format!("{} button[data-deed=\"{deed}\"]", row(entry))
}

/// Goes to a view.
#[track_caller]
pub fn go(window: &WebDriver, view: &str) {
    window.click(&format!("nav button[data-view={view}]"));
    window.wait_for(&format!("main[data-view={view}]"));
}

/// Begins something that stands in the menu of a row.
#[track_caller]
pub fn begin(window: &WebDriver, entry: &str, deed: &str) {
    window.click(&format!("{} button[data-act=more]", row(entry)));
    window.click(&format!("{} [role=menuitem][data-deed={deed}]", row(entry)));
}
