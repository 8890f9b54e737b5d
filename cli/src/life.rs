//! Remaining life, in words.

use crate::moment::Moment;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long it is until a time given as RFC 3339: `6 days`, `58 minutes`, `ended`. It never promises more than is left.
/// An assumed end is `about 6 days`. A time that cannot be read is a `?`.
pub fn remaining(now: Moment, until: &str, assumed: bool) -> String {
    let Ok(until) = until.parse::<Moment>() else { return "?".to_owned() };
    let left = until.since(now);
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

/// A number of seconds, given as text, as the configuration writes it: `4h`. What is no number is escaped.
pub fn length(seconds: &str) -> String {
    let Ok(count) = seconds.parse::<i64>() else { return keyfob_ipc::text::escape(seconds) };
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
    let whole = units.into_iter().find(|(unit, _)| count > 0 && count % unit == 0);
    whole.map_or_else(|| format!("{count}s"), |(unit, name)| format!("{}{name}", count / unit))
}

/// How long ago a time given as RFC 3339 was, shortly: `just now`, `12 min ago`, `3 h ago`, `40 days ago`. A time that
/// cannot be read is a `?`.
pub fn ago(now: Moment, when: &str) -> String {
    let Ok(when) = when.parse::<Moment>() else { return "?".to_owned() };
    let (count, unit) = match now.since(when) {
        // A clock that is a little ahead is no reason to speak of the future.
        ..MINUTE => return "just now".to_owned(),
        seconds @ ..HOUR => (seconds / MINUTE, "min"),
        seconds if seconds < 2 * DAY => (seconds / HOUR, "h"),
        seconds => (seconds / DAY, "days"),
    };
    format!("{count} {unit} ago")
}

/// The day of a time given as RFC 3339 in UTC; a time that cannot be read is shown as it is, escaped.
pub fn day(time: &str) -> String {
    match (time.parse::<Moment>(), time.get(..10)) {
        (Ok(_), Some(day)) => day.to_owned(),
        _ => keyfob_ipc::text::escape(time),
    }
}

/// Whether a text is a day (`2027-03-01`) or a time of RFC 3339.
pub fn is_day_or_time(text: &str) -> bool {
    [text, &format!("{text}T00:00:00Z")].into_iter().any(|time| time.parse::<Moment>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_what_the_configuration_would_have() {
        for (seconds, words) in
            [("3600", "1h"), ("14400", "4h"), ("5400", "90m"), ("86400", "1d"), ("61", "61s"), ("0", "0s")]
        {
            assert_eq!(length(seconds), words);
        }
        assert_eq!(length("\u{1b}x"), "\\u{1b}x");
    }

    #[test]
    fn ages_are_short() {
        let now = "2026-11-21T08:00:00Z".parse().unwrap();
        for (when, words) in [
            ("2026-11-21T08:00:30Z", "just now"),
            ("2026-11-21T07:59:01Z", "just now"),
            ("2026-11-21T07:59:00Z", "1 min ago"),
            ("2026-11-21T07:48:00Z", "12 min ago"),
            ("2026-11-21T07:00:00Z", "1 h ago"),
            ("2026-11-19T08:00:01Z", "47 h ago"),
            ("2026-11-19T08:00:00Z", "2 days ago"),
            ("soon", "?"),
        ] {
            assert_eq!(ago(now, when), words, "{when}");
        }
    }

    #[test]
    fn the_day_of_a_time_and_nonsense_escaped() {
        assert_eq!(day("2027-11-21T23:30:00Z"), "2027-11-21");
        assert_eq!(day("\u{1b}soon"), "\\u{1b}soon");
    }

    #[test]
    fn days_and_times_are_told_from_the_rest() {
        for good in ["2027-03-01", "2027-03-01T08:00:00Z", "2027-03-01T08:00:00.5+02:00"] {
            assert!(is_day_or_time(good), "{good}");
        }
        for bad in [
            "",
            "2027-3-1",
            "2027-02-30",
            "01.03.2027",
            "2027-W09-1",
            "1y",
            "2027-03-01T08:00",
            "+002027-03",
            "2027-03-01 08:00Z",
        ] {
            assert!(!is_day_or_time(bad), "{bad}");
        }
    }

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
