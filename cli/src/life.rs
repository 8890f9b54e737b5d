//! Remaining life, in words.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long it is until a time given as RFC 3339: `6 days`, `58 minutes`, `ended`. It never promises more than is left.
/// An assumed end is `about 6 days`. A time that cannot be read is a `?`.
pub fn remaining(now: Timestamp, until: &str, assumed: bool) -> String {
    let Ok(until) = until.parse::<Timestamp>() else { return "?".to_owned() };
    let left = until.as_second().saturating_sub(now.as_second());
    if left <= 0 {
        return "ended".to_owned();
    }
    let words = words(left);
    if assumed { format!("about {words}") } else { words }
}

/// A number of seconds in the largest unit of which there are at least two.
pub fn words(seconds: i64) -> String {
    let (count, unit) = match seconds {
        DAY.. if seconds >= 2 * DAY => (seconds / DAY, "day"),
        HOUR.. if seconds >= 2 * HOUR => (seconds / HOUR, "hour"),
        MINUTE.. if seconds >= 2 * MINUTE => (seconds / MINUTE, "minute"),
        _ => (seconds, "second"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(until: &str) -> String {
        remaining("2026-11-21T08:00:00Z".parse().unwrap(), until, false)
    }

    #[test]
    fn the_largest_unit_of_which_there_are_two() {
        assert_eq!(left("2027-11-21T08:00:00Z"), "365 days");
        assert_eq!(left("2026-11-27T08:00:00Z"), "6 days");
        assert_eq!(left("2026-11-23T07:59:59Z"), "47 hours");
        assert_eq!(left("2026-11-21T09:59:59Z"), "119 minutes");
        assert_eq!(left("2026-11-21T08:58:00Z"), "58 minutes");
        assert_eq!(left("2026-11-21T08:01:30Z"), "90 seconds");
        assert_eq!(left("2026-11-21T08:00:01Z"), "1 second");
    }

    #[test]
    fn the_end_has_come_at_the_end() {
        assert_eq!(left("2026-11-21T08:00:00Z"), "ended");
        assert_eq!(left("2020-01-01T00:00:00Z"), "ended");
    }

    #[test]
    fn what_is_assumed_says_so_and_nonsense_is_no_panic() {
        let now = "2026-11-21T08:00:00Z".parse().unwrap();
        assert_eq!(remaining(now, "2026-11-27T08:00:00Z", true), "about 6 days");
        assert_eq!(remaining(now, "soon", false), "?");
    }
}
