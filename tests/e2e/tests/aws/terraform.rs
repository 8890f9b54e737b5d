//! Terraform's burst: a process for each alias of a provider, in each phase, and several of them at once, started as Go does.

use std::sync::Mutex;
use std::time::Duration;

use keyfob_e2e::real::alone;
use keyfob_e2e::{Output, PATIENCE, at_once, run, start, wait_for};
use keyfob_sandbox::{Endpoint, Fault};

use crate::hang::{assert_nothing_is_left, files};
use crate::{CAP, arn, company, left, line, shell, signed_in_with, tell};

/// Aliases of the provider; two share a role.
const ALIASES: usize = 8;
/// A provider is configured so often in a phase, as users have counted.
const STARTS: std::ops::RangeInclusive<usize> = 6..=9;
const PHASES: [&str; 3] = ["init", "plan", "apply"];
const ENTRIES: [&str; 4] = ["aws.dev", "aws.readonly", "aws.third", "aws.fourth"];
const MORE: [&str; 2] = ["ThirdRole", "FourthRole"];
/// As slow as any of them may be.
const SLOWEST: Duration = Duration::from_secs(2);

/// A company with four roles, and a profile that has entries for them.
fn four_roles() -> (keyfob_e2e::Company, keyfob_e2e::Profile) {
    let company = company(&MORE, None);
    let entries = company.aws("third", "okta", &arn(MORE[0])) + &company.aws("fourth", "okta", &arn(MORE[1]));
    let profile = signed_in_with(&company, &entries);
    (company, profile)
}

#[test]
fn terraform_runs_of_many_aliases_are_served_in_time_and_cost_one_call_a_role() {
    let _turn = alone();
    let (company, profile) = four_roles();
    for phase in PHASES {
        let burst = (0..ALIASES).flat_map(|alias| {
            let times = STARTS.start() + alias % (STARTS.end() - STARTS.start() + 1);
            std::iter::repeat_n(ENTRIES[alias % ENTRIES.len()], times)
        });
        let outputs: Mutex<Vec<Output>> = Mutex::default();
        at_once(burst, |entry| {
            let output = run(shell(&profile, &line(entry)), "").ok();
            outputs.lock().expect("nobody panics with it").push(output);
        });
        let outputs = outputs.into_inner().expect("nobody panics with it");
        let slowest = outputs.iter().map(|output| output.took).max().expect("some");
        tell(&format!("{phase}: {} processes at once, the slowest {slowest:.1?}", outputs.len()));
        assert!(slowest < SLOWEST, "{phase}: {slowest:?}");
        assert!(outputs.iter().all(|output| left(output) > 3500 && output.stderr.is_empty()));
        let counts = company.counts();
        assert_eq!(counts.sts_actions.values().sum::<u64>(), ENTRIES.len() as u64, "{phase}: {counts:?}");
    }
}

/// An interrupt in the middle of a plan.
#[test]
fn terraform_that_kills_half_of_its_children_leaves_nothing_locked_and_cancels_nobody() {
    let _turn = alone();
    let (company, profile) = four_roles();
    let agent = profile.agent_pid();
    let before = files(profile.path());
    company.faults().set(Endpoint::Sts, Fault::Slow(Duration::from_millis(1200)));
    let mut killed = Vec::new();
    let mut stay = Vec::new();
    for number in 0..40 {
        let child = start(shell(&profile, &line(ENTRIES[number / 2 % ENTRIES.len()])), "");
        if number % 2 == 0 { killed.push(child) } else { stay.push(child) }
    }
    wait_for("all calls of STS", PATIENCE, || {
        company.counts().arrived(Endpoint::Sts) == ENTRIES.len() as u64
    });
    for child in &mut killed {
        child.kill();
    }
    for child in stay {
        let output = child.output(PATIENCE).ok();
        assert!(left(&output) > 3500 && output.took < CAP, "{output:?}");
    }
    let counts = company.counts();
    assert_eq!(counts.arrived(Endpoint::Sts), ENTRIES.len() as u64);
    assert_eq!(counts.abandoned(Endpoint::Sts), 0);
    assert_eq!(profile.agent_pid(), agent);
    assert_nothing_is_left(&profile, &before);
    for entry in ENTRIES {
        let output = run(shell(&profile, &line(entry)), "").ok();
        assert!(output.took < SLOWEST, "{output:?}");
    }
}
