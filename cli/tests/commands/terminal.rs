//! A terminal of its own for a command, and somebody who types at it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::fake::Profile;

const PATIENCE: Duration = Duration::from_secs(30);

/// A command at a terminal of 100 columns.
pub struct Session {
    child: Child,
    keys: File,
    screen: Arc<(Mutex<Screen>, Condvar)>,
}

#[derive(Default)]
struct Screen {
    bytes: Vec<u8>,
    is_gone: bool,
}

impl Session {
    /// Starts it. With `piped`, standard output is a pipe and the rest is the terminal.
    pub fn start(profile: &Profile, arguments: &[&str], variables: &[(&str, &str)], piped: bool) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let user = || Stdio::from(File::options().read(true).write(true).open(&path).unwrap());
        let program = env!("CARGO_BIN_EXE_keyfob");
        let arguments: Vec<&str> = ["--ctty", program].iter().chain(arguments).copied().collect();
        // Makes the terminal its controlling one, which is where values are asked for.
        let mut command: Command = profile.command(Path::new("setsid"), &arguments);
        command.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").envs(variables.iter().copied());
        command.stdin(user()).stderr(user());
        command.stdout(if piped { Stdio::piped() } else { user() });
        let child = command.spawn().unwrap();
        drop(command);
        let screen = Arc::<(Mutex<Screen>, Condvar)>::default();
        let keys = File::from(controller);
        let output = File::from(OwnedFd::from(keys.try_clone().unwrap()));
        std::thread::spawn({
            let screen = Arc::clone(&screen);
            move || watch(output, &screen)
        });
        Self { child, keys, screen }
    }

    /// Waits until this is on the screen.
    pub fn sees(&self, text: &str) {
        self.wait(text, |screen| String::from_utf8_lossy(&screen.bytes).contains(text));
    }

    fn wait(&self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        let (screen, changed) = &*self.screen;
        let screen = screen.lock().unwrap();
        let (screen, waited) = changed
            .wait_timeout_while(screen, PATIENCE, |screen| !is_there(screen) && !screen.is_gone)
            .unwrap();
        let shown = String::from_utf8_lossy(&screen.bytes).into_owned();
        assert!(!waited.timed_out() && is_there(&screen), "`{what}` is not seen: {shown}");
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end. The exit code, what was on the screen (line ends as programs write them) and what went into the
    /// pipe.
    pub fn ends(mut self) -> (Option<i32>, String, String) {
        let mut piped = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut piped).unwrap();
        }
        self.wait("the end", |screen| screen.is_gone);
        let code = self.child.wait().unwrap().code();
        let screen = String::from_utf8(self.screen.0.lock().unwrap().bytes.clone()).unwrap();
        (code, screen.replace("\r\n", "\n"), piped)
    }
}

/// Copies what is shown, until nobody has the terminal any more.
fn watch(mut output: File, screen: &(Mutex<Screen>, Condvar)) {
    let mut bytes = [0; 4096];
    loop {
        let read = output.read(&mut bytes).unwrap_or_default();
        let mut now = screen.0.lock().unwrap();
        now.bytes.extend_from_slice(&bytes[..read]);
        now.is_gone = read == 0;
        screen.1.notify_all();
        if read == 0 {
            return;
        }
    }
}
