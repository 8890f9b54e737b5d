//! The real `outerbounds` command: against the stand-in alone, which shows that the stand-in is what that command expects, and below
//! `keyfob exec`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keyfob_e2e::{Output, Stage, wait_for};
use keyfob_sandbox::outerbounds::DOMAIN;
use serde_json::{Value, json};

use super::{Deployment, entry, role, run};

/// The verdict of every step that the command names.
#[track_caller]
fn steps(output: &Output) -> Vec<(String, String)> {
    let steps = output.json()["steps"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps.iter().map(|step| (text(&step["name"]), text(&step["status"]))).collect()
}

#[test]
fn the_real_command_takes_the_string_and_the_key_of_the_stand_in() {
    let deployment = Deployment::with(|_| String::new());
    let home = deployment.bench.profile.home().join("theirs");
    let string = deployment.bench.company.outerbounds().magic_string(&deployment.key);
    run(deployment.outerbounds(&home, &["configure", "--force", &string])).ok();
    let config = fs::read_to_string(home.join("config.json")).expect("their configuration");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["METAFLOW_SERVICE_AUTH_KEY"], json!(deployment.key));
    let url = format!("https://api.{DOMAIN}/v1/perimeters/default/metaflowconfigs/default");
    assert_eq!(config["OBP_METAFLOW_CONFIG_URL"], json!(url));
    let listed = run(deployment.outerbounds(&home, &["perimeter", "list", "-o", "json"])).ok();
    assert_eq!(listed.json()["data"]["perimeters"][0]["id"], "default", "{listed:?}");
    let checked = run(deployment.outerbounds(&home, &["check", "-o", "json"]));
    assert!(steps(&checked).iter().all(|(_, status)| status == "OK"), "{checked:?}");
    // Another key is none.
    deployment.bench.company.outerbounds().revoke(&deployment.key);
    let refused = run(deployment.outerbounds(&home, &["perimeter", "list", "-o", "json"]));
    assert!(refused.code != 0 || !refused.stdout.contains("\"default\""), "{refused:?}");
}

#[test]
fn below_exec_the_real_command_finds_its_configuration_in_memory_and_it_is_gone_with_it() {
    let mut deployment = Deployment::new();
    let runtime = deployment.bench.profile.path().join("x");
    fs::create_dir(&runtime).expect("our own folder");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("our own folder");
    deployment.bench.profile.set("XDG_RUNTIME_DIR", &runtime);
    let below = |words: &[&str]| {
        let mut command = deployment.bench.profile.keyfob(&["exec", "outerbounds.prod", "--"]);
        command.args(words).env("USER", "ada");
        crate::service::through(&mut command, &deployment.bench.profile, deployment.bench.company.fronts());
        run(command)
    };
    let outerbounds = Stage::get().metaflow(keyfob_e2e::Metaflow::Outerbounds, "outerbounds");
    let outerbounds = outerbounds.to_str().expect("a path of ours");
    let listed = below(&[outerbounds, "perimeter", "list", "-o", "json"]).ok();
    assert_eq!(
        listed.json()["data"]["perimeters"],
        json!([{"id": "default", "active": true, "status": "OK"}]),
        "{listed:?}"
    );
    let checked = below(&[outerbounds, "check", "-o", "json"]);
    assert!(steps(&checked).iter().all(|(_, status)| status == "OK"), "{checked:?}");
    deployment.bench.assert_nothing_leaked(&[&listed, &checked]);

    let shown = below(&[
        "sh",
        "-c",
        "stat -f -c %T \"$METAFLOW_HOME\"; stat -c %a \"$METAFLOW_HOME\" \"$METAFLOW_HOME\"/*; echo \"$METAFLOW_HOME\" \
         \"$OBP_CONFIG_DIR\"; env | grep -c \"$0\"",
        &deployment.key,
    ]);
    let lines: Vec<_> = shown.stdout.lines().collect();
    assert_eq!(lines[..4], ["tmpfs", "700", "600", "600"], "{shown:?}");
    let (metaflow, outerbounds) = lines[4].split_once(' ').expect("two folders");
    assert_eq!(metaflow, outerbounds);
    assert!(!Path::new(metaflow).exists(), "{metaflow} is gone");
    assert_eq!(lines[5], "0", "the key is in no variable");
}

/// The folder hides the person's own configuration, and the flow has no other: neither the program nor the entry is named by it.
#[test]
fn a_flow_below_exec_has_its_keys_of_the_agent_too() {
    let deployment = Deployment::new();
    let flow = deployment.flow("artifacts").command(&["run"]);
    let mut command = deployment.bench.profile.keyfob(&["exec", "outerbounds.prod", "--"]);
    command.arg(flow.get_program()).args(flow.get_args());
    if let Some(folder) = flow.get_current_dir() {
        command.current_dir(folder);
    }
    let variables = flow.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(variables);
    crate::service::through(&mut command, &deployment.bench.profile, deployment.bench.company.fronts());
    let output = run(command).ok();
    assert_eq!(output.said("RESULT"), ["2 squares"], "{output:?}");
    assert_eq!(super::sts_calls(&deployment.bench.company), 1);
    assert!(!super::flows::token_file().exists(), "their provider wrote a token");
    deployment.bench.assert_nothing_leaked(&[&output]);
}

#[test]
fn what_a_killed_exec_left_is_swept_by_the_next() {
    let deployment = Deployment::new();
    let note = deployment.bench.profile.path().join("where");
    let script = format!("echo $METAFLOW_HOME > '{0}.new'; mv '{0}.new' '{0}'; exec cat", note.display());
    let mut command =
        deployment.bench.profile.keyfob(&["exec", "outerbounds.prod", "--", "sh", "-c", &script]);
    command.stdin(std::process::Stdio::piped());
    let mut running = command.spawn().expect("it starts");
    wait_for("the command", keyfob_e2e::PATIENCE, || note.exists());
    let left = fs::read_to_string(&note).expect("its note");
    let left = Path::new(left.trim_end());
    running.kill().expect("our own process");
    running.wait().expect("our own process");
    assert!(left.join("config.json").exists(), "this is what the sweep is for");
    run(deployment.bench.profile.keyfob(&["exec", "outerbounds.prod", "--", "true"])).ok();
    assert!(!left.exists(), "{} is gone", left.display());
}

/// No `endpoint_url`: the addresses are those that the real command asks, by their names and with TLS.
#[test]
fn by_the_names_of_the_domain_we_ask_what_the_real_command_asks() {
    let deployment = Deployment::with(|company| {
        let entry = entry(company, "");
        let plain: String = entry
            .lines()
            .filter(|line| !line.starts_with("endpoint_url"))
            .fold(String::new(), |text, line| text + line + "\n");
        [plain, role(company)].concat()
    });
    let bench = &deployment.bench;
    let authority = bench.profile.path().join("authority.pem");
    fs::write(&authority, bench.company.fronts().authority()).expect("room for a file");
    let config = fs::read_to_string(bench.profile.config()).expect("the configuration");
    let network = format!(
        "[network]\nproxy = \"{}\"\nca_file = \"{}\"\n",
        bench.company.fronts().proxy_url(),
        authority.display()
    );
    bench.profile.configure(&[config, network].concat());
    let string = bench.company.outerbounds().magic_string(&deployment.key);
    bench.profile.run(&["token", "add", "outerbounds.prod"], string).ok();
    let config = bench.profile.run(&["metaflow", "prod"], "").ok();
    assert_eq!(config.json()["OBP_PERIMETER"], "default");
    bench.profile.credential_process("aws.prod").ok();
    let mut asked = bench.company.fronts().asked();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [format!("api.{DOMAIN}:443"), format!("auth.{DOMAIN}:443")]);
}
