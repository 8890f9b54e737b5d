use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown};

use keyfob_ipc::Secret;

use super::super::connection::{HEAD, SURPLUS};
use super::super::response::no;
use super::*;

const MOMENT: Duration = Duration::from_millis(1);
const RIGHT: &[u8] = b"GET /credentials HTTP/1.1\r\nHost: here\r\nAuthorization: token\r\n\r\n";
const WRONG: &[u8] = b"GET /credentials HTTP/1.1\r\nHost: here\r\nAuthorization: other\r\n\r\n";

/// A table at a door of its own, with a time that goes as it is told.
struct Room {
    table: Table,
    listener: TcpListener,
    gate: Gate,
    now: Instant,
}

impl Room {
    fn of(places: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let gate = Gate { host: "here".to_owned(), path: "/credentials", token: Secret::from("token") };
        Self { table: Table::of(places), listener, gate, now: Instant::now() }
    }

    /// Somebody who has said this, and was heard.
    fn client(&mut self, says: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(says).unwrap();
        self.table.admit(&self.listener, self.now);
        self.table.go_on(&self.gate, self.now);
        stream
    }

    fn after(&mut self, time: Duration) -> usize {
        self.now += time;
        self.table.go_on(&self.gate, self.now);
        self.table.connections.len()
    }

    /// Until this holds; the table's own time does not go.
    fn until(&mut self, holds: impl Fn(&Table) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !holds(&self.table) {
            assert!(Instant::now() < end);
            std::thread::yield_now();
            self.table.go_on(&self.gate, self.now);
        }
    }
}

fn is_gone(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    !matches!(stream.read(&mut [0; 4096]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn whoever_is_here_longest_without_the_token_makes_room_and_ours_do_not() {
    let mut room = Room::of(4);
    let oldest = room.client(b"");
    let mut ours = room.client(RIGHT);
    room.until(Table::has_waiting);
    let others: Vec<_> = (0..400).map(|_| room.client(b"GET /")).collect();
    assert_eq!(room.table.connections.len(), 4);
    assert!(is_gone(&oldest) && others[..397].iter().all(is_gone));
    assert!(!others[397..].iter().any(is_gone), "who came last is here");
    // Still so while it is answered, and when it has been.
    room.table.answer(&no(200, "x", "the keys"), room.now);
    let more: Vec<_> = (0..400).map(|_| room.client(WRONG)).collect();
    assert!(room.table.connections.iter().any(|known| known.is_ours));
    room.after(SURPLUS);
    drop((others, more));
    let mut answer = String::new();
    ours.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("the keys\"}"), "{answer}");
}

#[test]
fn ours_alone_fill_the_room_and_the_next_one_waits_outside() {
    let mut room = Room::of(2);
    let ours = [room.client(RIGHT), room.client(RIGHT)];
    room.until(|table| table.connections.iter().all(|known| known.is_ours));
    let next = room.client(RIGHT);
    assert_eq!(room.table.connections.len(), 2);
    assert!(!is_gone(&next) && !ours.iter().any(is_gone));
    #[cfg(unix)]
    assert_eq!(watched(&room), 2, "the door is not looked at");
    drop(ours);
    room.table.answer(&no(200, "x", "the keys"), room.now);
    room.until(|table| table.connections.is_empty());
    #[cfg(unix)]
    assert_eq!(watched(&room), 1);
    room.table.admit(&room.listener, room.now);
    assert_eq!(room.table.connections.len(), 1);
}

#[cfg(unix)]
fn watched(room: &Room) -> usize {
    let mut watched = Vec::new();
    room.table.watch(&room.listener, &mut watched);
    watched.len()
}

#[test]
fn a_head_has_one_deadline_however_it_comes() {
    let mut room = Room::of(4);
    let mut slow = room.client(b"GET /");
    assert_eq!(room.after(HEAD - MOMENT), 1);
    slow.write_all(b"c").unwrap();
    assert_eq!(room.after(MOMENT), 0);
    #[cfg(unix)]
    assert_eq!(room.table.watch(&room.listener, &mut Vec::new()), None);
}

#[test]
fn what_follows_a_head_has_one_deadline_too_and_takes_a_place_until_then() {
    let mut room = Room::of(4);
    let mut slow = room.client(WRONG);
    let mut answer = String::new();
    let end = room.now + SURPLUS;
    room.until(|table| table.connections.iter().all(|known| known.until == end));
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    for _ in 0..19 {
        slow.write_all(b"x").unwrap();
        assert_eq!(room.after(SURPLUS / 20), 1);
    }
    slow.write_all(b"x").unwrap();
    assert_eq!(room.after(SURPLUS / 20), 0);
    // Whoever goes by itself is not waited for.
    let gone = room.client(WRONG);
    gone.shutdown(Shutdown::Both).unwrap();
    room.until(|table| table.connections.is_empty());
}
