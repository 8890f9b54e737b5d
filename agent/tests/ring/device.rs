//! Signing in with a device code, on the system's own clock: the pauses between polls are the runtime's timers.

use std::time::{Duration, Instant};

use keyfob_ipc::{Code, Flow, Refusal};
use keyfob_sandbox::browser::Browser;
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{Company, eventually};
use crate::person::{Person, Seen};

type Task = tokio::task::JoinHandle<Result<keyfob_ipc::Reply, Refusal>>;

async fn company() -> Company {
    Company::in_real_time(|options| options.issuer.device_interval_seconds = 1).await
}

async fn begin(company: &Company) -> (Task, Seen, String) {
    let (person, mut seen) = Person::who_waits();
    let task = company.begin_sign_in(person, Flow::Device);
    let code = seen.user_code().await;
    (task, seen, code)
}

async fn approve(company: &Company, code: &str) {
    let page = format!("{}/device", company.sandbox.addresses().issuer_url);
    let visit = Browser::new("ada").with_user_code(code).visit(&page).await.unwrap();
    assert_eq!(visit.status, 200, "{}", visit.body);
}

/// The moments at which the next polls arrive.
async fn polls(company: &Company, count: u64) -> Vec<Instant> {
    let mut moments = Vec::new();
    for _ in 0..count {
        let before = company.token_calls();
        eventually("a poll", async || company.token_calls() > before).await;
        moments.push(Instant::now());
    }
    moments
}

#[tokio::test]
async fn a_pending_code_is_asked_about_until_it_is_approved() {
    let company = company().await;
    let (task, _seen, code) = begin(&company).await;
    polls(&company, 1).await;
    assert!(!task.is_finished());
    assert!(company.vault.item("sso.okta").await.is_none());
    approve(&company, &code).await;
    task.await.unwrap().unwrap();
    assert!(company.stored_refresh_token().await.is_some());
    company.bearer().await.unwrap();
    assert_eq!(company.counts().refreshes(), 0);
}

#[tokio::test]
async fn slow_down_adds_five_seconds_for_good() {
    let company = company().await;
    company.faults().set_times(Endpoint::Token, Fault::OAuthError("slow_down".to_owned()), 1);
    let (_task, seen, _) = begin(&company).await;
    let moments = polls(&company, 3).await;
    let least = Duration::from_millis(5900);
    assert!(moments[1] - moments[0] >= least, "{moments:?}");
    assert!(moments[2] - moments[1] >= least, "{moments:?}");
    seen.leave();
}

#[tokio::test]
async fn a_denied_code_ends_it() {
    let company = company().await;
    let (task, _seen, code) = begin(&company).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = format!("{}/device", company.sandbox.addresses().issuer_url);
    let form = [("user_code", code.as_str()), ("decision", "deny")];
    client.post(page).form(&form).send().await.unwrap().error_for_status().unwrap();
    let refusal = task.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::CalledOff);
    assert!(refusal.say.contains("denied"), "{refusal}");
    assert_eq!(refusal.hint, "keyfob login okta");
    assert!(company.vault.item("sso.okta").await.is_none());
}

#[tokio::test]
async fn a_code_that_nobody_enters_in_time_ends_it() {
    // By the provider's word, and by the clock of this machine.
    let company = company().await;
    company.faults().set(Endpoint::Token, Fault::OAuthError("expired_token".to_owned()));
    let (task, _seen, _) = begin(&company).await;
    let refusal = task.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::CalledOff);
    assert!(refusal.say.contains("in time"), "{refusal}");

    let company = Company::in_real_time(|options| options.issuer.device_code_seconds = 1).await;
    let (task, _seen, _) = begin(&company).await;
    let refusal = task.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::CalledOff);
    assert!(refusal.say.contains("in time"), "{refusal}");
    assert_eq!(company.token_calls(), 0);
}

#[tokio::test]
async fn the_network_may_go_and_come_back_meanwhile() {
    let company = company().await;
    company.faults().set_times(Endpoint::Token, Fault::Status(502), 1);
    let (task, _seen, code) = begin(&company).await;
    approve(&company, &code).await;
    task.await.unwrap().unwrap();
    assert_eq!(company.token_calls(), 2);
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_calls_it_off() {
    let company = company().await;
    let (task, seen, code) = begin(&company).await;
    seen.leave();
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::CalledOff);
    approve(&company, &code).await;
    assert!(company.vault.item("sso.okta").await.is_none());
}

#[tokio::test]
async fn a_provider_that_names_no_pause_is_not_hammered() {
    let company = Company::in_real_time(|options| options.issuer.device_interval_seconds = 0).await;
    let (task, seen, _) = begin(&company).await;
    let moments = polls(&company, 2).await;
    assert!(moments[1] - moments[0] >= Duration::from_millis(900), "{moments:?}");
    seen.leave();
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::CalledOff);
}
