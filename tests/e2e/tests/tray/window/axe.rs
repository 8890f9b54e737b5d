//! `axe-core` on every view and every dialog, light and dark.

use std::fs;

use keyfob_e2e::real::{Desktop, WebDriver, together};
use keyfob_e2e::{Company, MEMORY, Profile, Stage, token};
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};
use serde_json::{Value, json};

use crate::programs::{get, program};
use crate::seat::{Seat, begin, due, go, row};
use crate::{VALUE, everything, issue};

const FILE: &str = "[agent]\nkeychain = \"file\"\n";
const VIEWS: [&str; 5] = ["overview", "permissions", "timeline", "activity", "settings"];

/// A page under examination.
struct Examined<'a> {
    window: &'a WebDriver,
    found: Vec<String>,
}

impl Examined<'_> {
    /// Looks at what is there now.
    fn look(&mut self, at: &str) {
        let run = "const done = arguments[arguments.length - 1];
            // What moves is between two colours.
            Promise.all(document.getAnimations().map(it => it.finished.catch(() => {})))
                .then(() => axe.run(document, {resultTypes: ['violations']}))
                .then(it => done({violations: it.violations, passes: it.passes.length}), it => done({error: String(it)}))";
        let seen = self.window.script_later(run, &json!([]));
        assert!(seen["passes"].as_u64().is_some_and(|passes| passes > 5), "axe looked at nothing: {seen}");
        let violations = seen["violations"].as_array().cloned().unwrap_or_default();
        self.found.extend(violations.iter().map(|violation| describe(at, violation)));
    }
}

fn describe(at: &str, violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<_> = nodes.map(|node| format!("{} ({})", node["html"], node["failureSummary"])).collect();
    format!("{at}: {} ({}): {}", violation["id"], violation["help"], nodes.join("; "))
}

fn examine(window: &WebDriver) -> Examined<'_> {
    let axe = fs::read_to_string(Stage::get().web("axe.min.js")).expect("the examiner of pages is staged");
    window.script(&axe, &json!([]));
    Examined { window, found: Vec::new() }
}

/// Everything that a window can show of a company, with a question open.
fn crowded(company: &Company, is_dark: bool) -> Seat {
    let desktop = Desktop::start();
    if is_dark {
        desktop.be_dark();
    }
    let policy = "[policy.\"token.paper\"]\nconfirm = \"first\"\n";
    let partner = company.sso("partner", "*.partner.example");
    let seat = Seat::at(desktop, Profile::new(&[&everything(company), &partner, policy].concat()));
    seat.profile.add_token("aspect", &issue(company, Permissions::ALL, 12));
    seat.profile.add_token("paper", VALUE);
    company.sign_in(&seat.profile, "okta");
    let terraform = program(&seat.profile, "terraform");
    get(&seat.profile, &terraform);
    let mut ask = seat.profile.command(&terraform);
    ask.arg(seat.profile.path().join("runner")).arg(Stage::get().bin("keyfob")).arg("get");
    keyfob_e2e::run(ask, json!({"uri": "https://paper.acme.dev/"}).to_string()).exits(5);
    seat
}

fn look_at_everything(is_dark: bool) {
    let company = Company::start();
    let seat = crowded(&company, is_dark);
    let window = seat.drive();
    let dark = window.script("return matchMedia('(prefers-color-scheme: dark)').matches", &json!([]));
    assert_eq!(dark, is_dark, "the theme of the desktop");
    let mut examined = examine(&window);
    // The control: it finds what is wrong.
    window.script("const it = document.createElement('img'); it.id = 'bad'; it.src = 'data:,'; document.body.append(it)", &json!([]));
    examined.look("a picture without a word");
    assert!(examined.found.iter().any(|found| found.contains("image-alt")), "{:?}", examined.found);
    window.script("document.querySelector('#bad').remove()", &json!([]));
    examined.found.clear();

    window.wait_for("section[data-question=\"token.paper\"]");
    for view in VIEWS {
        go(&window, view);
        let ready = match view {
            "permissions" => "[data-permissions=\"token.aspect\"] tr",
            "timeline" => "[data-lane=\"token.aspect\"]",
            "activity" => "[data-line]",
            "settings" => "[data-tool]",
            _ => "[data-entry]",
        };
        window.wait_for(ready);
        examined.look(view);
    }
    go(&window, "overview");
    let mut dialog = |open: &dyn Fn(&WebDriver), name: &str| {
        open(&window);
        window.wait_for(&format!("dialog[data-dialog={name}][open]"));
        examined.look(&format!("dialog {name}"));
        window.click(&format!(
            "dialog[data-dialog={name}] button[data-act=cancel], dialog[data-dialog={name}] button[data-act=close]"
        ));
        window.wait_for_none("dialog[open]");
    };
    dialog(&|window| window.click(&due("token.aspect", "rotate-token")), "token");
    dialog(&|window| begin(window, "token.paper", "rotate-token"), "token");
    dialog(&|window| begin(window, "token.paper", "remove-token"), "remove");
    dialog(&|window| begin(window, "token.paper", "say-end"), "say-end");
    dialog(&|window| begin(window, "token.paper", "snooze"), "snooze");
    dialog(&|window| begin(window, "sso.okta", "sign-out"), "sign-out");
    dialog(&|window| window.click(&due("sso.partner", "sign-in")), "sign-in");
    let code = |window: &WebDriver| {
        window.click(&due("sso.partner", "sign-in"));
        window.click("dialog [name=device]");
        window.click("dialog button[data-act=sign-in]");
        window.wait_for("dialog [data-code]");
    };
    dialog(&code, "sign-in");
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let outcome = |window: &WebDriver| {
        window.click(&due("token.aspect", "rotate-token"));
        window.click("dialog button[data-act=rotate]");
        window.wait_for("dialog [data-outcome] [data-lost]");
    };
    dialog(&outcome, "token");
    window.click(&format!("{} button[data-act=more]", row("token.aspect")));
    window.wait_for(&format!("{} [role=menu]", row("token.aspect")));
    examined.look("an open menu");
    assert!(examined.found.is_empty(), "{}", examined.found.join("\n"));
}

#[test]
fn everybody_can_use_it_in_light_colours() {
    let _turn = together();
    look_at_everything(false);
}

#[test]
fn everybody_can_use_it_in_dark_colours() {
    let _turn = together();
    look_at_everything(true);
}

#[test]
fn everybody_can_use_what_is_shown_while_something_is_wrong() {
    let _turn = together();
    let config = [MEMORY, &token("paper", "paper.acme.dev")].concat();
    for is_dark in [false, true] {
        let desktop = Desktop::start();
        if is_dark {
            desktop.be_dark();
        }
        let seat = Seat::at(desktop, Profile::new(&config));
        seat.profile.add_token("paper", VALUE);
        let window = seat.drive();
        let mut examined = examine(&window);
        seat.profile.run(&["lock"], "").ok();
        window.wait_for("[data-lock]");
        examined.look("locked");
        let wider = config.replace("\"paper.acme.dev\"", "\"paper.acme.dev\", \"other.acme.dev\"");
        seat.profile.configure(&format!("{wider}hots = 1\n"));
        seat.profile.status();
        window.wait_for("[data-config-errors]");
        examined.look("a broken configuration");
        window.click("[data-lock] button[data-act=unlock]");
        window.wait_for_none("[data-lock]");
        seat.profile.configure(&wider);
        seat.profile.get("https://other.acme.dev/");
        window.click(&due("token.paper", "confirm-places"));
        window.wait_for("dialog[data-dialog=places][open]");
        examined.look("new places");
        window.click("dialog[data-dialog=places] button[data-act=cancel]");
        window.wait_for_none("dialog[open]");
        seat.profile.run(&["agent", "stop"], "").ok();
        window.wait_for("[data-absent]");
        examined.look("no agent");
        assert!(examined.found.is_empty(), "{}", examined.found.join("\n"));
        drop(window);
        look_at_the_passphrase(&seat);
    }
}

/// A dialog that is there only where the keychain is a file that nobody else opens.
fn look_at_the_passphrase(seat: &Seat) {
    seat.profile.configure(&[FILE, &token("paper", "paper.acme.dev")].concat());
    seat.profile.run(&["unlock"], "correct horse battery staple\n").ok();
    seat.profile.run(&["lock"], "").ok();
    let window = seat.drive_as_it_comes();
    let mut examined = examine(&window);
    window.click("[data-lock] button[data-act=unlock]");
    window.wait_for("dialog[data-dialog=unlock][open] [name=passphrase]");
    examined.look("dialog unlock");
    window.type_into("dialog [name=passphrase]", "not this one");
    window.click("dialog[data-dialog=unlock] button[data-act=unlock]");
    window.wait_for_text("dialog[data-dialog=unlock]", "not the right one");
    examined.look("a passphrase that is not the right one");
    assert!(examined.found.is_empty(), "{}", examined.found.join("\n"));
}
