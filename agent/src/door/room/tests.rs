use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const MANY: usize = 1024 * 1024;

fn room(places: usize) -> Room {
    Room::new(Size { places, conversations: 2 }, MANY)
}

/// What is ready without waiting for anybody.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn is_told_to_go(place: &Place) -> bool {
    let go = place.told_to_go();
    now(go.notified()).is_some()
}

#[test]
fn there_is_room_for_as_many_as_the_system_lets_there_be() {
    for (descriptors, places) in [(64, [5, 2]), (128, [21, 6]), (256, [44, 12]), (1024, [170, 48])] {
        let [tool, control] = sizes(descriptors);
        let [tool, control] = [tool, control].map(|size| (size.places, size.conversations));
        let all = tool.0 + control.0 + control.1;
        assert!(all * limits::DESCRIPTORS + LEAST_KEPT <= descriptors, "{descriptors}: {tool:?} {control:?}");
        assert!(tool.0 >= places[0] && control.0 >= places[1], "{descriptors}: {tool:?} {control:?}");
    }
    let most = Size { places: limits::CONNECTIONS, conversations: 0 };
    for plenty in [8000, 20_000, usize::MAX] {
        let [tool, control] = sizes(plenty);
        assert_eq!(tool, most);
        assert_eq!((control.places, control.conversations), (limits::CONNECTIONS, limits::CONVERSATIONS));
    }
    for none in [0, 1, 20] {
        assert_eq!(sizes(none).map(|size| size.places), [1, 2]);
    }
}

#[tokio::test]
async fn who_has_waited_longest_goes_for_a_newcomer_and_who_is_worked_on_stays() {
    let room = room(3);
    let (mut first, mut second, third) = (room.take().await, room.take().await, room.take().await);
    first.work();
    assert_eq!([&first, &second, &third].map(is_told_to_go), [false; 3]);
    assert!(now(room.take()).is_none(), "a place is free only when somebody has gone");
    assert!(is_told_to_go(&second), "the second has waited longest");
    assert!(!is_told_to_go(&third));
    // It had a whole request meanwhile, and is served.
    second.work();
    assert!(now(room.take()).is_none());
    assert!(is_told_to_go(&third));
    drop(third);
    let mut newcomer = now(room.take()).expect("a place is free");
    newcomer.work();
    assert!(now(room.take()).is_none());
    assert_eq!([&first, &second, &newcomer].map(is_told_to_go), [false; 3], "all are worked on");
    // From its answer on it waits again, and behind everybody.
    first.wait();
    newcomer.wait();
    let mut waiting = Box::pin(room.take());
    assert!(now(waiting.as_mut()).is_none());
    assert!(is_told_to_go(&first));
    assert!(!is_told_to_go(&newcomer));
    drop(first);
    assert!(now(waiting).is_some());
}

#[tokio::test]
async fn conversations_take_nobodys_place_and_are_counted_apart() {
    let room = room(1);
    let mut window = room.take().await;
    window.work();
    assert!(window.watch() && window.watch());
    let mut person = now(room.take()).expect("the window takes no place");
    assert!(!room.has_conversation(), "who watches is not in the middle of anything");
    assert!(person.sign_in());
    assert!(room.has_conversation());
    let mut third = now(room.take()).expect("nor does the person");
    assert!(!third.sign_in(), "these are all");
    drop(window);
    assert!(third.watch());
    // Whoever is done takes a place again.
    person.wait();
    assert!(!room.has_conversation());
    assert!(now(room.take()).is_none());
    assert!(is_told_to_go(&person));
    drop((person, third));
    assert!(room.is_empty());
}

#[tokio::test]
async fn an_emptied_room_keeps_who_is_worked_on_and_who_has_not_asked_yet() {
    let room = room(8);
    let (mut asked, mut working, fresh, mut window) =
        (room.take().await, room.take().await, room.take().await, room.take().await);
    asked.work();
    asked.wait();
    working.work();
    assert!(window.watch());
    room.empty(false);
    assert_eq!([&asked, &working, &fresh, &window].map(is_told_to_go), [true, false, false, true]);
    room.empty(true);
    assert_eq!([&working, &fresh].map(is_told_to_go), [false, true]);
    drop((asked, working, fresh));
    assert!(!room.is_empty());
    drop(window);
    assert!(room.is_empty());
}

#[tokio::test]
async fn large_requests_that_are_not_whole_go_before_memory_does() {
    let room = room(8);
    let (mut first, mut second, mut third) = (room.take().await, room.take().await, room.take().await);
    let mut small = room.take().await;
    now(first.hold(MANY / 2)).expect("there is room");
    now(second.hold(MANY / 2)).expect("there is room");
    now(small.hold(SMALL)).expect("there is always room for a small one");
    assert!(now(third.hold(MANY / 2 - SMALL)).is_none());
    assert_eq!([&first, &second, &small].map(is_told_to_go), [true, false, false]);
    drop(first);
    assert!(now(third.hold(MANY / 4)).is_some());
    // Who is worked on keeps what it holds, and the rest waits for it.
    second.work();
    let mut more = Box::pin(third.hold(MANY));
    assert!(now(more.as_mut()).is_none());
    second.release();
    drop((second, small));
    assert!(now(more).is_some());
}
