//! The icon and the menu of a tray program, read and clicked over D-Bus as a panel does it: `org.kde.StatusNotifierItem` and
//! `com.canonical.dbusmenu`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::session_bus::SessionBus;
use crate::{PATIENCE, run, wait_for, wait_for_some};

/// Below it is one object for each icon of a program (libayatana-appindicator).
const ICONS: &str = "/org/ayatana/NotificationItem";
const ITEM: &str = "org.kde.StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";

/// How long a program may take for its menu once its icon is there.
const SOON: Duration = Duration::from_secs(5);

/// The icon of one program and its menu.
#[derive(Debug, Clone)]
pub struct TrayMenu {
    bus: String,
    /// The connection that it is behind.
    owner: String,
    /// The object of the icon; the menu is the one below it.
    icon: String,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What a click names.
    pub id: i64,
    /// What it says, without the marks of shortcuts; empty for a line across.
    pub label: String,
    /// Whether a panel lets a person click on it.
    pub enabled: bool,
    /// The lines that it opens.
    pub lines: Vec<Line>,
}

impl TrayMenu {
    /// Waits for the icon of this process.
    ///
    /// # Panics
    /// When it has none in time.
    #[must_use]
    #[track_caller]
    pub fn of(bus: &SessionBus, process: u32) -> Self {
        wait_for_some("an icon in the tray", PATIENCE, || Self::find(bus, process))
    }

    /// The icon of this process, where it has one. No panel is needed for that.
    #[must_use]
    pub fn find(bus: &SessionBus, process: u32) -> Option<Self> {
        let bus = bus.address();
        let names = call(&bus, BUS, &["ListNames"])?;
        let names = names[0].as_array()?.iter().filter_map(Value::as_str);
        names.filter(|name| name.starts_with(':')).find_map(|owner| {
            let asked = call(&bus, BUS, &["GetConnectionUnixProcessID", "s", owner])?;
            if asked[0] != process {
                return None;
            }
            let place = [owner, ICONS, "org.freedesktop.DBus.Introspectable"];
            let below = call(&bus, place, &["Introspect"])?;
            let (_, name) = below[0].as_str()?.rsplit_once("<node name=\"")?;
            let icon = format!("{ICONS}/{}", name.split('"').next()?);
            Some(Self { bus: bus.clone(), owner: owner.to_owned(), icon })
        })
    }

    /// The menu, from top to bottom.
    ///
    /// # Panics
    /// Where the program does not tell it.
    #[must_use]
    #[track_caller]
    pub fn lines(&self) -> Vec<Line> {
        let menu = format!("{}/Menu", self.icon);
        let place = [self.owner.as_str(), &menu, MENU];
        // An icon is there a moment before its menu is.
        let get = || call(&self.bus, place, &["GetLayout", "iias", "0", "-1", "0"]);
        let layout = wait_for_some("a menu", SOON, get);
        Line::read(&layout[1]).unwrap_or_else(|| panic!("no menu: {layout}")).lines
    }

    /// What all lines say, those of further menus too, with two more spaces before each of those.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        fn write(lines: &[Line], indent: &str, text: &mut String) {
            for line in lines {
                text.push_str(&format!(
                    "{indent}{}\n",
                    if line.label.is_empty() { "--" } else { &line.label }
                ));
                write(&line.lines, &format!("{indent}  "), text);
            }
        }
        let mut text = String::new();
        write(&self.lines(), "", &mut text);
        text
    }

    /// The first line that is wanted, at any depth.
    #[must_use]
    #[track_caller]
    pub fn line(&self, wanted: impl Fn(&Line) -> bool) -> Option<Line> {
        fn find(lines: Vec<Line>, wanted: &dyn Fn(&Line) -> bool) -> Option<Line> {
            lines.into_iter().find_map(
                |line| {
                    if wanted(&line) { Some(line) } else { find(line.lines, wanted) }
                },
            )
        }
        find(self.lines(), &wanted)
    }

    /// Waits until a line says this.
    #[track_caller]
    pub fn wait_for(&self, label: &str) -> Line {
        wait_for_some(&format!("{label:?} in the menu"), PATIENCE, || {
            self.line(|line| line.label.contains(label))
        })
    }

    /// Clicks on the line that says this, once there is one.
    ///
    /// # Panics
    /// When there is none in time, or when its program does not take the click.
    #[track_caller]
    pub fn click(&self, label: &str) {
        // The menu may be drawn anew between the look and the click: its lines have other numbers then, and the click did nothing.
        wait_for(&format!("a click on {label:?} to be taken"), PATIENCE, || {
            self.line(|line| line.label.contains(label)).is_some_and(|line| self.takes_click(&line))
        });
    }

    /// Sends the click of a line, whether it can be clicked or not, as any program of the session can.
    ///
    /// # Panics
    /// When its program does not take it.
    #[track_caller]
    pub fn send_click(&self, line: &Line) {
        assert!(self.takes_click(line), "{} takes no click of {line:?}", self.owner);
    }

    fn takes_click(&self, line: &Line) -> bool {
        let menu = format!("{}/Menu", self.icon);
        let id = line.id.to_string();
        let event = ["Event", "isvu", &id, "clicked", "i", "0", "0"];
        call(&self.bus, [&self.owner, &menu, MENU], &event).is_some()
    }

    /// The file of the icon that is shown, once there is one.
    #[must_use]
    #[track_caller]
    pub fn picture(&self) -> PathBuf {
        let property = |name: &str| {
            let place = [self.owner.as_str(), &self.icon, "org.freedesktop.DBus.Properties"];
            let answer = call(&self.bus, place, &["Get", "ss", ITEM, name])?;
            answer[0]["data"].as_str().map(PathBuf::from)
        };
        wait_for_some("the icon's file", PATIENCE, || {
            let (folder, name) = (property("IconThemePath")?, property("IconName")?);
            let named = folder.join(&name);
            [named.clone(), named.with_extension("png")].into_iter().find(|file| file.is_file())
        })
    }

    /// Waits until the program has taken its icon away.
    #[track_caller]
    pub fn wait_for_end(bus: &SessionBus, process: u32) {
        wait_for("no icon", PATIENCE, || Self::find(bus, process).is_none());
    }
}

impl Line {
    /// `[id, {property: variant}, [variant of the same, …]]`.
    fn read(item: &Value) -> Option<Self> {
        let property = |name: &str| &item[1][name]["data"];
        // A lone underscore marks a shortcut, two stand for one.
        let label = property("label").as_str().unwrap_or_default();
        let label = label.replace("__", "\0").replace('_', "").replace('\0', "_");
        let lines = item[2].as_array()?.iter().map(|below| Self::read(&below["data"]));
        let shown = lines.collect::<Option<Vec<_>>>()?;
        Some(Self {
            id: item[0].as_i64()?,
            label,
            enabled: property("enabled").as_bool().unwrap_or(true),
            lines: shown,
        })
    }
}

/// Service, object and interface of the bus itself.
const BUS: [&str; 3] = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];

/// The answer to a call; `None` where it was refused.
pub(super) fn call(bus: &str, place: [&str; 3], words: &[&str]) -> Option<Value> {
    let mut command = Command::new("busctl");
    command.arg(format!("--address={bus}")).args(["--json=short", "--timeout=10", "call", "--"]);
    command.args(place).args(words);
    let output = run(command, "");
    // A call without an answer to it prints nothing.
    let answer = serde_json::from_str::<Value>(&output.stdout).unwrap_or_default();
    (output.code == 0).then(|| answer["data"].clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_menu_is_read() {
        let text = |text: &str| json!({"type": "s", "data": text});
        let below =
            json!({"data": [4, {"label": text("_30 days"), "enabled": {"type": "b", "data": false}}, []]});
        let menu = json!([3, {"label": text("Pause my__reminders")}, [below]]);
        let read = Line::read(&menu).expect("a line");
        assert_eq!((read.id, read.label.as_str(), read.enabled), (3, "Pause my_reminders", true));
        let line = Line { id: 4, label: "30 days".to_owned(), enabled: false, lines: Vec::new() };
        assert_eq!(read.lines, [line]);
        assert_eq!(Line::read(&json!({})), None);
    }
}
