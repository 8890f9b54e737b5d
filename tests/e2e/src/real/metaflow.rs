//! Flows of `tests/real/flows`, run by Metaflow as it is with our distributions beside it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::{Metaflow, Output, Profile, Stage, run_within};

/// How long a flow may take; far above what any should need.
const PATIENCE: Duration = Duration::from_secs(240);
/// The flows by name.
const FLOWS: [(&str, &str); 6] = [
    ("artifacts", include_str!("../../../real/flows/artifacts.py")),
    ("customer", include_str!("../../../real/flows/customer.py")),
    ("lasting", include_str!("../../../real/flows/lasting.py")),
    ("resumed", include_str!("../../../real/flows/resumed.py")),
    ("roles", include_str!("../../../real/flows/roles.py")),
    ("secret", include_str!("../../../real/flows/secret.py")),
];

/// A flow that can be run.
#[derive(Debug)]
pub struct Flow {
    command: Command,
}

impl Flow {
    /// A flow by its name, as the person of a profile runs it: with no variable of Metaflow's.
    ///
    /// # Panics
    /// Where there is no such flow.
    #[must_use]
    pub fn new(metaflow: Metaflow, profile: &Profile, name: &str) -> Self {
        let (_, text) = FLOWS.iter().find(|(known, _)| *known == name).expect("a flow of tests/real/flows");
        // Each Metaflow in a folder of its own: it remembers the last run of a flow there.
        let folder = profile.home().join(format!("{metaflow:?}"));
        fs::create_dir_all(&folder).expect("a folder in our home");
        let file = folder.join(format!("{name}.py"));
        // In one step: another run of it may be reading.
        let new = tempfile::NamedTempFile::new_in(&folder).expect("a folder in our home");
        fs::write(&new, text).expect("room for a flow");
        new.persist(&file).expect("our own folder");
        let mut command = profile.command(Stage::get().metaflow(metaflow, "python"));
        command.arg(file).arg("--no-pylint").current_dir(folder);
        command.envs([("USER", "ada"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")]);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        Self { command }
    }

    /// With a variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command that runs it, for whoever has more to say about it: `["run"]`, `["resume"]`, …
    #[must_use]
    pub fn command(mut self, arguments: &[&str]) -> Command {
        self.command.args(arguments);
        self.command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn go(self, arguments: &[&str]) -> Output {
        run_within(self.command(arguments), "", PATIENCE)
    }
}

impl Output {
    /// What a flow's steps wrote behind this word, line by line.
    #[must_use]
    pub fn said(&self, word: &str) -> Vec<&str> {
        let word = format!("] {word} ");
        let lines = self.stdout.lines().chain(self.stderr.lines());
        lines.filter_map(|line| Some(line.split_once(&word)?.1)).collect()
    }
}
