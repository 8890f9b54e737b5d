//! The AWS console from the command line to the browser, with a real agent: where the link that signs in is, and where not.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use keyfob_e2e::{Company, MEMORY, PATIENCE, Profile, Stage, run, start, wait_for_some};

/// A role whose console can be opened.
fn config(company: &Company) -> String {
    let at = company.addresses();
    let role = company.aws("dev", "okta", &at.roles[0]);
    [
        MEMORY,
        &company.sso("okta", "*.cache.acme.dev"),
        &role,
        &format!("signin_url = \"{}\"\n", at.signin_url),
    ]
    .concat()
}

fn signed_in(company: &Company) -> Profile {
    let profile = Profile::new(&config(company));
    company.sign_in(&profile, "okta");
    profile
}

/// Every file below a folder that can be read, as text.
fn texts_below(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.push_str(&texts_below(&path));
        } else if path.is_file() {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
    all
}

#[test]
fn the_browser_is_signed_in_and_the_link_is_in_no_output_and_no_file() {
    let company = Company::start();
    let profile = signed_in(&company);
    let mut command = profile.keyfob(&["aws", "console", "dev", "--service", "ec2"]);
    command.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
    let output = run(command, "").ok();
    let visits = wait_for_some("a visit", PATIENCE, || {
        Some(company.console().visits()).filter(|visits| !visits.is_empty())
    });
    assert_eq!(visits.len(), 1);
    assert!(visits[0].who.contains("assumed-role/OktaRole/"), "{visits:?}");
    assert_eq!(visits[0].destination, "https://console.aws.amazon.com/ec2/home?region=eu-west-1");
    assert_eq!(company.console().keys_in_addresses(), 0);
    assert!(output.stdout.contains("sent to the AWS console as `aws.dev`"), "{output:?}");
    // The ledger names it, and nothing repeats the link.
    let ledger = wait_for_some("a line in the ledger", PATIENCE, || {
        let log = run(profile.keyfob(&["log", "--json"]), "").ok().stdout;
        Some(log).filter(|log| log.contains("aws-console"))
    });
    for text in [&output.stdout, &output.stderr, &ledger, &texts_below(profile.path())] {
        assert!(!text.contains("SigninToken") && !text.contains("federation?"), "{text}");
    }
}

#[test]
fn the_browsers_argument_leads_to_the_console_once() {
    let company = Company::start();
    let profile = signed_in(&company);
    let seen = profile.path().join("seen");
    let mut command = profile.keyfob(&["aws", "console", "dev"]);
    // A browser that only leaves word of what it was started with: as a link to that address.
    command.env("BROWSER", format!("ln -s %s {}", seen.display()));
    let console = start(command, "");
    let address = wait_for_some("the browser", PATIENCE, || fs::read_link(&seen).ok());
    let address = address.to_str().expect("text").to_owned();
    let (host, path) =
        address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
    let visit = || {
        let mut stream = TcpStream::connect(host).expect("it listens");
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let first = visit();
    assert!(first.starts_with("HTTP/1.1 303 ") && first.contains("SigninToken="), "{first}");
    console.output(PATIENCE).ok();
    let second = visit();
    assert!(second.starts_with("HTTP/1.1 410 ") && second.contains("was used already"), "{second}");
    assert!(!second.contains("SigninToken"), "{second}");
}

#[test]
fn what_has_no_console_and_what_is_elsewhere_ends_with_one() {
    let company = Company::start();
    let profile = signed_in(&company);
    for arguments in [
        &["aws", "console", "okta"][..],
        &["aws", "console", "dev", "--to", "https://evil.example/"],
        &["aws", "console", "absent"],
    ] {
        let mut command = profile.keyfob(arguments);
        command.env("BROWSER", "/bin/false");
        assert_eq!(run(command, "").code, 1, "{arguments:?}");
    }
    assert!(company.console().visits().is_empty());
}
