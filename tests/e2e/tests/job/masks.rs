//! What GitHub's log is told to hide, before there is anything to hide.

use std::fs;

use keyfob_e2e::{Company, Output, Profile, run};

use crate::{ASPECT, config, keyfob};

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
    let mask = format!("::add-mask::{VALUE}\n");
    assert!(output.starts_with(&mask), "{output}");
    let rest = &output[mask.len()..];
    assert!(!rest.contains("::add-mask::") && rest.matches(VALUE).count() == 2, "{output}");

    // The controls: another job, and one whose output is kept in a file, where the mask itself would tell.
    let output = job(&profile, &[], "").stdout;
    assert!(output.matches(VALUE).count() == 2 && !output.contains("::add-mask::"), "{output}");
    let file = profile.path().join("output");
    let mut command = profile.command("sh");
    let script = format!(
        "{0} run -- sh -c 'echo {VALUE} | {0} token add aspect >&2; echo \"{{\\\"uri\\\":\\\"{ASPECT}\\\"}}\" | {0} get > /dev/null' > {1}",
        keyfob().display(),
        file.display()
    );
    command.args(["-c", &script]).env("GITHUB_ACTIONS", "true");
    run(command, "").ok();
    assert_eq!(fs::read_to_string(&file).expect("the output"), "");
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
