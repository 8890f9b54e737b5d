//! Standard input of the helper.

use std::process::Command;

use keyfob_e2e::{MEMORY, Profile, Stage, run};

use crate::{SECRET, refused};

#[test]
fn what_is_no_request_is_refused_by_both_names() {
    let profile = Profile::new(MEMORY);
    let big = 1 << 20;
    let cases: [(Vec<u8>, &str); 19] = [
        (b"".into(), "it is empty"),
        (b" \r\n\t ".into(), "it is empty"),
        (SECRET.into(), "no JSON object"),
        (b"null".into(), "no JSON object"),
        (b"5".into(), "no JSON object"),
        (format!("\"https://{SECRET}.example/\"").into(), "no JSON object"),
        (format!("[\"https://{SECRET}.example/\"]").into(), "no JSON object"),
        (b"\xff\xfe{\"uri\":\"https://a.example/\"}".into(), "no JSON object"),
        (b"{".into(), "ends in the middle"),
        (format!("{{\"uri\":\"https://a.example/{SECRET}").into(), "ends in the middle"),
        (format!("{{\"uri\":\"https://a.example/{SECRET}\"}} more").into(), "not JSON"),
        (b"{\"uri\":\"https://a.example/\xff\"}".into(), "not JSON"),
        (format!("{{'uri':'{SECRET}'}}").into(), "not JSON"),
        (b"{}".into(), "`uri` is missing or no string"),
        (b"{\"uri\":null}".into(), "`uri` is missing or no string"),
        (format!("{{\"uri\":[\"{SECRET}\"]}}").into(), "`uri` is missing or no string"),
        (format!("{{\"uri\":{{\"{SECRET}\":1}}}}").into(), "`uri` is missing or no string"),
        (
            format!("{{\"uri\":\"https://a.example/\"}}{}", " ".repeat(big)).into(),
            "it has more than 61440 bytes",
        ),
        (
            format!("{{\"uri\":\"https://a.example/{}\"}}", SECRET.repeat(big)).into(),
            "it has more than 61440 bytes",
        ),
    ];
    for (input, reason) in cases {
        for program in ["keyfob", "bazel-credential-keyfob"] {
            let mut command = profile.command(Stage::get().bin(program));
            command.arg("get");
            let said = refused(run(command, input.clone()), 1);
            assert!(said.contains("the input is no credential helper request"), "{said}");
            assert!(said.contains(reason), "{said}");
        }
    }
    assert_eq!(profile.running_agent(), None, "no agent was needed to see that");
}

#[test]
fn without_any_standard_input_it_is_empty() {
    let profile = Profile::new(MEMORY);
    for redirection in ["<&-", "</dev/null"] {
        let mut shell: Command = profile.command("/bin/sh");
        shell.args(["-c", &format!("exec \"$1\" get {redirection}"), "sh"]).arg(Stage::get().bin("keyfob"));
        let said = refused(run(shell, ""), 1);
        assert!(said.contains("it is empty"), "{redirection}: {said}");
    }
}

/// The protocol says so: unknown members are ignored.
#[test]
fn members_that_a_newer_tool_may_send_are_ignored() {
    let profile = Profile::new(MEMORY);
    profile.start_agent();
    for input in [
        "{\"uri\":\"https://a.example/\",\"realm\":\"x\",\"nested\":{\"uri\":5}}",
        "\n\t {\"extra\":[1,2,{\"a\":null}],\"uri\":\"https://a.example/\"}\r\n",
        "{\"uri\":\"https:\\/\\/a.example\\u002f\"}",
    ] {
        let output = profile.run(&["get"], input).ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("{\"headers\":{}}\n", ""), "{input}");
    }
    // The longest that is read.
    let long = format!("{{\"uri\":\"https://a.example/{}\"}}", "x".repeat(61_440 - 28));
    assert_eq!(long.len(), 61_440);
    assert_eq!(profile.run(&["get"], long).ok().stdout, "{\"headers\":{}}\n");
}

#[test]
fn wrong_use_is_told_apart_from_refusals() {
    let profile = Profile::new(MEMORY);
    for (arguments, code) in [
        (&[][..], 2),
        (&["frobnicate"], 2),
        (&["credential-process"], 2),
        (&["credential-process", "a", "b"], 2),
        (&["token", "add"], 2),
        (&["agent", "frobnicate"], 2),
        (&["get", "--help"], 0),
        (&["--version"], 0),
    ] {
        let output = profile.run(arguments, "").exits(code);
        assert_eq!(output.stdout.is_empty(), code != 0, "{output:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{output:?}");
    }
    let mut bazel = profile.command(Stage::get().bin("bazel-credential-keyfob"));
    bazel.arg("login");
    let output = run(bazel, "").exits(1);
    assert!(
        output.stdout.is_empty() && output.stderr.contains("usage: bazel-credential-keyfob get"),
        "{output:?}"
    );
    assert_eq!(profile.running_agent(), None);
}
