//! Steps that fail, and runs that are ended between two of them.

use std::fs;
use std::process::Output;

use keyfob_ipc::{Code, Refusal};

use super::world::{Agent, KEY, PLAIN, World};
use crate::fake::{err, feed, out};

#[test]
fn a_key_that_cannot_be_had_back_stays_in_its_file() {
    type Fault = fn(&mut Agent);
    let faults: [(Fault, &str, i32); 5] = [
        (|agent| agent.garbles = true, "does not give its key back", 1),
        (
            |agent| drop(agent.refuses.insert("get", Refusal::new(Code::Locked, "keyfob is locked"))),
            "is locked",
            5,
        ),
        (
            |agent| drop(agent.refuses.insert("token-add", Refusal::new(Code::KeychainFailed, "it failed"))),
            "it failed",
            1,
        ),
        (|agent| drop(agent.refuses.insert("status", Refusal::new(Code::Offline, "no"))), "no", 1),
        (
            |agent| drop(agent.held.insert("token.metaflow".to_owned(), "other".to_owned())),
            "another key is held",
            1,
        ),
    ];
    for (fault, says, code) in faults {
        let world = World::new();
        world.put("config.json", PLAIN);
        fault(&mut world.agent());
        let output = world.run(&["import", "--yes"]);
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
        assert_eq!(world.file("config.json"), PLAIN);
        // The control: without the fault it moves.
        *world.agent() = Agent::default();
        assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
        assert!(!world.file("config.json").contains(KEY));
    }
}

#[test]
fn what_was_written_into_the_file_meanwhile_is_not_lost() {
    let world = World::new();
    world.put("config.json", PLAIN);
    let newer = PLAIN.replace(KEY, "newer");
    world.agent().edits = Some((world.path("config.json"), newer.clone()));
    let output = world.run(&["import", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("has changed meanwhile, and is left"), "{}", err(&output));
    assert_eq!(world.file("config.json"), newer);

    // The control: where the key is the same, the rest of the newer text stays.
    let world = World::new();
    world.put("config.json", PLAIN);
    world.agent().edits = Some((world.path("config.json"), PLAIN.replace("[1,", "[5,")));
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    assert!(world.file("config.json").contains("[5,") && !world.file("config.json").contains(KEY));
}

#[test]
fn a_run_that_was_ended_is_finished_by_the_next_one() {
    // Behind each of its steps: the entry, the keychain.
    let world = World::new();
    world.put("config.json", PLAIN);
    let lines = "[token.metaflow]\nhosts = [\"meta.acme.dev\"]\nheader = \"x-api-key\"\n";
    fs::write(world.profile.path("config.toml"), lines).unwrap();
    world.agent().held.insert("token.metaflow".to_owned(), KEY.to_owned());
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    assert_eq!((world.asked("token-add"), world.config().as_str()), (0, lines));
    let moved = world.file("config.json");
    assert!(!moved.contains(KEY));

    // Of the way back: the file is written beside, then in its place, and the key is still held.
    world.put("config.json.keyfob-4000000", PLAIN);
    assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
    assert_eq!(world.file("config.json"), PLAIN);
    // The key was there before the import that was not ended, as far as anybody knows.
    assert_eq!(world.agent().held.len(), 1);

    // The key is in the file, and still held; then it is held no more, and the mark is still there.
    world.agent().held.clear();
    assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
    let back = world.file("config.json").replace(
        "\"METAFLOW_KEYFOB_SERVICE\" : \"token.metaflow\"",
        &format!("\"METAFLOW_SERVICE_AUTH_KEY\" : \"{KEY}\""),
    );
    let held = world.agent().held.clone();
    for held in [held, [].into(), [("token.metaflow".to_owned(), "other".to_owned())].into()] {
        world.put("config.json", &back);
        world.agent().held.clone_from(&held);
        assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
        assert_eq!(world.file("config.json"), PLAIN);
        // A key that was never the file's is nobody's to forget.
        let is_other = held.values().any(|key| key != KEY);
        assert_eq!(world.agent().held.len(), usize::from(is_other));
        // Import goes on from there, too.
        world.put("config.json", &back);
        world.agent().held.retain(|_, key| key == KEY);
        assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
        assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
        assert_eq!((world.file("config.json").as_str(), world.agent().held.len()), (PLAIN, 0));
    }
}

/// What writes to files fails from the first byte on: with a refusal, or by a signal in the middle of it.
fn without_room(world: &World, arguments: &str, is_killed: bool) -> Output {
    let ignored = if is_killed { "" } else { "trap '' XFSZ; " };
    let line =
        format!("{ignored}ulimit -c 0; ulimit -f 0; exec '{}' {arguments}", env!("CARGO_BIN_EXE_keyfob"));
    feed(world.profile.command(std::path::Path::new("/bin/sh"), &["-c", &line]), b"")
}

#[test]
fn a_write_that_fails_or_is_cut_off_loses_nothing() {
    for is_killed in [false, true] {
        let world = World::new();
        world.put("config.json", PLAIN);
        let lines = "[token.metaflow]\nhosts = [\"meta.acme.dev\"]\nheader = \"x-api-key\"\n";
        fs::write(world.profile.path("config.toml"), lines).unwrap();
        let fails = |arguments: &str, file: &str| {
            let output = without_room(&world, arguments, is_killed);
            assert_eq!(output.status.code(), if is_killed { None } else { Some(1) });
            let said = format!("{}{}", out(&output), err(&output));
            assert!(!said.contains(KEY) && (is_killed || said.contains("cannot be written")), "{said}");
            assert_eq!(
                (world.file("config.json").as_str(), world.agent().held["token.metaflow"].as_str()),
                (file, KEY)
            );
            let left = fs::read_dir(world.path("")).unwrap().count();
            assert_eq!(left, if is_killed { 2 } else { 1 }, "beside the file");
        };
        fails("import --yes", PLAIN);
        assert_eq!(world.run(&["import", "--yes"]).status.code(), Some(0));
        let moved = world.file("config.json");
        assert!(!moved.contains(KEY));
        fails("import --undo", &moved);
        assert_eq!(world.run(&["import", "--undo"]).status.code(), Some(0));
        // It was held before the import that moved it.
        assert_eq!((world.file("config.json").as_str(), world.agent().held.len()), (PLAIN, 1));
    }
}
