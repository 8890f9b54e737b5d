//! A token's life, as it is lived: every command that has to do with a value, well and badly.

use keyfob_e2e::{Company, Output, PATIENCE, Profile, start, token};
use keyfob_sandbox::{Endpoint, Fault, Permissions};
use serde_json::json;

use super::evidence::{A_WHILE, Evidence, Shows};
use super::marker;
use super::needles::Secret;
use super::parrot::Parrot;
use crate::{ADA, HOST, by_hand, given, issue, issue_administrator, served, text};

/// `token.aspect` by the company's API and clusters, an administrator's, a machine's and one from a page.
pub fn config(company: &Company, cluster: &Parrot) -> String {
    let at = company.addresses();
    let clusters = format!(
        "clusters = {{ aw-remote-ext = \"{}\", parrot = \"grpc://{}\" }}\n",
        at.cluster_url.replace("http://", "grpc://"),
        cluster.address()
    );
    [
        company.sso("okta", "*.cache.acme.dev"),
        served(company, "aspect", HOST)
            .replace(&format!("\"{HOST}\""), &format!("\"{HOST}\", \"127.0.0.1\"")),
        clusters,
        served(company, "admin", "admin.acme.dev"),
        served(company, "bot", "bot.acme.dev"),
        token("page", "page.acme.dev"),
        format!("portal = \"{}\"\n", at.portal_url),
    ]
    .concat()
}

/// The marks in addresses that tools ask about.
fn addresses(seen: &Evidence, profile: &Profile) -> Vec<Secret> {
    let marks = ["user", "password", "path", "query", "fragment"].map(|name| (name, marker("mark")));
    let [user, password, path, query, fragment] = marks.clone().map(|(_, mark)| mark);
    let with_user = format!("https://{user}:{password}@{HOST}/{path}?X-Amz-Signature={query}#{fragment}");
    let without = format!("https://{HOST}/{path}/{path}?X-Amz-Signature={query}&b={query}#{fragment}");
    let others = [
        format!("https://unknown.example/{path}?{query}"),
        format!("http://{HOST}/{path}?{query}"),
        format!("s3://{HOST}/{path}?{query}"),
        format!("https://{HOST}:port/{path}?{query}"),
        format!("https://{HOST}\\{path}?{query}"),
        format!("https:{path}?{query}"),
        format!("https://x.cache.acme.dev/{path}?{query}"),
    ];
    for uri in [with_user, without].iter().chain(&others) {
        let ask = json!({"uri": uri}).to_string();
        // A tool gets the header and nothing of its address back.
        let output = seen.run(profile, &["get"], &ask, Shows::Value);
        for secret in [&user, &password, &path, &query, &fragment] {
            assert!(!output.stdout.contains(secret.as_str()), "an address is repeated");
        }
        let _ = seen.run(profile, &["why", uri], "", Shows::Nothing);
        let mut door = profile.tool_door();
        seen.note(
            "answer to `why` at the tool door",
            door.ask(&json!({"why": {"subject": uri}})).to_string(),
        );
    }
    // What is no request at all is not repeated either.
    for bad in [
        format!("{{\"uri\": \"https://{HOST}/{path}"),
        format!("{{\"url\": \"{query}\"}}"),
        query.repeat(2000),
    ] {
        seen.run(profile, &["get"], &bad, Shows::Nothing);
        let mut door = profile.tool_door();
        let length = u32::try_from(bad.len()).expect("a short text").to_le_bytes();
        // Too long a frame is not read to its end.
        let _ = door.send_bytes(&[&length, bad.as_bytes()].concat());
        seen.note("answer to a bad frame", door.receive().unwrap_or_default().to_string());
    }
    marks.into_iter().map(|(name, mark)| Secret::new(name, &mark)).collect()
}

/// A token added, looked at, rotated well and badly, by the service and by hand; and every value that it had.
pub fn life(seen: &Evidence, company: &Company, profile: &Profile) -> Vec<Secret> {
    let run = |words: &[&str], stdin: &str| seen.run(profile, words, stdin, Shows::Nothing);
    let slow = [Endpoint::TokenSelf, Endpoint::TokenRotate, Endpoint::TokenDelete, Endpoint::TokenAdmin];
    let slow_again =
        || slow.iter().for_each(|endpoint| company.faults().set(*endpoint, Fault::Slow(A_WHILE)));
    slow_again();
    let first = issue(company, ADA, Permissions::ALL, 20);
    let mut id = company.portal().id_of_token(&first).expect("it is known");
    let mut secrets = vec![Secret::new("the first value", &first)];
    run(&["token", "add", "aspect"], &first).ok();
    run(&["token", "add", "aspect", "--json"], &first).ok();
    for words in [&["token", "add", "aspect", &first][..], &["token", "rotate", "aspect", "--value", &first]]
    {
        let running = start(profile.keyfob(words), "");
        let process = running.pid();
        let output = running.output(PATIENCE).exits(2);
        seen.forgive(process);
        seen.note(
            "output of a command that was given a value as an argument",
            output.stdout + &output.stderr,
        );
    }
    let eve = issue(company, "eve@example.com", Permissions::ALL, 20);
    run(&["token", "add", "aspect"], &eve).exits(1);
    secrets.push(Secret::new("somebody else's value", &eve));
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["permissions"],
        &["permissions", "--again", "--json"],
        &["why", "token.aspect"],
        &["why", HOST, "--json"],
        &["token", "snooze", "aspect", "2"],
        &["token", "ends", "aspect", "2199-01-01"],
        &["token", "rescue", "aspect"],
        &["config", "check"],
        &["agent", "status", "--json"],
        &["setup", "bazel"],
    ] {
        run(words, "");
    }
    secrets.extend(addresses(seen, profile));
    for words in [&["token", "rotate", "aspect"][..], &["token", "rotate", "aspect", "--json"]] {
        run(words, "").ok();
        secrets.push(Secret::new("a rotated value", &given(profile)));
    }
    for fault in [Fault::Html, Fault::Status(500)] {
        company.faults().set_times(Endpoint::TokenRotate, fault, 1);
        assert_ne!(run(&["token", "rotate", "aspect"], "").code, 0);
        run(&["status"], "").ok();
        // What may still be on its way concerns the value before this one.
        let by_hand = issue(company, ADA, Permissions::ALL, 20);
        run(&["token", "rotate", "aspect", "--by-hand"], &by_hand).ok();
        id = company.portal().id_of_token(&by_hand).expect("it is known");
        secrets.push(Secret::new("a value in between", &by_hand));
    }
    for fault in [Fault::Status(400), Fault::Status(403), Fault::Busy(3), Fault::Reset] {
        company.faults().set_times(Endpoint::TokenRotate, fault, 1);
        assert_ne!(run(&["token", "rotate", "aspect"], "").code, 0);
        run(&["status"], "").ok();
    }
    // The last one was carried out, and its answer lost.
    let lost = company.portal().token_of_id(&id).expect("it has a new value");
    secrets.push(Secret::new("a lost value", &lost));
    run(&["token", "rotate", "aspect", "--by-hand"], &lost).ok();
    for fault in [Fault::Html, Fault::Status(500), Fault::Reset] {
        company.faults().set(Endpoint::TokenSelf, fault);
        run(&["permissions", "aspect", "--again"], "");
        run(&["token", "add", "aspect"], &lost);
        company.faults().clear(Endpoint::TokenSelf);
    }
    slow_again();
    for words in [&["token", "add", "page"], &["token", "rotate", "page"]] {
        let value = by_hand::generate(company);
        run(words, &value).ok();
        secrets.push(Secret::new("a value from a page", &value));
    }
    secrets
}

/// What an administrator does; values are shown only where nobody else could keep them.
pub fn administration(seen: &Evidence, company: &Company, profile: &Profile) -> Vec<Secret> {
    let admin = issue_administrator(company);
    let mut secrets = vec![Secret::new("the administrator's value", &admin)];
    seen.run(profile, &["token", "add", "admin"], &admin, Shows::Nothing).ok();
    let run = |words: &[&str], shows| {
        seen.run(profile, &[&["admin", "tokens"], words, &["--with", "admin"]].concat(), "", shows)
    };
    let cluster = ["--cluster", "aw-remote-ext=read"];
    let value = |output: &Output| text(&output.json()["value"]);
    run(&["list"], Shows::Nothing).ok();
    run(&["list", "--json"], Shows::Nothing).ok();
    run(&[&["create", "bot-ci"], &cluster[..], &["--into", "bot"]].concat(), Shows::Nothing).ok();
    let answer = profile.get("https://bot.acme.dev/").ok().json();
    let machine = text(&answer["headers"]["X-Aspect"][0]);
    secrets.push(Secret::new("a machine's value", &machine));
    let id = company.portal().id_of_token(&machine).expect("it is known");
    run(&["rotate", &id, "--into", "bot", "--json"], Shows::Nothing).ok();
    secrets.push(Secret::new(
        "a machine's second value",
        &company.portal().token_of_id(&id).expect("it is there"),
    ));
    let made = run(&[&["create", "bot-two", "--json"], &cluster[..]].concat(), Shows::Value).ok();
    secrets.push(Secret::new("a machine's value that was shown", &value(&made)));
    run(&["rotate", &id], Shows::Value).ok();
    secrets.push(Secret::new(
        "a machine's third value",
        &company.portal().token_of_id(&id).expect("it is there"),
    ));
    for fault in [Fault::Html, Fault::Status(500), Fault::Reset] {
        company.faults().set(Endpoint::TokenAdmin, fault);
        run(&["rotate", &id], Shows::Nothing).exits(1);
        run(&[&["create", "bot-three"], &cluster[..]].concat(), Shows::Nothing).exits(1);
    }
    company.faults().clear(Endpoint::TokenAdmin);
    run(&["delete", &id, "--yes"], Shows::Nothing).ok();
    secrets
}

/// Everything that the agent tells whoever watches, until the connection ends.
pub fn listen(profile: &Profile) -> std::thread::JoinHandle<String> {
    let mut door = profile.control_door();
    door.send(&keyfob_e2e::raw::request(&json!({"watch": {"notices": true}})));
    let begun = door.receive().map(|event| event.to_string()).unwrap_or_default();
    assert!(begun.contains("watching"), "{begun}");
    door.stream().set_read_timeout(None).expect("a socket without a deadline");
    std::thread::spawn(move || {
        std::iter::from_fn(|| door.receive()).map(|event| format!("{event}\n")).collect()
    })
}
