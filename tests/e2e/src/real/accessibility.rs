//! What assistive technologies see in the windows of a desktop, and do there: AT-SPI, which any program of the session can
//! speak. It has a bus of its own (`at-spi2-core`), and the session's bus says where that is.

use std::process::Stdio;

use serde_json::Value;

use super::desktop::{Desktop, Family};
use super::tray_menu::call;
use crate::{PATIENCE, Profile, wait_for, wait_for_some};

/// Says which program holds that bus; the bus of a test starts nobody.
const LAUNCHER: &str = "/usr/share/dbus-1/services/org.a11y.Bus.service";
const BUS: [&str; 3] = ["org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus"];
/// Below it is one object for each program with windows.
const REGISTRY: [&str; 2] = ["org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"];
const ACCESSIBLE: &str = "org.a11y.atspi.Accessible";
const ACTION: &str = "org.a11y.atspi.Action";
/// Role of a button (AT-SPI, `ATSPI_ROLE_PUSH_BUTTON`).
const BUTTON: u64 = 43;
/// More than any window of these tests has.
const OBJECTS: usize = 4000;

/// The accessibility of a desktop, with a program that uses it.
#[derive(Debug)]
pub struct Accessibility {
    address: String,
    _launcher: Family,
}

/// A button in a window.
#[derive(Debug, Clone)]
pub struct Button(Object);

/// Something in a window: whose it is, and which object there.
#[derive(Debug, Clone)]
struct Object([String; 2]);

impl Accessibility {
    /// Starts it, and lets programs of the profile that start from here on take part.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(desktop: &Desktop, profile: &mut Profile) -> Self {
        profile.unset("NO_AT_BRIDGE");
        let service =
            std::fs::read_to_string(LAUNCHER).expect("at-spi2-core is installed: `cargo xtask setup`");
        let launcher = service.lines().find_map(|line| line.strip_prefix("Exec="));
        let mut command = desktop.command(launcher.expect("a service has a program"));
        command.args(["--launch-immediately", "--a11y=1"]);
        let launcher =
            Family::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        wait_for("a bus of its own", PATIENCE, || desktop.bus().has(BUS[0]));
        let address = wait_for_some("its address", PATIENCE, || {
            let answer = call(&desktop.bus().address(), BUS, &["GetAddress"])?;
            answer[0].as_str().filter(|address| !address.is_empty()).map(str::to_owned)
        });
        Self { address, _launcher: launcher }
    }

    /// The button of this name in any window, once there is one.
    ///
    /// # Panics
    /// When there is none in time.
    #[must_use]
    #[track_caller]
    pub fn button(&self, name: &str) -> Button {
        Button(wait_for_some(&format!("a button {name:?}"), PATIENCE, || self.find(name)))
    }

    /// Presses a button, with no pointer and no key.
    ///
    /// # Panics
    /// When its program does not take that.
    #[track_caller]
    pub fn press(&self, button: &Button) {
        let Button(Object([owner, path])) = button;
        let done = call(&self.address, [owner, path, ACTION], &["DoAction", "i", "0"]);
        assert!(done.is_some_and(|done| done[0] == true), "{button:?} cannot be pressed");
    }

    fn find(&self, name: &str) -> Option<Object> {
        let mut waiting = vec![Object(REGISTRY.map(str::to_owned))];
        let mut seen = 0;
        while let Some(object) = waiting.pop() {
            seen += 1;
            assert!(seen < OBJECTS, "no end of objects");
            if self.name(&object).as_deref() == Some(name) && self.is_button(&object) {
                return Some(object);
            }
            waiting.extend(self.below(&object));
        }
        None
    }

    fn name(&self, Object([owner, path]): &Object) -> Option<String> {
        let place = [owner.as_str(), path, "org.freedesktop.DBus.Properties"];
        let answer = call(&self.address, place, &["Get", "ss", ACCESSIBLE, "Name"])?;
        answer[0]["data"].as_str().map(str::to_owned)
    }

    fn is_button(&self, Object([owner, path]): &Object) -> bool {
        // Not by the name of its role: the web view has none.
        let role = call(&self.address, [owner, path, ACCESSIBLE], &["GetRole"]);
        role.is_some_and(|role| role[0] == BUTTON)
    }

    /// What is in it; nothing where it is gone by now.
    fn below(&self, Object([owner, path]): &Object) -> Vec<Object> {
        let ask = |words: &[&str]| call(&self.address, [owner, path, ACCESSIBLE], words).unwrap_or_default();
        let all = ask(&["GetChildren"]);
        let found: Vec<_> = all[0].as_array().into_iter().flatten().filter_map(Object::read).collect();
        if !found.is_empty() {
            return found;
        }
        // Where another process draws, the list is empty, and there is a first one all the same.
        Object::read(&ask(&["GetChildAtIndex", "i", "0"])[0]).into_iter().collect()
    }
}

impl Object {
    /// `[owner, path]`; there is none where the path is the one that stands for none.
    fn read(value: &Value) -> Option<Self> {
        let [owner, path] = [0, 1].map(|part| value[part].as_str().filter(|text| !text.is_empty()));
        let path = path.filter(|path| !path.ends_with("/null"))?;
        Some(Self([owner?, path].map(str::to_owned)))
    }
}
