//! Running targets, some at a time, and saying what they found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use super::build::Programs;
use crate::failure::{Doing as _, Failure};
use crate::tally::Tally;
use crate::{Checkout, say};

/// Longest input, in bytes: what matters in a longer one can be had in a shorter one.
const LONGEST: usize = 4096;
/// Seconds that one input may take.
const PATIENCE: u32 = 10;
/// Memory that a target may have, in MiB.
const MEMORY: u32 = 2048;
/// What libFuzzer writes before the name of the file that it keeps an input in.
const KEPT: &str = "Test unit written to ";
/// What it writes before the number of inputs, at the end.
const COUNT: &str = "stat::number_of_executed_units:";
/// What a panic begins with.
const PANIC: &str = " panicked at ";
/// Lines of a log that are shown when something was found.
const SHOWN: usize = 20;

/// How much a target runs.
#[derive(Clone, Copy)]
pub enum Effort {
    /// For so many seconds.
    Seconds(u64),
    /// On so many inputs.
    Runs(u64),
}

/// Targets that run in the same way.
pub struct Campaign<'a> {
    pub checkout: &'a Checkout,
    pub programs: &'a Programs,
    /// Where inputs are kept that reached something new; a folder for each target.
    pub corpus: &'a Path,
    pub effort: Effort,
}

/// What a target found.
enum Found {
    /// Nothing, on so many inputs.
    Nothing(u64),
    /// An input that does not hold, where it was kept.
    Input(Option<PathBuf>),
}

impl Campaign<'_> {
    /// Runs the targets, as many at a time as there are cores.
    pub fn run(&self, targets: &[String], tally: &mut Tally) -> Result<(), Failure> {
        let scratch = scratch()?;
        let waiting = Mutex::new(targets.iter());
        let results = Mutex::new(Vec::new());
        let workers = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(target) = next(&waiting) {
                        let found = self.run_one(target, scratch.path());
                        results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(found);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
        let failed = failures.len();
        tally.add(Tally {
            passed: (targets.len() - failed) as u64,
            failed: failed as u64,
            ..Tally::default()
        });
        failures.iter().for_each(|failure| say(&failure.say));
        if failed == 0 {
            Ok(())
        } else {
            Err(Failure::new(format!("{failed} of the fuzz targets do not hold")))
        }
    }

    fn run_one(&self, target: &str, scratch: &Path) -> Result<(), Failure> {
        let kept = self.checkout.root.join("fuzz/artifacts").join(target);
        let corpus = self.corpus.join(target);
        for folder in [&kept, &corpus] {
            fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
        }
        let mut command = self.programs.command(target);
        command.env("TMPDIR", scratch).env("RUST_BACKTRACE", "0");
        command.arg(corpus).arg(self.checkout.root.join("fuzz/seeds").join(target));
        add_options(&mut command, self.effort, &kept);
        let output =
            command.stdin(Stdio::null()).output().doing(format_args!("start the target {target}"))?;
        // libFuzzer speaks on standard error alone.
        let log = String::from_utf8_lossy(&output.stderr);
        match read_log(&log, output.status.success()) {
            Found::Nothing(runs) => {
                say(&format!("fuzz::{target} held on {runs} inputs"));
                Ok(())
            }
            Found::Input(input) => {
                told(&log).for_each(say);
                Err(explain(target, input.as_deref()))
            }
        }
    }
}

/// For what targets write, and leave when they are ended: in memory where that can be, for one of them waits for the disk.
fn scratch() -> Result<TempDir, Failure> {
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    folder.doing("make a folder for the fuzz targets")
}

fn next<'a>(waiting: &Mutex<std::slice::Iter<'a, String>>) -> Option<&'a String> {
    waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next()
}

fn add_options(command: &mut Command, effort: Effort, kept: &Path) {
    command.arg(match effort {
        Effort::Seconds(seconds) => format!("-max_total_time={seconds}"),
        Effort::Runs(runs) => format!("-runs={runs}"),
    });
    command.args([
        format!("-artifact_prefix={}/", kept.display()),
        format!("-max_len={LONGEST}"),
        format!("-timeout={PATIENCE}"),
        format!("-rss_limit_mb={MEMORY}"),
        "-print_final_stats=1".to_owned(),
        // What lives as long as the process is no leak, and looking for others needs rights that containers do not give.
        "-detect_leaks=0".to_owned(),
    ]);
}

fn read_log(log: &str, is_success: bool) -> Found {
    if is_success {
        let count = log.lines().find_map(|line| line.strip_prefix(COUNT)?.trim().parse().ok());
        return Found::Nothing(count.unwrap_or(0));
    }
    let kept = log.lines().find_map(|line| Some(line.split_once(KEPT)?.1.trim()));
    Found::Input(kept.map(PathBuf::from))
}

/// What a target says of its end: its panic, or else the last lines.
fn told(log: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = log.lines().collect();
    let panic = lines.iter().position(|line| line.contains(PANIC));
    let first = panic.unwrap_or(lines.len().saturating_sub(SHOWN));
    lines.into_iter().skip(first).take(SHOWN).take_while(|line| !line.starts_with("note: run with"))
}

fn explain(target: &str, input: Option<&Path>) -> Failure {
    let Some(input) = input else {
        return Failure::new(format!("the fuzz target `{target}` ended badly, and kept no input"));
    };
    let input = input.display();
    Failure::new(format!(
        "the fuzz target `{target}` does not hold on {input}; repeat it by: cargo xtask fuzz {target} --input {input} \
         (and keep the input in fuzz/seeds/{target})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read() {
        let log = "#123 DONE cov: 7\nstat::number_of_executed_units: 123\nstat::peak_rss_mb:  40\n";
        assert!(matches!(read_log(log, true), Found::Nothing(123)));
    }

    #[test]
    fn the_input_that_was_kept_is_read() {
        let log = "panicked\nartifact_prefix='/w/'; Test unit written to /w/crash-da39\nBase64: \n";
        let Found::Input(Some(input)) = read_log(log, false) else { panic!("no input") };
        assert_eq!(input, Path::new("/w/crash-da39"));
        let say = explain("frame", Some(&input)).say;
        assert!(say.contains("cargo xtask fuzz frame --input /w/crash-da39"), "{say}");
    }

    #[test]
    fn what_is_shown_is_the_panic_and_no_more() {
        let log = "#2 INITED\nthread 'x' (7) panicked at src/frame.rs:9:5:\ntoo long\nnote: run with `RUST_BACKTRACE=1`\n==7==\n";
        let told: Vec<&str> = told(log).collect();
        assert_eq!(told, ["thread 'x' (7) panicked at src/frame.rs:9:5:", "too long"]);
    }

    #[test]
    fn a_target_that_ends_without_a_word_has_failed() {
        assert!(matches!(read_log("", false), Found::Input(None)));
        assert_eq!(explain("frame", None).code, 1);
    }
}
