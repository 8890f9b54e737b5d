//! The figures as a table for people, and as JSON for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::Figures;
use super::burst::Burst;
use super::warm::{GET, Row};

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warm = &self.warm;
        writeln!(formatter, "Whole-process time, {} rounds of {} in turns", warm.rounds, warm.spawns)?;
        for row in &warm.rows {
            let (name, median, ratio) = (row.name, row.median() / 1000.0, row.ratio);
            writeln!(formatter, "  {name:<28} {median:>7.3} ms  {ratio:>5.2} x C floor{}", spread(row))?;
        }
        writeln!(formatter, "\nAt once, at a cold agent")?;
        for (name, burst) in self.bursts() {
            let Burst { calls, answered, refreshes, assumed, .. } = burst;
            let [wall, slowest] = [burst.wall, burst.slowest].map(|time| time.as_secs_f64());
            writeln!(
                formatter,
                "  {calls} {name}: {answered} answered, {refreshes} refresh, {assumed} STS; all in {wall:.2} s, \
                 slowest {slowest:.2} s, median {:.2} s",
                burst.median
            )?;
        }
        writeln!(formatter, "\nThe agent after each part was used once")?;
        for idle in &self.idle {
            let [started, used] = [idle.started_kib, idle.used_kib].map(|kib| kib as f64 / 1024.0);
            let name = format!("{} keychain", idle.keychain);
            write!(formatter, "  {name:<16} {used:>5.1} MiB PSS ({started:.1} at the start)")?;
            if let Some(wakeups) = &idle.wakeups {
                let count = wakeups.count.map_or("unknown".to_owned(), |count| count.to_string());
                write!(formatter, ", wake-ups in {} s: {count}", wakeups.watched.as_secs())?;
            }
            writeln!(formatter)?;
        }
        writeln!(formatter, "\nPrograms")?;
        for (name, bytes) in &self.sizes {
            writeln!(formatter, "  {name:<8} {:>5.2} MB", *bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}

impl From<&Figures> for Value {
    fn from(figures: &Figures) -> Self {
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "median_us": rounded(row.median(), 1),
                "ratio_to_floor": rounded(row.ratio, 3),
                "round_medians_us": row.medians.iter().map(|median| rounded(*median, 1)).collect::<Vec<_>>(),
            })
        };
        let burst = |(name, burst): (_, &Burst)| {
            json!({
                "name": name,
                "calls": burst.calls,
                "answered": burst.answered,
                "refreshes": burst.refreshes,
                "sts_calls": burst.assumed,
                "wall_s": seconds(burst.wall),
                "slowest_s": seconds(burst.slowest),
                "median_s": rounded(burst.median, 3),
            })
        };
        let idle = figures.idle.iter().map(|idle| {
            json!({
                "keychain": idle.keychain,
                "pss_started_kib": idle.started_kib,
                "pss_used_kib": idle.used_kib,
                "wakeups": idle.wakeups.as_ref().map(|wakeups| {
                    json!({ "count": wakeups.count, "watched_s": wakeups.watched.as_secs() })
                }),
            })
        });
        let sizes = figures.sizes.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes)));
        json!({
            "rounds": figures.warm.rounds,
            "spawns": figures.warm.spawns,
            "warm": figures.warm.rows.iter().map(row).collect::<Vec<_>>(),
            "bursts": figures.bursts().map(burst),
            "agent": idle.collect::<Vec<_>>(),
            "sizes": sizes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Figures {
    fn bursts(&self) -> [(&'static str, &Burst); 2] {
        [(GET, &self.gets), ("keyfob credential-process", &self.credential_processes)]
    }
}

/// The quickest and the slowest round, to show how quiet the machine was.
fn spread(row: &Row) -> String {
    let quickest = row.medians.iter().copied().fold(f64::INFINITY, f64::min) / 1000.0;
    let slowest = row.medians.iter().copied().fold(0.0, f64::max) / 1000.0;
    format!("  (rounds {quickest:.3} to {slowest:.3})")
}

fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64(), 3)
}

fn rounded(number: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (number * unit).round() / unit
}
