//! Paths and line ends as Windows has them.

use std::fs;

use keyfob_windows_tests::{MEMORY, Profile, token};

use crate::{HOST, URI, token_of};

/// A name as a person may have it, and so their folder.
const ADA: &str = "Ada Łovelace 東京";

const AWS: &str = "[aws.legacy]\ncommand = [\"C:/no/such/program.exe\"]\nregion = \"eu-west-1\"\n";

#[test]
fn the_profile_folder_has_spaces_and_letters_of_any_script() {
    let profile = Profile::named(ADA, &token("aspect", HOST));
    profile.run(&["token", "add", "aspect"], "aw_here").ok();
    profile.run(&["agent", "restart"], "").ok();
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_here");
    assert!(profile.home().join("state").join("keyfobd.log").is_file());
    profile.run(&["token", "remove", "aspect"], "").ok();
}

/// Programs of Windows write lines so, and PowerShell ends what it pipes with it.
#[test]
fn lines_end_in_carriage_return_and_line_feed() {
    let config = [MEMORY, &token("aspect", HOST), AWS].concat().replace('\n', "\r\n");
    let profile = Profile::new(&config);
    profile.run(&["token", "add", "aspect"], "aw_piped\r\n").ok();
    let asked = format!("{{\r\n  \"uri\": \"{URI}\"\r\n}}\r\n");
    assert_eq!(token_of(&profile.run(&["get"], asked).ok()), "aw_piped");

    let file = profile.home().join(".aws").join("config");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let own = "[profile mine]\r\nregion = eu-west-3\r\n";
    fs::write(&file, own).unwrap();
    profile.run(&["setup", "aws"], "").ok();
    let once = fs::read_to_string(&file).unwrap();
    assert!(once.starts_with(own) && once.contains("credential_process"), "{once:?}");
    profile.run(&["setup", "aws"], "").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), once);
    profile.run(&["setup", "aws", "--remove"], "").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), own);
}

/// AWS tools split the line that names the program in different ways, some by cmd.exe: such a path is refused, with a way out.
/// The installer chooses a folder that is not (installers/windows/place.nsh).
#[test]
fn a_program_in_a_folder_with_spaces_answers_bazel_and_is_not_written_for_aws_tools() {
    let mut profile = Profile::new(&[MEMORY, &token("aspect", HOST), AWS].concat());
    let folder = profile.path().join(ADA).join("Keyfob");
    fs::create_dir_all(&folder).unwrap();
    for name in ["keyfob.exe", "keyfobd.exe"] {
        fs::copy(profile.programs().join(name), folder.join(name)).unwrap();
    }
    profile.use_programs(&folder);
    profile.run(&["token", "add", "aspect"], "aw_spaced").ok();
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_spaced");
    let refused = profile.run(&["setup", "aws"], "").exits(1);
    assert!(refused.stderr.contains("another folder"), "{refused:?}");
    assert!(!profile.home().join(".aws").exists());
}
