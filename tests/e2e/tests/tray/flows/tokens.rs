//! A token in the window: pasted, checked while it is typed, replaced by its service or by hand, looked at.

use std::collections::BTreeSet;

use keyfob_e2e::needles::{Search, Secret};
use keyfob_e2e::real::{WebDriver, together};
use keyfob_e2e::{Company, PATIENCE, wait_for};
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};
use serde_json::json;

use crate::seat::{Seat, begin, due, go, row};
use crate::{URI, VALUE, everything, issue};

const DIALOG: &str = "dialog[data-dialog=token]";
const FIELD: &str = "dialog[data-dialog=token] [name=value]";

/// Where the page holds a value, whole or a good part of it, in any form; nothing where it does not.
fn held(window: &WebDriver, value: &str) -> BTreeSet<String> {
    Search::new(&[Secret::new("the token", value)]).find(everywhere(window).as_bytes())
}

/// Everything in the page that could hold a value: markup, fields, storage, and what its address says.
fn everywhere(window: &WebDriver) -> String {
    let script = "return JSON.stringify([
        location.href, document.title, document.cookie, JSON.stringify(history.state),
        Object.entries(window.localStorage ?? {}), Object.entries(window.sessionStorage ?? {}), String(getSelection()),
        [...document.querySelectorAll('input, textarea')].map(it => [it.value, it.defaultValue]),
        document.documentElement.outerHTML, document.body.innerText,
    ])";
    let found = window.script(script, &json!([])).as_str().unwrap_or_default().to_owned();
    found + &window.source()
}

#[test]
fn a_token_is_checked_as_it_is_typed_kept_and_forgotten_by_the_page() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let value = issue(&company, Permissions::READ, 90);
    let window = seat.drive();
    window.click(&due("token.aspect", "add-token"));
    window.wait_for(&format!("{DIALOG} [data-check=empty]"));
    window.type_into(FIELD, "gh_0123456789");
    window.wait_for(&format!("{DIALOG} [data-check=bad]"));
    assert!(window.text(DIALOG).contains("aw_"), "what is wrong is said: {}", window.text(DIALOG));
    window.clear(FIELD);
    window.wait_for(&format!("{DIALOG} [data-check=empty]"));
    window.type_into(FIELD, &value);
    window.wait_for(&format!("{DIALOG} [data-check=good]"));
    // The control: it is found where it is.
    assert!(!held(&window, &value).is_empty());
    let shown = window.text("body");
    assert!(!shown.contains(&value), "a person who looks over the shoulder reads nothing");
    let kind = window.script("return document.querySelector(arguments[0]).type", &json!([FIELD]));
    assert_eq!(kind, "password");

    window.click(&format!("{DIALOG} button[data-act=keep]"));
    window.wait_for(&format!("{DIALOG} [data-outcome]"));
    assert_eq!(held(&window, &value), BTreeSet::new(), "the page forgets it with the click");
    let said = window.text(DIALOG);
    assert!(said.contains("ada@example.com"), "{said}");
    window.click(&format!("{DIALOG} button[data-act=close]"));
    window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
    assert_eq!(given(&seat), value, "the agent has it");
    assert_eq!(held(&window, &value), BTreeSet::new());
}

#[test]
fn a_value_that_the_agent_does_not_take_is_refused_in_the_dialog_and_forgotten_too() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let window = seat.drive();
    window.click(&due("token.aspect", "add-token"));
    window.type_into(FIELD, VALUE);
    window.click(&format!("{DIALOG} button[data-act=keep]"));
    window.wait_for_text(DIALOG, "does not accept");
    assert_eq!(held(&window, VALUE), BTreeSet::new());
    assert_eq!(seat.profile.state_of("token.aspect"), "signed-out");
    // What was typed and not sent goes with the dialog.
    window.type_into(FIELD, VALUE);
    wait_for("the field takes it", PATIENCE, || !held(&window, VALUE).is_empty());
    window.click(&format!("{DIALOG} button[data-act=cancel]"));
    window.wait_for_none(DIALOG);
    assert_eq!(held(&window, VALUE), BTreeSet::new());
}

#[test]
fn a_service_replaces_its_token_and_what_is_lost_is_shown() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let old = issue(&company, Permissions::ALL, 20);
    seat.profile.add_token("aspect", &old);
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let window = seat.drive();
    // Its end is near, so that this is what is due.
    window.click(&due("token.aspect", "rotate-token"));
    window.click(&format!("{DIALOG} button[data-act=rotate]"));
    window.wait_for(&format!("{DIALOG} [data-outcome]"));
    window.wait_for_text(&format!("{DIALOG} [data-lost]"), "write at aw-remote-ext");
    for table in ["data-before", "data-after"] {
        window.wait_for_text(&format!("{DIALOG} [{table}]"), "aw-remote-ext");
    }
    let new = given(&seat);
    assert!(new != old && company.portal().is_live(&new) && !company.portal().is_live(&old));
    for value in [&old, &new] {
        assert_eq!(held(&window, value), BTreeSet::new(), "no value crosses into the page");
    }
}

#[test]
fn a_token_by_hand_is_replaced_by_pasting_and_removed() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.add_token("paper", VALUE);
    let window = seat.drive();
    begin(&window, "token.paper", "rotate-token");
    let new = format!("{VALUE}new");
    window.type_into(FIELD, &new);
    window.click(&format!("{DIALOG} button[data-act=keep]"));
    window.wait_for(&format!("{DIALOG} [data-outcome]"));
    assert!(seat.profile.get("https://paper.acme.dev/").ok().stdout.contains(&new));
    window.click(&format!("{DIALOG} button[data-act=close]"));
    window.wait_for_none(DIALOG);
    begin(&window, "token.paper", "remove-token");
    window.click("dialog[data-dialog=remove] button[data-act=remove]");
    window.wait_for(&format!("{}[data-state=signed-out]", row("token.paper")));
    assert_eq!(seat.profile.state_of("token.paper"), "signed-out");
}

#[test]
fn permissions_are_what_the_clusters_and_the_service_say() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.add_token("aspect", &issue(&company, Permissions::READ, 90));
    company.sign_in(&seat.profile, "okta");
    let window = seat.drive();
    go(&window, "permissions");
    let table = "[data-permissions=\"token.aspect\"]";
    for text in ["aw-remote-ext", "aw-remote-two", "the cluster", "the token service"] {
        window.wait_for_text(table, text);
    }
    window.wait_for_text("[data-permissions=\"aws.dev\"]", "123456789012");
    window.wait_for_text("[data-permissions=\"sso.okta\"]", "ada");
}

fn given(seat: &Seat) -> String {
    let answer = seat.profile.get(URI).ok().json();
    answer["headers"]["X-Aspect"][0].as_str().expect("a value").to_owned()
}
