//! Keys that would be lost or left behind, other people's entries and files, and two runs at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

use keyfob_ipc::{Code, Refusal};

use super::world::{KEY, PLAIN, World};
use crate::fake::{err, feed, out};
use crate::json;

const LINES: &str = "[token.metaflow]\nhosts = [\"meta.acme.dev\"]\nheader = \"x-api-key\"\n";

fn configure(world: &World, config: &str) {
    fs::write(world.profile.path("config.toml"), config).unwrap();
}

fn hold(world: &World, entry: &str, key: &str) {
    world.agent().held.insert(entry.to_owned(), key.to_owned());
}

/// A file whose key is in an entry, with these words remembered.
fn moved(entry: &str, words: &str) -> String {
    let members = [("SERVICE", entry), ("SETUP", words)]
        .map(|(name, value)| format!("\"METAFLOW_KEYFOB_{name}\":\"{value}\""));
    PLAIN.replace(&format!("\"METAFLOW_SERVICE_AUTH_KEY\" : \"{KEY}\""), &members.join(","))
}

fn says(output: &Output, code: i32, say: &str) {
    let said = format!("{}{}", out(output), err(output));
    assert_eq!((output.status.code(), said.contains(say)), (Some(code), true), "{said}");
}

#[test]
fn a_key_is_not_moved_into_memory() {
    let world = World::new();
    world.put("config.json", PLAIN);
    world.agent().keychain = "memory";
    says(&world.run(&["import", "--yes"]), 1, "would be gone with the agent. Next: write `keychain = ");
    world.agent().keychain = "system";
    let output = world.run_with(&["import", "--yes"], &[("KEYFOB_JOB", "1")]);
    says(&output, 1, "would be gone with the job. Run: keyfob import, outside of the job");
    assert_eq!((world.file("config.json").as_str(), world.config().as_str()), (PLAIN, ""));
    assert_eq!(world.asked("token-add"), 0);
    // What a file keeps outlives the agent.
    world.agent().keychain = "file";
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    // What is in memory already can be put back.
    world.agent().keychain = "memory";
    assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
    assert_eq!(world.file("config.json"), PLAIN);
}

#[test]
fn a_second_run_waits_and_is_refused() {
    let world = World::new();
    world.put("config.json", PLAIN);
    world.put("config_b.json", &moved("token.metaflow", "import moved"));
    let lock = fs::File::create(world.profile.path("state/import.lock")).unwrap();
    lock.try_lock().unwrap();
    for arguments in [&["import", "--yes"][..], &["import", "--undo"]] {
        let output = world.run(arguments);
        says(&output, 1, "another `keyfob import` runs; its end is waited for\n");
        says(&output, 1, "another `keyfob import` runs, and nothing was changed");
    }
    assert_eq!((world.config().as_str(), world.asked("token-add")), ("", 0));
    assert_eq!(world.run(&["import", "--check"]).status.code(), Some(6), "which changes nothing");
    // The control: the lock is all that stood in the way.
    drop(lock);
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
}

#[test]
fn two_runs_at_once_leave_the_entries_of_both() {
    let world = World::new();
    let folders = ["one", "two", "three"].map(|name| {
        let folder = world.profile.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), PLAIN.replace("meta.", &format!("{name}."))).unwrap();
        folder
    });
    let program = Path::new(env!("CARGO_BIN_EXE_keyfob"));
    std::thread::scope(|scope| {
        for folder in &folders {
            let world = &world;
            scope.spawn(move || {
                let mut command = world.profile.command(program, &["import", "--yes"]);
                command.env("METAFLOW_HOME", folder);
                assert_eq!(feed(command, b"").status.code(), Some(0));
            });
        }
    });
    assert_eq!(world.config().matches("[token.").count(), 3, "{}", world.config());
    assert_eq!(world.agent().held.len(), 3);
}

#[test]
fn an_entry_whose_key_is_refused_is_taken_back_or_named() {
    let refusal = || Some(Refusal::new(Code::TokenInvalid, "the service does not take it"));
    for before in [None, Some("# mine\n[agent]")] {
        let world = World::new();
        world.put("config.json", PLAIN);
        before.iter().for_each(|before| configure(&world, before));
        world.agent().hook = Some(Box::new(move |kind, _| refusal().filter(|_| kind == "token-add")));
        let output = world.run(&["import", "--yes"]);
        says(&output, 1, "the service does not take it");
        assert!(!err(&output).contains("stays in"), "{}", err(&output));
        assert_eq!(fs::read_to_string(world.profile.path("config.toml")).ok().as_deref(), before);
        // Where somebody has gone on from there, nothing of theirs is lost.
        let config = world.profile.path("config.toml");
        world.agent().hook = Some(Box::new(move |kind, _| {
            let refusal = refusal().filter(|_| kind == "token-add")?;
            let text = fs::read_to_string(&config).unwrap();
            fs::write(&config, format!("{text}[token.theirs]\n")).unwrap();
            Some(refusal)
        }));
        says(&world.run(&["import", "--yes"]), 1, "; [token.metaflow] stays in `");
        assert!(world.config().ends_with(&format!("{LINES}[token.theirs]\n")), "{}", world.config());
        assert_eq!(world.file("config.json"), PLAIN);
    }
    // An entry that was taken back is there for the next key.
    let world = World::new();
    world.put("config.json", PLAIN);
    world.put("config_b.json", PLAIN);
    world.agent().hook =
        Some(Box::new(move |kind, count| refusal().filter(|_| kind == "token-add" && count == 1)));
    says(&world.run(&["import", "--yes"]), 1, "the service does not take it");
    assert_eq!((world.config().as_str(), world.file("config.json").as_str()), (LINES, PLAIN));
    assert!(!world.file("config_b.json").contains(KEY));
}

#[test]
fn a_key_does_not_leave_the_file_without_its_entry() {
    let world = World::new();
    world.put("config.json", PLAIN);
    let config = world.profile.path("config.toml");
    world.agent().hook = Some(Box::new(move |kind, count| {
        // Behind the proof.
        if kind == "get" && count == 2 {
            fs::write(&config, "").unwrap();
        }
        None
    }));
    let output = world.run(&["import", "--yes"]);
    says(&output, 1, "is left: the configuration has no token.metaflow any more");
    assert_eq!(world.file("config.json"), PLAIN);
}

#[test]
fn undoing_forgets_only_what_an_import_has_moved() {
    let other = LINES.replace("\"]", "\", \"b.acme.dev\"]");
    for (config, file, say) in [
        (LINES, moved("token.metaflow", "import"), "keeps the key, too: it had it before the import"),
        (
            other.as_str(),
            moved("token.metaflow", "import moved"),
            "keeps the key, too: it is for `b.acme.dev`",
        ),
        (LINES, PLAIN.to_owned(), "no file of Metaflow's has its key here"),
        (LINES, moved("token.metaflow", "service"), "no file of Metaflow's has its key here"),
        // The control.
        (LINES, moved("token.metaflow", "import moved"), "token.metaflow is forgotten here"),
    ] {
        let world = World::new();
        configure(&world, config);
        hold(&world, "token.metaflow", KEY);
        world.put("config.json", &file);
        says(&world.run(&["import", "--undo"]), 0, say);
        assert_eq!(world.agent().held.is_empty(), say.contains("is forgotten"), "{say}");
        assert_eq!(world.file("config.json").contains(KEY), !file.contains("\"service\""), "{say}");
    }
}

#[test]
fn the_key_of_two_files_goes_with_the_last_of_them() {
    let world = World::new();
    for name in ["config.json", "config_b.json"] {
        world.put(name, PLAIN);
    }
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    let second = world.file("config_b.json");
    world.put("config_b.json", &second.replace("import moved", "service"));
    says(&world.run(&["import", "--undo"]), 0, "config_b.json` needs it");
    assert_eq!(world.file("config.json"), PLAIN);
    world.put("config_b.json", &second);
    says(&world.run(&["import", "--undo"]), 0, "token.metaflow is forgotten here");
    assert_eq!((world.file("config_b.json").as_str(), world.agent().held.len()), (PLAIN, 0));
}

#[test]
fn a_file_that_merely_names_an_entry_gets_no_key() {
    let elsewhere = |file: String| file.replace("https://meta.acme.dev", "https://evil.test");
    for (file, say) in [
        (moved("token.metaflow", ""), "was written by no import"),
        (moved("token.metaflow", "file empty"), "was written by no import"),
        (
            elsewhere(moved("token.metaflow", "import moved")),
            "`token.metaflow` is not the entry of its service",
        ),
        (
            moved("token.metaflow", "import").replace("METAFLOW_SERVICE_URL", "x"),
            "it has no METAFLOW_SERVICE_URL",
        ),
        (moved("$(id)", "import"), "its METAFLOW_KEYFOB_SERVICE is the name of no entry"),
        (moved("token.metaflow\",\"METAFLOW_SERVICE_AUTH_KEY\":\"x", "import"), "it has both"),
    ] {
        let world = World::new();
        configure(&world, LINES);
        hold(&world, "token.metaflow", KEY);
        world.put("config.json", &file);
        let output = world.run(&["import", "--undo"]);
        says(&output, 1, say);
        assert!(!err(&output).contains("$(id)"), "{}", err(&output));
        assert_eq!((world.file("config.json"), world.agent().held.len()), (file, 1));
    }
}

#[test]
fn a_second_name_of_the_file_would_keep_the_key() {
    let world = World::new();
    world.put("config.json", PLAIN);
    fs::hard_link(world.path("config.json"), world.profile.path("copy")).unwrap();
    says(&world.run(&["import", "--yes"]), 1, "is left: it has a second name (a hard link)");
    assert_eq!((world.file("config.json").as_str(), world.config().as_str()), (PLAIN, ""));
    assert!(world.agent().held.is_empty());
    fs::remove_file(world.profile.path("copy")).unwrap();
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
}

#[test]
fn what_a_killed_run_left_is_removed_where_the_file_is() {
    let world = World::new();
    let repository = world.profile.path("repository");
    fs::create_dir(&repository).unwrap();
    fs::write(repository.join("metaflow"), "{}").unwrap();
    for name in ["metaflow.keyfob-4000000", "metaflow.keyfob-mine", "other.keyfob-4000000"] {
        fs::write(repository.join(name), PLAIN).unwrap();
    }
    symlink(repository.join("metaflow"), world.path("config.json")).unwrap();
    says(&world.run(&["import"]), 0, "nothing that keyfob knows is in plain text");
    let mut names: Vec<_> = fs::read_dir(&repository)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["metaflow", "metaflow.keyfob-mine", "other.keyfob-4000000"]);
}

#[test]
fn a_key_that_others_may_know_is_to_be_made_anew() {
    let say = "may be known to others";
    for (mode, is_in_git) in [(0o600, false), (0o644, false), (0o600, true)] {
        let world = World::new();
        world.put("config.json", PLAIN);
        fs::set_permissions(world.path("config.json"), fs::Permissions::from_mode(mode)).unwrap();
        if is_in_git {
            fs::create_dir(world.profile.path("home/.git")).unwrap();
        }
        let output = world.run(&["import", "--yes"]);
        assert_eq!(output.status.code(), Some(0));
        let is_said = err(&output).contains(say) && err(&output).contains(": make a new one");
        assert_eq!(is_said, mode != 0o600 || is_in_git, "{}", err(&output));
    }
}

#[test]
fn a_second_profile_is_said() {
    for own_profile in [false, true] {
        let world = World::new();
        world.put("config.json", PLAIN);
        world.agent().own_profile = own_profile;
        let output = world.run(&["import", "--yes"]);
        let say = "Metaflow must run with the same KEYFOB_ variables and HOME as this command";
        assert_eq!((output.status.code(), err(&output).contains(say)), (Some(0), own_profile));
    }
}

#[test]
fn a_path_that_is_more_than_a_path_to_a_shell_is_in_no_command() {
    for (name, is_plain) in [("flows", true), ("it's$(id)", false)] {
        let world = World::new();
        configure(&world, "[aws.dev]\n");
        let folder = world.profile.path(name);
        fs::create_dir(&folder).unwrap();
        let file = folder.join("config_x.json");
        fs::write(&file, PLAIN).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let home = folder.display().to_string();
        let run = |arguments: &[&str]| world.run_with(arguments, &[("METAFLOW_HOME", &home)]);
        let output = run(&["setup", "metaflow", "--file", file.to_str().unwrap()]);
        let way = format!(": chmod 600 {}\n", file.display());
        assert_eq!(err(&output).contains(&way), is_plain, "{}", err(&output));
        assert_eq!(err(&output).contains("chmod"), is_plain, "{}", err(&output));
        // What it asks for is gone, then no name at all.
        configure(&world, "");
        let hints = |shown: &str| {
            let report = json(&out(&run(&["doctor", "--json"])));
            let checks = report["checks"].as_array().unwrap().clone();
            let mut hints = checks.iter().filter(|check| check["name"] == "metaflow");
            hints.find(|check| check.to_string().contains(shown)).unwrap()["hint"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let again = match is_plain {
            true => format!("keyfob setup metaflow --file {}", file.display()),
            false => "keyfob setup metaflow --file FILE".to_owned(),
        };
        let hint = hints("aws.dev");
        assert!(
            hint.starts_with("add [aws.dev] to ") && hint.ends_with(&format!("or {again} NAME")),
            "{hint}"
        );
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("aws.dev", "aws.'; id")).unwrap();
        let hint = hints("asks for an entry by what can be the name of none");
        assert_eq!(hint, again);
        assert!(!out(&run(&["doctor", "--json"])).contains("; id"));
    }
}
