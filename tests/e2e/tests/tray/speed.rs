//! How fast the window comes, how much the tray weighs while it is closed, and how quiet it is meanwhile.
//!
//! The targets are for what ships on an idle machine: 500 ms until the window is seen, a second until it can be used, 120 MiB.
//! Times are asserted with threefold slack for a build without optimisation, whose own text alone weighs some 40 MiB more than
//! what ships; the figures are printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use keyfob_e2e::real::{Area, Desktop, Family, Lines, Part, alone};
use keyfob_e2e::{MEMORY, PATIENCE, token, wait_for};

use crate::seat::{Seat, TITLE};
use crate::{HOST, VALUE};

const SEEN: Duration = Duration::from_millis(3 * 500);
const USABLE: Duration = Duration::from_millis(3 * 1000);
/// KiB, children included, with the window closed after it was open.
const WEIGHT: u64 = 120 * 1024;
/// How long the tray is listened to, up to four times.
const LISTENED: Duration = Duration::from_secs(10);
/// How often all its threads together may be woken in that time. A timer of once a second would make ten.
const WAKES: u64 = 6;
/// Colours of a page that is drawn; what is seen before has one or two.
const DRAWN: usize = 24;

/// Shown with the test's outcome.
#[expect(clippy::print_stderr, reason = "figures for whoever runs the tests")]
pub fn tell(figures: &str) {
    eprintln!("figures: {figures}");
}

/// The windows that the window manager knows, said whenever they change.
struct Watch {
    lines: Lines,
    _xprop: Part,
}

impl Watch {
    fn begin(desktop: &Desktop) -> Self {
        let mut command = desktop.command("xprop");
        command.args(["-root", "-spy", "_NET_CLIENT_LIST"]);
        let mut xprop =
            Part::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let lines = Lines::of(xprop.child().stdout.take().expect("its output is piped"));
        let watch = Self { lines, _xprop: xprop };
        watch.wait(false);
        watch
    }

    /// The next time that there is a window, or that there is none.
    fn wait(&self, wanted: bool) {
        self.lines.find("windows", |line| (line.contains("0x") == wanted).then_some(()));
    }
}

/// Clicks on Open and says how long it took until the window was there, and until its page was drawn.
fn open(seat: &Seat, tray: &Family, watch: &Watch) -> (Duration, Duration) {
    let menu = seat.menu(tray.id());
    let line = menu.wait_for("Open Keyfob");
    let begun = Instant::now();
    menu.send_click(&line);
    watch.wait(true);
    let seen = begun.elapsed();
    let window = seat.desktop.wait_for_window(TITLE);
    let whole = seat.desktop.area_of(&window);
    // The rail and the first row.
    let part = Area { width: whole.width.min(600), height: whole.height.min(300), ..whole };
    wait_for("a page", PATIENCE, || seat.desktop.picture(part).colours() > DRAWN);
    let usable = begun.elapsed();
    seat.desktop.close(&window, TITLE);
    watch.wait(false);
    (seen, usable)
}

/// Proportional set size of these processes together, in KiB (proc(5)).
fn weight(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
    };
    processes.iter().filter_map(of).sum()
}

/// How often each thread of a process went to sleep so far.
fn sleeps(process: u32) -> BTreeMap<PathBuf, u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of = |thread: PathBuf| {
        let status = fs::read_to_string(thread.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((thread, line.trim().parse::<u64>().ok()?))
    };
    threads.filter_map(|thread| of(thread.path())).collect()
}

/// How often threads of a process were woken while it was listened to. What ends or begins meanwhile counts as well.
fn wakes(process: u32) -> u64 {
    let before = sleeps(process);
    // The one thing that can only be seen by waiting: that nothing happens.
    std::thread::sleep(LISTENED);
    let after = sleeps(process);
    let ended = before.keys().filter(|thread| !after.contains_key(*thread)).count();
    let woken = after.iter().map(|(thread, sleeps)| sleeps - before.get(thread).unwrap_or(&0));
    woken.sum::<u64>() + u64::try_from(ended).unwrap_or(u64::MAX)
}

#[test]
fn the_window_comes_at_once_and_the_tray_is_light_and_quiet() {
    let _turn = alone();
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.add_token("aspect", VALUE);
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("aspect · ");
    let fresh = weight(&tray.members());
    let watch = Watch::begin(&seat.desktop);
    let mut times: Vec<_> = (0..4).map(|_| open(&seat, &tray, &watch)).collect();
    let first = times.remove(0);
    times.sort();
    let (seen, usable) = times[1];

    wait_for("the end of web processes", PATIENCE, || tray.members() == [tray.id()]);
    let closed = weight(&tray.members());
    // Threads that have nothing to do any more end after a while.
    let mut all = vec![wakes(tray.id())];
    while all.len() < 4 && all.iter().all(|woken| *woken > WAKES) {
        all.push(wakes(tray.id()));
    }
    let woken = *all.iter().min().expect("at least one");
    tell(&format!(
        "window seen {seen:?} and drawn {usable:?} after the click (first time {first:?}); {fresh} KiB before it was open, \
         {closed} KiB closed again; woken {all:?} times in {LISTENED:?} each"
    ));
    assert!(seen < SEEN && usable < USABLE, "{times:?}");
    assert!(closed > 1024 && closed <= WEIGHT * 3 / 2, "{closed} KiB");
    assert!(woken <= WAKES, "{all:?} at rest");
}
