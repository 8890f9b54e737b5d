//! Bad input, and what it gets: one clear sentence and a hint, the right exit code, nothing on standard output, nothing
//! lost, and `get` back in under two seconds.
#![cfg(target_os = "linux")]

mod addresses;
mod config;
mod helper;
mod issuer;
mod secrets;
mod sts;

use std::time::Duration;

use keyfob_e2e::Output;

/// No tool waits longer for a helper that cannot help.
const ANSWER: Duration = Duration::from_secs(2);
/// The same where the agent has waited for an answer of its own: for 1.8 of these seconds. The rest is the start of a process, on a busy
/// machine.
const WAITED: Duration = Duration::from_millis(2800);
/// Stands for whatever must not be repeated.
const SECRET: &str = "s3cr3t";

/// What a person reads where a tool was refused, without `keyfob: `.
///
/// # Panics
/// Where the refusal is not as every refusal has to be.
#[track_caller]
fn refused(output: Output, code: i32) -> String {
    refused_within(ANSWER, output, code)
}

#[track_caller]
fn refused_within(limit: Duration, output: Output, code: i32) -> String {
    let output = output.exits(code);
    assert_eq!(output.stdout, "", "standard output is for answers: {output:?}");
    assert!(output.took < limit, "too late: {output:?}");
    assert!(!output.stderr.contains(SECRET), "a secret: {output:?}");
    let mut lines = output.stderr.lines();
    let first = lines.next().unwrap_or_default();
    let Some(sentence) = first.strip_prefix("keyfob: ") else { panic!("no sentence: {output:?}") };
    assert!(first.contains(" Run: ") || first.contains(" Next: "), "no hint: {output:?}");
    // SDKs of AWS show all of one line. Where Bazel asks, a long sentence is repeated in full below the short form of it.
    let whole = lines.next();
    // A hint may have one of its own: `[token.*]` written out.
    let said = first.rsplit_once(" Run: ").or(first.rsplit_once(" Next: ")).map_or(first, |(said, _)| said);
    assert_eq!(whole.is_some(), said.contains('\u{2026}'), "{output:?}");
    let longest = if whole.is_some() { 200 } else { 600 };
    assert!(first.chars().count() < longest, "too long for a trace: {output:?}");
    assert_eq!(lines.next(), None, "{output:?}");
    whole.unwrap_or(sentence).to_owned()
}
