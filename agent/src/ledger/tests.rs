use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob_ipc::reply::Event;
use tempfile::TempDir;

use super::*;
use crate::clock::{FakeClock, SystemClock};
use crate::watch::Wants;

const GIVEN: Ending = Ending { outcome: Outcome::Given, code: None };

fn ledger(folder: &TempDir) -> Ledger {
    ledger_of(Book::new(folder.path().join("ledger.jsonl")))
}

fn ledger_of(book: Book) -> Ledger {
    Ledger::over(book, Arc::new(SystemClock), Watchers::default())
}

fn deed(entry: &str, number: usize) -> Deed {
    Deed {
        entry: Some(EntryName { kind: "token", name: entry.to_owned() }),
        note: Some(number.to_string()),
        ..Deed::new("get")
    }
}

async fn note(ledger: &Ledger, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        ledger.note(&Asker::unknown(), deed("a", number), GIVEN).await;
    }
}

/// The lines of a file, each of which must be one.
fn lines(file: &Path) -> Vec<LedgerLine> {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn notes(lines: &[LedgerLine]) -> Vec<String> {
    lines.iter().map(|line| line.note.clone().unwrap()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_line_has_what_is_known_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let clock = FakeClock::at("2026-11-21T08:00:00.7009Z".parse().unwrap());
    let ledger = Ledger::open(path.clone(), clock, Watchers::default());
    ledger.note(&Asker::unknown(), Deed::new("get"), Ending { outcome: Outcome::Empty, code: None }).await;
    let refused = Ending { outcome: Outcome::Refused, code: Some(Code::Locked) };
    let target = Some("x.example:8443".to_owned());
    ledger.note(&Asker::unknown(), Deed { target, ..deed("a", 1) }, refused).await;
    assert!(ledger.flush().await);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"at\":\"2026-11-21T08:00:00.700Z\",\"act\":\"get\",\"outcome\":\"empty\"}\n\
         {\"at\":\"2026-11-21T08:00:00.700Z\",\"act\":\"get\",\"outcome\":\"refused\",\"entry\":\"token.a\",\
         \"target\":\"x.example:8443\",\"code\":\"locked\",\"note\":\"1\"}\n"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
}

#[tokio::test]
async fn two_thousand_at_once_are_all_there_in_the_order_of_their_times() {
    let folder = TempDir::new().unwrap();
    let ledger = Arc::new(ledger(&folder));
    let all: Vec<_> = (0..2000)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { note(&ledger, [number]).await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert!(ledger.flush().await);
    let lines = lines(&folder.path().join("ledger.jsonl"));
    assert!(lines.is_sorted_by_key(|line| line.at.clone()));
    let mut seen: Vec<usize> = notes(&lines).iter().map(|note| note.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    assert_eq!(ledger.0.places.available_permits(), WAITING);
}

#[tokio::test]
async fn no_more_wait_than_there_are_places() {
    let folder = TempDir::new().unwrap();
    let ledger = Arc::new(ledger(&folder));
    let (ready, writer) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    // Somebody keeps the book: a disk that hangs.
    let desk = ledger.0.clone();
    let keeps = std::thread::spawn(move || {
        let _book = locked(&desk.book);
        ready.0.send(()).unwrap();
        writer.1.recv().unwrap();
    });
    ready.1.recv().unwrap();
    note(&ledger, 0..WAITING).await;
    let one_more = tokio::spawn({
        let ledger = ledger.clone();
        async move { note(&ledger, [WAITING]).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!one_more.is_finished());
    assert_eq!(locked(&ledger.0.queue).waiting.len(), WAITING);
    writer.0.send(()).unwrap();
    keeps.join().unwrap();
    one_more.await.unwrap();
    assert!(ledger.flush().await);
    assert_eq!(notes(&lines(&folder.path().join("ledger.jsonl"))), numbers(0..WAITING + 1));
}

#[tokio::test]
async fn a_full_file_is_put_aside_and_the_newest_are_found_across_all() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = ledger_of(Book::of_size(path.clone(), 1000));
    for number in 0..60 {
        note(&ledger, [number]).await;
        assert!(ledger.flush().await);
    }
    let files = ["ledger.3.jsonl", "ledger.2.jsonl", "ledger.1.jsonl", "ledger.jsonl"];
    let mut kept = Vec::new();
    for file in files {
        let file = folder.path().join(file);
        assert!(std::fs::metadata(&file).unwrap().len() <= 1000);
        kept.extend(notes(&lines(&file)));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), files.len());
    assert_eq!(kept, numbers(60 - kept.len()..60), "none is lost between the files");
    assert_eq!(notes(&ledger.newest(1000, None).await), kept);
    assert_eq!(notes(&ledger.newest(25, None).await), numbers(35..60));
    // Each file loses what is in it, and nothing else.
    std::fs::remove_file(&path).unwrap();
    note(&ledger, [60]).await;
    assert_eq!(notes(&ledger.newest(1, None).await), numbers(60..61));
}

#[tokio::test]
async fn lines_of_one_entry_are_found_among_those_of_others() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    for number in 0..50 {
        let entry = if number % 10 == 0 { "rare" } else { "common" };
        ledger.note(&Asker::unknown(), deed(entry, number), GIVEN).await;
    }
    let rare = EntryName { kind: "token", name: "rare".to_owned() };
    assert_eq!(notes(&ledger.newest(3, Some(&rare)).await), ["20", "30", "40"]);
    let unknown = EntryName { kind: "aws", name: "rare".to_owned() };
    assert_eq!(ledger.newest(3, Some(&unknown)).await, []);
    assert_eq!(ledger.newest(0, None).await, []);
    note(&ledger, 0..2 * NEWEST).await;
    assert_eq!(ledger.newest(usize::MAX, None).await.len(), NEWEST);
}

#[tokio::test]
async fn a_torn_line_costs_itself_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.jsonl");
    {
        let ledger = ledger(&folder);
        note(&ledger, 0..2).await;
        ledger.flush().await;
    }
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let ledger = ledger(&folder);
    note(&ledger, [2]).await;
    assert_eq!(notes(&ledger.newest(10, None).await), ["0", "2"]);
    // What another hand has put there is passed over as well.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"\n\xff\xfe\n{\"at\":1}\nwords\n");
    std::fs::write(&path, bytes).unwrap();
    note(&ledger, [3]).await;
    assert_eq!(notes(&ledger.newest(10, None).await), ["0", "2", "3"]);
}

#[tokio::test]
async fn what_is_lost_is_counted_and_said_once_it_can_be() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.jsonl");
    std::fs::create_dir(&path).unwrap();
    let watchers = Watchers::default();
    let mut watch = watchers.sit(Wants { ledger: true, ..Wants::default() }).unwrap();
    let ledger = Ledger::open(path.clone(), Arc::new(SystemClock), watchers);
    assert_eq!(ledger.trouble(), None);
    note(&ledger, 0..3).await;
    assert!(!ledger.note_now(&Asker::unknown(), deed("a", 3), GIVEN).await, "it says so");
    assert!(ledger.trouble().is_some());
    std::fs::remove_dir(&path).unwrap();
    assert!(ledger.note_now(&Asker::unknown(), deed("a", 4), GIVEN).await);
    assert_eq!(ledger.trouble(), None);
    assert!(ledger.note_now(&Asker::unknown(), deed("a", 5), GIVEN).await);
    let lines = lines(&path);
    let missing = "4 lines are missing here: the file could not be written";
    assert_eq!(notes(&lines), [missing, "4", "5"]);
    assert_eq!((lines[0].act.as_str(), lines[0].outcome), ("ledger", Outcome::Done));
    for line in lines {
        assert_eq!(watch.next().await, Some(Event::Ledger(line)), "who follows sees what is in the file");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_not_ours_is_neither_followed_nor_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let other = folder.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    let links: [fn(&Path, &Path) -> std::io::Result<()>; 2] = [
        |other, path| std::os::unix::fs::symlink(other, path),
        |other, path| std::fs::hard_link(other, path),
    ];
    for link in links {
        link(&other, &path).unwrap();
        let ledger = ledger(&folder);
        assert!(!ledger.note_now(&Asker::unknown(), deed("a", 1), GIVEN).await);
        assert!(ledger.trouble().is_some());
        assert_eq!(ledger.newest(10, None).await, []);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
    }
    // Control: a file of ours, however wide its mode was, is taken and closed to others.
    std::fs::write(&path, "").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(ledger(&folder).note_now(&Asker::unknown(), deed("a", 1), GIVEN).await);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

/// A line as it is kept, where so much is known of who asked.
fn kept(asking: Asking, note: Option<String>) -> LedgerLine {
    let mut batch = Batch::after(0, Timestamp::UNIX_EPOCH);
    batch.push(LedgerLine {
        at: moment(Timestamp::UNIX_EPOCH),
        act: "get".to_owned(),
        outcome: Outcome::Given,
        entry: None,
        target: None,
        code: None,
        asking: Some(asking),
        note,
    });
    let line = batch.written(1).next().unwrap().clone();
    assert!(serde_json::to_vec(&line).unwrap().len() < book::LONGEST);
    line
}

#[test]
fn of_a_line_that_would_be_too_long_the_least_is_left_out() {
    let ends = |text: &str| text.starts_with("/first") && text.ends_with("last") && text.contains('\u{2026}');
    let long = |filling: &str| format!("/first{}last", filling.repeat(4096));
    let behind: Vec<String> = (0..32).map(|number| format!("/bin/{number}-{}", "x".repeat(300))).collect();
    let asking = Asking { program: long("x"), behind: behind.clone(), ..Asking::default() };
    let line = kept(asking, Some(long("\u{e9}")));
    let asking = line.asking.unwrap();
    assert!(ends(&asking.program) && ends(line.note.as_ref().unwrap()));
    let (mark, nearest) = asking.behind.split_last().unwrap();
    assert!(mark == "\u{2026}" && nearest.len() > 3 && behind.starts_with(nearest), "{nearest:?}");
    // Control: what usual machines have stays as it is.
    let behind: Vec<String> = (0..20).map(|number| format!("/usr/lib/a-usual-place/{number}")).collect();
    let asking = Asking { program: "/usr/bin/terraform".to_owned(), behind, ..Asking::default() };
    assert_eq!(kept(asking.clone(), None).asking, Some(asking));
    // What is written with an escape for each character is longer than it looks.
    let line = kept(
        Asking { program: "\\".repeat(5000), claims: Some("\u{1}".repeat(5000)), ..Asking::default() },
        None,
    );
    assert!(line.asking.is_none() && line.note.is_some());
}

#[tokio::test]
async fn a_disk_that_hangs_costs_lines_and_holds_nobody_up() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    let (ready, writer) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let desk = ledger.0.clone();
    let keeps = std::thread::spawn(move || {
        let _book = locked(&desk.book);
        ready.0.send(()).unwrap();
        writer.1.recv().unwrap();
    });
    ready.1.recv().unwrap();
    note(&ledger, 0..WAITING).await;
    let patient = timeout(3 * PLACE, note(&ledger, [WAITING])).await;
    assert!(patient.is_ok(), "a connection waits for the disk");
    assert_eq!(ledger.read(1, None).await, None, "nor does a reader wait for ever");
    assert_eq!(ledger.trouble().as_deref(), Some("the disk does not answer"));
    writer.0.send(()).unwrap();
    keeps.join().unwrap();
    assert!(ledger.flush().await);
    let missing = "1 line is missing here: the file could not be written".to_owned();
    let expected: Vec<String> = [missing].into_iter().chain(numbers(0..WAITING)).collect();
    assert_eq!(notes(&lines(&folder.path().join("ledger.jsonl"))), expected);
    assert_eq!(ledger.trouble(), None);
}

/// Somebody who is looked at for a moment.
struct Slow(Mutex<std::sync::mpsc::Receiver<()>>);

impl crate::asker::Origin for Slow {
    fn is_alive(&self) -> bool {
        true
    }

    fn has_terminal(&self) -> bool {
        false
    }

    fn chain(&self, _: usize) -> crate::policy::Chain {
        let _ = self.0.lock().unwrap().recv();
        crate::policy::Chain::default()
    }
}

#[tokio::test]
async fn a_line_whose_asker_is_still_looked_up_is_waited_for_at_the_end() {
    let folder = TempDir::new().unwrap();
    let ledger = Arc::new(ledger(&folder));
    let (seen, looks) = std::sync::mpsc::channel();
    let noting = tokio::spawn({
        let ledger = ledger.clone();
        let asker = Asker::behind(Arc::new(Slow(Mutex::new(looks))));
        async move { ledger.note(&asker, deed("a", 1), GIVEN).await }
    });
    let mut coming = ledger.0.coming.subscribe();
    coming.wait_for(|count| *count == 1).await.unwrap();
    let mut flushed = std::pin::pin!(ledger.flush());
    let early = timeout(Duration::from_millis(50), &mut flushed).await;
    assert!(early.is_err(), "it is not waited for");
    seen.send(()).unwrap();
    assert!(flushed.await);
    assert_eq!(notes(&lines(&folder.path().join("ledger.jsonl"))), ["1"]);
    noting.await.unwrap();
}

/// Far below what a busy machine does; `docs/performance.md` has the measured figures.
#[tokio::test]
async fn handing_over_waits_for_no_disk() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    let began = Instant::now();
    note(&ledger, 0..WAITING).await;
    let handed = began.elapsed();
    assert!(ledger.flush().await);
    let written = began.elapsed();
    assert!(handed < Duration::from_secs(1) && written < Duration::from_secs(10), "{handed:?} {written:?}");
}
