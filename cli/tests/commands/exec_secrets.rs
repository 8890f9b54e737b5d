//! `keyfob exec` with secrets, with an agent of a few lines.

use std::process::Output;

use keyfob_ipc::Door;

use crate::exec::keys;
use crate::fake::{Act, Profile, err, feed, out};
use crate::secret::values;

/// An agent with some secrets, `aws.dev` and `outscale.monitoring`.
fn agent() -> Profile {
    Profile::with_agent(Door::Tool, |_, ask| match ask["exec"]["name"].as_str() {
        Some("one" | "secret.one") => values("secret.one", &[("ONE", "s3cret1"), ("LINES", "a\nb")]).into(),
        Some("two") => values("secret.two", &[("TWO", "s3cret2")]).into(),
        Some("again") => values("secret.again", &[("ONE", "s3cret3")]).into(),
        Some("loader") => values("secret.loader", &[("LD_PRELOAD", "s3cret"), ("FINE", "s3cret")]).into(),
        Some("profile") => values("secret.profile", &[("AWS_PROFILE", "s3cret")]).into(),
        Some("nul") => values("secret.nul", &[("NUL", "s3cret\0")]).into(),
        Some("dev") => keys("aws.dev", Some("session")).into(),
        Some("outscale.monitoring") => keys("outscale.monitoring", None).into(),
        _ => Act::Nothing { open: false },
    })
}

fn asked(profile: &Profile, name: &str) -> usize {
    profile.asked().iter().filter(|ask| ask["exec"]["name"] == name).count()
}

fn exec(profile: &Profile, arguments: &[&str]) -> Output {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_keyfob"));
    let mut command = profile.command(program, &[&["exec"], arguments].concat());
    command.env("PATH", "/usr/bin:/bin").env("ONE", "of-the-caller").env("TMPDIR", profile.path("home"));
    feed(command, b"")
}

#[test]
fn several_secrets_stand_beside_each_other_and_beside_keys() {
    let profile = agent();
    let script = "printf '%s|%s|%s|%s|%s' \"$ONE\" \"$LINES\" \"$TWO\" \"$OSC_REGION\" \"$KEYFOB_EXEC\"";
    let output = exec(&profile, &["two", "outscale.monitoring", "one", "--", "sh", "-c", script]);
    assert_eq!(out(&output), "s3cret1|a\nb|s3cret2|eu-west-1|", "{}", err(&output));
    // One of the same is enough.
    let output = exec(&profile, &["one", "dev", "secret.one", "dev", "one", "--", "sh", "-c", "echo $ONE"]);
    assert_eq!(out(&output), "s3cret1\n", "{}", err(&output));
    assert_eq!((asked(&profile, "one"), asked(&profile, "secret.one")), (2, 1), "once in each run");
    // In the environment and nowhere else.
    let script = "tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline";
    let output = exec(&profile, &["one", "--", "sh", "-c", script]);
    #[cfg(target_os = "linux")]
    assert!(out(&output).contains("exec one -- sh"), "{}", out(&output));
    assert!(!out(&output).contains("s3cret"), "{}", out(&output));
}

#[test]
fn what_would_clash_or_steer_the_program_is_refused_by_name_and_unseen() {
    let profile = agent();
    let cases: [(&[&str], &str); 6] = [
        (&["one", "again"], "`secret.one` and `secret.again` both have a value `ONE`"),
        (
            &["loader"],
            "`secret.loader` has a value `LD_PRELOAD`, and that variable decides what a program runs or reads",
        ),
        (&["loader"], "keyfob secret get secret.loader LD_PRELOAD"),
        (
            &["profile", "dev"],
            "`secret.profile` has a value `AWS_PROFILE`, and so has what is named beside it",
        ),
        (
            &["dev", "profile"],
            "`secret.profile` has a value `AWS_PROFILE`, and so has what is named beside it",
        ),
        (&["nul"], "`NUL` of `secret.nul` holds a NUL"),
    ];
    for (names, say) in cases {
        for json in [&[][..], &["--json"]] {
            let output = exec(&profile, &[names, json, &["--", "sh", "-c", "echo ran"]].concat());
            assert_eq!(output.status.code(), Some(1), "{names:?}");
            assert!(err(&output).contains(say), "{names:?}: {}", err(&output));
            let all = out(&output) + &err(&output);
            assert!(!all.contains("s3cret") && !all.contains("ran\n"), "{all}");
        }
    }
    // Alone it is a variable like others.
    let output = exec(&profile, &["profile", "--", "sh", "-c", "echo $AWS_PROFILE"]);
    assert_eq!(out(&output), "s3cret\n");
}
