//! What goes over the network, and through whom.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use keyfob_e2e::{Company, Profile};

const SOON: Duration = Duration::from_secs(10);

/// A proxy that notes the first line of every request and closes.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it has an address"));
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            if sender.send(line.trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

const FAR_ISSUER: &str =
    "[sso.far]\nissuer = \"https://issuer.acme.test/oauth2/default\"\nclient_id = \"keyfob\"\n";

#[test]
fn the_proxy_of_the_environment_is_used_where_the_configuration_names_none() {
    let (address, asked) = proxy();
    let mut profile = Profile::new(&format!("{}{FAR_ISSUER}", keyfob_e2e::MEMORY));
    profile.set("HTTPS_PROXY", &address);
    let output = profile.run(&["login", "far", "--json"], "");
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(asked.recv_timeout(SOON).unwrap(), "CONNECT issuer.acme.test:443 HTTP/1.1");
}

#[test]
fn no_proxy_is_honoured() {
    let (address, asked) = proxy();
    let mut profile = Profile::new(&format!("{}{FAR_ISSUER}", keyfob_e2e::MEMORY));
    profile.set("HTTPS_PROXY", &address);
    profile.set("NO_PROXY", "acme.test");
    let output = profile.run(&["login", "far", "--json"], "");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(asked.try_recv().is_err());
}

#[test]
fn the_configured_proxy_goes_before_that_of_the_environment() {
    let (configured, asked) = proxy();
    let (other, unasked) = proxy();
    let network = format!("[network]\nproxy = \"{configured}\"\n");
    let mut profile = Profile::new(&[keyfob_e2e::MEMORY, &network, FAR_ISSUER].concat());
    profile.set("HTTPS_PROXY", &other);
    assert_eq!(profile.run(&["login", "far", "--json"], "").code, 1);
    assert_eq!(asked.recv_timeout(SOON).unwrap(), "CONNECT issuer.acme.test:443 HTTP/1.1");
    assert!(unasked.try_recv().is_err());
}

#[test]
fn a_role_goes_to_the_endpoint_of_its_region() {
    let company = Company::start();
    let (address, asked) = proxy();
    let role = "[aws.dev]\nsso = \"okta\"\nrole_arn = \"arn:aws:iam::123456789012:role/OktaRole\"\nregion = \"eu-west-3\"\n";
    let config = [keyfob_e2e::MEMORY, &company.sso("okta", "*.cache.acme.dev"), role].concat();
    let mut profile = Profile::new(&config);
    profile.set("HTTPS_PROXY", &address);
    // The issuer is on this machine: the proxy has no part in it.
    company.sign_in(&profile, "okta");
    let output = profile.credential_process("dev");
    assert_ne!(output.code, 0);
    assert_eq!(output.stdout, "");
    assert_eq!(asked.recv_timeout(SOON).unwrap(), "CONNECT sts.eu-west-3.amazonaws.com:443 HTTP/1.1");
}
