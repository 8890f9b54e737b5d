//! Kill -9 at every step of a rotation. The real agent, over a keychain that outlives it, ends itself at a fault point; the
//! next one starts, and the person has a working token. Where the service does not allow that, it is told loudly, with the
//! way by hand.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "rotation_kill/machine.rs"]
mod machine;

use keyfob_agent::fault::Point;
use keyfob_ipc::reply::{EntryState, Weight};
use keyfob_sandbox::Permissions;
use keyfob_sandbox::jfrog::NewToken;

use machine::{Machine, eventually};

/// What is left of the person's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The rotation did not happen, and the token before it serves.
    Old,
    /// The rotation is finished, and the new token serves.
    New,
    /// The service has ended the old value, and the new one was in the memory of the process that was killed: there is no
    /// moment between the service's answer and the first write in which this could be otherwise.
    NothingTheServiceAllows,
}

fn left_after(point: Point) -> Left {
    match point {
        Point::NativeNoted | Point::GrantNoted => Left::Old,
        Point::NativeAnswered | Point::GrantAnswered => Left::NothingTheServiceAllows,
        Point::NativeStored | Point::NativeProven | Point::GrantStored | Point::GrantProven => Left::New,
        // The first token serves until the second one takes its place, and the next agent finishes the rotation.
        Point::CreateNoted
        | Point::CreateAnswered
        | Point::CreateStored
        | Point::CreateProven
        | Point::CreateSwapped
        | Point::CreateDeleted
        | Point::CreateDone => Left::New,
        // Of access keys, which are another matter (`outscale_kill.rs`).
        _ => unreachable!("no point of a token"),
    }
}

/// The points of one shape, all of which are in [`Point::ALL`].
fn points(shape: &str) -> Vec<Point> {
    let points: Vec<_> =
        Point::ALL.iter().copied().filter(|point| point.name().split('-').next() == Some(shape)).collect();
    assert!(points.len() >= 4, "{shape} has too few points");
    points
}

#[test]
fn every_point_belongs_to_a_shape_that_is_walked() {
    let walked: usize = ["native", "grant", "create"].map(|shape| points(shape).len()).iter().sum();
    let others = Point::ALL.iter().filter(|point| point.name().starts_with("outscale-")).count();
    assert_eq!(walked + others, Point::ALL.len());
}

/// Kills the agent at a point of the rotation of `name`, and again where the next one comes there, too.
fn kill_at(machine: &mut Machine, point: Point, name: &str) {
    machine.start(Some(point));
    let rotated = machine.rotate(name);
    assert!(rotated.is_err(), "{}: {rotated:?}", point.name());
    machine.wait_for_the_kill(point);
    machine.start(Some(point));
    machine.until_killed_or_quiet(name);
    machine.end();
    machine.start(None);
}

/// What the person has, from the first moment of the new agent on. `is_live` asks the service.
fn check(
    machine: &mut Machine,
    point: Point,
    name: &str,
    old: &str,
    is_live: impl Fn(&Machine, &str) -> bool,
) {
    let (left, at) = (left_after(point), point.name());
    let served = machine.served(name);
    if left == Left::NothingTheServiceAllows {
        assert_eq!(served, old, "{at}: clusters may still take it");
        assert!(!is_live(machine, &served), "{at}: then this is no such point");
        eventually("it is told", || {
            let loud = |note: &keyfob_ipc::reply::Note| {
                note.weight == Weight::Urgent && note.hint == format!("keyfob token add {name}")
            };
            machine.report(name).notes.iter().any(loud)
        });
        return;
    }
    assert!(is_live(machine, &served), "{at}: the person has no working token at the start");
    eventually("the rotation is finished", || machine.is_quiet(name));
    let served = machine.served(name);
    assert!(is_live(machine, &served), "{at}: the person has no working token at the end");
    assert_eq!(served == old, left == Left::Old, "{at}");
    assert_ne!(machine.report(name).state, EntryState::SignedOut, "{at}");
    // And the life of the token goes on.
    if left == Left::New {
        machine.rotate(name).unwrap();
        assert!(is_live(machine, &machine.served(name)), "{at}: afterwards");
    }
}

#[test]
fn native() {
    for point in points("native") {
        let mut machine = Machine::new();
        let ends = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(9000)).unwrap();
        let old = machine.sandbox.portal().issue_token("ada", Permissions::ALL, ends);
        machine.add("aspect", &old);
        // The cluster has seen it, and takes it for another hour.
        assert_eq!(machine.asks_the_cluster(&old), 200);
        kill_at(&mut machine, point, "aspect");
        check(&mut machine, point, "aspect", &old, |machine, value| machine.sandbox.portal().is_live(value));
        if left_after(point) == Left::NothingTheServiceAllows {
            assert_eq!(machine.asks_the_cluster(&machine.served("aspect")), 200, "builds go on meanwhile");
            assert_eq!(machine.sandbox.counts().rotations, 1, "nothing was sent again");
            let by_hand = machine.sandbox.portal().issue_token("ada", Permissions::ALL, ends);
            machine.add("aspect", &by_hand);
            assert_eq!(machine.served("aspect"), by_hand);
            assert!(machine.is_quiet("aspect"));
        }
    }
}

#[test]
fn refresh_grant() {
    for point in points("grant") {
        let mut machine = Machine::new();
        let pair = machine.sandbox.jfrog().issue_token(NewToken::of("ada"));
        let pasted = serde_json::json!({
            "access_token": pair.access_token, "refresh_token": pair.refresh_token,
        });
        machine.add("jfrog", &pasted.to_string());
        kill_at(&mut machine, point, "jfrog");
        let is_live = |machine: &Machine, value: &str| machine.sandbox.jfrog().is_live(value);
        check(&mut machine, point, "jfrog", &pair.access_token, is_live);
        if left_after(point) == Left::Old {
            // The refresh token may have been sent, so it is not sent again: from here on by hand.
            assert_eq!(machine.rotate("jfrog").unwrap_err().hint, "keyfob token add jfrog");
        }
    }
}

#[test]
fn create_then_delete() {
    for point in points("create") {
        let mut machine = Machine::new();
        let life = Some(jiff::SignedDuration::from_hours(24));
        let old = machine.sandbox.jupyterhub().issue_token("ada", life);
        machine.add("hub", &old);
        kill_at(&mut machine, point, "hub");
        check(&mut machine, point, "hub", &old, |machine, value| machine.sandbox.jupyterhub().is_live(value));
        let there = machine.sandbox.jupyterhub().tokens_of("ada");
        assert_eq!(there, [machine.served("hub")], "{}: what nobody holds is left at the hub", point.name());
    }
}
