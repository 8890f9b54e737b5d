//! How many tests passed and failed, read from the runners' own closing lines as they go by.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use crate::failure::{Doing as _, Failure};

/// Counts over every runner of this run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed or ran out of time.
    pub failed: u64,
    /// The names of those that failed, where their runner is libtest.
    pub failures: Vec<String>,
}

impl Tally {
    /// Adds what another runner counted.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Counts a line if it is the closing line of libtest, nextest or vitest; keeps the name of a failure.
    fn read(&mut self, line: &str) {
        if let Some(name) =
            line.trim_end().strip_suffix(" ... FAILED").and_then(|line| line.strip_prefix("test "))
        {
            self.failures.push(name.to_owned());
            return;
        }
        let line = line.trim_start();
        if line.starts_with("test result: ") || line.starts_with("Summary [") {
            self.passed += number_before(line, " passed");
            self.failed += number_before(line, " failed") + number_before(line, " timed out");
        } else if line.starts_with("Tests  ") && line.trim_end().ends_with(')') {
            self.passed += number_before(line, " passed");
            self.failed += number_before(line, " failed");
        }
    }
}

/// Runs a test runner, passes its output on line by line, and counts. `at_end` runs when the runner has ended and
/// before its output is read to the end: whoever still holds the pipes must be gone by then.
pub fn run(command: &mut Command, at_end: impl FnOnce()) -> Result<(ExitStatus, Tally), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(format_args!("start {name}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let output = scope.spawn(move || pass_on(stdout, std::io::stdout()));
        let errors = scope.spawn(move || pass_on(stderr, std::io::stderr()));
        let status = child.wait().doing(format_args!("wait for {name}"));
        at_end();
        let mut tally = Tally::default();
        for reader in [output, errors] {
            tally.add(reader.join().unwrap_or_default());
        }
        Ok((status?, tally))
    })
}

fn pass_on(from: Option<impl Read>, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        tally.read(&String::from_utf8_lossy(&line));
        // The tests count even when nobody reads their output any more.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        line.clear();
    }
    tally
}

fn number_before(line: &str, word: &str) -> u64 {
    let Some(end) = line.find(word) else { return 0 };
    let start = line[..end].rfind(|character: char| !character.is_ascii_digit()).map_or(0, |at| at + 1);
    line[start..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_every_runner_are_counted() {
        let mut tally = Tally::default();
        tally.read("test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n");
        tally.read("     Summary [   0.011s] 41 tests run: 39 passed, 1 failed, 1 timed out, 3 skipped\n");
        tally.read(" Test Files  1 failed | 3 passed (4)\n");
        tally.read("      Tests  1 failed | 20 passed | 2 skipped (23)\n");
        assert_eq!(tally, Tally { passed: 71, failed: 5, failures: Vec::new() });
    }

    #[test]
    fn what_failed_is_known_by_name() {
        let mut tally = Tally::default();
        for line in [
            "test doors::a ... ok\n",
            "test doors::b ... FAILED\n",
            "    c ... FAILED\n",
            "test d ... FAILED, too\n",
        ] {
            tally.read(line);
        }
        assert_eq!(tally.failures, ["doors::b"]);
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut tally = Tally::default();
        for line in ["running 3 tests", "test frames::roundtrip ... ok", "3 passed", "Summary of 3 passed"] {
            tally.read(line);
        }
        assert_eq!(tally, Tally::default());
    }
}
