//! Tokens: how they are asked for, how often, and what comes of them.

use std::time::Duration;

use keyfob_agent::ambient::{Ambient, GithubRequest};
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, Refusal, Secret, ToolAsk};
use keyfob_sandbox::circleci::Version;
use keyfob_sandbox::{Endpoint, Fault};

use super::{CONFIG, circleci, github, of_github, token_file, web_identity, write_token};
use crate::company::{A_MOMENT, CACHE, Company, HOUR, MINUTE, ROLE};

fn requests(company: &Company) -> u64 {
    company.counts().arrived(Endpoint::GithubIdToken)
}

#[tokio::test]
async fn a_job_of_github_gets_its_roles_and_its_hosts_their_header() {
    let company = of_github().await;
    let keys = company.keys("deploy").await.unwrap();
    assert!(keys.access_key_id.starts_with("ASIA"));
    company.keys("read").await.unwrap();
    assert!(company.bearer().await.unwrap().starts_with("Bearer eyJ"));
    assert_eq!(company.sandbox.github_actions().audiences(), ["sts.amazonaws.com"], "one request for all");
    let counts = company.counts();
    assert_eq!(counts.role(ROLE), 1);
    assert_eq!(counts.last_role_session_name.as_deref(), Some("acme-payments-11223344556"));
    for name in ["machine.ci", "sso.company", "aws.deploy", "aws.read"] {
        assert_eq!(company.report(name).await.state, EntryState::Live, "{name}");
    }
}

#[tokio::test]
async fn the_audience_is_asked_for_as_it_is_configured() {
    let audience = "https://acme.example/?a=b&c=d e";
    let company = of_github().await;
    // Visible ASCII: the space is none, the rest must arrive as it is.
    let audience = audience.replace(' ', "+");
    company.configure(&CONFIG.replace("[machine.ci]", &format!("[machine.ci]\naudience = \"{audience}\"")));
    company.bearer().await.unwrap();
    assert_eq!(company.sandbox.github_actions().audiences(), [audience]);
    let refusal = company.keys("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused, "{refusal:?}");
}

#[tokio::test]
async fn a_service_that_fails_in_passing_is_asked_again() {
    let company = of_github().await;
    company.faults().set_times(Endpoint::GithubIdToken, Fault::Status(500), 2);
    let patient = company.keys_patiently("deploy").await.unwrap();
    assert!(patient.access_key_id.starts_with("ASIA"));
    assert_eq!(requests(&company), 3);
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_given_up_and_a_tool_is_answered_meanwhile() {
    let company = of_github().await;
    company.faults().set(Endpoint::GithubIdToken, Fault::Status(503));
    let (hasty, patient) = tokio::join!(company.keys("deploy"), company.keys_patiently("deploy"));
    assert_eq!(hasty.unwrap_err().code, Code::Pending, "within its own time limit");
    assert_eq!(patient.unwrap_err().code, Code::Offline);
    assert_eq!(requests(&company), 10, "as often as the toolkit of GitHub");
}

#[tokio::test]
async fn a_job_that_may_have_no_token_is_told_what_it_lacks_and_asks_once() {
    let mut company = of_github().await;
    let (url, _) = company.sandbox.github_actions().request();
    let github = Some(GithubRequest { url, token: Secret::from("wrong-marked") });
    company.in_job(Ambient { github, is_github: true, ..Ambient::default() });
    let refusal = company.keys("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderRefused);
    assert!(refusal.hint.contains("id-token: write"), "{refusal:?}");
    assert_eq!(requests(&company), 1);
    assert!(!format!("{refusal:?}").contains("marked"));
}

#[tokio::test]
async fn plain_http_elsewhere_and_strange_answers_are_refused() {
    let mut company = of_github().await;
    let token = Secret::from("t");
    let at = |url: &str| Ambient {
        github: Some(GithubRequest { url: url.to_owned(), token: token.clone() }),
        ..Ambient::default()
    };
    for url in ["http://actions.example/?x", "file:///etc/passwd", "not an address"] {
        company.in_job(at(url));
        let code = company.keys("deploy").await.unwrap_err().code;
        assert!(matches!(code, Code::ProviderUntrusted | Code::MachineIdentityMissing), "{url}: {code:?}");
    }
    company.in_job(github(&company));
    for (fault, expected) in
        [(Fault::Html, Code::ProviderUntrusted), (Fault::Endless, Code::ProviderUntrusted)]
    {
        company.faults().set(Endpoint::GithubIdToken, fault);
        assert_eq!(company.keys("deploy").await.unwrap_err().code, expected);
        company.faults().clear(Endpoint::GithubIdToken);
        company.pass(A_MOMENT);
    }
    company.sandbox.github_actions().set_life(-5);
    let ended = company.keys("deploy").await.unwrap_err();
    assert!(ended.hint.contains("clock"), "{ended:?}");
    assert_eq!(company.sts_calls(), 0);
}

#[tokio::test]
async fn a_burst_of_hosts_and_roles_makes_few_requests() {
    let company = of_github().await;
    let roles: Vec<String> = (0..3)
        .map(|number| format!("\n[aws.r{number}]\nmachine = \"ci\"\nrole_arn = \"{ROLE}\"\nregion = \"eu-west-1\"\nendpoint_url = \"STS\"\n"))
        .collect();
    company.configure(&(CONFIG.to_owned() + &roles.concat()));
    let gets = (0..150).map(|_| ToolAsk::Get { uri: CACHE.to_owned() });
    let keys = (0..3).map(|number| ToolAsk::CredentialProcess {
        name: format!("r{number}"),
        role_arn: None,
        task_role: false,
    });
    let asks: Vec<_> = gets
        .chain(keys)
        .map(|ask| {
            let agent = company.agent.clone();
            tokio::spawn(async move { agent.tool(ask).await })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(requests(&company), 1);
    assert_eq!(company.counts().role(ROLE), 3);
}

#[tokio::test]
async fn a_token_is_never_given_past_its_end_and_a_new_one_is_asked_for_in_time() {
    let company = of_github().await;
    let first = company.bearer().await.unwrap();
    company.pass(3 * MINUTE);
    assert_eq!(company.bearer().await.unwrap(), first);
    assert_eq!(requests(&company), 1);
    company.pass(Duration::from_secs(30));
    let again = company.get(CACHE).await.unwrap();
    assert_eq!(again.expires.as_deref(), Some("2026-11-21T08:04:00Z"), "a minute before its end");
    company.agent.flights.quiet().await;
    let second = company.bearer().await.unwrap();
    assert_ne!(second, first, "renewed behind the tool's back");

    company.pass(10 * MINUTE);
    company.faults().set(Endpoint::GithubIdToken, Fault::Status(401));
    assert_eq!(
        company.get(CACHE).await.unwrap_err().code,
        Code::ProviderRefused,
        "ended, and none to be had"
    );
}

#[tokio::test]
async fn a_job_of_circleci_gets_its_roles_with_either_token() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    for version in [Version::First, Version::Second] {
        company.in_job(circleci(&company, version));
        company.keys("deploy").await.unwrap();
        assert!(company.bearer().await.unwrap().starts_with("Bearer eyJ"));
    }
    let name = company.counts().last_role_session_name;
    assert_eq!(name.as_deref(), Some("circleci-70e9d5a2-0b1c-4d3e-8f5a-6b7c8d9eafb0"));
}

#[tokio::test]
async fn a_job_of_circleci_that_runs_for_over_an_hour_is_told_so() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    company.in_job(circleci(&company, Version::Second));
    company.keys("deploy").await.unwrap();
    company.pass(HOUR + MINUTE);
    for name in ["deploy", "read"] {
        let refusal = company.keys(name).await.unwrap_err();
        assert_eq!(refusal.code, Code::MachineIdentityMissing);
        assert!(refusal.say.contains("CIRCLE_OIDC_TOKEN_V2 is good for an hour"), "{refusal:?}");
        assert!(refusal.hint.contains("duration"), "{refusal:?}");
    }
    assert_eq!(company.report("ci").await.state, EntryState::Refused);
    assert_eq!(company.counts().role(ROLE), 1, "STS is not asked with what has ended");
}

#[tokio::test]
async fn a_token_for_somebody_else_is_not_sent() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    company.configure(&CONFIG.replace("[machine.ci]", "[machine.ci]\naudience = \"sts.amazonaws.com\""));
    company.in_job(circleci(&company, Version::Second));
    let refusal = company.keys("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("not for `sts.amazonaws.com`"), "{refusal:?}");
    assert_eq!(company.sts_calls(), 0);
}

#[tokio::test]
async fn a_token_file_is_read_anew_for_each_exchange() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    let path = token_file(&company);
    company.in_job(web_identity(path.clone()));
    company.keys("deploy").await.unwrap();
    std::fs::write(&path, "no token any more").unwrap();
    let refusal = company.keys("read").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("is no JSON Web Token"), "{refusal:?}");
    write_token(&company, &path);
    company.pass(A_MOMENT);
    company.keys("read").await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_token_is_followed_and_nothing_but_a_plain_file_is_read() {
    use std::os::unix::fs::symlink;
    let mut company = Company::with(CONFIG, |_| {}).await;
    let path = token_file(&company);
    let link = company.state().join("projected");
    symlink(&path, &link).unwrap();
    company.in_job(web_identity(link.clone()));
    company.keys("deploy").await.unwrap();

    let pipe = company.state().join("pipe");
    // Every Unix has the program, and not all have the call.
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let large = company.state().join("large");
    std::fs::write(&large, "e".repeat(21_000)).unwrap();
    let gone = company.state().join("gone");
    for (target, said) in [
        (pipe, "no plain file"),
        (large, "too large"),
        (gone, "cannot be read"),
        (company.state().to_owned(), ""),
    ] {
        company.in_job(web_identity(target));
        let refusal = company.keys("deploy").await.unwrap_err();
        assert_eq!(refusal.code, Code::MachineIdentityMissing);
        assert!(refusal.say.contains(said), "{refusal:?}");
    }
}

#[tokio::test]
async fn no_token_shows_in_what_is_said_and_written_of_it() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    let ambient = circleci(&company, Version::Second);
    let token = ambient.circleci.clone().unwrap().1.expose().clone();
    let signature = token.rsplit('.').next().unwrap().to_owned();
    company.in_job(ambient);
    company.keys("deploy").await.unwrap();
    company.bearer().await.unwrap();
    let mut said = format!("{:?}", company.agent.leases.get(&super::super::company::dev()));
    for name in ["machine.ci", "sso.company", "aws.deploy"] {
        said += &serde_json::to_string(&company.report(name).await).unwrap();
    }
    said += &super::claims::text(&company).await;
    company.faults().set(Endpoint::Sts, Fault::Html);
    company.pass(2 * MINUTE);
    said += &format!("{:?}", company.keys("read").await.map(drop).map_err(|refusal: Refusal| refusal));
    for part in [token.as_str(), signature.as_str(), token.split('.').nth(1).unwrap()] {
        assert!(!said.contains(part));
    }
    assert!(said.contains("machine.ci"), "there was something to look through");
}
