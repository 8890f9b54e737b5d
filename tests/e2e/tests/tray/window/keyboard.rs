//! By the keyboard alone: real keys, through the window manager.

use keyfob_e2e::real::{WebDriver, together};
use keyfob_e2e::{Company, PATIENCE, wait_for};
use serde_json::json;

use crate::everything;
use crate::seat::{Seat, TITLE};

/// More than there are stops on any page of these tests.
const STOPS: usize = 60;

fn is_focused(window: &WebDriver, css: &str) -> bool {
    window.script("return document.activeElement.matches(arguments[0])", &json!([css])) == true
}

/// What has the focus, in words for a failure.
fn focused(window: &WebDriver) -> String {
    let script = "const it = document.activeElement; return it.outerHTML.slice(0, 200)";
    window.script(script, &json!([])).as_str().unwrap_or_default().to_owned()
}

/// Goes from stop to stop until this one.
#[track_caller]
fn tab_to(seat: &Seat, window: &WebDriver, css: &str) {
    let mut passed = Vec::new();
    for _ in 0..STOPS {
        if is_focused(window, css) {
            return;
        }
        let before = focused(window);
        seat.desktop.press(&["Tab"]);
        // One stop alone may be all there is.
        let end = std::time::Instant::now() + std::time::Duration::from_millis(500);
        while focused(window) == before && std::time::Instant::now() < end {}
        passed.push(focused(window));
    }
    panic!("no {css} among {passed:#?}");
}

#[test]
fn a_person_signs_in_without_a_mouse() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let window = seat.drive();
    seat.desktop.wait_for_active(TITLE);
    let due = "[data-entry=\"sso.okta\"] button[data-deed=sign-in]";
    tab_to(&seat, &window, due);
    seat.desktop.press(&["Return"]);
    window.wait_for("dialog[data-dialog=sign-in]");
    let within = "dialog[data-dialog=sign-in] *, dialog[data-dialog=sign-in]";
    wait_for("the focus in the dialog", PATIENCE, || is_focused(&window, within));
    // Escape leads back to where it came from.
    seat.desktop.press(&["Escape"]);
    window.wait_for_none("dialog[open]");
    wait_for("the focus where it was", PATIENCE, || is_focused(&window, due));
    seat.desktop.press(&["space"]);
    window.wait_for("dialog[data-dialog=sign-in]");
    tab_to(&seat, &window, "dialog[data-dialog=sign-in] button[data-act=sign-in]");
    seat.desktop.press(&["Return"]);
    window.wait_for("dialog[data-dialog=sign-in] [data-step=done]");
    tab_to(&seat, &window, "dialog[data-dialog=sign-in] button[data-act=close]");
    seat.desktop.press(&["Return"]);
    window.wait_for_none("dialog[open]");
    assert_eq!(seat.profile.state_of("sso.okta"), "live");
}

#[test]
fn every_view_and_every_menu_is_reached_by_keys() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.add_token("paper", crate::VALUE);
    let window = seat.drive();
    seat.desktop.wait_for_active(TITLE);
    for view in ["permissions", "timeline", "activity", "settings", "overview"] {
        tab_to(&seat, &window, &format!("nav button[data-view={view}]"));
        seat.desktop.press(&["Return"]);
        window.wait_for(&format!("main[data-view={view}]"));
        assert_eq!(
            window.text("nav [aria-current=page]").lines().next().map(str::to_lowercase).as_deref(),
            Some(view)
        );
    }
    tab_to(&seat, &window, "[data-entry=\"token.paper\"] button[data-act=more]");
    seat.desktop.press(&["Return"]);
    let item = "[data-entry=\"token.paper\"] [role=menuitem][data-deed=remove-token]";
    window.wait_for(item);
    for _ in 0..STOPS {
        if is_focused(&window, item) {
            break;
        }
        seat.desktop.press(&["Down"]);
    }
    assert!(is_focused(&window, item), "{}", focused(&window));
    seat.desktop.press(&["Return"]);
    window.wait_for("dialog[data-dialog=remove]");
}
