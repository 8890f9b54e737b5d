//! `keyfob import`: the key is in the file or with the agent, at every moment, and nowhere else.

mod failing;
mod guarded;
mod orders;
mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use serde_json::json as value;

use self::world::{CONFIG_URL, KEY, PLAIN, World, with_program};
use crate::fake::{err, out};
use crate::json;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_moves_into_a_new_entry_and_back_to_the_byte() {
    let world = World::new();
    world.put("config.json", PLAIN);
    world.put("ob_config.json", "{\"METAFLOW_SERVICE_AUTH_KEY\": \"not one of Metaflow's files\"}");
    fs::set_permissions(world.path("config.json"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(world.profile.path("config.toml"), "[agent]\nreminders = [\"7d\"] # mine").unwrap();

    let output = world.run(&["import", "--yes"]);
    assert_eq!((output.status.code(), world.asked("token-add")), (Some(0), 1), "{}", err(&output));
    let lines = "[token.metaflow]\nhosts = [\"meta.acme.dev\"]\nheader = \"x-api-key\"\n";
    assert_eq!(world.config(), format!("[agent]\nreminders = [\"7d\"] # mine\n\n{lines}"));
    for line in lines.lines() {
        assert!(out(&output).contains(&format!("\n    {line}\n")), "{}", out(&output));
    }
    let moved = PLAIN.replace(
        "\"METAFLOW_SERVICE_AUTH_KEY\" : \"s3rvice-k3y\"",
        "\"METAFLOW_KEYFOB_SERVICE\" : \"token.metaflow\"",
    );
    let moved = with_program(&moved, ",\r\n  ", ": ");
    assert_eq!((world.file("config.json"), mode(&world.path("config.json"))), (moved, 0o600));
    assert_eq!(world.agent().held["token.metaflow"], KEY);
    assert!(out(&world.run(&["import"])).contains("nothing that keyfob knows is in plain text"));

    fs::set_permissions(world.path("config.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = world.run(&["import", "--undo"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("its lines in"), "{}", err(&output));
    assert_eq!((world.file("config.json").as_str(), mode(&world.path("config.json"))), (PLAIN, 0o600));
    assert!(world.agent().held.is_empty());
    assert!(world.config().ends_with(lines));
    // The entry is used again.
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    assert_eq!(world.config().matches("[token.").count(), 1);
}

#[test]
fn a_deployment_of_outerbounds_gets_an_entry_of_its_own() {
    let world = World::new();
    let plain = format!(
        "{{\"OBP_METAFLOW_CONFIG_URL\": \"{CONFIG_URL}\", \"METAFLOW_SERVICE_AUTH_KEY\": \"{KEY}\"}}\n"
    );
    world.put("config_work.json", &plain);
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    assert_eq!(
        world.config(),
        "[outerbounds.foo-blue]\ndomain = \"foo.obp.outerbounds.com\"\nperimeter = \"blue\"\n"
    );
    assert_eq!(
        world.file("config_work.json"),
        with_program(
            &format!(
                "{{\"OBP_METAFLOW_CONFIG_URL\": \"{CONFIG_URL}\", \"METAFLOW_KEYFOB_SERVICE\": \"outerbounds.foo-blue\"}}\n"
            ),
            ", ",
            ": "
        )
    );
    assert_eq!(world.agent().held["outerbounds.foo-blue"], KEY);
    assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
    assert_eq!(world.file("config_work.json"), plain);
}

#[test]
fn a_check_names_what_is_there_and_changes_nothing() {
    let world = World::new();
    assert_eq!(world.run(&["import", "--check"]).status.code(), Some(0));
    world.put("config.json", PLAIN);
    world.put("config_x.json", "{\"METAFLOW_SERVICE_AUTH_KEY\": \"\"}");
    let output = world.run(&["import", "--check"]);
    assert_eq!(output.status.code(), Some(6));
    let file = world.path("config.json").display().to_string();
    assert_eq!(out(&output), format!("keyfob: `{file}` has METAFLOW_SERVICE_AUTH_KEY in plain text\n"));
    let report = json(&out(&world.run(&["import", "--check", "--json"])));
    assert_eq!(report["found"], value!([{"file": file, "name": "METAFLOW_SERVICE_AUTH_KEY"}]));
    assert_eq!((world.file("config.json").as_str(), world.profile.asked().len()), (PLAIN, 0));

    world.put("config.json", "{}");
    let output = world.run_with(&["import", "--check"], &[("METAFLOW_SERVICE_AUTH_KEY", KEY)]);
    assert_eq!(output.status.code(), Some(6));
    assert!(out(&output).contains("is set in the environment"), "{}", out(&output));
}

#[test]
fn nothing_moves_without_a_word() {
    let world = World::new();
    world.put("config.json", PLAIN);
    for arguments in [&["import"][..], &["import", "--json"]] {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err(&output).ends_with("keyfob: nothing was moved. Run: keyfob import --yes\n"),
            "{}",
            err(&output)
        );
    }
    assert_eq!((world.file("config.json").as_str(), world.config().as_str()), (PLAIN, ""));
    assert_eq!(world.asked("token-add"), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_is_asked_once() {
    use crate::terminal::Session;
    let world = World::new();
    world.put("config.json", PLAIN);
    world.put("config_b.json", PLAIN);
    for (typed, code) in [("\r", 1), ("yess\r", 1), ("y\r", 0)] {
        let mut session = Session::start(&world.profile, &["import"], &[], false);
        session.sees("Move them? [y/N] ");
        session.types(typed);
        let (exit, screen, _) = session.ends();
        assert_eq!((exit, screen.matches("[y/N]").count()), (Some(code), 1), "{screen}");
        assert!(!screen.contains(KEY), "{screen}");
        assert_eq!(world.file("config.json") == PLAIN, code == 1);
    }
    assert_eq!(world.file("config_b.json"), world.file("config.json"));
    assert_eq!(world.config().matches('[').count(), 2);
}

#[test]
fn a_configuration_that_does_not_load_with_the_entry_is_put_back() {
    let before = "token = {} # no table can follow\n";
    for config in [Some(before), None] {
        let world = World::new();
        world.put("config.json", PLAIN);
        if let Some(config) = config {
            fs::write(world.profile.path("config.toml"), config).unwrap();
        }
        world.agent().is_picky = true;
        let output = world.run(&["import", "--yes"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("does not load: line 3"), "{}", err(&output));
        assert_eq!(fs::read_to_string(world.profile.path("config.toml")).ok().as_deref(), config);
        assert_eq!((world.file("config.json").as_str(), world.asked("token-add")), (PLAIN, 0));
    }
}

#[test]
fn files_that_are_none_are_named_and_the_others_move() {
    let world = World::new();
    world.put("config_good.json", PLAIN);
    world.put("config_list.json", "[\"METAFLOW_SERVICE_AUTH_KEY\"]");
    world.put("config_text.json", &format!("METAFLOW_SERVICE_AUTH_KEY={KEY}"));
    world.put(
        "config_twice.json",
        &format!("{{\"METAFLOW_SERVICE_AUTH_KEY\":\"{KEY}\",\"METAFLOW_SERVICE_AUTH_KEY\":1}}"),
    );
    world.put("config_huge.json", &format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20)));
    world.put("config_http.json", &PLAIN.replace("https:", "http:"));
    fs::create_dir(world.path("config_folder.json")).unwrap();
    symlink("config_circle.json", world.path("config_circle.json")).unwrap();
    // Every Unix has the program, and not all have the call.
    assert!(
        std::process::Command::new("mkfifo").arg(world.path("config_fifo.json")).status().unwrap().success()
    );
    // Whoever may give files away does; everybody else meets one of root's.
    if rustix::process::geteuid().is_root() {
        world.put("config_theirs.json", PLAIN);
        chown(world.path("config_theirs.json"), Some(65_534), None).unwrap();
    } else {
        symlink("/etc/hosts", world.path("config_theirs.json")).unwrap();
    }
    fs::write(world.profile.path("elsewhere.json"), PLAIN).unwrap();
    symlink(world.profile.path("elsewhere.json"), world.path("config_link.json")).unwrap();

    let output = world.run(&["import", "--yes", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&out(&output));
    let names = |list: &str, member: &str| -> Vec<String> {
        let all = report[list].as_array().unwrap().iter();
        all.map(|one| one[member].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names("moved", "file"), ["config_good.json", "elsewhere.json"], "{report}");
    let left = ["circle", "fifo", "folder", "huge", "list", "text", "theirs", "twice", "http"];
    let mut left: Vec<String> = left.iter().map(|name| format!("config_{name}.json")).collect();
    left.sort();
    let mut names = names("left", "file");
    names.sort();
    assert_eq!(names, left, "{report}");
    let why = "config_theirs.json` belongs to somebody else";
    assert!(report["left"].to_string().contains(why), "{report}");
    assert!(fs::symlink_metadata(world.path("config_link.json")).unwrap().is_symlink());
    assert!(!fs::read_to_string(world.profile.path("elsewhere.json")).unwrap().contains(KEY));
}

#[test]
fn entries_that_cannot_take_the_key_are_told_apart() {
    for (config, says) in [
        (
            "[token.x]\nhosts = \"meta.acme.dev\"\nheader = \"Authorization\"\n",
            "token.x has the host `meta.acme.dev` already, with another header",
        ),
        (
            "[outerbounds.x]\ndomain = \"foo.obp.outerbounds.com\"\nperimeter = \"red\"\n",
            "already, for another perimeter",
        ),
        (
            "[outerbounds.x]\ndomain = \"foo.obp.outerbounds.com\"\nperimeter = \"blue\"\nmachine = \"ci\"\n",
            "gets its key through machine.ci",
        ),
    ] {
        let world = World::new();
        let plain =
            PLAIN.replace("\"a\":", &format!("\"OBP_METAFLOW_CONFIG_URL\": \"{CONFIG_URL}\", \"a\":"));
        let plain = if config.starts_with("[token") { PLAIN } else { plain.as_str() };
        world.put("config.json", plain);
        fs::write(world.profile.path("config.toml"), config).unwrap();
        let output = world.run(&["import", "--yes"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(says), "{}", err(&output));
        assert_eq!((world.file("config.json").as_str(), world.config().as_str()), (plain, config));
    }
}

#[test]
fn names_that_are_taken_are_not_taken_again() {
    let world = World::new();
    let at = |host: &str| PLAIN.replace("meta.acme.dev", host);
    world.put("config.json", &at("a.acme.dev"));
    world.put("config_metaflow.json", &at("b.acme.dev"));
    world.put("config_Te st.json", &at("c.acme.dev"));
    fs::write(world.profile.path("config.toml"), "[token.metaflow]\nhosts = \"z.acme.dev\"\n").unwrap();
    let output = world.run(&["import", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let names: Vec<String> =
        world.config().lines().filter(|line| line.starts_with("[token")).map(str::to_owned).collect();
    assert_eq!(
        names,
        ["[token.metaflow]", "[token.metaflow-2]", "[token.metaflow-te-st]", "[token.metaflow-metaflow]"]
    );
}

#[test]
fn a_key_that_something_else_needs_is_not_forgotten() {
    let world = World::new();
    let plain =
        format!("{{\"OBP_METAFLOW_CONFIG_URL\":\"{CONFIG_URL}\",\"METAFLOW_SERVICE_AUTH_KEY\":\"{KEY}\"}}");
    world.put("config.json", &plain);
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    let role = "[aws.prod]\nouterbounds = \"foo-blue\"\n";
    fs::write(world.profile.path("config.toml"), format!("{}\n{role}", world.config())).unwrap();
    let output = world.run(&["import", "--undo"]);
    assert_eq!((output.status.code(), world.file("config.json")), (Some(0), plain));
    assert!(
        err(&output).contains("outerbounds.foo-blue keeps the key, too: aws.prod needs it"),
        "{}",
        err(&output)
    );
    assert_eq!(world.agent().held.len(), 1);
}

#[test]
fn the_key_of_another_entry_is_not_put_into_the_file() {
    let world = World::new();
    world.put(
        "config.json",
        &PLAIN.replace(
            "\"METAFLOW_SERVICE_AUTH_KEY\" : \"s3rvice-k3y\"",
            "\"METAFLOW_KEYFOB_SERVICE\":\"token.mine\",\"METAFLOW_KEYFOB_SETUP\":\"import\"",
        ),
    );
    let before = world.file("config.json");
    let mine = "[token.mine]\nhosts = \"*.acme.dev\"\nheader = \"x-api-key\"\n";
    let other = "[token.other]\nhosts = \"meta.acme.dev\"\nheader = \"x-api-key\"\n";
    fs::write(world.profile.path("config.toml"), format!("{mine}{other}")).unwrap();
    world.agent().held.insert("token.mine".to_owned(), KEY.to_owned());
    world.agent().held.insert("token.other".to_owned(), "other".to_owned());
    let output = world.run(&["import", "--undo"]);
    assert_eq!((output.status.code(), world.file("config.json")), (Some(1), before), "{}", err(&output));
    assert_eq!((world.agent().held.len(), world.asked("token-remove")), (2, 0));
    // The control: without the other entry it is put back.
    fs::write(world.profile.path("config.toml"), mine).unwrap();
    assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
    assert!(world.file("config.json").contains(KEY));
}
