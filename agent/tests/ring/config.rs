//! The configuration file: what is said about a broken one, and what becomes of an edit.

use std::time::{Duration, Instant};

use keyfob_agent::config::{Config, Limits, load};
use keyfob_ipc::reply::{ConfigReport, Reply};
use keyfob_ipc::{Code, ControlAsk};

use crate::company::{CLUSTER, CONFIG, Company, HOUR, with_paths};

const REAL: Limits = Limits { plain_loopback: false };

fn errors(text: &str) -> Vec<String> {
    load(text, REAL).unwrap_err()
}

/// The one error of a text.
fn error(text: &str) -> String {
    let mut errors = errors(text);
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    errors.remove(0)
}

fn sso(more: &str) -> String {
    format!("[sso.okta]\nissuer = \"https://acme.okta.com\"\nclient_id = \"0oa1\"\n{more}\n")
}

fn aws(more: &str) -> String {
    let role = "arn:aws:iam::123456789012:role/Dev";
    sso("") + &format!("[aws.dev]\nsso = \"okta\"\nrole_arn = \"{role}\"\nregion = \"eu-west-1\"\n{more}\n")
}

async fn check(company: &Company) -> ConfigReport {
    match company.control(ControlAsk::ConfigCheck).await.unwrap() {
        Reply::Config(report) => report,
        other => panic!("not a report: {other:?}"),
    }
}

#[test]
fn the_configuration_of_the_readme_loads() {
    let readme = include_str!("../../../README.md");
    let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = load(block, REAL).unwrap();
    assert!(config.entries.len() >= 3);
}

#[test]
fn every_key_loads() {
    let config = load(
        &with_paths(
            r#"
[agent]
keychain = "file"
unknown_host = "error"
bazel_expires = false
reminders = ["1h", "30d", "2w", "1h"]

[network]
proxy = "http://proxy.acme.dev:3128"
no_proxy = ["*.acme.dev"]
ca_file = "/etc/ssl/acme.pem"

[sso.okta]
issuer = "https://acme.okta.com/oauth2/default"
client_id = "0oa1b2c3"
scopes = ["openid", "profile", "email", "offline_access"]
redirect_ports = [47631, 47632, 47633]
hosts = ["*.cache.acme.dev"]
present = "access_token"

[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"
portal = "https://workflows.acme.dev/token"
service = "keyfob"
api = "https://workflows.acme.dev/api/v1"
lifetime = "1y"
clusters = { aw-remote-ext = "grpcs://aw-remote-ext.acme.dev" }

[aws.dev]
sso = "okta"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
duration = "1h"

[aws.prod]
sso = "sso.okta"
role_arn = "arn:aws-us-gov:iam::123456789012:role/path/OktaRole"
region = "us-gov-west-1"
session_name = "ada"
endpoint_url = "https://sts.us-gov-west-1.amazonaws.com"
"#,
        ),
        REAL,
    )
    .unwrap();
    let names: Vec<String> = config.entries.iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["sso.okta", "token.aspect", "aws.dev", "aws.prod"]);
    assert_eq!(config.agent.reminders, [30 * 24, 14 * 24, 1].map(|hours| HOUR * hours));
    let empty = load("", REAL).unwrap();
    assert_eq!(empty.entries.len(), 0);
    assert_eq!(empty.agent.reminders, [30, 14, 7, 3, 1].map(|days| HOUR * 24 * days));
    assert!(load("[agent]\nreminders = []\n", REAL).unwrap().agent.reminders.is_empty());
}

#[test]
fn every_error_is_reported_at_once_each_with_its_line() {
    let errors = errors(
        r#"[agent]
keychian = "system"

[sso.okta]
issuer = "http://acme.okta.com"
client_id = "0oa 1"
hosts = ["a b.example"]

[tokn.aspect]
hosts = ["aw.example"]

[token.aspect]
hosts = ["aw.example"]
heeder = "X-Aspect"
"#,
    );
    let expected = [
        "line 2: unknown key `agent.keychian`; did you mean `keychain`?",
        "line 5: sso.okta: this address must begin with https://",
        "line 6: sso.okta: this must be visible ASCII without spaces",
        "line 7: sso.okta: the host `a b.example` is not a host name",
        "line 9: unknown table `tokn`; did you mean `token`?",
        "line 14: unknown key `token.aspect.heeder`; did you mean `header`?",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn a_word_that_is_near_nothing_gets_the_list() {
    assert_eq!(
        error("[agent]\ncolour = 1\n"),
        "line 2: unknown key `agent.colour`; known here: keychain, unknown_host, bazel_expires, reminders, lock_on"
    );
    assert_eq!(
        error("[kubernetes.x]\n"),
        "line 1: unknown table `kubernetes`; known here: sso, token, aws, machine, outscale, outerbounds, secret, agent, network, policy"
    );
}

#[test]
fn wrong_types_and_broken_toml_have_their_line() {
    for (text, line) in [
        ("[agent]\n\nkeychain = \"vault\"\n", "line 3: agent: "),
        ("[agent]\nbazel_expires = \"no\"\n", "line 2: agent: "),
        ("[agent]\nreminders = [\n\"30d\",\n\"soon\"]\n", "line 4: agent: `soon` is not a duration"),
        ("[agent]\nreminders = \"30d\"\n", "line 2: agent: here stands a list"),
        ("[agent\n", "line 1: "),
        ("agent = 1\n", "line 1: `agent` is a table"),
        ("sso = 1\n", "line 1: `sso` holds named tables"),
        ("[sso]\nokta = 1\n", "line 1: [sso] needs a name of its own"),
        ("[token.a]\nhosts = \"a.example\"\n", "line 2: token.a: "),
        ("[token.a]\nhosts = [1]\n", "line 2: token.a: "),
        ("[token.a]\nhosts = [\"a.example\"]\nhosts = [\"b.example\"]\n", "line 3: "),
        ("[sso.okta]\nclient_id = \"x\"\n", "line 1: sso.okta: `issuer` is missing"),
    ] {
        let error = error(text);
        assert!(error.starts_with(line), "{text}: {error}");
    }
}

#[test]
fn references_must_lead_somewhere() {
    let dangling = aws("").replace("[sso.okta]", "[sso.other]");
    assert_eq!(error(&dangling), "line 6: aws.dev: there is no entry [sso.okta]");
    assert!(error(&aws("").replace("sso = \"okta\"", "sso = \"aws.dev\"")).contains("there is no entry"));
}

#[test]
fn a_host_stands_once() {
    let twice = "[token.a]\nhosts = [\"x.example\"]\n[token.b]\nhosts = [\"X.example.\"]\n";
    assert_eq!(error(twice), "line 3: token.b: the host `x.example` is already in token.a");
    let in_one = "[token.a]\nhosts = [\"x.example\", \"x.example\"]\n";
    assert_eq!(error(in_one), "line 1: token.a: the host `x.example` stands twice");
    let across = sso("hosts = [\"*.x.example\"]") + "[token.a]\nhosts = [\"*.x.example\"]\n";
    assert!(error(&across).contains("already in sso.okta"));
    // A narrower pattern beside a wider one is what patterns are for.
    load("[token.a]\nhosts = [\"*.x.example\"]\n[token.b]\nhosts = [\"x.example\"]\n", REAL).unwrap();
}

#[test]
fn a_pattern_that_takes_in_half_the_world_is_an_error() {
    for host in
        ["*.com", "*", "*.", "", "https://x.example", "x.example:443", "*.*.example", "x.*.example", "a..b"]
    {
        assert!(
            error(&format!("[token.a]\nhosts = [\"{host}\"]\n")).starts_with("line 2: token.a: the host"),
            "{host}"
        );
    }
}

#[test]
fn plain_http_is_for_an_agent_apart_and_for_loopback_alone() {
    let issuer = |address: &str| sso("").replace("https://acme.okta.com", address);
    let apart = Limits { plain_loopback: true };
    for address in ["http://127.0.0.1:8080", "http://localhost:8080/x", "http://[::1]:8080"] {
        assert!(error(&issuer(address)).contains("tests and the demo only"), "{address}");
        load(&issuer(address), apart).unwrap();
    }
    for address in [
        "http://acme.okta.com",
        "http://127.0.0.1.evil.io",
        "http://10.0.0.1",
        "ftp://acme.okta.com",
        "acme",
        "",
    ] {
        load(&issuer(address), apart).unwrap_err();
    }
}

#[test]
fn a_configuration_never_holds_a_secret() {
    for text in [
        sso("").replace("https://acme", "https://ada:MARKER@acme"),
        sso("").replace("https://acme", "https://MARKER@acme"),
        "[network]\nproxy = \"http://ada:MARKER@proxy.acme.dev:3128\"\n".to_owned(),
        "[token.a]\nhosts = [\"a.example\"]\nportal = \"https://ada:MARKER@a.example\"\n".to_owned(),
        aws("endpoint_url = \"https://ada:MARKER@sts.example\""),
    ] {
        let error = error(&text);
        assert!(error.contains("never holds a secret") && !error.contains("MARKER"), "{error}");
    }
}

#[test]
fn an_entry_says_only_what_can_be() {
    for (text, word) in [
        (aws("duration = \"14m\""), "from 15m to 12h"),
        (aws("duration = \"13h\""), "from 15m to 12h"),
        (aws("duration = \"1 hour\""), "not a duration"),
        (aws("session_name = \"a b\""), "session name"),
        (aws("").replace("role/Dev", "user/Dev"), "a role is written"),
        (aws("").replace("123456789012", "1234"), "a role is written"),
        (aws("").replace("eu-west-1", "sts.evil.io/"), "not an AWS region"),
        (sso("redirect_ports = []"), "redirect_ports"),
        (sso("redirect_ports = [0]"), "redirect_ports"),
        (sso("redirect_ports = [70000]"), "a port from 1 to 65535"),
        (sso("present = \"refresh_token\""), "refresh_token"),
        ("[token.a]\nhosts = [\"a.example\"]\nheader = \"X Y\"\n".to_owned(), "not the name of a header"),
        ("[token.a]\nhosts = [\"a.example\"]\nheader = \"x-token-bin\"\n".to_owned(), "-bin"),
        ("[token.a]\nhosts = [\"a.example\"]\napi = \"https://a.example\"\n".to_owned(), "needs a `service`"),
        (
            "[token.a]\nhosts = [\"a.example\"]\nclusters = { b = \"grpcs://b.example\" }\n".to_owned(),
            "host of this entry",
        ),
        (
            "[token.a]\nhosts = [\"a.example\"]\nclusters = { a = \"grpc://a.example\" }\n".to_owned(),
            "grpcs://",
        ),
        ("[token.\"a b\"]\nhosts = [\"a.example\"]\n".to_owned(), "a name has letters"),
        ("[network]\nca_file = \"acme.pem\"\n".to_owned(), "absolute path"),
        ("[network]\nproxy = \"socks5://proxy\"\n".to_owned(), "a proxy is written"),
    ] {
        let error = error(&text);
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn ten_thousand_entries_load_while_nobody_looks_up() {
    let mut text = sso("");
    for number in 0..5000 {
        text += &format!("[token.t{number}]\nhosts = [\"h{number}.example\", \"*.w{number}.example\"]\n");
        let role = format!("arn:aws:iam::123456789012:role/r{number}");
        text += &format!("[aws.a{number}]\nsso = \"okta\"\nrole_arn = \"{role}\"\nregion = \"eu-west-1\"\n");
    }
    let began = Instant::now();
    let config: Config = load(&text, REAL).unwrap();
    // Without optimisation, on a busy machine; what grows with the square takes far longer.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(config.entries.len(), 10_001);
    let host = keyfob_agent::config::Host::parse("x.w4999.example").unwrap();
    assert_eq!(config.route(&host).unwrap().name.to_string(), "token.t4999");
}

#[tokio::test]
async fn the_status_of_thousands_of_entries_fits_through_the_door_in_time() {
    let mut config = CONFIG.to_owned();
    for number in 0..5000 {
        config += &format!("[token.t{number}]\nhosts = [\"h{number}.example\"]\n");
        let role = format!("arn:aws:iam::123456789012:role/r{number}");
        config +=
            &format!("[aws.a{number}]\nsso = \"okta\"\nrole_arn = \"{role}\"\nregion = \"eu-west-1\"\n");
    }
    let company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    let began = Instant::now();
    let reply = company.control(ControlAsk::Status).await.unwrap();
    assert!(began.elapsed() < keyfob_ipc::limits::CONTROL_PATIENCE / 2, "{:?}", began.elapsed());
    let frame = keyfob_ipc::frame::encode(&reply, keyfob_ipc::limits::CONTROL_FRAME).unwrap();
    let Reply::Status(status) = reply else { panic!() };
    assert_eq!((status.entries.len(), frame.is_empty()), (10_003, false));
}

#[tokio::test]
async fn a_saved_edit_takes_effect_and_a_broken_one_does_not() {
    let company = Company::open().await;
    company.add_token("aspect", "aw_1").await.unwrap();
    company.configure(&format!("{CONFIG}\n[token.other]\nhosts = [\"other.example\"]\n"));
    assert_eq!(company.get("https://other.example").await.unwrap_err().code, Code::TokenNeeded);

    company.configure(&CONFIG.replace("prefix", "prefxi"));
    company.get(CLUSTER).await.unwrap();
    assert_eq!(company.get("https://other.example").await.unwrap_err().code, Code::TokenNeeded);
    let report = check(&company).await;
    assert!(report.exists);
    assert_eq!(report.errors, ["line 10: unknown key `token.aspect.prefxi`; did you mean `prefix`?"]);

    company.configure(CONFIG);
    assert!(company.get("https://other.example").await.unwrap().headers.is_empty());
    company.get(CLUSTER).await.unwrap();
    assert_eq!(check(&company).await.errors, Vec::<String>::new());
}

#[tokio::test]
async fn a_configuration_that_is_broken_from_the_start_is_named_and_can_be_mended() {
    let company = Company::with("[token.aspect]\n", |_| {}).await;
    let refusal = company.get(CLUSTER).await.unwrap_err();
    assert_eq!(refusal.code, Code::ConfigBroken);
    assert!(refusal.say.contains("line 1: token.aspect: `hosts` is missing"), "{refusal}");
    assert_eq!(refusal.hint, "keyfob config check");
    let Reply::Status(status) = company.control(ControlAsk::Status).await.unwrap() else { panic!() };
    assert_eq!(status.config.errors.len(), 1);
    assert!(status.entries.is_empty());

    company.configure(CONFIG);
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::TokenNeeded);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_can_write_is_not_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let company = Company::open().await;
    let path = company.agent.store().report().path;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let report = check(&company).await;
    assert!(report.errors[0].contains("chmod go-w"), "{report:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(check(&company).await.errors, Vec::<String>::new());
}
