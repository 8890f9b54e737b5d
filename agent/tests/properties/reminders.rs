//! Reminders over whole lives of a token: through suspends, wrong clocks, restarts, snoozes, and notices that reach nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_agent::clock::{after, before};
use keyfob_agent::ends::About;
use proptest::prelude::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// [`keyfob_agent::reminders`] tries again after this long.
const AGAIN: Duration = Duration::from_secs(HOUR);

#[derive(Debug, Clone)]
enum Step {
    /// Time passes, awake or asleep.
    Pass(Duration),
    /// Time passes until just when there is something to do.
    Sleep,
    /// The clock is set.
    SetBack(Duration),
    SetTo(Timestamp),
    /// From here on a notice reaches somebody, or nobody.
    Shown(bool),
    Snooze(u64),
    /// Of the agent: what was told comes back from the file.
    Restart,
}

fn end() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn step(is_steady: bool) -> impl Strategy<Value = Step> {
    let pass = prop_oneof![0..2 * HOUR, 0..3 * DAY, 0..60 * DAY];
    let forward = prop_oneof![
        5 => pass.prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
        4 => Just(Step::Sleep),
        2 => any::<bool>().prop_map(Step::Shown),
        1 => (0u64..40).prop_map(Step::Snooze),
        1 => Just(Step::Restart),
    ];
    let near_end = (-40 * 86_400i64..10 * 86_400).prop_map(|by| end().as_second() + by);
    // The last year of all is left out: what is put off by an hour there is put off for nothing.
    let far_ahead: Timestamp = "9998-12-31T23:59:59Z".parse().unwrap();
    let far = prop::sample::select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, far_ahead]);
    let near_end = near_end.prop_map(|second| Timestamp::from_second(second).unwrap());
    let set = prop_oneof![
        2 => (0..400 * DAY).prop_map(|seconds| Step::SetBack(Duration::from_secs(seconds))),
        2 => near_end.prop_map(Step::SetTo),
        1 => far.prop_map(Step::SetTo),
    ];
    if is_steady { forward.boxed() } else { prop_oneof![3 => forward, 1 => set].boxed() }
}

fn thresholds() -> impl Strategy<Value = Vec<Duration>> {
    prop::collection::btree_set(prop_oneof![1..45 * DAY, (1..45u64).prop_map(|days| days * DAY)], 0..5)
        .prop_map(|some| some.into_iter().rev().chain([0]).map(Duration::from_secs).collect())
}

/// A token that ends, its agent and its person.
struct Life {
    now: Timestamp,
    about: About,
    is_shown: bool,
    thresholds: Vec<Duration>,
    /// What reached somebody, how often.
    reached: BTreeMap<u64, usize>,
}

impl Life {
    fn new(thresholds: Vec<Duration>) -> Self {
        let about = serde_json::from_value(serde_json::json!({ "end": end() })).unwrap();
        let now = before(end(), Duration::from_secs(50 * DAY));
        Self { now, about, is_shown: true, thresholds, reached: BTreeMap::new() }
    }

    fn look(&self, now: Timestamp) -> (Option<u64>, Option<Timestamp>) {
        let look = self.about.look(&self.thresholds, now);
        (look.due, look.next)
    }

    /// What the agent does: writes down, tells, and notes what reached nobody. Returns when it looks again.
    fn remind(&mut self) -> Result<Option<Timestamp>, TestCaseError> {
        for _ in 0..10 {
            let (due, next) = self.look(self.now);
            let Some(threshold) = due else { return Ok(next) };
            prop_assert!(
                self.about.snoozed_until.is_none_or(|until| until <= self.now || is_absurd(until, self.now))
            );
            prop_assert!(self.thresholds.contains(&Duration::from_secs(threshold)));
            prop_assert!(before(end(), Duration::from_secs(threshold)) <= self.now, "{threshold} too early");
            prop_assert!(self.now < end() || threshold == 0, "{threshold} after the end");
            self.about.told.insert(threshold, self.now);
            self.about.owed = None;
            if self.is_shown {
                let times = self.reached.entry(threshold).or_default();
                *times += 1;
                prop_assert_eq!(*times, 1, "{} told again", threshold);
            } else {
                self.about.owed = Some((threshold, after(self.now, AGAIN)));
            }
        }
        Err(TestCaseError::fail("there is no end of reminding"))
    }

    fn take(&mut self, step: &Step, next: Option<Timestamp>) {
        match step {
            Step::Pass(by) => self.now = after(self.now, *by),
            Step::Sleep => self.now = next.unwrap_or(self.now).max(self.now),
            Step::SetBack(by) => self.now = before(self.now, *by),
            Step::SetTo(moment) => self.now = *moment,
            Step::Shown(is_shown) => self.is_shown = *is_shown,
            Step::Snooze(days) => {
                self.about.snoozed_until = Some(after(self.now, Duration::from_secs(days * DAY)));
            }
            Step::Restart => {
                let file = serde_json::to_string(&self.about).unwrap();
                self.about = serde_json::from_str(&file).unwrap();
            }
        }
    }

    fn is_snoozed(&self) -> bool {
        self.about.standing().snoozed(self.now).is_some()
    }
}

/// No snooze that a person asked for by this clock.
fn is_absurd(until: Timestamp, now: Timestamp) -> bool {
    until > after(now, Duration::from_secs(366 * DAY))
}

proptest! {
    #[test]
    fn each_threshold_is_told_once_and_nothing_but_the_end_after_the_end(
        thresholds in thresholds(), steps in prop::collection::vec(step(false), 0..40)
    ) {
        let mut life = Life::new(thresholds);
        let mut next = life.remind()?;
        for step in &steps {
            life.take(step, next);
            next = life.remind()?;
            if life.now >= end() && !life.is_snoozed() {
                prop_assert!(life.about.told.contains_key(&0), "the end itself is lost");
            }
        }
    }

    #[test]
    fn nothing_is_lost_while_the_clock_only_goes_forward(
        thresholds in thresholds(), steps in prop::collection::vec(step(true), 0..40), when in 0.0f64..1.0
    ) {
        let mut life = Life::new(thresholds);
        let mut next = life.remind()?;
        for step in &steps {
            life.take(step, next);
            next = life.remind()?;
            let passed = life.thresholds.iter().filter(|threshold| before(end(), **threshold) <= life.now);
            if let Some(nearest) = passed.min()
                && !life.is_snoozed()
            {
                prop_assert!(life.about.told.contains_key(&nearest.as_secs()), "{:?} is lost", nearest);
            }
            // Whoever sleeps until then misses nothing.
            let until = next.unwrap_or(Timestamp::MAX);
            let between = until.duration_since(life.now).mul_f64(when);
            let between = life.now.checked_add(between).unwrap().min(before(until, Duration::from_nanos(1)));
            if between > life.now {
                prop_assert_eq!(life.look(between).0, None, "due at {} and not at {:?}", between, next);
            }
        }
    }
}
