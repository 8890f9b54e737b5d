//! Removing: here, and at the service where it can be done.

use keyfob_e2e::{Company, PATIENCE, wait_for};
use keyfob_sandbox::{ClusterOptions, Endpoint, Fault, Options, Permissions};

use crate::{ADA, URI, cluster_says, issue, profile, refused};

#[test]
fn a_removed_token_is_dead_at_its_service_and_soon_at_the_cluster() {
    let cluster = ClusterOptions { cache_seconds: 1, ..ClusterOptions::default() };
    let company = Company::with(Options { cluster, ..Options::default() });
    let profile = profile(&company);
    let value = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &value);
    assert_eq!(cluster_says(&company, &value), 200);
    let output = profile.run(&["token", "remove", "aspect"], "").ok();
    assert!(output.stdout.contains("at its service"), "{output:?}");
    assert!(!company.portal().is_live(&value));
    wait_for("the end at the cluster", PATIENCE, || cluster_says(&company, &value) == 401);
    assert!(refused(profile.get(URI), 3).contains("keyfob token add aspect"));
    assert_eq!(profile.state_of("token.aspect"), "signed-out");
    // Twice is no fault.
    let output = profile.run(&["token", "remove", "aspect"], "").ok();
    assert!(output.stdout.contains("held nothing"), "{output:?}");
}

#[test]
fn another_machine_may_go_on_with_it() {
    let company = Company::start();
    let profile = profile(&company);
    let value = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &value);
    let output = profile.run(&["token", "remove", "aspect", "--keep-at-service"], "").ok();
    assert!(output.stdout.contains("still good at its service"), "{output:?}");
    assert!(company.portal().is_live(&value));
    refused(profile.get(URI), 3);
}

#[test]
fn a_service_that_is_down_keeps_nothing_here_and_is_named() {
    let company = Company::start();
    let profile = profile(&company);
    for fault in [Fault::Status(500), Fault::Html, Fault::Reset] {
        let value = issue(&company, ADA, Permissions::READ, 90);
        profile.add_token("aspect", &value);
        company.faults().set(Endpoint::TokenDelete, fault.clone());
        let output = profile.run(&["token", "remove", "aspect"], "").ok();
        // The last one is carried out, and its answer lost: that may be found out.
        let claims = !output.stdout.contains("not at its service");
        assert!(!claims || !company.portal().is_live(&value), "{fault:?}: {output:?}");
        assert!(!output.stdout.contains(&value) && !output.stderr.contains(&value), "{fault:?}");
        refused(profile.get(URI), 3);
        company.faults().clear_all();
    }
}
