//! How the line of `credential_process` is taken apart.

use std::fs;

use keyfob_e2e::real::{Sdk, together};
use keyfob_e2e::{Profile, Stage, run};
use serde_json::{Value, json};

use crate::{DEV, Recorder, assert_everybody_is, aws, company, line, sdk, shell, signed_in, write_default};

/// Case 2: without a shell (botocore) and through one (Go, Java, JavaScript, Rust) the arguments are the same.
#[test]
fn case_02_a_line_with_quotes_gives_the_same_arguments_everywhere() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let recorder = Recorder::new(&profile);
    let sts = &company.addresses().sts_url;
    let written = recorder.line("\"credential-process\" \"aws.dev\"");
    write_default(&profile, &written, "");
    assert_everybody_is(&profile, sts, DEV);
    run(shell(&profile, &written), "").ok();
    assert_eq!(recorder.take_starts(), ["[credential-process][aws.dev]"; 5]);
    // Nothing is made of an argument with a space in it, but it arrives as one.
    let written = recorder.line("credential-process --foo --bar \"one two\"");
    write_default(&profile, &written, "");
    aws(&profile, sts, &["sts", "get-caller-identity"]);
    for one in Sdk::ALL {
        sdk(&profile, one, sts).fail("identity");
    }
    run(shell(&profile, &written), "").exits(2);
    // JavaScript and Rust may try again.
    let mut starts = recorder.take_starts();
    assert!(starts.len() >= 5, "{starts:?}");
    starts.dedup();
    assert_eq!(starts, ["[credential-process][--foo][--bar][one two]"]);
}

/// What botocore makes of a line, on this system and on Windows.
fn split(profile: &Profile, line: &str) -> Value {
    const SCRIPT: &str = "\
import json, sys
from botocore.compat import compat_shell_split
print(json.dumps([compat_shell_split(sys.argv[1], system) for system in ('linux', 'win32')]))";
    let mut command = profile.command(Stage::get().python("python"));
    command.args(["-c", SCRIPT, line]);
    run(command, "").ok().json()
}

/// What `cmd.exe /C` runs of what follows it (`cmd /?`): a first quote goes, and the last one with it, but where there are
/// exactly two, nothing special between them, and a program's name.
fn after_cmd(line: &str) -> String {
    let quotes = line.matches('"').count();
    let between = line.split('"').nth(1).unwrap_or_default();
    let is_program = between.ends_with(".exe") && between.contains(' ');
    let is_special = line.contains(['&', '<', '>', '(', ')', '@', '^', '|']);
    match line.strip_prefix('"') {
        Some(rest) if quotes != 2 || is_special || !is_program => match rest.rsplit_once('"') {
            Some((before, after)) => format!("{before}{after}"),
            None => rest.to_owned(),
        },
        _ => line.to_owned(),
    }
}

/// Case 13: what we write into a profile means the same to everybody who may take it apart, and what would not is not written.
#[test]
fn case_13_a_line_of_ours_needs_no_quotes_on_any_system() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let printed = profile.run(&["setup", "aws", "--print"], "").ok().stdout;
    let ours = printed.lines().find_map(|line| line.strip_prefix("credential_process = ")).expect("a line");
    assert_eq!(ours, line("aws.dev"));
    let words = json!(ours.split(' ').collect::<Vec<_>>());
    assert_eq!(split(&profile, ours), json!([words, words]));
    assert_eq!(after_cmd(ours), ours, "Go");
    assert_eq!(after_cmd(&format!("\"{ours}\"")), ours, "Rust");
    // The control: a path with a space comes through in one way alone.
    let spaced = r#""C:\Program Space\keyfob.exe" credential-process "aws.dev""#;
    let whole = json!([r"C:\Program Space\keyfob.exe", "credential-process", "aws.dev"]);
    assert_eq!(split(&profile, spaced)[1], whole);
    assert_eq!(after_cmd(&format!("\"{spaced}\"")), spaced, "Rust");
    assert_ne!(after_cmd(spaced), spaced, "Go");
}

/// Case 13, with a real program in such a place.
#[test]
fn case_13_in_a_path_with_a_space_it_is_refused_by_setup_and_works_in_quotes() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let folder = profile.path().join("Program Space");
    fs::create_dir(&folder).expect("room for a folder");
    let keyfob = folder.join("keyfob");
    keyfob_e2e::process::copy_program(Stage::get().bin("keyfob"), &keyfob);
    let mut setup = profile.command(&keyfob);
    setup.args(["setup", "aws"]);
    let refused = run(setup, "");
    assert!(refused.code > 0 && refused.stderr.contains("install keyfob in another folder"), "{refused:?}");
    assert!(!profile.home().join(".aws").exists(), "nothing is written");
    let written = format!("\"{}\" credential-process aws.dev", keyfob.display());
    write_default(&profile, &written, "");
    assert_everybody_is(&profile, &company.addresses().sts_url, DEV);
    run(shell(&profile, &written), "").ok();
}
