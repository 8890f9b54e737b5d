//! `keyfob admin tokens`: what administrators of the open token API do, with a token that Keyfob holds.

use keyfob_e2e::{Company, MEMORY, Output, Profile};
use keyfob_sandbox::{Endpoint, Fault, Permissions};
use serde_json::Value;

use crate::{ADA, entry, issue, issue_administrator, refused, served, text};

const BOT: &str = "bot.acme.dev";

/// `token.admin` is an administrator's, `token.bot` keeps what is made for a machine.
fn desk(company: &Company) -> (Profile, String) {
    let config = [MEMORY, &served(company, "admin", "admin.acme.dev"), &served(company, "bot", BOT)].concat();
    let profile = Profile::new(&config);
    let value = issue_administrator(company);
    profile.add_token("admin", &value);
    (profile, value)
}

#[track_caller]
fn admin(profile: &Profile, words: &[&str]) -> Output {
    profile.run(&[&["admin", "tokens"], words, &["--with", "admin"]].concat(), "")
}

/// What the list says of one owner's only token.
#[track_caller]
fn only(profile: &Profile, owner: &str) -> Value {
    let list = admin(profile, &["list", "--owner", owner, "--json"]).ok().json();
    let all = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    assert_eq!(all.len(), 1, "{list}");
    all[0].clone()
}

#[test]
fn an_administrator_lists_permits_rotates_and_deletes() {
    let company = Company::start();
    let (profile, own) = desk(&company);
    let grace = issue(&company, "grace@example.com", Permissions::READ, 50);
    let page = admin(&profile, &["list"]).ok();
    for shown in ["grace@example.com", "root@example.com"] {
        assert!(page.stdout.contains(shown), "no {shown}: {page:?}");
    }
    for value in [&grace, &own] {
        assert!(!page.stdout.contains(value.as_str()), "a value is listed");
    }
    let id = text(&only(&profile, "grace@example.com")["id"]);

    admin(&profile, &["permissions", &id, "--cluster", "aw-remote-ext=read,write"]).ok();
    let allowed = company.portal().permissions(&grace, "aw-remote-ext").expect("it lives");
    assert!(allowed.read && allowed.write && !allowed.execute, "{allowed:?}");

    let rotated = admin(&profile, &["rotate", &id]).ok();
    let new = company.portal().token_of_id(&id).expect("it is there");
    assert!(new != grace && company.portal().is_live(&new) && !company.portal().is_live(&grace));
    assert!(rotated.stdout.contains(&new), "the one time that it is shown");
    assert!(!rotated.stderr.contains(&new), "not on this stream: {}", rotated.code);

    // Nobody is there to be asked.
    let said = refused(admin(&profile, &["delete", &id]), 1);
    assert!(said.contains("--yes") && company.portal().is_live(&new), "{said}");
    // A page in between says yes to anything.
    company.faults().set(Endpoint::TokenAdmin, Fault::Html);
    refused(admin(&profile, &["delete", &id, "--yes"]), 1);
    company.faults().clear_all();
    admin(&profile, &["delete", &id, "--yes"]).ok();
    assert!(!company.portal().is_live(&new));
    let said = refused(admin(&profile, &["delete", &id, "--yes"]), 1);
    assert!(said.contains("keyfob admin tokens list"), "{said}");
}

#[test]
fn a_machines_token_goes_straight_into_an_entry() {
    let company = Company::start();
    let (profile, _) = desk(&company);
    let made =
        admin(&profile, &["create", "bot-ci", "--cluster", "aw-remote-ext=read", "--into", "bot"]).ok();
    let answer = profile.get(&format!("https://{BOT}/")).ok().json();
    let value = text(&answer["headers"]["X-Aspect"][0]);
    assert!(company.portal().is_live(&value));
    assert!(!made.stdout.contains(&value) && !made.stderr.contains(&value), "nobody needs to see it");
    assert_eq!(text(&entry(&profile, "token.bot")["owner"]), "bot-ci");

    // The same with a new value for one that is there.
    let id = company.portal().id_of_token(&value).expect("it is known");
    let rotated = admin(&profile, &["rotate", &id, "--into", "bot"]).ok();
    let answer = profile.get(&format!("https://{BOT}/")).ok().json();
    let new = text(&answer["headers"]["X-Aspect"][0]);
    assert!(new != value && company.portal().is_live(&new) && !rotated.stdout.contains(&new));

    // Without an entry to keep it, it is shown this once.
    let made =
        admin(&profile, &["create", "bot-two", "--cluster", "aw-remote-ext=read", "--json"]).ok().json();
    assert!(company.portal().is_live(&text(&made["value"])), "{made}");
    refused(admin(&profile, &["create", "ci", "--cluster", "aw-remote-ext=read"]), 1);
}

#[test]
fn who_is_no_administrator_is_told_so() {
    let company = Company::start();
    let (profile, _) = desk(&company);
    profile.add_token("bot", &issue(&company, ADA, Permissions::ALL, 90));
    let said = refused(profile.run(&["admin", "tokens", "list", "--with", "bot"], ""), 1);
    assert!(said.contains("not an administrator"), "{said}");
    let said = refused(profile.run(&["admin", "tokens", "list"], ""), 1);
    assert!(said.contains("--with"), "two could be meant: {said}");
    company.faults().set(Endpoint::TokenAdmin, Fault::Reset);
    let said = refused(admin(&profile, &["list"]), 1);
    assert!(said.contains("keyfob admin tokens list"), "{said}");
}
