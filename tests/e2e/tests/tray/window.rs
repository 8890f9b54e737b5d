//! The window: one of it, closed and back, by the keyboard alone, for everybody's eyes, and for nobody's remote control.

mod axe;
mod keyboard;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{Family, together};
use keyfob_e2e::{MEMORY, PATIENCE, Stage, run, token, wait_for, wait_for_some};

use crate::seat::{Seat, TITLE};
use crate::{HOST, URI, VALUE};

fn seat() -> Seat {
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.add_token("aspect", VALUE);
    seat
}

/// Processes of a tray that draw pages.
fn web_processes(tray: &Family) -> usize {
    let names = tray.members().into_iter().filter_map(process::name);
    names.filter(|name| name.starts_with("WebKitWebProces")).count()
}

#[test]
fn a_second_start_raises_the_first_and_a_hidden_one_shows_nothing() {
    let _turn = together();
    let seat = seat();
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("Open Keyfob");
    assert!(seat.desktop.windows(TITLE).is_empty());
    assert_eq!(web_processes(&tray), 0, "nothing is drawn that nobody sees");
    // A start at sign-in while it runs.
    assert_eq!(seat.start(&["--hidden"]).exit_code(), Some(0));
    assert!(seat.desktop.windows(TITLE).is_empty());
    assert_eq!(seat.start(&[]).exit_code(), Some(0));
    let window = seat.desktop.wait_for_window(TITLE);
    seat.desktop.wait_for_active(TITLE);

    let mut other = seat.desktop.command("xmessage");
    other.args(["-center", "something else"]).stdin(Stdio::null()).stdout(Stdio::null());
    let _other = Family::start(&mut other);
    seat.desktop.wait_for_active("xmessage");
    assert_eq!(seat.start(&[]).exit_code(), Some(0));
    seat.desktop.wait_for_active(TITLE);
    assert_eq!(seat.desktop.windows(TITLE), [window], "one window");
}

#[test]
fn closing_the_window_ends_its_web_processes_and_keeps_the_tray() {
    let _turn = together();
    let seat = seat();
    let tray = seat.start(&[]);
    for _ in 0..2 {
        let window = seat.desktop.wait_for_window(TITLE);
        wait_for("a page", PATIENCE, || web_processes(&tray) > 0);
        seat.desktop.close(&window, TITLE);
        wait_for("no web process", PATIENCE, || web_processes(&tray) == 0);
        assert!(process::is_alive(tray.id()));
        seat.menu(tray.id()).click("Open Keyfob");
    }
    seat.desktop.wait_for_window(TITLE);
}

#[test]
fn the_end_of_the_tray_is_nothing_to_the_agent() {
    let _turn = together();
    let seat = seat();
    let agent = seat.profile.agent_pid();
    let tray = seat.start(&[]);
    seat.desktop.wait_for_window(TITLE);
    process::signal(tray.id(), Signal::KILL);
    wait_for("its end", PATIENCE, || !process::is_alive(tray.id()));
    assert!(seat.profile.get(URI).ok().stdout.contains(VALUE));
    assert_eq!(seat.profile.agent_pid(), agent);
    // Nothing of it stands in the way of the next one.
    drop(tray);
    let tray = seat.start(&[]);
    seat.desktop.wait_for_window(TITLE);
    seat.menu(tray.id()).wait_for("aspect · ");
}

#[test]
fn a_missing_tray_library_costs_the_icon_and_nothing_else() {
    let _turn = together();
    let seat = seat();
    let nothing = seat.profile.path().join("nothing");
    std::fs::write(&nothing, "").expect("room for a file");
    // In a mount namespace of its own the library is an empty file; behind that, the user has their own number again.
    let id = user_number();
    let script = format!(
        "for library in /usr/lib/*/lib*appindicator3.so.1; do mount --bind '{}' \"$library\" || exit 99; done
        exec unshare --user --map-user={id} --map-group={id} -- '{}'",
        nothing.display(),
        Stage::get().bin("keyfob-tray").display()
    );
    let mut command = seat.profile.command("/usr/bin/unshare");
    command.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", &script]);
    let log = seat.profile.path().join("tray.log");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(std::fs::File::create(&log).expect("room for a log"));
    let tray = Family::start(&mut command);
    seat.desktop.wait_for_window(TITLE);
    wait_for("what stands in the way", PATIENCE, || {
        std::fs::read_to_string(&log).is_ok_and(|said| said.contains("libayatana-appindicator3"))
    });
    assert!(keyfob_e2e::real::TrayMenu::find(seat.bus(), tray.id()).is_none());
    // The control: with it there is one.
    drop(tray);
    let tray = seat.start(&[]);
    seat.menu(tray.id());
}

/// The number of the user of the tests.
fn user_number() -> String {
    let mut command = std::process::Command::new("/usr/bin/id");
    command.arg("-u");
    run(command, "").ok().stdout.trim().to_owned()
}

/// A loopback port where nobody listens.
fn free_place() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address")
}

#[test]
fn what_ships_cannot_be_driven() {
    let _turn = together();
    let seat = seat();
    let listens = |program: &str| {
        let place = free_place();
        let mut command = seat.profile.command(Stage::get().bin(program));
        command.env("TAURI_AUTOMATION", "true").env("TAURI_WEBVIEW_AUTOMATION", "true");
        command.env("WEBKIT_INSPECTOR_SERVER", place.to_string());
        command.env("WEBKIT_INSPECTOR_HTTP_SERVER", place.to_string());
        let tray = Family::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        seat.desktop.wait_for_window(TITLE);
        wait_for("a page", PATIENCE, || web_processes(&tray) > 0);
        let process = wait_for_some("its process", PATIENCE, || tray.member(&Stage::get().bin(program)));
        let port = format!(":{:04X} ", place.port());
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        // 0A is the state of a socket that listens.
        let is_open = sockets.lines().any(|line| line.contains(&port) && line.contains(" 0A "));
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let named = String::from_utf8_lossy(&environment).contains("AUTOMATION");
        (is_open, named)
    };
    // The control: the build for tests listens, and keeps what makes it listen.
    assert_eq!(listens("keyfob-tray"), (true, true));
    assert_eq!(listens("keyfob-tray-shipped"), (false, false));
}

#[test]
fn the_window_draws_nothing_from_elsewhere() {
    let _turn = together();
    let seat = seat();
    let window = seat.drive();
    // What the page's own rules forbid is tried from within: a script of its own making, a picture and a request elsewhere.
    let outcome = window.script_later(
        "const done = arguments[arguments.length - 1], seen = {violations: []};
        document.addEventListener('securitypolicyviolation', it => seen.violations.push(it.effectiveDirective));
        const script = document.createElement('script'); script.textContent = 'window.forged = true';
        document.body.append(script);
        const picture = new Image(); picture.src = 'http://127.0.0.1:9/x.png'; document.body.append(picture);
        fetch('http://127.0.0.1:9/').catch(() => {}).finally(() => setTimeout(() => {
            seen.forged = window.forged === true; script.remove(); picture.remove(); done(seen) }, 200));",
        &serde_json::json!([]),
    );
    assert_eq!(outcome["forged"], false, "{outcome}");
    let violations = outcome["violations"].to_string();
    for directive in ["script-src", "img-src", "connect-src"] {
        assert!(violations.contains(directive), "{directive}: {outcome}");
    }
}

#[test]
fn files_of_the_tray_are_the_persons_own() {
    let _turn = together();
    let seat = seat();
    let tray = seat.start(&[]);
    seat.desktop.wait_for_window(TITLE);
    seat.menu(tray.id()).wait_for("aspect · ");
    let mut open = Vec::new();
    let mut places = vec![seat.desktop.folder().to_owned(), seat.profile.state().to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let is_ours = entry.path().to_string_lossy().contains("keyfob");
            if is_ours && metadata.permissions().mode() & 0o022 != 0 && !metadata.file_type().is_symlink() {
                open.push(entry.path());
            }
            if metadata.is_dir() {
                places.push(entry.path());
            }
        }
    }
    assert!(open.is_empty(), "others can write these: {open:?}");
}
