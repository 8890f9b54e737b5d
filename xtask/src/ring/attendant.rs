//! A small server under another user, beside the tests, that does what they tell it. It lives as long as its standard
//! input is open.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Doing as _, Failure};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running attendant; dropping it ends it.
pub struct Attendant {
    name: &'static str,
    child: Child,
    address: String,
}

impl Attendant {
    /// Starts it and waits for the address that it listens on: `{"address": …}` is its first line.
    pub fn start(name: &'static str, mut command: Command) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().doing(format_args!("start {name}"))?;
        let stdout = child.stdout.take();
        // Made before its address is known, so that it is ended if it never says it.
        let mut attendant = Self { name, child, address: String::new() };
        attendant.address = stdout.and_then(read_address).ok_or_else(|| {
            Failure::new(format!(
                "{name} did not say {{\"address\": …}} within 30 s; its own words are above"
            ))
        })?;
        Ok(attendant)
    }

    /// Where it listens.
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
        let status = self.child.wait().doing(format_args!("wait for {}", self.name))?;
        if status.success() { Ok(()) } else { Err(Failure::of_status(self.name, status)) }
    }
}

impl Drop for Attendant {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn an_attendant_says_where_it_is_and_ends_when_it_is_dismissed() {
        let attendant = Attendant::start("it", shell("echo '{\"address\": \"/a b\"}'; cat")).unwrap();
        assert_eq!(attendant.address(), "/a b");
        attendant.dismiss().unwrap();
        let ends_badly = Attendant::start("it", shell("echo '{\"address\": \"x\"}'; cat; exit 3")).unwrap();
        assert!(ends_badly.dismiss().is_err());
    }

    #[test]
    fn one_that_does_not_say_where_it_is_is_none() {
        for line in ["true", "echo hello", "echo '{\"port\": 1}'"] {
            assert!(Attendant::start("it", shell(line)).is_err(), "{line}");
        }
    }
}
