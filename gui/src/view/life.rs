//! Remaining life, in words.

use jiff::{SignedDuration, Timestamp};

use crate::texts::Texts;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The largest unit of which there are two: `6 days`, `47 hours`, `58 minutes`, `ended`; `about` where the end is assumed. Days
/// are the nearest number, as people count them; of the rest it never promises more than is left.
pub fn remaining(until: Timestamp, is_assumed: bool, now: Timestamp, texts: &Texts) -> String {
    let left = until.duration_since(now).as_secs();
    let words = match left {
        ..=0 => return ended(is_assumed, texts),
        _ if left >= 2 * DAY => texts.count("say.days", days(left), &[]),
        _ if left >= 2 * HOUR => texts.count("say.hours", units(left, HOUR), &[]),
        _ if left >= 2 * MINUTE => texts.count("say.minutes", units(left, MINUTE), &[]),
        _ => texts.count("say.seconds", units(left, 1), &[]),
    };
    about(words, is_assumed, texts)
}

/// The same for a menu, which must not change all the time: `12 days`, `47 hours`, `under an hour`, `ended`. The words
/// change at [`next_change`].
pub fn coarse(until: Timestamp, is_assumed: bool, now: Timestamp, texts: &Texts) -> String {
    let left = until.duration_since(now);
    if left <= SignedDuration::ZERO {
        return ended(is_assumed, texts);
    }
    let words = match unit(left.as_secs()) {
        None => return texts.say("say.under-an-hour", &[]),
        Some(HOUR) => texts.count("say.hours", units(left.as_secs(), HOUR), &[]),
        Some(_) => texts.count("say.days", days(left.as_secs()), &[]),
    };
    about(words, is_assumed, texts)
}

/// When the words of [`coarse`] change next; `None` once it has ended.
pub fn next_change(until: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let left = until.duration_since(now);
    if left <= SignedDuration::ZERO {
        return None;
    }
    let Some(unit) = unit(left.as_secs()) else { return Some(until) };
    let least = match unit {
        DAY => (i64::try_from(days(left.as_secs())).unwrap_or(i64::MAX / DAY) * DAY - DAY / 2).max(2 * DAY),
        unit => left.as_secs() / unit * unit,
    };
    // A second behind the moment at which so much is left to the letter: then there is one less.
    until.checked_sub(SignedDuration::from_secs(least - 1)).ok()
}

/// A time of the wire; `None` where it cannot be read.
pub fn moment(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}

/// In what a coarse life is counted; `None` under an hour.
fn unit(left: i64) -> Option<i64> {
    match left {
        _ if left >= 2 * DAY => Some(DAY),
        _ if left >= HOUR => Some(HOUR),
        _ => None,
    }
}

fn units(left: i64, unit: i64) -> u64 {
    (left / unit).unsigned_abs()
}

/// The nearest number.
fn days(left: i64) -> u64 {
    units(left.saturating_add(DAY / 2), DAY)
}

fn about(words: String, is_assumed: bool, texts: &Texts) -> String {
    if is_assumed { texts.say("say.about", &[("life", &words)]) } else { words }
}

fn ended(is_assumed: bool, texts: &Texts) -> String {
    if is_assumed { texts.say("say.probably-ended", &[]) } else { texts.say("say.ended", &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T08:00:00Z".parse().unwrap()
    }

    fn at(left: i64) -> Timestamp {
        now() + SignedDuration::from_secs(left)
    }

    #[test]
    fn what_remains_is_counted_in_the_largest_unit_of_which_there_are_two() {
        let texts = Texts::english();
        for (left, is_assumed, words) in [
            (12 * DAY, false, "12 days"),
            (2 * DAY - 1, false, "47 hours"),
            (2 * HOUR - 1, false, "119 minutes"),
            (90, false, "90 seconds"),
            (1, false, "1 second"),
            (0, false, "ended"),
            (-DAY, false, "ended"),
            (6 * DAY, true, "about 6 days"),
            (-1, true, "probably ended"),
        ] {
            assert_eq!(remaining(at(left), is_assumed, now(), &texts), words, "{left}");
        }
    }

    #[test]
    fn a_menu_counts_days_and_hours_alone() {
        let texts = Texts::english();
        for (left, is_assumed, words) in [
            (12 * DAY, false, "12 days"),
            (12 * DAY - 1, false, "12 days"),
            (12 * DAY - DAY / 2 - 1, false, "11 days"),
            (2 * DAY + DAY / 2, false, "3 days"),
            (2 * DAY, false, "2 days"),
            (2 * DAY - 1, false, "47 hours"),
            (HOUR, false, "1 hour"),
            (HOUR - 1, false, "under an hour"),
            (1, true, "under an hour"),
            (0, false, "ended"),
            (0, true, "probably ended"),
        ] {
            assert_eq!(coarse(at(left), is_assumed, now(), &texts), words, "{left}");
        }
    }

    #[test]
    fn the_words_change_at_the_next_change_and_not_a_second_before() {
        let texts = Texts::english();
        let words = |when| coarse(at(0), false, when, &texts);
        for left in [400 * DAY, 12 * DAY, 12 * DAY - 1, 2 * DAY, 2 * DAY - 1, 5 * HOUR + 7, HOUR, HOUR - 1, 1]
        {
            let when = at(-left);
            let next = next_change(at(0), when).unwrap();
            assert_ne!(words(next), words(when), "{left}");
            assert_eq!(words(next - SignedDuration::from_secs(1)), words(when), "{left}");
        }
        assert_eq!(next_change(at(0), now()), None);
    }

    #[test]
    fn it_changes_at_most_once_an_hour() {
        let (mut when, mut times) = (at(-3 * DAY), 0);
        while let Some(next) = next_change(at(0), when) {
            (when, times) = (next, times + 1);
        }
        assert_eq!((when, times), (at(0), 1 + 48 + 1));
    }
}
