//! Flows whose keys of AWS are the agent's: artifacts in S3, runs that go on for longer than keys, many tasks at once.

use keyfob_e2e::Metaflow;
use keyfob_e2e::real::Flow;

use crate::{Bench, FLOW_ROLE, OTHER_ROLE};

/// The person behind `aws.dev`.
const DEV: &str = "arn:aws:sts::123456789012:assumed-role/OktaRole/";

fn bench() -> Bench {
    let bench = Bench::new(|_, _| String::new());
    bench.set_up("dev");
    bench
}

#[test]
fn thirty_two_tasks_at_once_keep_their_artifacts_in_s3_for_one_call_of_sts() {
    let bench = bench();
    let flow = Flow::new(Metaflow::Newest, &bench.profile, "artifacts").with("COUNT", "32");
    let output = flow.go(&["run", "--max-workers", "32"]).ok();
    assert_eq!(output.said("RESULT"), ["32 squares"], "{output:?}");
    let objects = bench.moto.objects(&bench.bucket);
    let artifacts = |of: &str| objects.iter().filter(|name| name.contains(of)).count();
    assert!(
        artifacts("metaflow/ArtifactsFlow/data/") > 32 && artifacts("data/ArtifactsFlow/") >= 3,
        "{objects:?}"
    );
    assert_eq!(bench.sts_calls(), 1);
}

#[test]
fn the_oldest_metaflow_keeps_artifacts_in_s3_too() {
    let bench = bench();
    let output = Flow::new(Metaflow::Oldest, &bench.profile, "artifacts").go(&["run"]).ok();
    assert_eq!(output.said("RESULT"), ["2 squares"], "{output:?}");
    assert!(!bench.moto.objects(&bench.bucket).is_empty());
    assert_eq!(bench.sts_calls(), 1);
}

/// The control of all the others: with nothing of ours in the configuration there are no keys.
#[test]
fn without_our_provider_there_are_no_keys_and_no_artifacts() {
    let bench = Bench::new(|_, _| String::new());
    let once =
        serde_json::json!({ "METAFLOW_S3_RETRY_COUNT": "0", "METAFLOW_S3_TRANSIENT_RETRY_COUNT": "0" });
    bench.write_config(&once);
    let output = Flow::new(Metaflow::Newest, &bench.profile, "artifacts").go(&["run"]);
    assert_ne!(output.code, 0);
    assert!(output.said("RESULT").is_empty() && bench.moto.objects(&bench.bucket).is_empty(), "{output:?}");
    assert_eq!(bench.sts_calls(), 0);
}

#[test]
fn one_client_outlives_two_renewals_of_its_keys() {
    let bench = bench();
    bench.company.sts().set_credential_seconds(Some(8));
    for metaflow in Metaflow::OWN {
        let before = bench.sts_calls();
        let output = Flow::new(metaflow, &bench.profile, "lasting").with("KEYS", "3").go(&["run"]).ok();
        assert_eq!(output.said("RESULT"), ["3 keys"], "{metaflow:?}: {output:?}");
        assert!(bench.sts_calls() >= before + 2, "{metaflow:?}: {} calls", bench.sts_calls());
    }
}

#[test]
fn a_run_that_failed_is_resumed_and_what_was_done_is_not_done_again() {
    let bench = bench();
    for metaflow in Metaflow::OWN {
        let broken = Flow::new(metaflow, &bench.profile, "resumed").with("BROKEN", "1").go(&["run"]);
        assert_ne!(broken.code, 0, "{metaflow:?}: {broken:?}");
        let resumed = Flow::new(metaflow, &bench.profile, "resumed").go(&["resume"]).ok();
        assert_eq!(resumed.said("RESULT"), broken.said("MARK"), "{metaflow:?}: {resumed:?}");
        assert_eq!(resumed.said("RESULT").len(), 1, "{metaflow:?}: {resumed:?}");
    }
    assert_eq!(bench.sts_calls(), 1);
}

#[test]
fn a_client_with_a_role_has_the_keys_of_that_role_and_of_no_role_outside_of_may_assume() {
    let bench = bench();
    let roles = |metaflow, role| {
        let flow = Flow::new(metaflow, &bench.profile, "roles").with("ROLE", role);
        flow.with("STS", &bench.company.addresses().sts_url).go(&["run"])
    };
    for metaflow in Metaflow::OWN {
        let output = roles(metaflow, FLOW_ROLE).ok();
        let said = output.said("RESULT");
        assert_eq!(said.len(), 2, "{metaflow:?}: {output:?}");
        assert!(said[0].starts_with(DEV) && said[1].contains("assumed-role/FlowRole/"), "{said:?}");
    }
    let refused = roles(Metaflow::Newest, OTHER_ROLE);
    assert_ne!(refused.code, 0);
    assert!(refused.said("RESULT").len() == 1 && refused.stdout.contains("may_assume"), "{refused:?}");
    assert_eq!(bench.company.counts().role(OTHER_ROLE), 0, "nobody asked for it");
}
