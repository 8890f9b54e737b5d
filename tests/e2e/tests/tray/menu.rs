//! The icon and its menu, as a panel reads and clicks them.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use keyfob_e2e::real::{Panel, Picture, TrayMenu, together};
use keyfob_e2e::{Company, MEMORY, PATIENCE, token, wait_for, wait_for_some};
use keyfob_sandbox::Permissions;

use crate::seat::{Seat, TITLE, row};
use crate::{HOST, VALUE, everything, issue};

/// How soon a menu follows what happens. Another second is left to a loaded machine: what this finds is a menu that polls, or
/// that follows at the next click.
const SOON: Duration = Duration::from_secs(2);

fn hand_made() -> String {
    [MEMORY, &token("aspect", HOST)].concat()
}

/// The line of an entry: its short name, and its remaining life.
#[track_caller]
fn life(menu: &TrayMenu, name: &str) -> String {
    let line = menu.line(|line| line.label.starts_with(&format!("{name} · ")));
    line.unwrap_or_else(|| panic!("no line of {name}:\n{}", menu.text())).label
}

#[test]
fn the_menu_names_every_entry_with_its_life_and_what_is_due() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.add_token("aspect", &issue(&company, Permissions::READ, 12));
    company.sign_in(&seat.profile, "okta");
    let tray = seat.start(&["--hidden"]);
    let menu = seat.menu(tray.id());
    menu.wait_for("aspect · ");
    assert!(
        ["11 days", "12 days"].iter().any(|days| life(&menu, "aspect").contains(days)),
        "{}",
        menu.text()
    );
    assert!(life(&menu, "paper").contains("no token"), "{}", menu.text());
    for label in ["Rotate aspect…", "Pause reminders", "Open Keyfob", "Quit"] {
        let line = menu.wait_for(label);
        assert!(line.enabled, "{line:?}");
    }
    for text in ["aspect · ", "okta · ", "dev · "] {
        menu.wait_for(text);
    }
    assert!(menu.line(|line| line.label.contains("Sign in")).is_none(), "{}", menu.text());
    assert!(!menu.text().contains("aw_"), "no value is in a menu");
}

#[test]
fn the_menu_follows_what_happens_within_a_second() {
    let _turn = together();
    let seat = Seat::new(&hand_made());
    seat.profile.start_agent();
    let tray = seat.start(&["--hidden"]);
    let menu = seat.menu(tray.id());
    menu.wait_for("aspect · no token");
    let follows = |what: &str, wanted: &str| {
        let begun = Instant::now();
        wait_for_some(what, PATIENCE, || menu.line(|line| line.label.contains(wanted)));
        let took = begun.elapsed();
        assert!(took < SOON, "{what}: {took:?}");
        took
    };
    seat.profile.add_token("aspect", VALUE);
    let added = follows("a token that was added", "aspect · about");
    let day = &crate::in_days(5).to_string()[..10];
    seat.profile.run(&["token", "ends", "aspect", day], "").ok();
    let due = follows("an end that is near", "Rotate aspect…");
    seat.profile.run(&["lock"], "").ok();
    let locked = follows("the lock", "Unlock…");
    seat.profile.run(&["agent", "stop"], "").ok();
    let stopped = follows("no agent", "Start the agent");
    seat.profile.start_agent();
    let back = follows("the agent's return", "Unlock…");
    crate::speed::tell(&format!(
        "menu after token add {added:?}, token ends {due:?}, lock {locked:?}, agent stop {stopped:?}, agent start {back:?}"
    ));
}

#[test]
fn lines_do_what_they_say() {
    let _turn = together();
    let seat = Seat::new(&hand_made());
    seat.profile.add_token("aspect", VALUE);
    let day = &crate::in_days(5).to_string()[..10];
    seat.profile.run(&["token", "ends", "aspect", day], "").ok();
    let agent = seat.profile.agent_pid();
    let mut tray = seat.start(&["--hidden"]);
    let menu = seat.menu(tray.id());

    let is_paused = || seat.profile.status()["entries"][0]["quiet_until"].is_string();
    assert!(!is_paused());
    menu.click("For a week");
    wait_for("no reminders for a week", PATIENCE, is_paused);
    menu.click("Resume reminders");
    wait_for("reminders again", PATIENCE, || !is_paused());

    assert!(seat.desktop.windows(TITLE).is_empty(), "it was started hidden");
    menu.click("Open Keyfob");
    let window = seat.desktop.wait_for_window(TITLE);
    seat.desktop.close(&window, TITLE);
    menu.click("Rotate aspect…");
    seat.desktop.wait_for_window(TITLE);

    menu.click("Quit");
    assert_eq!(tray.exit_code(), Some(0));
    seat.desktop.wait_for_no_window(TITLE);
    assert_eq!(seat.profile.agent_pid(), agent);
    assert!(seat.profile.get(crate::URI).ok().stdout.contains(VALUE));
}

#[test]
fn a_forged_click_signs_in_nothing_and_replaces_nothing() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    let old = issue(&company, Permissions::READ, 12);
    seat.profile.add_token("aspect", &old);
    let window = seat.drive();
    let menu = seat.menu(window.application());
    let before = company.counts();
    // `send_click` is what any program of the session can send.
    menu.send_click(&menu.wait_for("Sign in to okta…"));
    window.wait_for("dialog[data-dialog=sign-in] button[data-act=sign-in]");
    menu.send_click(&menu.wait_for("Rotate aspect…"));
    window.wait_for("dialog[data-dialog=sign-in] [role=status]:not(:empty)");
    window.click("dialog[data-dialog=sign-in] button[data-act=cancel]");
    menu.send_click(&menu.wait_for("Rotate aspect…"));
    window.wait_for("dialog[data-dialog=token] button[data-act=rotate]");
    // Lines that say something do nothing, though a click of them arrives.
    menu.send_click(&menu.wait_for("aspect · "));
    let after = company.counts();
    assert_eq!((after.rotations, after.grant("authorization_code")), (0, 0));
    assert_eq!(after.arrived, before.arrived, "nobody was asked for anything");
    assert_eq!(seat.profile.state_of("sso.okta"), "signed-out");
    assert!(company.portal().is_live(&old));
    // The control: the click of a person in the window does it.
    window.click("dialog[data-dialog=token] button[data-act=rotate]");
    window.wait_for("dialog[data-dialog=token] [data-outcome]");
    assert_eq!(company.counts().rotations, 1);
}

#[test]
fn a_forged_click_unlocks_nothing() {
    let _turn = together();
    let seat = Seat::new(&hand_made());
    seat.profile.add_token("aspect", VALUE);
    seat.profile.run(&["lock"], "").ok();
    let window = seat.drive();
    let menu = seat.menu(window.application());
    menu.send_click(&menu.wait_for("Unlock…"));
    window.wait_for("dialog[data-dialog=unlock] button[data-act=unlock]");
    seat.profile.get(crate::URI).exits(5);
    // The control: the button does it, though there is no passphrase to type.
    window.click("dialog[data-dialog=unlock] button[data-act=unlock]");
    window.wait_for_none("[data-lock]");
    assert!(seat.profile.get(crate::URI).ok().stdout.contains(VALUE));
}

#[test]
fn a_panel_shows_the_icon_and_its_menu_opens_where_it_is_clicked() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.start_agent();
    let panel = Panel::start(&seat.desktop);
    let area = panel.area(&seat.desktop);
    let empty = seat.desktop.calm_picture(area);
    let tray = seat.start(&["--hidden"]);
    wait_for("an icon", PATIENCE, || seat.desktop.picture(area).changed(&empty).is_some());
    // It is drawn at once or step by step.
    let icon = seat.desktop.calm_picture(area).changed(&empty).expect("an icon");
    assert!(icon.width >= 8 && icon.height >= 8, "{icon:?}");
    assert!(icon.width <= 40 && icon.height <= 32, "one icon: {icon:?}");

    let closed = seat.desktop.picture(seat.desktop.area());
    seat.desktop.click(icon.x + icon.width / 2, icon.y + icon.height / 2, 1);
    let menu = wait_for_some("an open menu", PATIENCE, || {
        let changed = seat.desktop.picture(seat.desktop.area()).changed(&closed)?;
        (changed.height > 100).then_some(changed)
    });
    assert!(menu.width > 80, "{menu:?}");
    seat.desktop.press(&["Escape"]);
    drop(tray);
    wait_for("a panel without it", PATIENCE, || seat.desktop.picture(area).changed(&empty).is_none());
}

#[test]
fn the_four_states_have_icons_of_their_own() {
    let _turn = together();
    let company = Company::start();
    let config = [MEMORY.to_owned(), crate::served(&company)].concat();
    let seat = Seat::new(&config);
    seat.profile.start_agent();
    let panel = Panel::start(&seat.desktop);
    let tray = seat.start(&["--hidden"]);
    let menu = seat.menu(tray.id());
    let mut files = HashSet::new();
    let mut pictures: Vec<Picture> = Vec::new();
    let mut see = |state: &str, line: &str| {
        menu.wait_for(line);
        let file = wait_for_some(&format!("an icon for {state}"), PATIENCE, || {
            fs::read(menu.picture()).ok().filter(|file| !file.is_empty() && files.insert(file.clone()))
        });
        assert!(file.starts_with(b"\x89PNG"));
        let is_new = |picture: &Picture| pictures.iter().all(|seen| seen.differs(picture) > 8);
        let picture = wait_for_some(&format!("{state} in the panel"), PATIENCE, || {
            Some(seat.desktop.picture(panel.area(&seat.desktop))).filter(is_new)
        });
        pictures.push(picture);
    };
    see("signed out", "aspect · no token");
    seat.profile.add_token("aspect", &issue(&company, Permissions::READ, 300));
    see("fine", "Everything is fine");
    seat.profile.add_token("aspect", &issue(&company, Permissions::READ, 5));
    see("needs you", "Rotate aspect…");
    seat.profile.run(&["agent", "stop"], "").ok();
    see("offline", "Start the agent");
}

#[test]
fn without_a_panel_the_window_works_and_says_so_once() {
    let _turn = together();
    let seat = Seat::new(&hand_made());
    seat.profile.add_token("aspect", VALUE);
    {
        let window = seat.drive_as_it_comes();
        window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
        window.wait_for("[data-no-tray]");
        window.click("[data-no-tray] button[data-act=close]");
        window.wait_for_none("[data-no-tray]");
    }
    {
        let window = seat.drive_as_it_comes();
        window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
        assert!(!window.is_there("[data-no-tray]"), "once is enough");
    }
    // The control: where there is one, nothing is said.
    let seat = Seat::new(&hand_made());
    let _panel = Panel::start(&seat.desktop);
    seat.profile.start_agent();
    let window = seat.drive_as_it_comes();
    window.wait_for(&row("token.aspect"));
    crate::seat::go(&window, "settings");
    window.wait_for("[data-tool]");
    assert!(!window.is_there("[data-no-tray]"));
}
