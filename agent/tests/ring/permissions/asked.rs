//! Who is asked, how often, with what, and what becomes of those who do not answer.

use std::time::{Duration, Instant};

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{EntryPermissions, Rights, Teller};
use keyfob_ipc::{Code, ControlAsk};
use keyfob_sandbox::{CapabilitiesOptions, Endpoint, Fault, Permissions};

use super::{
    BY_HAND, CONFIG, FIRST, NO, OTHER, WRITE, YES, ask, of_token, rights, row, says, with, with_token,
};
use crate::company::{CLUSTER, Company, HOUR, MINUTE, eventually};

/// With the token and without.
const CALLS: u64 = 2;

fn calls(company: &Company) -> (u64, u64, u64) {
    let counts = company.counts();
    let arrived = |endpoint| counts.arrived(endpoint);
    (arrived(Endpoint::Cluster), arrived(Endpoint::SecondCluster), arrived(Endpoint::TokenSelf))
}

#[tokio::test]
async fn an_answer_is_good_for_an_hour_and_over_a_restart() {
    let mut company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    let asked = calls(&company);
    assert_eq!(asked, (CALLS, CALLS, 1), "a token that comes in is looked at");
    for _ in 0..3 {
        of_token(&company).await;
    }
    company.restart();
    company.pass(HOUR - MINUTE);
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T08:00:00Z"));
    assert_eq!(calls(&company), asked);

    company.pass(MINUTE);
    let entry = of_token(&company).await;
    assert_eq!(calls(&company), (2 * CALLS, 2 * CALLS, 2));
    for by in [Teller::Cluster, Teller::TokenService] {
        assert_eq!(row(&entry, FIRST, by).when.as_deref(), Some("2026-11-21T09:00:00Z"));
    }
    of_token(&company).await;
    assert_eq!(calls(&company), (2 * CALLS, 2 * CALLS, 2));
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_answer_last_longer() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    company.clock.set("2026-11-20T08:00:00Z".parse().unwrap());
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-20T08:00:00Z"));
    assert_eq!(calls(&company).0, 2 * CALLS);
}

#[tokio::test]
async fn everybody_is_asked_again_on_request() {
    let (company, token) =
        with_token(CONFIG, CapabilitiesOptions::default(), Permissions::READ.everywhere()).await;
    company.add_token("aspect", &token).await.unwrap();
    company.sandbox.portal().permit(&token, WRITE.everywhere());
    company.pass(MINUTE);
    let entry = ask(&company, Some("aspect"), true).await.remove(0);
    assert_eq!(calls(&company), (2 * CALLS, 2 * CALLS, 2));
    // The cluster remembers the token for an hour, and the difference is said.
    let of_cluster = row(&entry, FIRST, Teller::Cluster);
    assert_eq!(of_cluster.at.rights, rights(YES, NO, NO));
    assert_eq!(of_cluster.when.as_deref(), Some("2026-11-21T08:01:00Z"));
    assert!(says(of_cluster, "otherwise about write"), "{of_cluster:?}");
    assert_eq!(row(&entry, FIRST, Teller::TokenService).at.rights, rights(YES, YES, NO));
    company.pass(HOUR);
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
}

#[tokio::test]
async fn two_reports_at_once_ask_once() {
    let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    company.pass(HOUR);
    let (one, other) = tokio::join!(of_token(&company), of_token(&company));
    assert_eq!(one.clusters, other.clusters);
    assert_eq!(calls(&company), (2 * CALLS, 2 * CALLS, 2));
}

#[tokio::test]
async fn a_cluster_that_is_down_leaves_its_old_answer_and_is_not_hammered() {
    // A page for people where a cluster was is nobody's word about a token.
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Html, Fault::Reset] {
        let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
        company.pass(HOUR);
        company.faults().set(Endpoint::Cluster, fault.clone());
        let entry = of_token(&company).await;
        let of_cluster = row(&entry, FIRST, Teller::Cluster);
        assert_eq!(of_cluster.at.rights, rights(YES, YES, NO), "{fault:?}");
        assert_eq!(of_cluster.when.as_deref(), Some("2026-11-21T08:00:00Z"), "{fault:?}");
        let other = row(&entry, OTHER, Teller::Cluster);
        assert_eq!(other.when.as_deref(), Some("2026-11-21T09:00:00Z"), "{fault:?}");
        let [refusal] = entry.refusals.as_slice() else { panic!("{fault:?}: {:?}", entry.refusals) };
        assert_eq!(refusal.code, Code::Offline, "{fault:?}: {refusal}");
        assert!(refusal.say.contains("`aw-remote-ext`"), "{refusal}");

        let asked = calls(&company);
        company.pass(MINUTE - Duration::from_secs(1));
        assert_eq!(of_token(&company).await.refusals, entry.refusals);
        assert_eq!(calls(&company), asked, "{fault:?}");
        // It is back, and its rest is over.
        company.faults().clear_all();
        company.pass(Duration::from_secs(1));
        let entry = of_token(&company).await;
        assert_eq!(entry.refusals, [], "{fault:?}");
        let when = row(&entry, FIRST, Teller::Cluster).when.clone();
        assert_eq!(when.as_deref(), Some("2026-11-21T09:01:00Z"), "{fault:?}");
        assert_eq!(calls(&company), (asked.0 + CALLS, asked.1, asked.2), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    company.pass(HOUR);
    company.faults().set(Endpoint::Cluster, Fault::Endless);
    let entry = of_token(&company).await;
    let [refusal] = entry.refusals.as_slice() else { panic!("{:?}", entry.refusals) };
    assert!(refusal.say.contains("too large"), "{refusal}");
}

/// As gRPC itself takes them (its doc/http-grpc-status-mapping.md).
#[tokio::test]
async fn a_gateway_that_refuses_in_plain_http_speaks_for_its_cluster() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    for (status, expected, code) in [
        // It says so to everybody: what is known of the token stays known.
        (403, rights(YES, YES, NO), Some(Code::Offline)),
        (404, Rights::default(), None),
        (401, Rights::default(), Some(Code::TokenNeeded)),
    ] {
        company.faults().set(Endpoint::Cluster, Fault::Status(status));
        let entry = ask(&company, Some("aspect"), true).await.remove(0);
        assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, expected, "{status}");
        let codes: Vec<_> = entry.refusals.iter().map(|refusal| refusal.code).collect();
        assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{status}");
    }
}

#[tokio::test]
async fn a_gateway_that_refuses_everybody_takes_no_permission_away() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    company.faults().set(Endpoint::Cluster, Fault::Status(403));
    let entry = ask(&company, Some("aspect"), true).await.remove(0);
    let [refusal] = entry.refusals.as_slice() else { panic!("{:?}", entry.refusals) };
    assert!(refusal.say.contains("refuses everybody, with a token or without"), "{refusal}");
    assert!(refusal.hint.contains("VPN"), "{refusal:?}");

    let other = company.sandbox.portal().issue_token("ada", WRITE, company.world_now() + HOUR);
    let (name, value) = ("aspect".to_owned(), Some(other.as_str().into()));
    company.control(ControlAsk::TokenRotate { name, value, ends: None }).await.unwrap();
    let held = company.agent.holdings().at_hand(&company.entry("aspect").name).unwrap();
    assert_eq!(held.value, other.as_str().into());
    assert_eq!(held.facts.token.lost, [""; 0]);
}

#[tokio::test]
async fn a_service_that_is_down_leaves_what_it_said_and_is_not_hammered() {
    let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    company.pass(HOUR);
    company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::TokenService).when.as_deref(), Some("2026-11-21T08:00:00Z"));
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T09:00:00Z"));
    assert_eq!(entry.refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [Code::Offline]);
    let asked = calls(&company);
    assert_eq!(of_token(&company).await.refusals, entry.refusals);
    assert_eq!(calls(&company), asked);
    // A person who asks for it is not put off, whoever was down.
    company.faults().set(Endpoint::SecondCluster, Fault::Status(503));
    assert_eq!(ask(&company, Some("aspect"), true).await.remove(0).refusals.len(), 2);
    company.faults().clear_all();
    assert_eq!(ask(&company, Some("aspect"), true).await.remove(0).refusals, []);
}

#[tokio::test]
async fn a_token_that_a_cluster_does_not_accept_may_do_nothing_that_it_could_before() {
    let (company, token) = with_token(BY_HAND, CapabilitiesOptions::default(), WRITE.everywhere()).await;
    company.add_token("aspect", &token).await.unwrap();
    company.sandbox.portal().revoke(&token);
    // The cluster has forgotten it by now.
    company.pass(HOUR);
    for _ in 0..2 {
        let entry = of_token(&company).await;
        assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, Rights::default());
        let [refusal] = entry.refusals.as_slice() else { panic!("{:?}", entry.refusals) };
        assert_eq!(refusal.code, Code::TokenNeeded);
        assert!(refusal.say.contains("does not accept the token of `token.aspect`"), "{refusal}");
        assert_eq!(refusal.hint, "keyfob token add aspect");
        assert!(!refusal.say.contains(&token));
    }
    // Another token may fare better, minute or not.
    let other = company.sandbox.portal().issue_token("ada", WRITE, company.world_now() + HOUR);
    company.add_token("aspect", &other).await.unwrap();
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    assert_eq!(entry.refusals, []);
}

#[tokio::test]
async fn what_is_said_of_a_token_that_was_not_taken_says_nothing_of_the_one_held() {
    let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    company.pass(HOUR);
    let refusal = company.add_token("aspect", "aw_nobody_knows_this_one").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    let entry = of_token(&company).await;
    assert_eq!(entry.refusals, []);
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T09:00:00Z"));
}

#[tokio::test]
async fn nothing_that_a_tool_asks_waits_for_a_cluster() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    company.pass(HOUR);
    company.faults().set(Endpoint::Cluster, Fault::Slow(HOUR));
    let asked = calls(&company).0;
    let began = Instant::now();
    let report = of_token(&company);
    let meanwhile = async {
        eventually("the cluster is asked", async || calls(&company).0 == asked + CALLS).await;
        for _ in 0..20 {
            let given = tokio::time::timeout(Duration::from_millis(200), company.get(CLUSTER)).await;
            given.expect("a tool does not wait").unwrap();
        }
    };
    let (entry, ()) = tokio::join!(report, meanwhile);
    // The cluster had its five seconds, and no more.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let of_cluster = row(&entry, FIRST, Teller::Cluster);
    assert_eq!(of_cluster.when.as_deref(), Some("2026-11-21T08:00:00Z"));
    assert_eq!(entry.refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [Code::Offline]);
}

#[tokio::test]
async fn a_cluster_that_nobody_has_confirmed_never_gets_the_token() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    let edit = BY_HAND.replace("\"FRONT\" }", "\"FRONT\", aw-remote-two = \"SECOND\" }");
    company.configure(&edit);
    company.pass(HOUR);
    for again in [false, true] {
        let entry = ask(&company, Some("aspect"), again).await.remove(0);
        let codes: Vec<_> = entry.refusals.iter().map(|refusal| refusal.code).collect();
        assert_eq!(codes, [Code::DestinationChanged]);
        // What is known stays known.
        assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
        assert_eq!(row(&entry, OTHER, Teller::Cluster).at.rights, Rights::default());
    }
    // Nor does one that is given now: it may go where the one before it could.
    let other = company.sandbox.portal().issue_token("ada", WRITE, company.world_now() + HOUR);
    company.add_token("aspect", &other).await.unwrap();
    let footing = company.agent.footing().unwrap();
    let entry = company.entry("aspect");
    let direct = company.agent.ask_clusters(&footing, &entry, &other.as_str().into()).await;
    assert!(direct.is_empty(), "{direct:?}");
    assert_eq!((calls(&company).0, calls(&company).1), (CALLS, 0));

    let changes = company.changes().await;
    company.confirm(Some(changes)).await.unwrap();
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, OTHER, Teller::Cluster).at.rights, rights(YES, YES, NO));
    assert_eq!(calls(&company).1, CALLS);
}

#[tokio::test]
async fn an_answer_belongs_to_the_place_that_gave_it() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), WRITE).await;
    company.configure(&BY_HAND.replace("FRONT", "SECOND"));
    let changes = company.changes().await;
    company.confirm(Some(changes)).await.unwrap();
    let known = company.agent.known_permissions(&company.entry("aspect")).await;
    let of_cluster = row(&known, FIRST, Teller::Cluster);
    assert_eq!((of_cluster.at.rights, of_cluster.when.as_deref()), (Rights::default(), None));
    of_token(&company).await;
    assert_eq!((calls(&company).0, calls(&company).1), (CALLS, CALLS));
}

#[tokio::test]
async fn what_one_service_said_is_not_the_word_of_another() {
    let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    let by_service =
        |entry: &EntryPermissions| entry.clusters.iter().filter(|row| row.by == Teller::TokenService).count();
    assert_eq!(by_service(&of_token(&company).await), 2);
    company.configure(&CONFIG.replace("\"TOKENS\"", "\"TOKENS/elsewhere\""));
    let entry = of_token(&company).await;
    assert_eq!(by_service(&entry), 0, "{entry:?}");
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    // An edit that is taken back, or names no service, leaves what was said.
    company.configure(&CONFIG.replace("api = \"TOKENS\"", "").replace("service = \"keyfob\"", ""));
    assert_eq!(by_service(&of_token(&company).await), 2);
    company.configure(CONFIG);
    assert_eq!(by_service(&of_token(&company).await), 2);
    company.configure(&CONFIG.replace("\"TOKENS\"", "\"TOKENS/elsewhere\""));
    let changes = company.changes().await;
    company.confirm(Some(changes)).await.unwrap();
    let known = company.agent.known_permissions(&company.entry("aspect")).await;
    assert_eq!(by_service(&known), 0, "{known:?}");
    let entry = of_token(&company).await;
    assert_eq!((by_service(&entry), entry.refusals.len()), (0, 1), "{entry:?}");
}

#[tokio::test]
async fn what_is_known_is_shown_without_asking_anybody() {
    let company = with(CONFIG, CapabilitiesOptions::default(), WRITE).await;
    company.pass(24 * HOUR);
    let asked = calls(&company);
    let known = company.agent.known_permissions(&company.entry("aspect")).await;
    assert_eq!(row(&known, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    assert_eq!(row(&known, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T08:00:00Z"));
    assert_eq!(calls(&company), asked);
}

#[tokio::test]
async fn a_keychain_that_fails_stands_in_the_way_of_nobody() {
    let company = with(BY_HAND, CapabilitiesOptions::default(), Permissions::READ).await;
    company.pass(HOUR);
    company.vault.set(Some(KeychainError::Locked));
    // What was learned is shown, though it cannot be kept.
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T09:00:00Z"));
    company.get(CLUSTER).await.unwrap();

    let mut company = company;
    company.restart();
    let entry = of_token(&company).await;
    let codes: Vec<_> = entry.refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Code::KeychainLocked]);
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, Rights::default());
}
