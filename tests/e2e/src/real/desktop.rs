//! A desktop of a test's own: an X server that draws into memory, a window manager (openbox) and a session bus, with
//! the hands of a person at it (xdotool) and the eyes (ImageMagick's `import`).

mod family;
mod picture;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::notifications::Screen;
use super::part::Part;
use super::session_bus::SessionBus;
use crate::{PATIENCE, Profile, folder, run, wait_for, wait_for_some};

pub use family::Family;
pub use picture::{Area, Picture};

/// Of the screen, in pixels.
const WIDTH: u32 = 1280;
/// Of the screen, in pixels.
const HEIGHT: u32 = 900;

/// A running desktop; everything of it ends when this is dropped.
#[derive(Debug)]
pub struct Desktop {
    // Dropped in this order: who draws, the bus, the screen, the folder that programs of the desktop write into.
    _window_manager: Part,
    bus: SessionBus,
    screen: Screen,
    folder: TempDir,
}

/// A window, by the number that X gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window(String);

impl Desktop {
    /// A desktop without a keychain.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::on(SessionBus::without_keychain())
    }

    /// A desktop on this bus.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn on(bus: SessionBus) -> Self {
        let folder = folder();
        for name in FOLDERS {
            std::fs::create_dir(folder.path().join(name.1)).expect("room for a folder");
        }
        let screen = Screen::of_size(WIDTH, HEIGHT);
        let mut command = Command::new("openbox");
        surround(&mut command, folder.path(), &screen, &bus);
        command.args(["--sm-disable"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let desktop = Self { _window_manager: Part::start(&mut command), bus, screen, folder };
        wait_for("a window manager", PATIENCE, || {
            desktop.ask("xprop", &["-root", "_NET_SUPPORTING_WM_CHECK"]).contains("window id")
        });
        desktop
    }

    /// Gives the programs of a profile this screen, this bus and folders of the desktop's own.
    pub fn seat(&self, profile: &mut Profile) {
        for (name, value) in self.variables() {
            profile.set(name, value);
        }
    }

    /// Variables of every program of this desktop.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        variables(self.folder.path(), &self.screen, &self.bus)
    }

    /// A program of the desktop itself.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        surround(&mut command, self.folder.path(), &self.screen, &self.bus);
        command
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &SessionBus {
        &self.bus
    }

    /// The screen.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Where its programs have their files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Dark windows from here on, for programs that are not running yet.
    pub fn be_dark(&self) {
        let settings = self.folder.path().join("config/gtk-3.0");
        std::fs::create_dir_all(&settings).expect("room for a folder");
        let text = "[Settings]\ngtk-application-prefer-dark-theme=1\n";
        std::fs::write(settings.join("settings.ini"), text).expect("room for a file");
    }

    /// The windows that a person sees under this title.
    pub fn windows(&self, title: &str) -> Vec<Window> {
        // It ends badly where it finds none.
        let mut command = self.command("xdotool");
        command.args(["search", "--onlyvisible", "--name", &format!("^{title}$")]);
        run(command, "").stdout.lines().map(|number| Window(number.to_owned())).collect()
    }

    /// Waits until there is one.
    #[track_caller]
    pub fn wait_for_window(&self, title: &str) -> Window {
        wait_for_some("a window", PATIENCE, || self.windows(title).into_iter().next())
    }

    /// Waits until there is none.
    #[track_caller]
    pub fn wait_for_no_window(&self, title: &str) {
        wait_for("no window", PATIENCE, || self.windows(title).is_empty());
    }

    /// The window that the keyboard is for, by its title.
    #[must_use]
    pub fn active_title(&self) -> String {
        let mut command = self.command("xdotool");
        command.args(["getactivewindow", "getwindowname"]);
        run(command, "").stdout.trim_end().to_owned()
    }

    /// Waits until the keyboard is for a window of this title.
    #[track_caller]
    pub fn wait_for_active(&self, title: &str) {
        wait_for("the active window", PATIENCE, || self.active_title() == title);
    }

    /// Takes the window out of sight, as a person does.
    #[track_caller]
    pub fn put_away(&self, window: &Window, title: &str) {
        self.hand(&["windowminimize", &window.0]);
        self.wait_for_no_window(title);
        wait_for("the keyboard is for another window", PATIENCE, || self.active_title() != title);
    }

    /// Closes the window, as a person does: the window manager asks its program to.
    #[track_caller]
    pub fn close(&self, window: &Window, title: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.windows(title).is_empty() {
            assert!(Instant::now() < end, "{title} cannot be closed");
            // Between the two somebody else may have taken the keyboard.
            let mut close = self.command("xdotool");
            close.args(["windowactivate", &window.0, "key", "alt+F4"]);
            run(close, "");
            let soon = Instant::now() + Duration::from_secs(1);
            while !self.windows(title).is_empty() && Instant::now() < soon {}
        }
    }

    /// Presses keys, by their names in X.
    pub fn press(&self, keys: &[&str]) {
        self.hand(&[&["key"], keys].concat());
    }

    /// Clicks with a button of the mouse: 1 left, 2 middle, 3 right.
    pub fn click(&self, x: u32, y: u32, button: u32) {
        self.hand(&["mousemove", &x.to_string(), &y.to_string(), "click", &button.to_string()]);
    }

    /// Puts the mouse where it points at nothing.
    pub fn point_away(&self) {
        self.hand(&["mousemove", &(WIDTH - 1).to_string(), &(HEIGHT - 1).to_string()]);
    }

    /// What is on the screen there, once it is the same at three looks in a row.
    #[must_use]
    #[track_caller]
    pub fn calm_picture(&self, area: Area) -> Picture {
        let (mut last, mut same) = (self.picture(area), 0);
        wait_for("a screen that stands still", PATIENCE, || {
            let now = self.picture(area);
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same >= 2
        });
        last
    }

    /// What is on the screen there.
    #[must_use]
    pub fn picture(&self, area: Area) -> Picture {
        Picture::take(self.command("import"), area)
    }

    /// The same as a PNG of few colours, for people.
    #[must_use]
    pub fn png(&self, area: Area) -> Vec<u8> {
        picture::png(self.command("import"), area)
    }

    /// The whole screen.
    #[must_use]
    pub fn area(&self) -> Area {
        Area { x: 0, y: 0, width: WIDTH, height: HEIGHT }
    }

    /// Where a window is.
    ///
    /// # Panics
    /// Where it is gone.
    #[track_caller]
    pub fn area_of(&self, window: &Window) -> Area {
        // Not xdotool, which counts the frame that the window manager drew around it twice.
        let shown = self.ask("xwininfo", &["-id", &window.0]);
        let value = |name: &str| {
            let line = shown.lines().find_map(|line| line.trim().strip_prefix(name));
            let value = line.and_then(|value| value.trim().parse::<u32>().ok());
            value.unwrap_or_else(|| panic!("no {name} {shown}"))
        };
        Area {
            x: value("Absolute upper-left X:"),
            y: value("Absolute upper-left Y:"),
            width: value("Width:"),
            height: value("Height:"),
        }
    }

    fn hand(&self, arguments: &[&str]) {
        self.ask("xdotool", arguments);
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.command(program);
        command.args(arguments);
        run(command, "").ok().stdout
    }
}

/// Variables that name folders, and the folders.
const FOLDERS: [(&str, &str); 5] = [
    ("HOME", "home"),
    ("XDG_RUNTIME_DIR", "run"),
    ("XDG_CONFIG_HOME", "config"),
    ("XDG_DATA_HOME", "data"),
    ("XDG_CACHE_HOME", "cache"),
];

fn variables(folder: &Path, screen: &Screen, bus: &SessionBus) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("DISPLAY", screen.display().to_owned()),
        ("DBUS_SESSION_BUS_ADDRESS", bus.address()),
        // Nobody listens to what toolkits tell assistive technologies, and they would wait for it.
        ("GTK_A11Y", "none".to_owned()),
        ("NO_AT_BRIDGE", "1".to_owned()),
        ("GSETTINGS_BACKEND", "memory".to_owned()),
        ("GDK_BACKEND", "x11".to_owned()),
    ];
    // A program under test has a home of its own.
    let places = FOLDERS.iter().filter(|(name, _)| *name != "HOME");
    variables.extend(places.map(|(name, place)| (*name, folder.join(place).display().to_string())));
    variables
}

fn surround(command: &mut Command, folder: &Path, screen: &Screen, bus: &SessionBus) {
    command.env_clear().current_dir(folder).envs(variables(folder, screen, bus));
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", folder.join("home"));
}
