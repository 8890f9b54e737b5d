//! `keyfob metaflow` and `credential-process --task-role`, with an agent of a few lines.

use keyfob_ipc::reply::MetaflowConfig;
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};

use crate::fake::{Profile, err, out};
use crate::{json, refused};

pub const CONFIG: &str =
    r#"{"METAFLOW_SERVICE_AUTH_KEY":"s3cret","METAFLOW_SERVICE_URL":"https://md.foo.example"}"#;

pub fn config(url: Option<&str>) -> Reply {
    Reply::Metaflow(Box::new(MetaflowConfig {
        entry: "outerbounds.prod".to_owned(),
        config: Secret::from(CONFIG),
        perimeter: "default".to_owned(),
        url: url.map(str::to_owned),
    }))
}

#[test]
fn the_configuration_is_written_as_it_came() {
    let profile = Profile::with_agent(Door::Tool, |_, _| config(None).into());
    for arguments in [&["metaflow", "prod"][..], &["metaflow", "outerbounds.prod", "--json"]] {
        let output = profile.keyfob(arguments, b"");
        assert_eq!(
            (output.status.code(), out(&output)),
            (Some(0), format!("{CONFIG}\n")),
            "{}",
            err(&output)
        );
    }
    let asked = json(r#"{"metaflow":{"name":"outerbounds.prod"}}"#);
    assert_eq!(profile.asked(), [asked.clone(), asked]);
}

#[test]
fn a_refusal_is_the_agents() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        refused(Refusal::new(Code::TokenNeeded, "no key is kept for it").hint("keyfob token add prod")).into()
    });
    let output = profile.keyfob(&["metaflow", "prod"], b"");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(3), ""));
    assert_eq!(err(&output), "keyfob: no key is kept for it. Run: keyfob token add prod\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_it_only_where_that_is_said() {
    use crate::terminal::Session;
    let profile = Profile::with_agent(Door::Tool, |_, _| config(None).into());
    let (code, screen, _) = Session::start(&profile, &["metaflow", "prod"], &[], false).ends();
    assert_eq!(code, Some(1));
    assert_eq!(
        screen,
        "keyfob: the configuration holds a key, so it is not written to a terminal. Run: keyfob metaflow \
         outerbounds.prod --json\n"
    );
    assert!(profile.asked().is_empty(), "and nothing is asked for in vain");
    let (_, screen, _) = Session::start(&profile, &["metaflow", "prod", "--json"], &[], false).ends();
    assert_eq!(screen, format!("{CONFIG}\n"));
}

#[test]
fn the_role_of_tasks_is_asked_for_by_name() {
    let profile =
        Profile::with_agent(Door::Tool, |_, _| refused(Refusal::new(Code::RoleRefused, "refused")).into());
    // The first is answered before clap, the second by it.
    for arguments in [["aws.prod", "--task-role"], ["--task-role", "aws.prod"]] {
        profile.keyfob(&[&["credential-process"], &arguments[..]].concat(), b"");
    }
    let asked = json(r#"{"credential-process":{"name":"aws.prod","task_role":true}}"#);
    assert_eq!(profile.asked(), [asked.clone(), asked]);
    let both = ["credential-process", "aws.prod", "--task-role", "--role-arn", "arn:aws:iam::1:role/x"];
    assert_eq!(profile.keyfob(&both, b"").status.code(), Some(2));
}
