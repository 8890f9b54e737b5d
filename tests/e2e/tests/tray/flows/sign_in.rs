//! Signing in by the browser and by a code, and out again.

use std::process::Command;

use keyfob_e2e::real::{OidcProvider, together};
use keyfob_e2e::{Company, MEMORY, PATIENCE, Stage, run, wait_for_some};
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::json;

use crate::everything;
use crate::seat::{Seat, begin, due, row};

const DIALOG: &str = "dialog[data-dialog=sign-in]";

#[test]
fn a_person_signs_in_in_the_browser_and_out_again() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let window = seat.drive();
    assert_eq!(seat.profile.state_of("sso.okta"), "signed-out");
    window.wait_for(&format!("{}[data-state=signed-out]", row("sso.okta")));
    window.click(&due("sso.okta", "sign-in"));
    window.click(&format!("{DIALOG} button[data-act=sign-in]"));
    window.wait_for(&format!("{DIALOG} [data-step=done]"));
    window.click(&format!("{DIALOG} button[data-act=close]"));
    window.wait_for_none(DIALOG);
    window.wait_for(&format!("{}[data-state=live]", row("sso.okta")));
    window.wait_for_text(&row("sso.okta"), "ada@example.com");
    assert_eq!(seat.profile.state_of("sso.okta"), "live");
    assert!(seat.profile.get("https://x.cache.acme.dev/").ok().stdout.contains("Bearer"));
    // The role behind it serves too.
    window.wait_for(&format!("{}[data-state=live]", row("aws.dev")));

    begin(&window, "sso.okta", "sign-out");
    window.click("dialog[data-dialog=sign-out] button[data-act=sign-out]");
    window.wait_for(&format!("{}[data-state=signed-out]", row("sso.okta")));
    assert_eq!(seat.profile.state_of("sso.okta"), "signed-out");
}

#[test]
fn a_code_is_shown_large_copied_and_typed_on_another_device() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let seat = Seat::new(&[MEMORY, &provider.sso("okta", "*.cache.acme.dev")].concat());
    let window = seat.drive();
    window.click(&due("sso.okta", "sign-in"));
    window.click(&format!("{DIALOG} [name=device]"));
    window.click(&format!("{DIALOG} button[data-act=sign-in]"));
    window.wait_for(&format!("{DIALOG} [data-code]"));
    let code = window.text(&format!("{DIALOG} [data-code]"));
    let size = "return parseFloat(getComputedStyle(document.querySelector(arguments[0])).fontSize)";
    let size = window.script(size, &json!(["dialog [data-code]"]));
    assert!(size.as_f64().is_some_and(|size| size >= 24.0), "to be read across a table: {size}");
    window.click(&format!("{DIALOG} button[data-act=copy]"));
    let copied = wait_for_some("a copy", PATIENCE, || {
        let mut paste = seat.desktop.command("xclip");
        paste.args(["-selection", "clipboard", "-out"]);
        Some(run(paste, "").stdout.trim().to_owned()).filter(|copied| !copied.is_empty())
    });
    assert_eq!(copied, code.trim());
    let shown = window.text(DIALOG);
    let address = shown.split_whitespace().find(|word| word.starts_with("http"));
    let address = address.unwrap_or_else(|| panic!("no address to type: {shown}")).trim_end_matches('.');
    let mut browser = Command::new(Stage::get().bin("keyfob-sandbox-browser"));
    browser.args([address, code.trim()]);
    run(browser, "").ok();
    window.wait_for(&format!("{DIALOG} [data-step=done]"));
    assert_eq!(seat.profile.state_of("sso.okta"), "live");
}

#[test]
fn a_sign_in_that_fails_says_why_and_one_that_is_called_off_leaves_nothing() {
    let _turn = together();
    let company = Company::start();
    let mut seat = Seat::new(&everything(&company));
    // A browser that opens nothing.
    seat.profile.set("BROWSER", "/bin/true");
    company.faults().set(Endpoint::Discovery, Fault::Status(503));
    let window = seat.drive();
    window.click(&due("sso.okta", "sign-in"));
    window.click(&format!("{DIALOG} button[data-act=sign-in]"));
    window.wait_for(&format!("{DIALOG} [data-step=failed]"));
    assert!(!window.text(&format!("{DIALOG} [data-step=failed]")).trim().is_empty());

    company.faults().clear_all();
    window.click(&format!("{DIALOG} button[data-act=sign-in]"));
    window.wait_for(&format!("{DIALOG} [data-step=browser]"));
    window.click(&format!("{DIALOG} button[data-act=cancel]"));
    window.wait_for_none(DIALOG);
    assert_eq!(seat.profile.state_of("sso.okta"), "signed-out");
    // Nothing of it is left in the way of the next one.
    company.sign_in(&seat.profile, "okta");
    window.wait_for(&format!("{}[data-state=live]", row("sso.okta")));
}
