//! Which reminder is due, and when to look again: a pure function of what is known and of the clock.
//!
//! Of the thresholds that have passed only the nearest to the end is ever told, so that a month asleep brings one reminder;
//! the end itself is the last threshold, zero seconds before it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{after, before};

/// A clock is put right by this much without a word. Set back by more, it takes back what it had passed over.
const SET_BACK: Duration = Duration::from_secs(24 * 3600);

/// No snooze is longer; one that seems to be was noted by a clock that was wrong.
pub const LONGEST_SNOOZE: Duration = Duration::from_secs(366 * 24 * 3600);

/// What was told of one end.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The end.
    pub end: Timestamp,
    /// Thresholds that were told, in seconds before the end, and when.
    pub told: &'a BTreeMap<u64, Timestamp>,
    /// The one that reached nobody, and from when on it is tried again.
    pub owed: Option<(u64, Timestamp)>,
    /// Nothing is told before.
    pub snoozed_until: Option<Timestamp>,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The threshold to tell now, in seconds before the end.
    pub due: Option<u64>,
    /// When to look again; `None` where nothing comes any more.
    pub next: Option<Timestamp>,
}

impl Standing<'_> {
    /// What is due now. The end itself is among the thresholds, as zero; no thresholds, no reminders.
    pub fn look(&self, thresholds: &[Duration], now: Timestamp) -> Look {
        if let Some(until) = self.snoozed(now) {
            return Look { due: None, next: Some(until) };
        }
        let due = self.passed(thresholds, now).filter(|threshold| self.wants(*threshold, now));
        let retry = self.owed.map(|(_, retry)| retry).filter(|retry| *retry > now && !thresholds.is_empty());
        let next = self.coming(thresholds, now).into_iter().chain(retry).min();
        Look { due, next }
    }

    /// The moments after `now`, and not after `until`, at which something is told if nothing else happens, in order of time.
    pub fn to_come(&self, thresholds: &[Duration], now: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let (mut told, mut owed, mut at) = (self.told.clone(), self.owed, now);
        let mut moments = Vec::new();
        loop {
            let look = Standing { told: &told, owed, ..*self }.look(thresholds, at);
            if let Some(threshold) = look.due {
                told.insert(threshold, at);
                owed = None;
                // What is due now is being told.
                moments.extend((at > now).then_some(at));
                continue;
            }
            // Each one is later than the one before.
            match look.next.filter(|next| *next <= until) {
                Some(next) => at = next,
                None => return moments,
            }
        }
    }

    /// The end of the snooze, while there is one.
    pub fn snoozed(&self, now: Timestamp) -> Option<Timestamp> {
        self.snoozed_until.filter(|until| now < *until && *until <= after(now, LONGEST_SNOOZE))
    }

    /// The moment of the next threshold.
    pub fn coming(&self, thresholds: &[Duration], now: Timestamp) -> Option<Timestamp> {
        self.moments(thresholds).map(|(_, moment)| moment).filter(|moment| *moment > now).min()
    }

    /// Of the thresholds that have passed, the nearest to the end.
    pub fn passed(&self, thresholds: &[Duration], now: Timestamp) -> Option<u64> {
        self.moments(thresholds).filter(|(_, moment)| *moment <= now).map(|(threshold, _)| threshold).min()
    }

    fn wants(&self, threshold: u64, now: Timestamp) -> bool {
        if self.told.contains_key(&threshold) {
            return self.owed.is_some_and(|(owed, retry)| owed == threshold && retry <= now);
        }
        // Told by a clock that was ahead, a nearer one says nothing about this one.
        let mut nearer = self.told.range(..threshold);
        !nearer.any(|(_, at)| *at <= after(now, SET_BACK))
    }

    fn moments<'a>(&'a self, thresholds: &'a [Duration]) -> impl Iterator<Item = (u64, Timestamp)> + 'a {
        thresholds.iter().map(|threshold| (threshold.as_secs(), before(self.end, *threshold)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;
    const END: i64 = 400;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 24 * 3600).unwrap()
    }

    fn usual() -> Vec<Duration> {
        [30, 14, 7, 3, 1, 0].map(|days| Duration::from_secs(days * DAY)).to_vec()
    }

    static NOTHING: BTreeMap<u64, Timestamp> = BTreeMap::new();

    fn fresh() -> Standing<'static> {
        Standing { end: day(END), told: &NOTHING, owed: None, snoozed_until: None }
    }

    /// Thresholds in days, and how many days were left when they were told.
    fn told<const N: usize>(told: [(u64, i64); N]) -> BTreeMap<u64, Timestamp> {
        told.map(|(threshold, left)| (threshold * DAY, day(END - left))).into()
    }

    /// What is due with so many days left, and in how many days to look again.
    fn look(standing: Standing<'_>, left: i64) -> (Option<u64>, Option<i64>) {
        let now = day(END - left);
        let look = standing.look(&usual(), now);
        let days = |seconds: u64| seconds / DAY;
        (
            look.due.map(days),
            look.next
                .map(|next| i64::try_from(days(next.duration_since(now).as_secs().unsigned_abs())).unwrap()),
        )
    }

    #[test]
    fn only_the_nearest_that_has_passed_is_due() {
        for (left, due, next) in [
            (365, None, Some(335)),
            (31, None, Some(1)),
            (30, Some(30), Some(16)),
            (29, Some(30), Some(15)),
            (14, Some(14), Some(7)),
            (5, Some(7), Some(2)),
            (1, Some(1), Some(1)),
            (0, Some(0), None),
            (-400, Some(0), None),
        ] {
            assert_eq!(look(fresh(), left), (due, next), "{left} days left");
        }
    }

    #[test]
    fn what_was_told_or_passed_over_is_not_told_again() {
        let told = told([(30, 30), (3, 3)]);
        let standing = Standing { told: &told, ..fresh() };
        // A day back is a clock that is put right.
        for (left, due) in [(4, None), (3, None), (2, None), (1, Some(1)), (0, Some(0))] {
            assert_eq!(look(standing, left).0, due, "{left} days left");
        }
    }

    #[test]
    fn a_clock_that_was_wrong_takes_back_what_it_passed_over_but_not_what_was_told() {
        let told = told([(30, 30), (14, 14), (0, -900)]);
        let standing = Standing { told: &told, ..fresh() };
        for (left, due) in [(40, None), (20, None), (14, None), (7, Some(7)), (3, Some(3)), (-1, None)] {
            assert_eq!(look(standing, left).0, due, "{left} days left");
        }
    }

    #[test]
    fn a_snooze_holds_everything_back_and_then_tells_what_is_due_by_then() {
        let snoozed = |until: i64| Standing { snoozed_until: Some(day(END - until)), ..fresh() };
        assert_eq!(look(snoozed(5), 14), (None, Some(9)));
        assert_eq!(look(snoozed(5), 5), (Some(7), Some(2)));
        let told = told([(7, 7)]);
        assert_eq!(look(Standing { told: &told, ..snoozed(5) }, 5), (None, Some(2)));
        // Noted by a clock that was years ahead.
        assert_eq!(look(snoozed(-3000), 14).0, Some(14));
    }

    #[test]
    fn what_is_to_come_is_what_a_year_of_looks_would_tell() {
        let days = |standing: Standing<'_>, left: i64| -> Vec<i64> {
            let now = day(END - left);
            let moments = standing.to_come(&usual(), now, day(END + 10));
            moments
                .iter()
                .map(|moment| END - (moment.as_second() - day(0).as_second()) / (24 * 3600))
                .collect()
        };
        let told = told([(30, 30), (7, 7)]);
        let snoozed = |until: i64| Standing { snoozed_until: Some(day(END - until)), ..fresh() };
        let owed = Standing { told: &told, owed: Some((7 * DAY, day(END - 6))), ..fresh() };
        for (what, standing, left, expected) in [
            ("all of them", fresh(), 100, vec![30, 14, 7, 3, 1, 0]),
            ("what is due now is being told", fresh(), 14, vec![7, 3, 1, 0]),
            ("told ones do not come again", Standing { told: &told, ..fresh() }, 7, vec![3, 1, 0]),
            ("a snooze ends with the nearest that it held back", snoozed(5), 20, vec![5, 3, 1, 0]),
            ("or with none", snoozed(20), 40, vec![20, 14, 7, 3, 1, 0]),
            ("one that reached nobody comes again", owed, 7, vec![6, 3, 1, 0]),
            ("beyond the end", snoozed(-5), 20, vec![-5]),
            ("nothing after it", fresh(), -1, vec![]),
        ] {
            assert_eq!(days(standing, left), expected, "{what}");
        }
        assert_eq!(fresh().to_come(&[], day(0), day(END)), []);
        assert_eq!(fresh().to_come(&usual(), day(0), day(END - 14)), [day(END - 30), day(END - 14)]);
    }

    #[test]
    fn what_reached_nobody_is_tried_again_until_the_next_one() {
        let told = told([(7, 7)]);
        let owed = |left: i64| Standing { told: &told, owed: Some((7 * DAY, day(END - left))), ..fresh() };
        assert_eq!(look(owed(6), 7), (None, Some(1)));
        assert_eq!(look(owed(6), 6), (Some(7), Some(3)));
        assert_eq!(look(owed(6), 3), (Some(3), Some(2)));
        let none: [Duration; 0] = [];
        assert_eq!(owed(6).look(&none, day(END - 6)), Look { due: None, next: None });
    }
}
