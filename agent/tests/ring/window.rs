//! A window on a real door.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use keyfob_agent::door::{Rooms, listen, serve};
use keyfob_ipc::reply::Event;
use keyfob_ipc::{Client, ControlAsk, Door, Heard, Places, Reply};
use tokio::sync::watch;

use crate::company::{Company, dev, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// What comes, in order, from a thread that listens.
fn hear(mut listening: keyfob_ipc::Listening) -> Receiver<Heard> {
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        while let Ok(next) = listening.hear() {
            if sender.send(next).is_err() {
                return;
            }
        }
    });
    heard
}

#[tokio::test]
async fn a_window_hears_what_happens_while_its_unlock_waits_for_the_keychain() {
    let company = Company::in_real_time(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let places = Places {
        state: folder.path().to_owned(),
        config: folder.path().join("config.toml"),
        runtime: folder.path().to_owned(),
        own_profile: true,
        user: String::new(),
    };
    let door = listen::open_one(places.control_socket()).unwrap();
    let (_close, closing) = watch::channel(false);
    let room = Rooms::within(256).control;
    tokio::spawn(serve(company.agent.clone(), Door::Control, door.listener.clone(), room, closing));
    let connected = move || Client::connect(&places, Door::Control)?.window(PATIENCE);
    let (listening, mut speaking) = tokio::task::spawn_blocking(connected).await.unwrap().unwrap();
    let heard = hear(listening);

    // As behind a prompt that the person has not answered.
    company.vault.be_silent(true);
    speaking.send(ControlAsk::Unlock { passphrase: None }, PATIENCE).unwrap();
    eventually("the keychain is asked", async || company.vault.waiting() > 0).await;
    company.agent.watchers.changed([&dev()]);
    let next = move || heard.recv_timeout(PATIENCE).map(|next| (next, heard));
    let (first, heard) = tokio::task::spawn_blocking(next).await.unwrap().unwrap();
    assert!(matches!(first, Heard::Event(Event::Changed { .. })), "{first:?}");
    company.vault.be_silent(false);
    let answer = move || heard.iter().find(|heard| matches!(heard, Heard::Answer(_)));
    let answer = tokio::task::spawn_blocking(answer).await.unwrap();
    assert!(matches!(answer, Some(Heard::Answer(Ok(Reply::Done { .. })))), "{answer:?}");
}
