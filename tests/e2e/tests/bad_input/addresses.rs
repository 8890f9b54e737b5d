//! Addresses: which ones get a token, and which ones never do.

use keyfob_e2e::{MEMORY, Profile, token};

use crate::{SECRET, refused};

const VALUE: &str = "aw_1234567890";

/// `*.acme.dev` and `bücher.example` have a token; what else is asked for gets what `unknown_host` says.
fn profile(unknown_host: &str) -> Profile {
    let unknown_host = format!("{MEMORY}unknown_host = \"{unknown_host}\"\n");
    let config =
        [unknown_host, token("aspect", "*.acme.dev"), token("books", "b\u{fc}cher.example")].concat();
    let profile = Profile::new(&config);
    profile.add_token("aspect", VALUE);
    profile.add_token("books", VALUE);
    profile
}

#[test]
fn every_way_to_write_a_host_of_ours_gets_the_token() {
    let profile = profile("error");
    for uri in [
        "https://acme.dev/",
        "https://aw.acme.dev/ac/1?x=y#z",
        "grpcs://aw.acme.dev",
        "HTTPS://AW.Acme.DEV/",
        "https://aw.acme.dev./",
        "https://aw.acme.dev:443/",
        "https://a.b.c.acme.dev:8980",
        "https://b\u{fc}cher.example/",
        "https://xn--bcher-kva.example/",
        "https://XN--BCHER-KVA.EXAMPLE:443/",
    ] {
        let answer = profile.get(uri).ok();
        assert_eq!(answer.json()["headers"]["X-Aspect"][0], VALUE, "{uri}: {answer:?}");
    }
}

#[test]
fn a_host_that_nobody_configured_gets_what_the_setting_says() {
    let lookalikes = [
        "https://evil-acme.dev/",
        "https://acme.dev.evil.io/",
        "https://xacme.dev/",
        "https://acme.de/",
        "https://acme.dev.co/",
        "https://aw.acm\u{435}.dev/",
        "https://aw-acme-dev.evil.io/",
        "https://evil.io/aw.acme.dev/",
        "https://evil.io/?aw.acme.dev",
        "https://evil.io/#@aw.acme.dev",
        "https://evil.io:443/https://aw.acme.dev/",
        "https://bucher.example/",
        "https://dev/",
        "https://127.0.0.1/",
        "https://[::1]/",
    ];
    let (empty, error) = (profile("empty"), profile("error"));
    for uri in lookalikes {
        let answer = empty.get(uri).ok();
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("{\"headers\":{}}\n", ""), "{uri}");
        let said = refused(error.get(uri), 1);
        assert!(said.starts_with("no entry has the host `"), "{uri}: {said}");
    }
}

#[test]
fn an_address_that_is_none_or_a_trick_is_refused_whatever_the_setting() {
    let profiles = [profile("empty"), profile("error")];
    let plain = "is not an encrypted connection";
    let user = "carries user information";
    let cases = [
        ("http://aw.acme.dev/", plain),
        ("HTTP://aw.acme.dev/", plain),
        ("grpc://aw.acme.dev", plain),
        ("ftp://aw.acme.dev/", plain),
        ("unix://aw.acme.dev", plain),
        ("ws://aw.acme.dev/", plain),
        ("https://ada@aw.acme.dev/", user),
        ("https://ada:s3cr3t@aw.acme.dev/", user),
        ("https://aw.acme.dev@evil.io/", user),
        ("https://evil.io@aw.acme.dev:443/s3cr3t", user),
        ("https://@aw.acme.dev/", user),
        ("", "has no scheme"),
        ("aw.acme.dev", "has no scheme"),
        ("//aw.acme.dev/s3cr3t", "has no scheme"),
        ("https:aw.acme.dev", "has no scheme"),
        ("ht tps://aw.acme.dev/", "characters that no URI has"),
        ("https://evil.io\\@aw.acme.dev/", "characters that no URI has"),
        ("https://aw.acme.dev\u{0}.evil.io/", "characters that no URI has"),
        ("https://aw.acme\n.dev/", "characters that no URI has"),
        ("https://aw.acme.dev:99999/", "malformed port"),
        ("https://aw.acme.dev:4x3/", "malformed port"),
        ("https:///aw.acme.dev", "has a host that is empty"),
        ("https://", "has a host that is empty"),
        ("https://*.acme.dev/", "has a host that is not a host name"),
        ("https://aw%2eacme.dev/", "has a host that is not a host name"),
        ("https://aw..acme.dev/", "has a host that is not a host name"),
        ("https://[::1/", "has a host that is not a host name"),
    ];
    for (uri, reason) in cases {
        for profile in &profiles {
            let said = refused(profile.get(uri), 1);
            assert!(said.contains(reason), "{uri}: {said}");
        }
    }
}

/// Bazel sends whole download addresses, presigned ones too.
#[test]
fn of_an_address_only_scheme_host_and_port_are_ever_repeated() {
    let profile = profile("error");
    for (uri, code) in [
        ("https://elsewhere.example:8443/s3cr3t?X-Amz-Signature=s3cr3t#s3cr3t", 1),
        ("http://aw.acme.dev/s3cr3t?s3cr3t", 1),
        ("https://s3cr3t:s3cr3t@aw.acme.dev/", 1),
        ("https://aw.acme.dev/s3cr3t?s3cr3t", 0),
    ] {
        let output = profile.get(uri).exits(code);
        assert!(!output.stderr.contains(SECRET), "{output:?}");
        let why = profile.run(&["why", uri], "");
        assert!(!why.stderr.contains(SECRET) && !why.stdout.contains(SECRET), "{why:?}");
    }
    let log = std::fs::read_to_string(profile.state().join("keyfobd.log")).unwrap();
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn an_unknown_entry_is_answered_with_the_nearest_name() {
    let company = keyfob_e2e::Company::start();
    let profile = Profile::new(&company.config());
    profile.start_agent();
    let cases: [(&[&str], &str); 8] = [
        (&["credential-process", "dve"], "did you mean `dev`?"),
        (&["credential-process", "aws.readonyl"], "did you mean `aws.readonly`?"),
        (&["credential-process", "okta"], "`sso.okta` is no entry for an AWS role"),
        (&["credential-process", "nothing-like-it"], "there is aws.dev, aws.readonly"),
        (&["credential-process", "\u{1b}[31mdev"], "there is no entry `\\u{1b}[31mdev`"),
        (&["login", "otka"], "did you mean `okta`?"),
        (&["logout", "sso.oktaa"], "did you mean `sso.okta`?"),
        (&["token", "add", "aspekt"], "did you mean `aspect`?"),
    ];
    for (arguments, reason) in cases {
        let said = refused(profile.run(arguments, "aw_s3cr3t"), 1);
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}
