//! What another program of the session presses by way of assistive technology, with no pointer and no key: it opens and
//! reads, and gives nothing away. A pointer on the same button does.

use keyfob_e2e::real::{Accessibility, Button, Desktop, WebDriver, together};
use keyfob_e2e::{Company, MEMORY, Profile, token};
use serde_json::json;

use crate::programs::{get, program};
use crate::seat::{Seat, TITLE};
use crate::{HOST, URI, VALUE, everything};

const QUESTION: &str = "section[data-question=\"token.aspect\"]";
/// What the page says of it.
const REMARK: &str = "another program pressed";
/// A button of the test's own, which does what it is told by anybody.
const TWIN: &str = "the twin";

/// A seat whose windows other programs can read and press, and that other program.
fn seat(config: &str) -> (Seat, Accessibility) {
    let mut seat = Seat::at(Desktop::start(), Profile::new(config));
    let other = Accessibility::start(&seat.desktop, &mut seat.profile);
    (seat, other)
}

/// The window, in which no hand has been yet, and the control: what is pressed from elsewhere arrives in it, as a click
/// that the page takes for a person's.
#[track_caller]
fn untouched(seat: &Seat, other: &Accessibility) -> WebDriver {
    let window = seat.drive_as_it_comes();
    let twin = "const it = document.createElement('button'); it.textContent = arguments[0];
        it.addEventListener('click', event => { window.pressed = event.isTrusted; it.remove() });
        document.querySelector('main').append(it)";
    window.script(twin, &json!([TWIN]));
    other.press(&other.button(TWIN));
    window.until("a press from elsewhere", || window.script("return window.pressed", &json!([])) == true);
    window
}

/// A button as another program finds it, by the name that assistive technologies read.
#[track_caller]
fn find(window: &WebDriver, other: &Accessibility, css: &str) -> Button {
    window.wait_for(&format!("{css}:not(:disabled)"));
    let name = "const it = document.querySelector(arguments[0]);
        return it.ariaLabel || it.innerText.trim()";
    let name = window.script(name, &json!([css]));
    other.button(name.as_str().expect("a button has a name"))
}

/// Presses it, and the page says what it makes of that.
#[track_caller]
fn press_in_vain(window: &WebDriver, other: &Accessibility, css: &str, button: &Button) {
    other.press(button);
    window.until("what comes of it", || {
        // A question that was answered is gone, a lock that was opened, a dialog that went on.
        window.text("[role=alert]").to_lowercase().contains(REMARK) || !window.is_there(css)
    });
    assert!(window.is_there(css), "a press from elsewhere did what {css} is for");
}

/// Clicks with the pointer of the desktop.
#[track_caller]
fn point(seat: &Seat, window: &WebDriver, css: &str) {
    let at = seat.desktop.area_of(&seat.desktop.wait_for_window(TITLE));
    let middle = "const it = document.querySelector(arguments[0]); it.scrollIntoView({block: 'center'});
        const at = it.getBoundingClientRect();
        return [at.x + at.width / 2, at.y + at.height / 2].map(Math.round)";
    let middle = window.script(middle, &json!([css]));
    let [x, y] =
        [0, 1].map(|axis| middle[axis].as_u64().and_then(|it| u32::try_from(it).ok()).expect("a place"));
    seat.desktop.click(at.x + x, at.y + y, 1);
}

#[test]
fn what_another_program_presses_approves_nothing() {
    let _turn = together();
    let policy = "[policy.\"token.aspect\"]\nconfirm = \"first\"\n";
    let (seat, other) = seat(&[MEMORY, &token("aspect", HOST), policy].concat());
    seat.profile.add_token("aspect", VALUE);
    let terraform = program(&seat.profile, "terraform");
    get(&seat.profile, &terraform).exits(5);
    let window = untouched(&seat, &other);
    window.wait_for(QUESTION);
    for answer in ["always", "today", "once"] {
        let css = format!("{QUESTION} button[data-answer={answer}]");
        press_in_vain(&window, &other, &css, &find(&window, &other, &css));
        assert_eq!(get(&seat.profile, &terraform).exits(5).stdout, "", "{answer}");
        let grants = seat.profile.control_door().ask(&json!("grants"))["grants"].clone();
        assert_eq!(grants, json!([]), "{answer}");
        assert!(window.is_there(QUESTION), "it is still open");
        // What was said is put away, so that the next time is seen. That needs no hand.
        other.press(&find(&window, &other, "[role=alert] button[data-act=hush]"));
        window.until("an empty message", || window.text("[role=alert]").trim().is_empty());
    }
    // Right after a hand was on something else.
    let always = format!("{QUESTION} button[data-answer=always]");
    let button = find(&window, &other, &always);
    point(&seat, &window, "main h1");
    press_in_vain(&window, &other, &always, &button);
    get(&seat.profile, &terraform).exits(5);
    point(&seat, &window, &always);
    window.wait_for_none(QUESTION);
    for _ in 0..2 {
        assert!(get(&seat.profile, &terraform).ok().stdout.contains(VALUE));
    }
}

#[test]
fn what_another_program_presses_unlocks_nothing() {
    let _turn = together();
    let (seat, other) = seat(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.add_token("aspect", VALUE);
    seat.profile.run(&["lock"], "").ok();
    let window = untouched(&seat, &other);
    let button = "[data-lock] button[data-act=unlock]";
    press_in_vain(&window, &other, button, &find(&window, &other, button));
    seat.profile.get(URI).exits(5);
    assert!(window.is_there("[data-lock]"));
    point(&seat, &window, button);
    window.wait_for_none("[data-lock]");
    assert!(seat.profile.get(URI).ok().stdout.contains(VALUE));
}

#[test]
fn what_another_program_presses_signs_in_nothing() {
    let _turn = together();
    let company = Company::start();
    let (seat, other) = seat(&everything(&company));
    seat.profile.start_agent();
    let window = untouched(&seat, &other);
    let menu = seat.menu(window.application());
    // The dialog alone is open to everybody.
    menu.send_click(&menu.wait_for("Sign in to okta…"));
    let button = "dialog[data-dialog=sign-in] button[data-act=sign-in]";
    window.wait_for(button);
    let before = company.counts();
    press_in_vain(&window, &other, button, &find(&window, &other, button));
    assert_eq!(company.counts().arrived, before.arrived, "nobody was asked for anything");
    assert_eq!(seat.profile.state_of("sso.okta"), "signed-out");
    point(&seat, &window, button);
    window.wait_for("dialog[data-dialog=sign-in] [data-step=done]");
    assert_eq!(seat.profile.state_of("sso.okta"), "live");
}
