use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const MANY: usize = 1024 * 1024;

fn room(places: usize) -> Room {
    Room::new(Size { places, spare: 0, conversations: 2 }, MANY)
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
    for (descriptors, places) in [(64, [5, 2]), (128, [19, 6]), (256, [38, 11]), (1024, [150, 45])] {
        let sizes = sizes(descriptors);
        let all: usize = sizes.iter().map(|size| size.places + size.spare + size.conversations).sum();
        assert!(all * limits::DESCRIPTORS + LEAST_KEPT <= descriptors, "{descriptors}: {sizes:?}");
        assert!(sizes[0].places >= places[0] && sizes[1].places >= places[1], "{descriptors}: {sizes:?}");
    }
    for plenty in [8000, 20_000, usize::MAX] {
        let [tool, control] = sizes(plenty);
        let most = Size { places: limits::CONNECTIONS, spare: limits::SPARE, conversations: 0 };
        assert_eq!((tool, control), (most, Size { conversations: limits::CONVERSATIONS, ..most }));
    }
    for none in [0, 1, 20] {
        assert_eq!(sizes(none).map(|size| size.places), [1, 2]);
    }
}

/// Many newcomers at once do not wait for one to go after the other; but there is an end to it.
#[tokio::test]
async fn a_few_are_taken_in_before_those_before_them_have_gone() {
    let room = Room::new(Size { places: 4, spare: 2, conversations: 0 }, MANY);
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(now(room.take()).expect("there is room"));
    }
    assert!(now(room.take()).is_none());
    assert_eq!(all.iter().map(is_told_to_go).collect::<Vec<_>>(), [true, true, true, false, false, false]);
    drop(all.remove(0));
    assert!(now(room.take()).is_some());
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
