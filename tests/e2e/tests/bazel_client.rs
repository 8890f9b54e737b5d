//! Bazel's side of the credential helper protocol, from the lines that `keyfob setup bazel` wrote.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan as _};
use keyfob_e2e::real::bazel::{self, Credentials};
use keyfob_e2e::real::{alone, together};
use keyfob_e2e::{Company, Profile, token};

const VALUE: &str = "aw_0123456789abcdef0123456789";

/// What grpc-java asks for, service by service; the port stands where it is not 443.
const SERVICES: [&str; 5] = [
    "build.bazel.remote.execution.v2.Capabilities",
    "build.bazel.remote.execution.v2.ActionCache",
    "build.bazel.remote.execution.v2.ContentAddressableStorage",
    "build.bazel.remote.execution.v2.Execution",
    "google.bytestream.ByteStream",
];

/// The company's configuration, over a keychain that outlives the agent.
fn durable(company: &Company) -> Profile {
    let role = &company.addresses().roles[0];
    let config = [
        "[agent]\nkeychain = \"file\"\n",
        &company.sso("okta", "*.cache.acme.dev"),
        &token("aspect", "aw-remote-ext.acme.dev"),
        &company.aws("dev", "okta", role),
    ];
    let mut profile = Profile::new(&config.concat());
    let passphrase = profile.path().join("passphrase");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&passphrase);
    std::io::Write::write_all(&mut file.expect("a new file"), b"correct horse battery staple").expect("room");
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    profile.add_token("aspect", VALUE);
    company.sign_in(&profile, "okta");
    profile
}

/// Scope and path of every `--credential_helper` line, as Bazel splits them.
fn helpers(rc: &Path) -> Vec<(String, PathBuf)> {
    let text = fs::read_to_string(rc).expect("a bazelrc");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            assert!(!line.contains(['"', '\'', '\\']), "nothing that Bazel would have to unquote: {line}");
            let option = line.strip_prefix("common --credential_helper=");
            let (scope, path) =
                option.and_then(|value| value.split_once('=')).unwrap_or_else(|| panic!("{line}"));
            (scope.to_owned(), path.into())
        })
        .collect()
}

#[track_caller]
fn header(credentials: &Credentials, name: &str) -> String {
    let values = credentials.headers.get(name).unwrap_or_else(|| panic!("no {name}: {credentials:?}"));
    assert_eq!(values.len(), 1, "gRPC clients take one value: {credentials:?}");
    values[0].clone()
}

#[test]
fn the_written_lines_are_bazels_own_and_the_helper_behind_them_answers() {
    let _turn = together();
    let company = Company::start();
    let profile = durable(&company);
    let rc = profile.home().join(".bazelrc");
    fs::write(&rc, "# mine").expect("room for a file");
    let printed = profile.run(&["setup", "bazel", "--print"], "").ok();
    assert_eq!(fs::read_to_string(&rc).ok().as_deref(), Some("# mine"));
    profile.run(&["setup", "bazel"], "").ok();
    let once = fs::read_to_string(&rc).unwrap_or_default();
    assert!(once.contains(&printed.stdout), "{once}");
    profile.run(&["setup", "bazel"], "").ok();
    assert_eq!(fs::read_to_string(&rc).unwrap_or_default(), once, "a second time changes nothing");

    let written = helpers(&rc);
    let scopes: Vec<_> = written.iter().map(|(scope, _)| scope.as_str()).collect();
    assert_eq!(scopes, ["*.cache.acme.dev", "aw-remote-ext.acme.dev"]);
    for (scope, path) in &written {
        assert!(bazel::is_scope(scope), "{scope}");
        assert!(path.is_absolute(), "{}", path.display());
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("bazel-credential-keyfob"));
        let mode = fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{}", path.display());
        let uri = format!("https://{}/", scope.replace('*', "x"));
        let credentials = bazel::ask(profile.command(path), &uri).answer().expect("an answer");
        assert_eq!(credentials.headers.len(), 1, "{credentials:?}");
        // The name knows one verb.
        let mut other = profile.command(path);
        other.arg("status");
        assert_ne!(keyfob_e2e::run(other, "").code, 0);
    }
    profile.run(&["setup", "bazel", "--remove"], "").ok();
    assert_eq!(fs::read_to_string(&rc).ok().as_deref(), Some("# mine"));
}

#[test]
fn a_build_of_a_hundred_and_fifty_addresses_at_once_costs_one_refresh() {
    let _turn = alone();
    let company = Company::start();
    let profile = durable(&company);
    profile.run(&["setup", "bazel"], "").ok();
    let (_, helper) = helpers(&profile.home().join(".bazelrc")).remove(0);
    let workspace = profile.home().join("workspace");
    fs::create_dir(&workspace).expect("a folder in our home");
    profile.run(&["agent", "stop"], "").ok();
    let before = company.counts().refreshes();

    let services = SERVICES.iter().flat_map(|service| {
        [format!("https://x.cache.acme.dev/{service}"), format!("https://y.cache.acme.dev:8980/{service}")]
    });
    let modules = (0..70).map(|number| {
        format!("https://cache.acme.dev/modules/m{number}/1.0/MODULE.bazel?X-Amz-Signature={number:064x}")
    });
    let tokens = (0..70).map(|number| format!("https://aw-remote-ext.acme.dev/{number}"));
    let all: Vec<String> = services.chain(modules).chain(tokens).collect();
    assert_eq!(all.len(), 150);
    let asked: Vec<_> = all
        .iter()
        .map(|uri| {
            let mut command = profile.command(&helper);
            command.current_dir(&workspace);
            bazel::ask(command, uri)
        })
        .collect();
    let now = Timestamp::now();
    let answers: Vec<Credentials> =
        asked.into_iter().map(|asked| asked.answer().unwrap_or_else(|why| panic!("{why}"))).collect();

    let (session, pasted) = answers.split_at(80);
    let bearer = header(&session[0], "Authorization");
    assert!(bearer.starts_with("Bearer "));
    assert!(session.iter().all(|credentials| header(credentials, "Authorization") == bearer));
    assert!(pasted.iter().all(|credentials| header(credentials, "X-Aspect") == VALUE));
    for credentials in &answers {
        let expires = credentials.expires.unwrap_or_else(|| panic!("no end: {credentials:?}"));
        assert!(expires > now && expires < now + 11.minutes(), "{expires} seen at {now}");
    }
    assert_eq!(company.counts().refreshes() - before, 1);
}

#[test]
fn a_host_that_keyfob_does_not_know_is_left_to_bazel() {
    let _turn = together();
    let company = Company::start();
    let profile = durable(&company);
    profile.run(&["setup", "bazel"], "").ok();
    let (_, helper) = helpers(&profile.home().join(".bazelrc")).remove(0);
    for uri in
        ["https://github.com/a.zip", "https://evil-cache.acme.dev/", "https://cache.acme.dev.evil.example/"]
    {
        let credentials = bazel::ask(profile.command(&helper), uri).answer().expect("an answer");
        assert_eq!(credentials, Credentials { headers: [].into(), expires: None }, "{uri}");
    }
}

#[test]
fn a_build_without_a_session_reads_the_one_next_step() {
    let _turn = together();
    let company = Company::start();
    let profile = Profile::new(&company.config());
    profile.run(&["setup", "bazel"], "").ok();
    for (scope, helper) in helpers(&profile.home().join(".bazelrc")) {
        let uri = format!("https://{}/", scope.replace('*', "x"));
        let why = bazel::ask(profile.command(helper), &uri).answer().expect_err("nobody is signed in");
        let next = if scope.starts_with('*') { "keyfob login okta" } else { "keyfob token add aspect" };
        let (_, stderr) = why.split_once("stderr: ").expect("Bazel's own form");
        let first = stderr.lines().next().unwrap_or_default();
        assert!(why.contains("exit status: 3") && first.contains(next) && first.len() < 200, "{why}");
    }
}
