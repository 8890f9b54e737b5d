//! The ledger as it is read back: whatever stands in the file, the newest lines come out whole and in their order.
//!
//! Input: how often the text stands in the file (one byte, 0 is once), how many lines are wanted (one byte), the text.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use keyfob_agent::clock::FakeClock;
use keyfob_agent::config::EntryName;
use keyfob_agent::ledger::Ledger;
use keyfob_agent::watch::Watchers;
use keyfob_ipc::reply::LedgerLine;
use tokio::runtime::{Builder, Runtime};

/// Longer lines are nobody's: the agent writes none, and need not give them out whole.
const LONGEST: usize = 16 * 1024;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime is made"));

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
    let all: Vec<LedgerLine> =
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let last = usize::from(last);
    assert_eq!(newest(last, None), all[all.len().saturating_sub(last)..]);
    let entry = EntryName { kind: "sso", name: "okta".to_owned() };
    let of_entry: Vec<LedgerLine> =
        all.into_iter().filter(|line| line.entry.as_deref() == Some("sso.okta")).collect();
    assert_eq!(newest(last, Some(&entry)), of_entry[of_entry.len().saturating_sub(last)..]);
}

fn newest(last: usize, entry: Option<&EntryName>) -> Vec<LedgerLine> {
    let clock = FakeClock::at(jiff::Timestamp::UNIX_EPOCH);
    RUNTIME.block_on(async {
        Ledger::open(FILE.clone(), Arc::clone(&clock) as _, Watchers::default()).newest(last, entry).await
    })
}
