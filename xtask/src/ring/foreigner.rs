//! The foreigner: a small server under another user that the tests tell what to try at their doors. It lives as long
//! as its standard input is open.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::identity::Identity;
use super::stage::Stage;
use crate::failure::{Doing as _, Failure};

const START_LIMIT: Duration = Duration::from_secs(30);

/// The running foreigner; dropping it ends it.
pub struct Foreigner {
    child: Child,
    address: String,
}

impl Foreigner {
    /// Starts it and waits for the address that it listens on.
    pub fn start(stage: &Stage) -> Result<Self, Failure> {
        let mut command = Identity::of_foreigner()?.command(stage.foreigner());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().doing("start the foreigner")?;
        let stdout = child.stdout.take();
        // Made before its address is known, so that it is ended if it never says it.
        let mut foreigner = Self { child, address: String::new() };
        foreigner.address = stdout.and_then(read_address).ok_or_else(|| {
            Failure::new("the foreigner did not say {\"address\": …} within 30 s; its own words are above")
        })?;
        Ok(foreigner)
    }

    /// Where it listens, as host:port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process, or sudo's.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Lets it end by itself.
    pub fn dismiss(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let status = self.child.wait().doing("wait for the foreigner")?;
        if status.success() { Ok(()) } else { Err(Failure::of_status("the foreigner", status)) }
    }
}

impl Drop for Foreigner {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing to do about one that is already gone, or that is sudo's.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_address(stdout: ChildStdout) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Nobody listens any more when the time is up.
        let _ = sender.send(read.is_ok().then_some(line));
    });
    let line = receiver.recv_timeout(START_LIMIT).ok()??;
    let message: Value = serde_json::from_str(&line).ok()?;
    Some(message["address"].as_str()?.to_owned())
}
