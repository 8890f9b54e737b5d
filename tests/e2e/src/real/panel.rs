//! A real panel, `xfce4-panel`, with nothing in it but the icons of programs (`tests/real/xfce4-panel.xml`): it owns
//! `org.kde.StatusNotifierWatcher`, draws along the upper edge of the screen, and opens menus where it is clicked.

use std::process::Stdio;

use super::desktop::{Area, Desktop, Family};
use crate::{PATIENCE, Stage, wait_for};

/// Its height, as its configuration says.
const HEIGHT: u32 = 32;
/// Says which program keeps its settings; the bus of a test starts nobody.
const SETTINGS: &str = "/usr/share/dbus-1/services/org.xfce.Xfconf.service";

/// A running panel.
#[derive(Debug)]
pub struct Panel {
    _panel: Family,
    _settings: Family,
}

impl Panel {
    /// Starts it, and waits until programs can register their icons.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(desktop: &Desktop) -> Self {
        let folder = desktop.folder().join("config/xfce4/xfconf/xfce-perchannel-xml");
        std::fs::create_dir_all(&folder).expect("room for a folder");
        let preset = Stage::get().real("xfce4-panel.xml");
        std::fs::copy(preset, folder.join("xfce4-panel.xml")).expect("room for a file");
        let start = |program: &str| {
            let mut command = desktop.command(program);
            Family::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let service = std::fs::read_to_string(SETTINGS).expect("xfconf is installed: `cargo xtask setup`");
        let settings = service.lines().find_map(|line| line.strip_prefix("Exec="));
        let settings = start(settings.expect("a service has a program"));
        wait_for("the panel's settings", PATIENCE, || desktop.bus().has("org.xfce.Xfconf"));
        let panel = start("xfce4-panel");
        wait_for("a panel", PATIENCE, || desktop.bus().has("org.kde.StatusNotifierWatcher"));
        Self { _panel: panel, _settings: settings }
    }

    /// Where it is.
    #[must_use]
    pub fn area(&self, desktop: &Desktop) -> Area {
        Area { height: HEIGHT, ..desktop.area() }
    }
}
