//! A window of Tauri's, driven as WebDriver does it (W3C): `tauri-driver` over `WebKitWebDriver`, which start the program
//! themselves. Every request is bounded in time, and the drivers, the program and its web processes end with the handle.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::desktop::Family;
use super::http;
use crate::{PATIENCE, wait_for, wait_for_some};

/// How long a driver may take for one request: far above what any should need, and below what a whole test may take.
const REQUEST: Duration = Duration::from_secs(30);
/// How long the page may take for anything.
const PAGE: Duration = Duration::from_secs(20);
/// Between two looks at the page.
const LOOK: Duration = Duration::from_millis(10);
/// Names an element in JSON (W3C WebDriver, "Elements").
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Keys (W3C WebDriver, "Keyboard actions").
const BACKSPACE: &str = "\u{e003}";
/// To the end of a field.
const END: &str = "\u{e010}";
/// What is tried again: the page was drawn anew, or is being drawn.
const PASSING: [&str; 5] = [
    "no such element",
    "stale element reference",
    "element not interactable",
    "element click intercepted",
    "javascript error",
];

/// A driven window.
#[derive(Debug)]
pub struct WebDriver {
    drivers: Family,
    session: String,
    application: u32,
}

impl WebDriver {
    /// Starts a program under a driver, which was prepared with its environment; the program inherits that.
    ///
    /// # Panics
    /// When no window can be driven in time.
    #[must_use]
    #[track_caller]
    pub fn start(driver: Command, program: &Path, arguments: &[&str]) -> Self {
        Self::try_start(driver, program, arguments).unwrap_or_else(|error| panic!("no session: {error}"))
    }

    /// The same, where it may be that the program cannot be driven.
    ///
    /// # Errors
    /// What the driver says, or that it says nothing.
    #[track_caller]
    pub fn try_start(mut driver: Command, program: &Path, arguments: &[&str]) -> Result<Self, String> {
        let [port, native] = [free_port(), free_port()].map(|port| port.to_string());
        driver.args(["--port", &port, "--native-port", &native]);
        driver.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let drivers = Family::start(&mut driver);
        let base = format!("http://127.0.0.1:{port}");
        wait_for("a driver", PATIENCE, || {
            let status = http::json("GET", &format!("{base}/status"), None, REQUEST);
            status.is_ok_and(|status| status.status == 200)
        });
        let options = json!({"application": program, "args": arguments});
        let wanted = json!({"browserName": "wry", "tauri:options": options});
        let wanted = json!({"capabilities": {"alwaysMatch": wanted}});
        let answer = http::json("POST", &format!("{base}/session"), Some(&wanted), REQUEST);
        let answer = answer.map_err(|error| error.to_string())?.json();
        let session = answer["value"]["sessionId"].as_str().ok_or_else(|| answer.to_string())?;
        let application = wait_for_some("the driven program", PATIENCE, || drivers.member(program));
        Ok(Self { session: format!("{base}/session/{session}"), application, drivers })
    }

    /// The process of the program.
    #[must_use]
    pub fn application(&self) -> u32 {
        self.application
    }

    /// Its processes, those that draw its pages too, and the drivers.
    #[must_use]
    pub fn members(&self) -> Vec<u32> {
        self.drivers.members()
    }

    /// Waits until something on the page fits a CSS selector.
    #[track_caller]
    pub fn wait_for(&self, css: &str) {
        self.until(&format!("{css} on the page"), || self.is_there(css));
    }

    /// Waits until nothing on the page fits any more.
    #[track_caller]
    pub fn wait_for_none(&self, css: &str) {
        self.until(&format!("no {css} on the page"), || !self.is_there(css));
    }

    /// Waits until what fits contains a text as the person sees it.
    #[track_caller]
    pub fn wait_for_text(&self, css: &str, text: &str) {
        self.until(&format!("{text:?} in {css}"), || self.text(css).contains(text));
    }

    /// Waits until a condition holds.
    ///
    /// # Panics
    /// When it does not in time; what the page shows is told.
    #[track_caller]
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + PAGE;
        while !condition() {
            assert!(
                Instant::now() < end,
                "waited in vain for {what}; the page shows:\n{}",
                self.text("body")
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Whether something fits.
    #[must_use]
    pub fn is_there(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    /// How many fit.
    #[must_use]
    pub fn count(&self, css: &str) -> u64 {
        let count = self.script("return document.querySelectorAll(arguments[0]).length", &json!([css]));
        count.as_u64().unwrap_or_default()
    }

    /// The text of everything that fits, as it is seen; empty where nothing does.
    #[must_use]
    pub fn text(&self, css: &str) -> String {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map(it => it.innerText).join('\\n')";
        self.script(script, &json!([css])).as_str().unwrap_or_default().to_owned()
    }

    /// Clicks on the first that fits, once that can be clicked.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.act(css, "click", &json!({}));
    }

    /// Empties the first field that fits, as a person does it.
    #[track_caller]
    pub fn clear(&self, css: &str) {
        self.wait_for(css);
        let length = self.script("return document.querySelector(arguments[0]).value.length", &json!([css]));
        let length = usize::try_from(length.as_u64().unwrap_or_default()).unwrap_or_default();
        self.type_into(css, &[END, &BACKSPACE.repeat(length)].concat());
    }

    /// Types into the first that fits, once that takes it.
    #[track_caller]
    pub fn type_into(&self, css: &str, text: &str) {
        self.act(css, "value", &json!({"text": text}));
    }

    /// What a function with this body returns.
    ///
    /// # Panics
    /// When it throws.
    #[track_caller]
    pub fn script(&self, body: &str, arguments: &Value) -> Value {
        let script = json!({"script": body, "args": arguments});
        self.ask("POST", "/execute/sync", Some(&script)).unwrap_or_else(|error| panic!("a script: {error}"))
    }

    /// What a function with this body gives to its last argument, another function.
    ///
    /// # Panics
    /// When it throws, or gives nothing in time.
    #[track_caller]
    pub fn script_later(&self, body: &str, arguments: &Value) -> Value {
        let script = json!({"script": body, "args": arguments});
        self.ask("POST", "/execute/async", Some(&script)).unwrap_or_else(|error| panic!("a script: {error}"))
    }

    /// The page's markup.
    #[must_use]
    #[track_caller]
    pub fn source(&self) -> String {
        let source = self.ask("GET", "/source", None).unwrap_or_else(|error| panic!("no source: {error}"));
        source.as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn act(&self, css: &str, verb: &str, body: &Value) {
        let end = Instant::now() + PAGE;
        loop {
            let wanted = json!({"using": "css selector", "value": css});
            let done = self.ask("POST", "/element", Some(&wanted)).and_then(|found| {
                let element = format!("/element/{}", found[ELEMENT].as_str().unwrap_or_default());
                // A click on what is disabled would be taken, and nothing would come of it.
                if self.ask("GET", &format!("{element}/enabled"), None)? == false {
                    return Err(PASSING[0].to_owned());
                }
                self.ask("POST", &format!("{element}/{verb}"), Some(body))
            });
            match done {
                Ok(_) => return,
                Err(why) if PASSING.iter().any(|passing| why.contains(passing)) && Instant::now() < end => {
                    std::thread::sleep(LOOK);
                }
                Err(why) => panic!("no {verb} of {css}: {why}; the page shows:\n{}", self.text("body")),
            }
        }
    }

    /// `value` of an answer; where it is refused, why.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let answer = http::json(method, &format!("{}{path}", self.session), body, REQUEST);
        let answer = answer.map_err(|error| format!("the driver says nothing: {error}"))?;
        let value = answer.json()["value"].clone();
        if answer.status == 200 { Ok(value) } else { Err(value.to_string()) }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}
