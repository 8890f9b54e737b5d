use jiff::SignedDuration;
use keyfob_ipc::reply::{
    EntryReport, EntryState, KeychainState, LockReport, LockedBy, Question, Status, Weight,
};
use keyfob_ipc::{Code, Refusal};

use super::*;
use crate::page::{Own, View};
use crate::view::page::{Heard, Known, page};
use crate::view::samples::{Sample, entry, now, question, status};

fn known(heard: Heard<'_>, lock: Option<&LockReport>, questions: &[Question]) -> Page {
    let (own, texts) = (Own::default(), Texts::english());
    page(&Known { heard, lock, questions, sign_in: None, own: &own, texts: &texts }, now())
}

fn of(entries: impl IntoIterator<Item = EntryReport>) -> Page {
    of_status(&status(entries))
}

fn of_status(status: &Status) -> Page {
    known(Heard::Status(status), None, &[])
}

fn drawn(page: &Page) -> Tray {
    tray(page, now(), &Texts::english())
}

/// The lines as a person reads them; lines of a menu within are indented.
fn lines(items: &[Item]) -> Vec<String> {
    let mut read = Vec::new();
    for item in items {
        match item {
            Item::Text(text) => read.push(format!("[{text}]")),
            Item::Act { label, .. } => read.push(label.clone()),
            Item::Separator => read.push("--".to_owned()),
            Item::Menu { label, items } => {
                read.push(format!("{label} >"));
                read.extend(lines(items).into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    read
}

fn menu_of(page: &Page) -> Vec<String> {
    lines(&drawn(page).menu)
}

fn act_of(page: &Page, wanted: &str) -> Option<MenuAct> {
    drawn(page).menu.into_iter().find_map(|item| match item {
        Item::Act { label, act } if label == wanted => Some(act),
        _ => None,
    })
}

fn token(name: &str, state: EntryState, until: &str) -> EntryReport {
    entry(name, state).until(Some(until))
}

fn session() -> EntryReport {
    token("sso.okta", EntryState::Live, "2026-11-21T19:30:00Z")
}

fn locked() -> LockReport {
    LockReport { since: "2026-11-21T07:00:00Z".to_owned(), by: LockedBy::Person, is_pause: false }
}

#[test]
fn the_menu_of_a_good_day() {
    let role = entry("aws.dev", EntryState::Live).until(Some("2026-11-21T08:40:00Z")).through("sso.okta");
    let page = of([role, session(), token("token.aspect", EntryState::Live, "2027-03-01T08:00:00Z")]);
    assert_eq!(
        menu_of(&page),
        [
            "[Everything is fine]",
            "--",
            "dev · 11 hours",
            "okta · 11 hours",
            "aspect · 100 days",
            "--",
            "Pause reminders >",
            "  For a day",
            "  For a week",
            "  For 30 days",
            "Lock",
            "--",
            "Open Keyfob",
            "Permissions",
            "Timeline",
            "Activity",
            "Settings",
            "--",
            "Quit"
        ]
    );
    let views =
        [("Permissions", View::Permissions), ("Timeline", View::Timeline), ("Activity", View::Activity)];
    for (label, view) in views.into_iter().chain([("Settings", View::Settings)]) {
        assert_eq!(act_of(&page, label), Some(MenuAct::Open(view)));
    }
    let tray = drawn(&page);
    assert_eq!((tray.icon, &*tray.tooltip), (Icon::Fine, "Keyfob: Everything is fine"));
}

#[test]
fn what_is_to_be_done_stands_at_the_top_once_and_is_counted() {
    let role = |name| entry(name, EntryState::SignedOut).through("sso.okta").refused(Code::SignInNeeded);
    let ending = token("token.aspect", EntryState::Ending, "2026-12-03T08:00:00Z");
    let status =
        status([role("aws.dev"), role("aws.prod"), entry("sso.okta", EntryState::SignedOut), ending]);
    let page = known(Heard::Status(&status), None, &[question("aws.dev")]);
    let tray = drawn(&page);
    assert_eq!(tray.icon, Icon::NeedsYou);
    assert_eq!(
        lines(&tray.menu)[..8],
        [
            "[3 things need you]",
            "terraform asks for aws.dev…",
            "Sign in to okta…",
            "Rotate aspect…",
            "--",
            "dev · not signed in",
            "prod · not signed in",
            "okta · not signed in",
        ]
    );
    assert_eq!(act_of(&page, "terraform asks for aws.dev…"), Some(MenuAct::Open(View::Overview)));
    let sign_in = MenuAct::Begin(Deed::SignIn { entry: "sso.okta".to_owned() });
    assert_eq!(act_of(&page, "Sign in to okta…"), Some(sign_in));
}

#[test]
fn the_icon_tells_the_four_states() {
    let live = || entry("sso.okta", EntryState::Live);
    let out = || entry("sso.okta", EntryState::SignedOut);
    let offline = |name| entry(name, EntryState::Waiting).refused(Code::Offline);
    let no_token = || entry("token.a", EntryState::SignedOut);
    let urgent = || entry("token.a", EntryState::Live).note(Weight::Urgent, "");
    let waiting = |code| entry("sso.okta", EntryState::Waiting).refused(code);
    let cases: [(Vec<EntryReport>, Icon, &str); 14] = [
        (vec![], Icon::Fine, "Nothing is configured yet"),
        (vec![live()], Icon::Fine, "Everything is fine"),
        (vec![out()], Icon::SignedOut, "You are signed out"),
        (vec![no_token()], Icon::SignedOut, "You are signed out"),
        (vec![out(), entry("token.a", EntryState::Refused)], Icon::SignedOut, "You are signed out"),
        (vec![live(), no_token()], Icon::NeedsYou, "1 thing needs you"),
        (vec![offline("sso.okta")], Icon::Offline, "No service can be reached"),
        (vec![offline("sso.okta"), no_token()], Icon::Offline, "No service can be reached"),
        (vec![offline("sso.okta"), entry("token.a", EntryState::Live)], Icon::Fine, "Everything is fine"),
        (vec![waiting(Code::Pending)], Icon::Fine, "Everything is fine"),
        (vec![waiting(Code::KeychainLocked)], Icon::NeedsYou, "1 thing needs you"),
        (vec![waiting(Code::Locked), no_token()], Icon::NeedsYou, "2 things need you"),
        (vec![live(), urgent()], Icon::NeedsYou, "1 thing needs you"),
        (
            vec![entry("sso.okta", EntryState::Refused).refused(Code::DestinationChanged)],
            Icon::NeedsYou,
            "1 thing needs you",
        ),
    ];
    for (entries, icon, state) in cases {
        let tray = drawn(&of(entries.clone()));
        assert_eq!((tray.icon, &tray.menu[0]), (icon, &Item::Text(state.to_owned())), "{entries:?}");
    }
}

#[test]
fn a_question_is_shown_even_where_nothing_serves() {
    for state in [EntryState::SignedOut, EntryState::Waiting] {
        let status = status([entry("sso.okta", state).refused(Code::Offline)]);
        assert_eq!(drawn(&known(Heard::Status(&status), None, &[question("aws.dev")])).icon, Icon::NeedsYou);
    }
}

#[test]
fn errors_of_the_configuration_and_a_keychain_in_the_way_need_a_person() {
    let mut status = status([entry("sso.okta", EntryState::Live)]);
    status.config.errors = vec!["line 4: no".to_owned()];
    status.keychain.state = KeychainState::Missing;
    let page = of_status(&status);
    assert_eq!(drawn(&page).icon, Icon::NeedsYou);
    assert_eq!(
        menu_of(&page)[..3],
        ["[2 things need you]", "Look at the keychain…", "Mend the configuration…"]
    );
    assert_eq!(act_of(&page, "Mend the configuration…"), Some(MenuAct::Open(View::Settings)));
}

#[test]
fn whatever_is_locked_is_unlocked_by_one_line() {
    let waiting =
        || ["sso.okta", "token.a"].map(|name| entry(name, EntryState::Waiting).refused(Code::Locked));
    let mut status = status(waiting());
    status.keychain.state = KeychainState::Locked;
    let page = known(Heard::Status(&status), Some(&locked()), &[]);
    let menu = menu_of(&page);
    assert_eq!(menu[..2], ["[1 thing needs you]", "Unlock…"]);
    assert!(menu.contains(&"okta · locked".to_owned()));
    assert!(!menu.contains(&"Lock".to_owned()));
    assert_eq!(menu.iter().filter(|line| *line == "Unlock…").count(), 1);
    assert_eq!(act_of(&page, "Unlock…"), Some(MenuAct::Begin(Deed::Unlock)));
}

#[test]
fn without_an_agent_it_can_be_started_where_that_helps() {
    let of = |code| menu_of(&known(Heard::Absent(&Refusal::new(code, "no")), None, &[]));
    assert_eq!(
        of(Code::AgentUnreachable),
        ["[The agent is not running]", "Start the agent", "--", "Open Keyfob", "Quit"]
    );
    assert_eq!(of(Code::AgentForeign), ["[The agent cannot be used]", "--", "Open Keyfob", "Quit"]);
}

#[test]
fn before_anything_is_heard_there_is_only_the_window() {
    let page = known(Heard::Nothing, None, &[]);
    assert_eq!(menu_of(&page), ["[Looking for the agent…]", "--", "Open Keyfob", "Quit"]);
    assert_eq!((drawn(&page).icon, next_change(&page, now())), (Icon::Offline, None));
}

#[test]
fn each_state_of_an_entry_has_its_words() {
    let until = "2026-12-03T08:00:00Z";
    for (entry, words) in [
        (token("token.a", EntryState::Live, until), "a · 12 days"),
        (token("token.a", EntryState::Ending, until).assumed(), "a · about 12 days"),
        (token("token.a", EntryState::Ending, "2026-11-20T08:00:00Z").assumed(), "a · probably ended"),
        (token("token.a", EntryState::SignedOut, "2026-11-20T08:00:00Z"), "a · ended"),
        (entry("token.a", EntryState::SignedOut), "a · no token"),
        (entry("token.a", EntryState::Live), "a · ready"),
        (entry("sso.a", EntryState::Live), "a · signed in"),
        (entry("sso.a", EntryState::SignedOut), "a · not signed in"),
        (entry("sso.a", EntryState::Waiting).refused(Code::Offline), "a · not reachable"),
        (entry("sso.a", EntryState::Waiting).refused(Code::KeychainLocked), "a · locked"),
        (entry("sso.a", EntryState::Waiting), "a · waits"),
        (entry("aws.a", EntryState::Refused), "a · refused"),
        (entry("aws.a", EntryState::Live).until(Some(until)).through("sso.gone"), "a · ready"),
    ] {
        let menu = menu_of(&of([entry]));
        assert!(menu.contains(&words.to_owned()), "{words}: {menu:?}");
    }
}

#[test]
fn entries_that_are_called_alike_are_named_in_full() {
    let menu =
        menu_of(&of([entry("sso.acme", EntryState::SignedOut), entry("token.acme", EntryState::Live)]));
    for line in ["Sign in to sso.acme…", "sso.acme · not signed in", "token.acme · ready"] {
        assert!(menu.contains(&line.to_owned()), "{line}: {menu:?}");
    }
}

#[test]
fn of_many_entries_the_most_urgent_are_listed_where_they_stand() {
    let live = |number: u32| token(&format!("token.t{number:02}"), EntryState::Live, "2027-11-21T08:00:00Z");
    let mut entries: Vec<EntryReport> = (0..20).map(live).collect();
    entries[19] = entry("token.t19", EntryState::SignedOut);
    entries[18] = token("token.t18", EntryState::Live, "2027-02-21T08:00:00Z");
    entries[17] = entry("token.t17", EntryState::Waiting);
    let menu = menu_of(&of(entries));
    let listed: Vec<&String> = menu.iter().filter(|line| line.contains(" · ")).collect();
    assert_eq!(listed.len(), 12);
    assert_eq!(listed[..2], ["t00 · 365 days", "t01 · 365 days"]);
    assert_eq!(listed[9..], ["t17 · waits", "t18 · 92 days", "t19 · no token"]);
    assert!(menu.contains(&"and 8 more…".to_owned()));
}

#[test]
fn a_flood_of_questions_does_not_fill_the_screen() {
    let status = status([]);
    let menu = menu_of(&known(Heard::Status(&status), None, &vec![question("aws.dev"); 40]));
    assert_eq!(menu[0], "[40 things need you]");
    assert_eq!(menu.iter().filter(|line| line.starts_with("terraform asks")).count(), 12);
    assert!(menu.contains(&"and 28 more…".to_owned()));
}

#[test]
fn a_program_cannot_draw_in_the_menu() {
    let status = status([]);
    let mut asked = question("aws.dev");
    asked.asking.program = format!("/tmp/\u{202e}{}\n", "x".repeat(500));
    let menu = menu_of(&known(Heard::Status(&status), None, &[asked]));
    assert!(menu[1].starts_with("\\u{202e}xxx") && menu[1].len() < 100, "{}", menu[1]);
}

#[test]
fn reminders_are_paused_and_resumed_where_a_token_ends() {
    let quiet = |until| token("token.a", EntryState::Live, "2027-11-21T08:00:00Z").quiet(until);
    let paused = of([quiet(Some("2026-12-01T08:00:00Z"))]);
    assert_eq!(act_of(&paused, "Resume reminders"), Some(MenuAct::PauseReminders(0)));
    assert!(menu_of(&of([quiet(None)])).contains(&"Pause reminders >".to_owned()));
    for without in [vec![], vec![session()], vec![entry("token.a", EntryState::SignedOut)]] {
        assert!(!menu_of(&of(without)).iter().any(|line| line.contains("reminders")));
    }
}

#[test]
fn the_tray_wakes_when_the_next_word_changes() {
    let far = token("token.a", EntryState::Live, "2027-03-01T09:00:00Z");
    let out = token("token.b", EntryState::SignedOut, "2026-11-21T08:00:10Z");
    let quiet = token("token.c", EntryState::Waiting, "2027-03-01T09:00:00Z");
    for (entries, next) in [
        (vec![far.clone(), out.clone()], Some("2026-11-21T21:00:01Z")),
        (vec![far.clone(), session()], Some("2026-11-21T08:30:01Z")),
        (vec![far, quiet.quiet(Some("2026-11-21T08:20:00Z"))], Some("2026-11-21T08:20:00Z")),
        (vec![token("token.d", EntryState::Ending, "2026-11-21T08:40:00Z")], Some("2026-11-21T08:40:00Z")),
        (vec![token("token.d", EntryState::Ending, "2026-11-21T07:40:00Z")], None),
        (vec![out, entry("sso.okta", EntryState::Live)], None),
        (vec![], None),
    ] {
        let page = of(entries);
        assert_eq!(next_change(&page, now()), next.map(|next| next.parse().unwrap()));
    }
}

#[test]
fn the_menu_is_the_same_until_the_next_change() {
    let texts = Texts::english();
    let page = of([session(), token("token.a", EntryState::Live, "2027-03-01T09:00:00Z")]);
    let mut when = now();
    for _ in 0..20 {
        let Some(next) = next_change(&page, when) else { break };
        let second_before = next - SignedDuration::from_secs(1);
        assert_eq!(tray(&page, when, &texts), tray(&page, second_before, &texts));
        assert_ne!(tray(&page, when, &texts), tray(&page, next, &texts));
        when = next;
    }
}

#[test]
fn a_secret_has_no_end_and_one_without_values_is_no_alarm() {
    let page = of([
        session(),
        entry("secret.db", EntryState::Live).through("aws.dev"),
        entry("aws.dev", EntryState::Live).through("sso.okta"),
        entry("secret.build", EntryState::Live),
        entry("secret.empty", EntryState::SignedOut).refused(Code::TokenNeeded),
        entry("secret.far", EntryState::SignedOut).refused(Code::SignInNeeded).through("aws.gone"),
        entry("outerbounds.prod", EntryState::Live),
    ]);
    assert_eq!(drawn(&page).icon, Icon::Fine);
    let menu = menu_of(&page);
    for said in [
        "db · ready",
        "build · ready",
        "empty · no value yet",
        "far · not signed in",
        "prod · ready",
        "dev · 11 hours",
    ] {
        assert!(menu.iter().any(|item| item == said), "{said}: {menu:?}");
    }
    // Nothing serves: it is not the secret that a person signs in to.
    let page = of([entry("secret.empty", EntryState::SignedOut).refused(Code::TokenNeeded)]);
    assert_eq!(drawn(&page).icon, Icon::Fine);
}

#[test]
fn the_new_kinds_have_words_of_their_own_and_no_job_is_no_alarm() {
    let missing = |entry: EntryReport| entry.refused(Code::MachineIdentityMissing);
    let page = of([
        entry("aws.dev", EntryState::Live).until(Some("2026-11-21T08:40:00Z")).through("sso.okta"),
        entry("aws.prod", EntryState::Live).through("aws.dev"),
        entry("aws.legacy", EntryState::Live).fact("command", "/usr/bin/vault"),
        missing(entry("aws.deploy", EntryState::Refused)).through("machine.ci"),
        missing(entry("machine.ci", EntryState::Refused)),
        token("outscale.monitoring", EntryState::Live, "2026-11-21T19:30:00Z"),
        session(),
    ]);
    assert_eq!(drawn(&page).icon, Icon::Fine);
    assert_eq!(
        menu_of(&page)[..9],
        [
            "[Everything is fine]",
            "--",
            "dev · 11 hours",
            "prod · 11 hours",
            "legacy · ready",
            "deploy · no job here",
            "ci · no job here",
            "monitoring · 11 hours",
            "okta · 11 hours",
        ]
    );
    // Nothing else is held: what has no job is not what cannot be reached.
    let page = of([
        missing(entry("machine.ci", EntryState::Refused)),
        entry("outscale.monitoring", EntryState::SignedOut),
    ]);
    assert_eq!(drawn(&page).icon, Icon::SignedOut);
    assert_eq!(
        menu_of(&page)[..5],
        [
            "[You are signed out]",
            "Add a key for monitoring…",
            "--",
            "ci · no job here",
            "monitoring · no key"
        ]
    );
    let offline = entry("sso.okta", EntryState::Waiting).refused(Code::Offline);
    let page = of([missing(entry("machine.ci", EntryState::Refused)), offline]);
    assert_eq!(drawn(&page).icon, Icon::Offline);
}
