//! PyPI `moto_server`: STS, S3 and the rest of AWS, in memory.

use std::process::{Command, Stdio};

use super::part::{Lines, Part};
use crate::Stage;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    _part: Part,
    url: String,
}

impl Moto {
    /// Starts it on a port that the system chooses.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new(Stage::get().python("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut part = Part::start(command.stderr(Stdio::piped()));
        let stderr = part.child().stderr.take().expect("its standard error is piped");
        let url = Lines::of(stderr).find("the address of moto_server", |line| {
            let (_, rest) = line.split_once("Running on ")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        Self { _part: part, url }
    }

    /// Its endpoint, for every service.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
