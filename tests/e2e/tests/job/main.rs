//! `keyfob exec` and `keyfob run` with the real agent and the real SDK: what a program gets, what nobody else gets, and what
//! is left when it ends.
#![cfg(target_os = "linux")]

mod attacks;
mod endpoint;
mod masks;
mod run;
mod surroundings;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use keyfob_e2e::{MEMORY, Profile, Stage, process, token, wait_for, wait_for_some};

/// How soon what ends by itself has ended.
const SOON: Duration = Duration::from_secs(20);

/// An address of `[token.aspect]` in [`config`].
const ASPECT: &str = "https://aw.acme.dev/ac/1";

/// A configuration that needs no company.
fn config() -> String {
    [MEMORY.to_owned(), token("aspect", "aw.acme.dev")].concat()
}

/// A shell below a command, told line by line what to do.
struct Shell {
    command: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    /// Below `keyfob ARGUMENTS -- sh`. Its `$KEYFOB` is that program.
    fn below(profile: &Profile, keyfob: &Path, arguments: &[&str], variables: &[(&str, &OsStr)]) -> Self {
        let mut command = profile.command(keyfob);
        command.args(arguments).args(["--", "sh"]).env("KEYFOB", keyfob).envs(variables.iter().copied());
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut command = command.spawn().expect("it starts");
        let input = command.stdin.take();
        let output = BufReader::new(command.stdout.take().expect("a pipe")).lines();
        Self { command, input, output }
    }

    /// Has it do this, which writes nothing or is read by [`Shell::line`].
    #[track_caller]
    fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has not ended");
        writeln!(input, "{line}").expect("it listens");
    }

    /// The next line of the job's output.
    #[track_caller]
    fn line(&mut self) -> String {
        self.output.next().expect("it goes on").expect("it is text")
    }

    /// What it has under a name.
    #[track_caller]
    fn variable(&mut self, name: &str) -> String {
        self.tell(&format!("echo \"${name}\""));
        self.line()
    }

    /// Ends the shell by this word; how the command ended, and what it still wrote.
    #[track_caller]
    fn end(mut self, word: &str) -> (ExitStatus, Vec<String>) {
        self.tell(word);
        self.input = None;
        let rest = self.output.by_ref().map(|line| line.expect("it is text")).collect();
        (self.command.wait().expect("it ends"), rest)
    }

    fn pid(&self) -> u32 {
        self.command.id()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell ends with its input, the agent of a job with the command.
        self.input = None;
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

/// `keyfob` of the stage.
fn keyfob() -> PathBuf {
    Stage::get().bin("keyfob")
}

/// The agent of a job, by the state folder.
#[track_caller]
fn agent_of(state: &str) -> u32 {
    // It answers from a moment before it leaves its record.
    let record: keyfob_ipc::place::Record = wait_for_some("the record of the agent", SOON, || {
        serde_json::from_slice(&std::fs::read(Path::new(state).join("agent.json")).ok()?).ok()
    });
    assert!(process::is_alive(record.pid));
    record.pid
}

#[track_caller]
fn wait_for_the_end(of: u32) {
    wait_for("the end of a process", SOON, || !process::is_alive(of));
}
