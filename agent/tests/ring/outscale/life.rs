//! From the first key to the last.

use super::*;

#[tokio::test]
async fn a_key_has_an_end_and_no_session_token() {
    let (company, bootstrap) = at_work().await;
    let keys = keys(&company).await.unwrap();
    assert_ne!(keys.access_key_id, bootstrap.id);
    assert_eq!((&keys.session_token, &keys.account_id), (&None, &None));
    let all = there(&company).keys_of("monitoring");
    let key = all.iter().find(|key| key.id == keys.access_key_id).unwrap();
    // Half a day from now, in whole seconds.
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T20:00:00Z"));
    assert_eq!(key.ends.unwrap().to_string(), "2026-11-21T20:00:00Z");
    let tag = key.tag.as_deref().unwrap();
    assert!(tag.starts_with("keyfob:ada-laptop:outscale.monitoring:") && tag.len() == 46, "{tag}");
    assert_eq!(there(&company).calls("CreateAccessKey"), 1);
}

#[tokio::test]
async fn a_burst_makes_one_key() {
    let (company, _) = at_work().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (agent, entry) = (company.agent.clone(), company.entry(NAME));
        tasks.spawn(async move {
            let permit = keyfob_agent::policy::Permit::of_a_test();
            entry.source.aws_credentials(&agent, &entry, &permit).await.unwrap().access_key_id
        });
    }
    let mut ids = tasks.join_all().await;
    ids.dedup();
    assert_eq!((ids.len(), there(&company).calls("CreateAccessKey")), (1, 1));
}

#[tokio::test]
async fn a_key_is_renewed_at_a_third_of_its_life_and_the_one_before_it_lives_to_its_end() {
    let (company, bootstrap) = at_work().await;
    let first = keys(&company).await.unwrap().access_key_id;
    company.pass(7 * HOUR);
    assert_eq!(keys(&company).await.unwrap().access_key_id, first);
    company.pass(HOUR + MINUTE);
    let renewed = async || keys(&company).await.unwrap().access_key_id != first;
    eventually("the key is renewed", renewed).await;
    let second = keys(&company).await.unwrap().access_key_id;
    assert!(there(&company).signs(&first), "somebody may still hold it");
    let mending = mend(&company);
    company.pass(4 * HOUR);
    eventually("the first key is put away", async || made(&company, &bootstrap) == [second.clone()]).await;
    assert!(there(&company).signs(&bootstrap.id) && there(&company).signs(&second));
    assert_eq!(there(&company).expiries_lost(), 0);
    mending.abort();
}

#[tokio::test]
async fn the_key_that_serves_signs_for_the_next_one() {
    let (company, bootstrap) = at_work().await;
    keys(&company).await.unwrap();
    there(&company).delete_key(&bootstrap.id);
    company.pass(9 * HOUR);
    keys(&company).await.unwrap();
    eventually("there is another one", async || made(&company, &bootstrap).len() == 2).await;
}

#[tokio::test]
async fn another_agent_serves_what_the_keychain_has_and_asks_nobody() {
    let (mut company, _) = at_work().await;
    let first = keys(&company).await.unwrap();
    company.restart();
    company.sandbox.outscale().let_in(false);
    let again = keys(&company).await.unwrap();
    assert_eq!((again.access_key_id, again.expiration), (first.access_key_id, first.expiration));
}

#[tokio::test]
async fn a_key_of_the_shortest_life_is_renewed_while_sdks_still_take_it() {
    let (company, key) = company().await;
    company.configure(&CONFIG.replace("user =", "lifetime = \"30m\"\nuser ="));
    add(&company, &key).await.unwrap();
    let first = keys(&company).await.unwrap().access_key_id;
    company.pass(11 * MINUTE);
    let renewed = async || keys(&company).await.unwrap().access_key_id != first;
    eventually("nineteen minutes before its end", renewed).await;
}

#[tokio::test]
async fn no_key_lives_longer_than_the_account_allows() {
    let (company, key) = company().await;
    let outscale = there(&company);
    outscale.set_longest_life(7200);
    add(&company, &key).await.unwrap();
    // Who may not ask what is allowed finds out by being refused.
    assert_eq!(keys(&company).await.unwrap_err().code, Code::ServiceRefused);
    let company = Company::with(CONFIG, |_| {}).await;
    let actions: Vec<&str> = RENEWAL.iter().copied().chain(["api:ReadApiAccessPolicy"]).collect();
    let key = there(&company).add_user("monitoring", &actions, None);
    there(&company).set_longest_life(7200);
    add(&company, &key).await.unwrap();
    assert_eq!(keys(&company).await.unwrap().expiration.as_deref(), Some("2026-11-21T09:59:00Z"));
}

#[tokio::test]
async fn a_key_is_not_served_before_it_signs() {
    let (company, _) = at_work().await;
    there(&company).set_propagation(3);
    let keys = keys(&company).await.unwrap();
    assert!(there(&company).signs(&keys.access_key_id));
    // Three calls that did not know it, and one that did, beside those of the bootstrap key.
    assert!(there(&company).calls("ReadAccessKeys") >= 3);
}

#[tokio::test]
async fn a_key_that_is_not_known_for_long_is_kept_and_no_second_one_is_made() {
    let (company, bootstrap) = at_work().await;
    there(&company).set_propagation(10);
    assert_eq!(keys(&company).await.unwrap_err().code, Code::Offline);
    company.pass(MINUTE);
    let served = keys(&company).await.unwrap().access_key_id;
    assert_eq!(made(&company, &bootstrap), [served]);
    assert_eq!(there(&company).calls("CreateAccessKey"), 1);
}

#[tokio::test]
async fn what_is_shown_ends_with_the_key() {
    let (company, _) = at_work().await;
    keys(&company).await.unwrap();
    let report = company.report(NAME).await;
    assert_eq!(report.until.as_deref(), Some("2026-11-21T20:00:00Z"));
    assert_eq!(report.facts["user"], "monitoring");
    assert_eq!(report.facts["region"], "eu-west-2");
    assert!(report.refusal.is_none() && report.notes.is_empty(), "{report:?}");
}
