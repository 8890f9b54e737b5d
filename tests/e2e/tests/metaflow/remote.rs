//! Tasks that run elsewhere: they have our extension and inherit its name, and there is no keyfob.

use std::process::Command;
use std::time::Duration;

use keyfob_e2e::real::Flow;
use keyfob_e2e::{Metaflow, Output, run_within};
use keyfob_sandbox::aws_machine;
use serde_json::json;

use crate::{Bench, FLOW_ROLE, last_line};

/// What we say in a task's log.
const LINE: &str = "keyfob: this task runs on kubernetes";

/// In a pod: the platform's variables, the task's own role, and nothing of the person's.
fn in_pod(bench: &Bench, flow: Flow) -> Output {
    let mut command: Command = flow.command(&["run"]);
    let (url, token) = bench.company.aws_machine().container();
    let home = bench.profile.path().join("pod");
    std::fs::create_dir_all(&home).expect("our own folder");
    command.env_remove("KEYFOB_RUNTIME_DIR").env_remove("KEYFOB_STATE_DIR").env_remove("KEYFOB_CONFIG");
    command.env("HOME", home);
    command.envs([
        ("METAFLOW_RUNTIME_ENVIRONMENT", "kubernetes"),
        ("METAFLOW_KUBERNETES_WORKLOAD", "1"),
        ("METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER", "keyfob"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", &*token),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL_STS", &bench.company.addresses().sts_url),
        ("STS", &bench.company.addresses().sts_url),
    ]);
    run_within(command, "", Duration::from_secs(120))
}

#[test]
fn a_task_in_a_pod_has_its_own_role_and_is_told_so_once() {
    let bench = Bench::signed_out(|_, _| String::new());
    bench.company.sts().set_role(keyfob_sandbox::Role {
        arn: FLOW_ROLE.to_owned(),
        max_session_seconds: 3600,
        trusted_principals: vec![aws_machine::ROLE.to_owned()],
        ..keyfob_sandbox::Role::default()
    });
    for metaflow in Metaflow::OWN {
        let flow = Flow::new(metaflow, &bench.profile, "roles").with("ROLE", FLOW_ROLE);
        let output = in_pod(&bench, flow).ok();
        let said = output.said("RESULT");
        assert!(said[0].contains("assumed-role/Runner/"), "{metaflow:?}: {output:?}");
        assert!(said[1].contains("assumed-role/FlowRole/"), "{metaflow:?}: {output:?}");
        let all = [&*output.stdout, &*output.stderr].concat();
        assert_eq!(all.matches(LINE).count(), 1, "{metaflow:?}: {all}");
    }
    assert_eq!(bench.sts_calls(), 0);
}

#[test]
fn a_secret_of_ours_fails_in_a_pod_and_the_last_line_names_what_works_there() {
    let bench = Bench::signed_out(|_, _| String::new());
    for metaflow in Metaflow::OWN {
        let flow = Flow::new(metaflow, &bench.profile, "secret").with("EXPECTED", "A");
        let output = in_pod(&bench, flow.with("SOURCES", &json!(["keyfob.my-secret"]).to_string()));
        let last = last_line(&output);
        assert!(last.contains("aws-secrets-manager.my-secret"), "{metaflow:?}: {last}: {output:?}");
    }
}

#[test]
fn the_package_of_a_remote_task_takes_our_extension_along() {
    let bench = Bench::signed_out(|_, _| String::new());
    for metaflow in Metaflow::OWN {
        let output =
            Flow::new(metaflow, &bench.profile, "roles").with("ROLE", "").go(&["package", "list"]).ok();
        for file in ["keyfob/plugins/keyfob_aws.py", "keyfob/plugins/mfextinit_keyfob.py", "keyfob/remote.py"]
        {
            let listed = [&*output.stdout, &*output.stderr].concat();
            assert!(listed.contains(file), "{metaflow:?}: no {file} in\n{listed}");
        }
    }
}
