//! A hostile first caller, attack by attack: each works on an ordinary program, and does nothing to the agent.
//!
//! `tests/agent/environment.rs` has what the dynamic linker itself says of it.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use keyfob_e2e::{
    Company, Examiner, MEMORY, PATIENCE, Profile, Running, Stage, folder, run, start, wait_for,
};

use crate::rogue::{Marker, Rogue, fetch};
use crate::story;

/// Starts an agent by hand.
fn by_hand(profile: &Profile) -> Running {
    let agent = start(profile.command(Stage::get().bin("keyfobd")), "");
    assert_eq!(profile.agent_pid(), agent.pid());
    agent
}

fn plain(program: &str, variable: &str, value: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LANG", "C.UTF-8").env(variable, value);
    command
}

#[test]
fn no_library_of_a_caller_is_loaded() {
    let marker = Marker::build();
    fs::write(
        marker.path().join("gconv-modules"),
        "module MARKER// INTERNAL marker 1\nmodule INTERNAL MARKER// marker 1\n",
    )
    .expect("room");
    let library = marker.library();
    let attacks: [(&str, &Path, &str, &[&str]); 3] = [
        ("LD_PRELOAD", &library, "/usr/bin/true", &[]),
        ("LD_AUDIT", &library, "/usr/bin/true", &[]),
        ("GCONV_PATH", marker.path(), "/usr/bin/iconv", &["-f", "MARKER", "-t", "UTF-8"]),
    ];
    let mut examiner = Examiner::meet();
    for (variable, value, program, arguments) in attacks {
        let mut twin = plain(program, variable, value);
        run(
            {
                twin.args(arguments);
                twin
            },
            "x",
        );
        assert!(marker.was_loaded(), "{variable} does nothing here");

        let mut profile = Profile::new(MEMORY);
        profile.set(variable, value);
        let started = profile.start_agent();
        assert!(!marker.was_loaded(), "{variable} reached the agent");
        profile.run(&["agent", "stop"], "").ok();
        // By hand, the linker obeys before anything of ours runs; then another program takes the process over.
        let agent = by_hand(&profile);
        for process in
            [started, agent.pid()].into_iter().filter(|process| keyfob_e2e::process::is_alive(*process))
        {
            let mappings = examiner.mappings(process);
            assert!(mappings.iter().any(|mapping| mapping.file.ends_with("/keyfobd")), "{mappings:?}");
            let foreign = mappings
                .iter()
                .find(|mapping| mapping.file.starts_with(&marker.path().display().to_string()));
            assert!(foreign.is_none(), "{variable}: {foreign:?}");
        }
        marker.was_loaded();
    }
}

#[test]
fn libraries_are_not_looked_for_where_a_caller_says() {
    let marker = Marker::build();
    for name in ["libc.so.6", "libm.so.6", "libgcc_s.so.1"] {
        fs::copy(marker.library(), marker.path().join(name)).expect("room");
    }
    let mut twin =
        plain(&Stage::get().bin("keyfobd").display().to_string(), "LD_LIBRARY_PATH", marker.path());
    twin.arg("--version");
    assert_eq!(run(twin, "").code, 127, "the linker of this system does not look there");
    let mut profile = Profile::new(MEMORY);
    profile.set("LD_LIBRARY_PATH", marker.path());
    profile.start_agent();
    assert!(!marker.was_loaded());
}

/// What other programs take from their environment, and what it would do to the agent.
const VARIABLES: [(&str, &str); 30] = [
    ("LD_BIND_NOT", "1"),
    ("LD_PROFILE_OUTPUT", "/tmp"),
    ("GLIBC_TUNABLES", "glibc.malloc.check=3"),
    ("MALLOC_CHECK_", "3"),
    ("MALLOC_PERTURB_", "85"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRACE", "/tmp/keyfob-test-trace"),
    ("RES_OPTIONS", "ndots:9"),
    ("LOCALDOMAIN", "evil.example"),
    ("HOSTALIASES", "/tmp/hosts"),
    ("RESOLV_HOST_CONF", "/etc/passwd"),
    ("TMPDIR", "/nowhere"),
    ("TZDIR", "/nowhere"),
    ("LOCPATH", "/nowhere"),
    ("NLSPATH", "/nowhere/%N"),
    ("RUST_LOG", "trace"),
    ("RUST_BACKTRACE", "full"),
    ("RUST_MIN_STACK", "1"),
    ("TOKIO_WORKER_THREADS", "1"),
    ("SSLKEYLOGFILE", "/tmp/keyfob-test-keys"),
    ("SSL_CERT_FILE", "/nowhere"),
    ("SSL_CERT_DIR", "/nowhere"),
    ("ALL_PROXY", "http://127.0.0.1:1"),
    ("HTTP_PROXY", "http://127.0.0.1:1"),
    ("AWS_ACCESS_KEY_ID", "AKIAEVIL"),
    ("AWS_SECRET_ACCESS_KEY", "evil"),
    ("AWS_CA_BUNDLE", "/nowhere"),
    ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ("SUDO_ASKPASS", "/nowhere"),
    ("NOTIFY_SOCKET", "/nowhere"),
];

#[test]
fn nothing_of_a_callers_environment_is_in_the_agent() {
    let mut profile = Profile::new(MEMORY);
    for (name, value) in VARIABLES {
        profile.set(name, value);
    }
    let mut examiner = Examiner::meet();
    let mut names = |process| -> Vec<String> {
        let all = examiner.environment(process);
        let mut names: Vec<_> =
            all.iter().filter_map(|one| one.split_once('=')).map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    };
    let mut twin = profile.command("/usr/bin/tail");
    twin.args(["-f", "/dev/null"]);
    let twin = start(twin, "");
    wait_for("the twin", PATIENCE, || keyfob_e2e::process::name(twin.pid()).as_deref() == Some("tail"));
    let seen = names(twin.pid());
    for (name, _) in VARIABLES {
        assert!(seen.iter().any(|seen| seen == name), "{name} would not be seen: {seen:?}");
    }
    // The last three are the agent's own: the keys went from it to itself in a descriptor.
    let expected = [
        "HOME",
        "KEYFOB_CONFIG",
        "KEYFOB_RUNTIME_DIR",
        "KEYFOB_STATE_DIR",
        "LANG",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
    ];
    assert_eq!(names(profile.start_agent()), expected);
    profile.run(&["agent", "stop"], "").ok();
    let agent = by_hand(&profile);
    assert_eq!(names(agent.pid()), expected, "started by hand");
}

fn issuer(address: &str) -> String {
    format!("{MEMORY}[sso.far]\nissuer = \"{address}\"\nclient_id = \"keyfob\"\n")
}

#[test]
fn a_callers_certificates_are_not_believed_and_no_keys_are_written_down() {
    let rogue = Rogue::start();
    let (address, authority) = (format!("https://localhost:{}/", rogue.port), rogue.authority());
    let keys = rogue.authority().with_file_name("keys");
    let hostile: [(&str, &Path); 3] = [
        ("SSL_CERT_FILE", &authority),
        ("SSL_CERT_DIR", authority.parent().expect("a folder")),
        ("SSLKEYLOGFILE", &keys),
    ];
    fetch(&format!("{address}twin"), &hostile).ok();
    assert_eq!(rogue.said(), "read under TLS: GET /twin HTTP/1.1");
    fs::remove_file(&keys).expect("an ordinary program writes its keys down");

    let mut profile = Profile::new(&issuer(&address));
    hostile.iter().for_each(|(name, value)| profile.set(name, value));
    let refused = profile.run(&["login", "far"], "").exits(1);
    assert!(refused.stderr.contains("is not trusted"), "{refused:?}");
    assert!(rogue.said().starts_with("broken off"));
    // Where the person says so, it is believed; nothing else was wrong with it.
    let network = format!("[network]\nca_file = \"{}\"\n", authority.display());
    profile.configure(&[issuer(&address), network].concat());
    profile.run(&["login", "far"], "").exits(1);
    assert_eq!(rogue.said(), "read under TLS: GET /.well-known/openid-configuration HTTP/1.1");
    assert!(!keys.exists(), "the agent wrote the keys of its connections down");
}

#[test]
fn a_callers_proxy_can_only_fail_the_encryption() {
    let rogue = Rogue::start();
    let (proxy, authority) = (format!("http://127.0.0.1:{}", rogue.port), rogue.authority());
    let hostile: [(&str, &Path); 2] = [("HTTPS_PROXY", Path::new(&proxy)), ("SSL_CERT_FILE", &authority)];
    fetch("https://issuer.acme.test/twin", &hostile).ok();
    assert_eq!(rogue.said(), "asked for CONNECT issuer.acme.test:443 HTTP/1.0");
    assert_eq!(rogue.said(), "read under TLS: GET /twin HTTP/1.1");

    let mut profile = Profile::new(&issuer("https://issuer.acme.test/"));
    hostile.iter().for_each(|(name, value)| profile.set(name, value));
    let refused = profile.run(&["login", "far"], "").exits(1);
    assert!(refused.stderr.contains("is not trusted"), "{refused:?}");
    assert_eq!(rogue.said(), "asked for CONNECT issuer.acme.test:443 HTTP/1.1");
    assert!(rogue.said().starts_with("broken off"));
}

#[test]
fn the_variables_of_aws_lead_the_agent_nowhere() {
    let (rogue, proxy) = (Rogue::start(), Rogue::start());
    let (endpoint, authority) = (format!("http://127.0.0.1:{}/", rogue.port), proxy.authority());
    let hostile = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ENDPOINT_URL_STS", endpoint.as_str()),
        ("AWS_CA_BUNDLE", authority.to_str().expect("a path in UTF-8")),
        ("AWS_ACCESS_KEY_ID", "AKIAEVILEVILEVIL"),
        ("AWS_SECRET_ACCESS_KEY", "evil"),
        ("AWS_SESSION_TOKEN", "evil"),
        ("AWS_REGION", "evil-region-1"),
        ("AWS_DEFAULT_REGION", "evil-region-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/Evil"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
    ];
    let mut twin = Command::new(Stage::get().python("aws"));
    let twin_home = folder();
    twin.args(["sts", "get-caller-identity"]).env_clear().env("HOME", twin_home.path()).envs(hostile);
    twin.env("PATH", "/usr/bin:/bin");
    run(twin, "");
    assert_eq!(rogue.said(), "read: POST / HTTP/1.1");

    let company = Company::start();
    let role = "[aws.dev]\nsso = \"okta\"\nrole_arn = \"arn:aws:iam::123456789012:role/OktaRole\"\nregion = \"eu-west-3\"\n";
    let mut profile = Profile::new(&[MEMORY, &company.sso("okta", "*.cache.acme.dev"), role].concat());
    profile.set("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    hostile.iter().for_each(|(name, value)| profile.set(name, value));
    company.sign_in(&profile, "okta");
    let refused = profile.credential_process("dev");
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(refused.stdout, "");
    assert_eq!(proxy.said(), "asked for CONNECT sts.eu-west-3.amazonaws.com:443 HTTP/1.1");
    assert!(proxy.said().starts_with("broken off"), "its certificate was believed");
    fetch(&format!("{endpoint}last"), &[]).ok();
    let next = rogue.said();
    assert!(next.contains("/last"), "the agent was there before: {next}");
}

/// The keychain of the person is on their bus; whoever chooses the bus would be given the secrets. (That of another
/// user's file is in `tests/agent/environment.rs`.)
#[test]
fn a_bus_that_has_no_owner_is_not_talked_to() {
    let folder = folder();
    let name = folder.path().join("bus").display().to_string();
    let hidden = SocketAddr::from_abstract_name(&name)
        .and_then(|address| UnixListener::bind_addr(&address))
        .expect("a name");
    let open = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    hidden.set_nonblocking(true).expect("our own socket");
    open.set_nonblocking(true).expect("our own socket");
    let port = open.local_addr().expect("it has an address").port();
    let mark = folder.path().join("mark");
    let came = |buses: &str| match buses {
        "abstract" => hidden.accept().map(drop),
        "tcp" => open.accept().map(drop),
        _ => fs::remove_file(&mark),
    };
    for (kind, address) in [
        ("abstract", format!("unix:abstract={name}")),
        ("tcp", format!("tcp:host=127.0.0.1,port={port}")),
        ("program", format!("unixexec:path=/usr/bin/touch,argv1={}", mark.display())),
        ("second", format!("unix:path=/nowhere;unixexec:path=/usr/bin/touch,argv1={}", mark.display())),
    ] {
        let mut twin = plain("/usr/bin/dbus-send", "DBUS_SESSION_BUS_ADDRESS", Path::new(&address));
        twin.args(["--session", "--dest=org.example", "/", "org.example.Ask"]);
        let _twin = start(twin, "");
        wait_for("an ordinary program at that bus", PATIENCE, || came(kind).is_ok());
        for starts_by_hand in [false, true] {
            let mut profile =
                Profile::new("[agent]\nkeychain = \"system\"\n[token.aspect]\nhosts = [\"aw.acme.dev\"]\n");
            profile.set("DBUS_SESSION_BUS_ADDRESS", &address);
            let _agent = starts_by_hand.then(|| by_hand(&profile));
            let status = profile.status();
            assert_eq!(status["keychain"]["state"], "missing", "{kind}: {status}");
            let nobody = came(kind).expect_err("the agent was there").kind();
            assert!(matches!(nobody, ErrorKind::WouldBlock | ErrorKind::NotFound), "{kind}: {nobody}");
        }
    }
}

#[test]
fn another_name_for_the_state_folder_finds_the_same_agent() {
    let profile = Profile::new(&[MEMORY, "[token.aspect]\nhosts = [\"aw.acme.dev\"]\n"].concat());
    let agent = profile.start_agent();
    profile.add_token("aspect", "aw_0123456789");
    let elsewhere = folder();
    let link = elsewhere.path().join("link");
    symlink(profile.path(), &link).expect("room");
    let call = |program: &str, arguments: &[&str]| {
        let mut command = profile.command(Stage::get().bin(program));
        command.args(arguments).env("KEYFOB_STATE_DIR", link.join("state"));
        run(
            {
                command.env("KEYFOB_RUNTIME_DIR", elsewhere.path().join("run"));
                command
            },
            "{\"uri\":\"https://aw.acme.dev/\"}",
        )
    };
    let second = call("keyfobd", &[]).ok();
    assert_eq!(second.stderr, format!("keyfob: the agent runs already (process {agent})\n"));
    let answer = call("keyfob", &["get"]).ok();
    assert!(answer.stdout.contains("aw_0123456789"), "{answer:?}");
    assert!(!elsewhere.path().join("run").exists(), "no second agent was started there");
}

#[test]
fn an_agent_with_another_state_folder_holds_nothing_of_the_first() {
    let config = "[agent]\nkeychain = \"file\"\n[token.aspect]\nhosts = [\"aw.acme.dev\"]\n";
    let with_passphrase = || {
        let mut profile = Profile::new(config);
        story::add_passphrase(&mut profile, "correct horse");
        profile
    };
    let (first, second) = (with_passphrase(), with_passphrase());
    first.add_token("aspect", "aw_0123456789");
    let ask = |state: &Path| {
        let mut command = second.keyfob(&["get"]);
        command.env("KEYFOB_STATE_DIR", state);
        run(command, "{\"uri\":\"https://aw.acme.dev/\"}")
    };
    let refused = ask(second.state()).exits(3);
    assert_eq!(refused.stdout, "");
    second.run(&["agent", "stop"], "").ok();
    // The same variables with the first one's folder find the first one's agent, which answers as ever.
    assert!(ask(first.state()).ok().stdout.contains("aw_0123456789"));
    assert_eq!(second.running_agent(), None);
}
