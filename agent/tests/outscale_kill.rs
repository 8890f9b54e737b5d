//! Kill -9 at every step of the life of an OUTSCALE access key, twice. The real agent, over a keychain that outlives it, ends
//! itself at a fault point; the next one starts, tools get keys that sign, and nothing is left that nobody holds.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "outscale_kill/machine.rs"]
mod machine;

use keyfob_agent::fault::Point;

use machine::{Machine, eventually};

fn points() -> Vec<Point> {
    let points: Vec<_> =
        Point::ALL.iter().copied().filter(|point| point.name().starts_with("outscale-")).collect();
    assert!(points.len() >= 8);
    points
}

/// Whether making the first key comes by there; else something has to be put away.
fn is_of_making(point: Point) -> bool {
    !matches!(point, Point::OutscaleInactive | Point::OutscaleDeleted | Point::OutscaleTidied)
}

/// From here on: keys that sign, and the bootstrap key and the one that serves, alone at OUTSCALE.
fn check(machine: &mut Machine, point: Point) {
    let at = point.name();
    let served = machine.served();
    assert!(machine.sandbox.outscale().signs(&served), "{at}: tools get a key that signs nothing");
    eventually(&format!("{at}: nothing is left that nobody holds"), || {
        let made = machine.made();
        made.len() == 1 && made[0] == machine.served()
    });
    assert!(machine.sandbox.outscale().signs(&machine.bootstrap.id), "{at}");
    assert_eq!(machine.sandbox.outscale().expiries_lost(), 0, "{at}: a key lost its end");
    let endless: Vec<_> = machine.sandbox.outscale().keys_of("monitoring");
    assert!(endless.iter().filter(|key| key.tag.is_some()).all(|key| key.ends.is_some()), "{at}");
}

#[test]
fn the_first_key() {
    for point in points().into_iter().filter(|point| is_of_making(*point)) {
        let mut machine = Machine::new();
        machine.start(Some(point));
        machine.ask_in_vain();
        machine.until_killed(point);
        machine.start(Some(point));
        // The background may come by there before anybody asks, and what is behind it is not walked again.
        machine.until_killed_or_served();
        machine.start(None);
        check(&mut machine, point);
    }
}

#[test]
fn putting_away_what_was_left() {
    for point in points().into_iter().filter(|point| !is_of_making(*point)) {
        let mut machine = Machine::new();
        // An orphan: there is a key whose answer nobody has.
        machine.start(Some(Point::OutscaleAnswered));
        machine.ask_in_vain();
        machine.until_killed(Point::OutscaleAnswered);
        assert_eq!(machine.made().len(), 1, "there is something to put away");
        for _ in 0..2 {
            machine.start(Some(point));
            machine.until_killed_or_tidy();
        }
        machine.start(None);
        check(&mut machine, point);
    }
}
