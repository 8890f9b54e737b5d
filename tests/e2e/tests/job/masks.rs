//! What GitHub's log is told to hide, before there is anything to hide.

use std::ffi::OsStr;
use std::fs;

use keyfob_e2e::{Company, Output, Profile, run, wait_for};

use crate::{ASPECT, SOON, Shell, config, keyfob};

const VALUE: &str = "aw_0123456789";

/// Keeps a token, and asks for it twice: what the job wrote, in its order.
fn job(profile: &Profile, variables: &[(&str, &str)], into: &str) -> Output {
    let ask = format!("echo '{{\"uri\":\"{ASPECT}\"}}' | $KEYFOB get {into}");
    let script = format!("echo {VALUE} | $KEYFOB token add aspect > /dev/null; {ask}; {ask}");
    let mut command = profile.command(keyfob());
    command.args(["run", "--", "sh", "-c", &script]).env("KEYFOB", keyfob());
    command.envs(variables.iter().copied());
    run(command, "").ok()
}

#[test]
fn a_value_is_masked_once_before_it_is_there() {
    let profile = Profile::new(&config());
    let output = job(&profile, &[("GITHUB_ACTIONS", "true")], "").stdout;
    let mask = format!("\n::add-mask::{VALUE}\n");
    assert!(output.starts_with(&mask), "{output}");
    let rest = &output[mask.len()..];
    assert!(!rest.contains("::add-mask::") && rest.matches(VALUE).count() == 2, "{output}");

    // The controls: another job, and one whose output is kept in a file, where the mask itself would tell.
    let output = job(&profile, &[], "").stdout;
    assert!(output.matches(VALUE).count() == 2 && !output.contains("::add-mask::"), "{output}");
}

/// A step of a job of GitHub: a shell, with `$JOB` to run below `keyfob`.
fn step(profile: &Profile, script: &str) -> Output {
    let job = format!(
        "echo {VALUE} | $KEYFOB token add aspect > /dev/null; echo '{{\"uri\":\"{ASPECT}\"}}' | $KEYFOB get > /dev/null; echo data"
    );
    // The shell of GitHub's runners; another may turn its own output for as long as a command runs.
    let mut command = profile.command("/bin/bash");
    command.args(["-c", script]).env("KEYFOB", keyfob()).env("JOB", job).env("GITHUB_ACTIONS", "true");
    run(command, "").ok()
}

#[test]
fn a_mask_has_a_line_of_its_own_whatever_was_written_before() {
    let profile = Profile::new(&config());
    let output = step(&profile, "printf half; $KEYFOB run -- sh -c \"$JOB\"").stdout;
    assert_eq!(output, format!("half\n::add-mask::{VALUE}\ndata\n"));
}

#[test]
fn a_mask_is_for_the_log_and_not_for_the_next_program() {
    let profile = Profile::new(&config());
    let mask = format!("\n::add-mask::{VALUE}\n");
    for (script, data) in [
        ("x=$($KEYFOB run -- sh -c \"$JOB\"); echo \"[$x]\"", "[data]\n"),
        ("x=$(sh -c '$KEYFOB run -- sh -c \"$JOB\"; echo more'); echo $x", "data more\n"),
        ("$KEYFOB run -- sh -c \"$JOB\" | sed 's/^/next: /'", "next: data\n"),
        ("$KEYFOB run -- sh -c \"$JOB\" > output; cat output; rm output", "data\n"),
    ] {
        let ran = step(&profile, &format!("cd {}; {script}", profile.home().display()));
        assert_eq!((ran.stdout, ran.stderr.contains("masked")), (format!("{mask}{data}"), false), "{script}");
    }
    // The control: what a runner begins has no step above it, and its own output is the log.
    let first = "exec env -u GITHUB_ACTIONS sh -c 'x=$(GITHUB_ACTIONS=true $KEYFOB run -- sh -c \"$JOB\"); echo \"[$x]\"'";
    assert_eq!(step(&profile, first).stdout, format!("[{mask}data]\n"));
}

#[test]
fn where_the_log_is_out_of_reach_that_is_said() {
    let profile = Profile::new(&config());
    let file = profile.path().join("output");
    let ran = step(&profile, &format!("exec > {}; $KEYFOB run -- sh -c \"$JOB\" | cat", file.display()));
    assert_eq!(fs::read_to_string(&file).expect("the output"), "data\n");
    assert!(ran.stderr.contains("values cannot be masked in the log of this job"), "{ran:?}");
}

#[test]
fn a_value_waits_for_its_mask_and_is_refused_without() {
    let profile = Profile::new(&config());
    let mut shell = Shell::below(&profile, &keyfob(), &["run"], &[("GITHUB_ACTIONS", OsStr::new("true"))]);
    let ask = |shell: &mut Shell, name: &str| {
        let [answer, said, done] =
            ["answer", "said", "done"].map(|kind| profile.path().join(format!("{name}.{kind}")));
        let files = format!("> {} 2> {}; : > {}", answer.display(), said.display(), done.display());
        shell.tell(&format!("echo '{{\"uri\":\"{ASPECT}\"}}' | $KEYFOB get {files}"));
        wait_for("an answer", SOON, || done.exists());
        [answer, said].map(|file| fs::read_to_string(file).expect("written"))
    };
    // Nobody reads, and a step lets nobody wait there.
    shell.tell(&format!("echo {VALUE} | $KEYFOB token add aspect > /dev/null"));
    shell.tell("yes | dd bs=4096 iflag=fullblock oflag=nonblock 2> /dev/null");
    let [answer, said] = ask(&mut shell, "full");
    assert!(!answer.contains(VALUE) && said.contains("the job's log takes no lines"), "{answer} {said}");
    // The control: with room it is given.
    for _ in 0..4096 {
        assert_eq!(shell.line(), "y");
    }
    let [answer, said] = ask(&mut shell, "free");
    assert!(answer.contains(VALUE), "{answer} {said}");
}

#[test]
fn the_persons_own_agent_masks_nothing() {
    let company = Company::start();
    let mut profile = Profile::new(&company.config());
    profile.set("GITHUB_ACTIONS", "true");
    company.sign_in(&profile, "okta");
    let output = profile.credential_process("dev").ok().stdout;
    assert!(output.contains("SecretAccessKey") && !output.contains("::add-mask::"));
}
