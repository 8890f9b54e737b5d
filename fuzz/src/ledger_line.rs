//! The ledger as it is read back: whatever stands in the file, the newest lines come out whole and in their order.
//!
//! Input: how often the text stands in the file (one byte, 0 is once), how many lines are wanted (one byte), the text.

use std::path::PathBuf;
use std::sync::LazyLock;

use keyfob_agent::clock::FakeClock;
use keyfob_agent::config::EntryName;
use keyfob_agent::ledger::Ledger;
use keyfob_agent::watch::Watchers;
use keyfob_ipc::reply::LedgerLine;

use crate::scene::now;

/// Longer lines are nobody's: the agent writes none, and need not give them out whole.
const LONGEST: usize = 16 * 1024;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("keyfob-fuzz-ledger-{}.jsonl", std::process::id())));

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[times, last], text)) = data.split_first_chunk() else { return };
    let text = text.repeat(usize::from(times).max(1));
    if text.split(|byte| *byte == b'\n').any(|line| line.len() > LONGEST) {
        return;
    }
    std::fs::write(&*FILE, &text).expect("the file can be written");
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let read = |line: &&str| serde_json::from_str::<LedgerLine>(line).ok();
    let all: Vec<LedgerLine> = lines.clone().filter_map(|line| read(&line)).collect();
    let last = usize::from(last);
    assert_eq!(newest(last, None), all[all.len().saturating_sub(last)..]);
    let entry = EntryName { kind: "sso", name: "okta".to_owned() };
    // The agent writes a name as it is, never by numbers of its characters.
    let named = lines.filter(|line| line.contains("sso.okta")).filter_map(|line| read(&line));
    let of_entry: Vec<LedgerLine> = named.filter(|line| line.entry.as_deref() == Some("sso.okta")).collect();
    assert_eq!(newest(last, Some(&entry)), of_entry[of_entry.len().saturating_sub(last)..]);
}

fn newest(last: usize, entry: Option<&EntryName>) -> Vec<LedgerLine> {
    let clock = FakeClock::at(jiff::Timestamp::UNIX_EPOCH);
    let ledger = Ledger::open(FILE.clone(), clock, Watchers::default());
    now(ledger.newest(last, entry))
}
