//! Folders and sockets: whose, how open, and how long a path.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use keyfob_e2e::{Foreigner, Output, Profile, Stage, run};

use crate::config;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn make(folder: &Path, mode: u32) {
    fs::DirBuilder::new().mode(mode).create(folder).expect("a new folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("this is ours to open");
}

/// By the command that starts it, and by hand: both say the same.
#[track_caller]
fn refused(profile: &Profile, code: i32) -> Output {
    let by_hand = run(profile.command(Stage::get().bin("keyfobd")), "").exits(code);
    let output = profile.run(&["agent", "start"], "").exits(code);
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert_eq!(by_hand.stderr, output.stderr);
    assert_eq!(profile.running_agent(), None);
    output
}

#[test]
fn sockets_are_private_in_a_private_folder() {
    let profile = Profile::new(&config());
    profile.start_agent();
    for folder in [profile.state(), profile.runtime()] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for socket in [profile.agent_socket(), profile.control_socket()] {
        assert_eq!(mode(&socket), 0o600, "{}", socket.display());
    }
    for file in ["agent.lock", "keyfobd.log"] {
        assert_eq!(mode(&profile.state().join(file)) & 0o077, 0, "{file}");
    }
}

#[test]
fn folders_that_others_can_enter_are_refused_by_name() {
    for open in [0o755, 0o750, 0o701, 0o770] {
        for which in ["run", "state"] {
            let profile = Profile::new(&config());
            let folder = profile.path().join(which);
            make(&folder, open);
            let output = refused(&profile, 1);
            let sentence =
                format!("the folder `{}` can be entered by others (mode {open:o})", folder.display());
            assert!(output.stderr.contains(&sentence), "{output:?}");
            assert!(output.stderr.contains(&format!("chmod 700 '{}'", folder.display())), "{output:?}");
            // The hint mends it.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
            profile.run(&["agent", "start"], "").ok();
        }
    }
}

#[test]
fn a_link_to_a_private_folder_is_refused() {
    let profile = Profile::new(&config());
    let private = profile.path().join("private");
    make(&private, 0o700);
    symlink(&private, profile.runtime()).unwrap();
    let output = refused(&profile, 1);
    assert!(output.stderr.contains(&format!("the folder `{}`", profile.runtime().display())), "{output:?}");
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let mut foreigner = Foreigner::meet();
    let socket = foreigner.listen("other.sock");
    let folder = socket.parent().unwrap();
    let sentence = format!("the folder `{}` belongs to user ", folder.display());

    let mut profile = Profile::new(&config());
    profile.set_runtime(folder);
    let output = refused(&profile, 1);
    assert!(output.stderr.contains(&sentence), "{output:?}");

    let mut profile = Profile::new(&config());
    profile.set("KEYFOB_STATE_DIR", folder);
    let output = refused(&profile, 1);
    assert!(output.stderr.contains(&sentence), "{output:?}");
    // It is the folder's owner alone that is wrong.
    let own = profile.path().join("state");
    profile.set("KEYFOB_STATE_DIR", own);
    profile.run(&["agent", "start"], "").ok();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let mut profile = Profile::new(&config());
    let folder = profile.path().join("file/run");
    fs::write(profile.path().join("file"), "").unwrap();
    profile.set_runtime(&folder);
    let output = refused(&profile, 1);
    assert!(
        output.stderr.contains(&format!("the folder `{}` cannot be made", folder.display())),
        "{output:?}"
    );
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_refused_with_the_way_out() {
    let mut profile = Profile::new(&config());
    let long = profile.path().join("r".repeat(120));
    make(&long, 0o700);
    profile.set_runtime(&long);
    let output = profile.run(&["agent", "start"], "");
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    assert!(output.stderr.contains(&format!("{}/", long.display())), "{output:?}");
    assert!(output.stderr.contains("is longer than 107 bytes"), "{output:?}");
    assert!(output.stderr.contains("set KEYFOB_RUNTIME_DIR to a shorter folder"), "{output:?}");
    let by_hand = run(profile.command(Stage::get().bin("keyfobd")), "").exits(1);
    assert!(by_hand.stderr.contains("is longer than 107 bytes"), "{by_hand:?}");
}

#[test]
fn relative_places_are_refused() {
    for name in ["KEYFOB_STATE_DIR", "KEYFOB_RUNTIME_DIR", "KEYFOB_CONFIG"] {
        let mut profile = Profile::new(&config());
        profile.set(name, "relative");
        let output = profile.run(&["agent", "start"], "").exits(1);
        assert!(output.stderr.contains("`relative` is not an absolute path"), "{name}: {output:?}");
    }
}
