//! What is written, when, and on whose time.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::config::{Limits, load};
use crate::holding::Destination;

const DAY: u64 = 24 * 3600;

fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn name(name: &str) -> EntryName {
    EntryName { kind: "token", name: name.to_owned() }
}

/// So many token entries.
fn config(entries: usize) -> Arc<Config> {
    let mut text = String::new();
    for entry in 0..entries {
        writeln!(text, "[token.service-account-{entry}]\nhosts = [\"h{entry}.acme.dev\"]").unwrap();
    }
    Arc::new(load(&text, Limits { plain_loopback: false }).unwrap())
}

fn holding(ends: Timestamp) -> Holding {
    let facts = Facts { ends: Some(ends), added: Some(now()), ..Facts::default() };
    Holding::new("a-token".into(), facts, Destination::default())
}

fn learn(ends: &Ends, entry: &str, end: Timestamp) {
    ends.learn(&name(entry), KeychainKind::System, Some(&holding(end)));
}

fn everything_told(end: Timestamp) -> About {
    let told = [30, 14, 7, 3, 1, 0].map(|days| (days * DAY, before(end, Duration::from_secs(days * DAY))));
    About { told: told.into(), owed: Some((0, end)), snoozed_until: Some(end), ..About::new(end) }
}

fn told_of(path: &Path, entry: &str) -> Vec<u64> {
    let records = file::read(path).unwrap();
    let about = records.get(&name(entry).to_string()).and_then(|record| record.about.clone());
    about.map(|about| about.told.into_keys().collect()).unwrap_or_default()
}

/// A runtime whose one thread for waiting is taken until the sender is used.
fn busy() -> (tokio::runtime::Runtime, std::sync::mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (free, taken) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || taken.recv());
    (runtime, free)
}

#[tokio::test]
async fn ten_thousand_entries_are_kept_with_everything_that_was_told() {
    const ENTRIES: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reminders.json");
    let (config, end) = (config(ENTRIES), after(now(), Duration::from_secs(300 * DAY)));
    let ends = Ends::open(path.clone());
    for entry in &config.entries {
        ends.learn(&entry.name, KeychainKind::System, Some(&holding(end)));
        ends.end(entry, &config).unwrap();
        let mut known = ends.known();
        let record = known.records.get_mut(&entry.name.to_string()).unwrap();
        record.machine = Some("bot-of-a-department-with-a-long-name".to_owned());
        record.about = Some(everything_told(end));
    }
    let began = Instant::now();
    ends.save(&config, now()).await;
    assert!(began.elapsed() < Duration::from_secs(4), "each is looked at once: {:?}", began.elapsed());
    assert!(std::fs::metadata(&path).unwrap().len() > 4 * 1024 * 1024);
    assert_eq!(Ends::open(path).known().records, ends.known().records);
}

#[tokio::test]
async fn what_has_not_changed_is_not_written_and_what_failed_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reminders.json");
    let (ends, config) = (Ends::open(path.clone()), config(1));
    let end = after(now(), Duration::from_secs(DAY));
    learn(&ends, "service-account-0", end);
    ends.save(&config, now()).await;
    std::fs::remove_file(&path).unwrap();
    learn(&ends, "service-account-0", end);
    ends.save(&config, now()).await;
    assert!(!path.exists(), "nothing was learned");

    let block = path.with_extension("json.new");
    std::fs::create_dir(&block).unwrap();
    learn(&ends, "service-account-0", after(end, Duration::from_secs(DAY)));
    ends.save(&config, now()).await;
    assert!(!path.exists());
    std::fs::remove_dir(&block).unwrap();
    ends.save(&config, now()).await;
    assert!(path.exists());
}

#[tokio::test]
async fn what_is_long_gone_from_the_configuration_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reminders.json");
    let ends = Ends::open(path.clone());
    let end = after(now(), Duration::from_secs(DAY));
    let both = config(2);
    for entry in &both.entries {
        learn(&ends, &entry.name.name, end);
        ends.end(entry, &both).unwrap();
    }
    ends.save(&config(1), after(end, GONE / 2)).await;
    assert_eq!(file::read(&path).unwrap().len(), 2);
    learn(&ends, "service-account-0", after(end, GONE));
    ends.save(&config(1), after(end, GONE)).await;
    let names: Vec<String> = file::read(&path).unwrap().into_keys().collect();
    assert_eq!(names, ["token.service-account-0"]);
}

#[test]
fn nobody_but_the_one_who_asks_waits_for_the_disk_and_the_newest_state_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reminders.json");
    let (runtime, free) = busy();
    let (ends, config) = (Ends::open(path.clone()), config(2));
    let end = after(now(), Duration::from_secs(DAY));
    learn(&ends, "service-account-0", end);
    ends.end(&config.entries[0], &config).unwrap();
    let tell = |threshold: u64| {
        let change = move |about: &mut About| about.told.insert(threshold, now()).is_none();
        ends.note_aside(&config.entries[0].name, end, change)
    };
    let noted = runtime.block_on(async {
        let meanwhile = async {
            tokio::task::yield_now().await;
            assert!(!path.exists(), "the runtime's own thread waits for no disk");
            // Known before the turn of those that began earlier.
            learn(&ends, "service-account-1", end);
            free.send(()).unwrap();
        };
        let (saved, first, second, again, ()) =
            tokio::join!(ends.save(&config, now()), tell(7), tell(3), tell(7), meanwhile);
        let () = saved;
        [first, second, again].map(Result::unwrap)
    });
    assert_eq!(noted, [true, true, false], "the same is never told twice");
    assert_eq!(told_of(&path, "service-account-0"), [3, 7]);
    assert!(file::read(&path).unwrap().contains_key("token.service-account-1"));
    assert!(!ends.known().is_behind());
    let about = ends.end(&config.entries[0], &config).unwrap().about;
    assert_eq!(about.told.len(), 2);
}

#[test]
fn what_cannot_be_written_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reminders.json");
    let (ends, config) = (Ends::open(path.clone()), config(1));
    let end = after(now(), Duration::from_secs(DAY));
    learn(&ends, "service-account-0", end);
    ends.end(&config.entries[0], &config).unwrap();
    std::fs::create_dir(path.with_extension("json.new")).unwrap();
    let change = |about: &mut About| about.told.insert(7, now()).is_none();
    let refusal = ends.note(&config.entries[0].name, end, change).unwrap_err();
    assert_eq!(refusal.code, Code::PlaceUnsafe);
    assert_eq!(ends.end(&config.entries[0], &config).unwrap().about, About::new(end));
    let refusal = ends.note(&config.entries[0].name, now(), change).unwrap_err();
    assert_eq!(refusal.code, Code::Pending, "of another end");
}
