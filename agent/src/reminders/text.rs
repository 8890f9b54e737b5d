//! What a reminder says.

use jiff::Timestamp;
use keyfob_ipc::reply::Weight;
use keyfob_ipc::text::escape;

use crate::clock::{rfc3339, seconds_left};
use crate::config::Entry;
use crate::ends::End;
use crate::kind::Rotate;
use crate::notices::Told;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// From here on a reminder is loud, in seconds before the end.
const URGENT: i64 = 3 * DAY;

/// Most characters of a machine's name.
const NAME: usize = 80;

/// The reminder of an end, as of now.
pub fn told(entry: &Entry, end: &End, now: Timestamp) -> Told {
    let name = &entry.name.name;
    let left = seconds_left(now, end.about.end);
    let makes_keys = super::makes_keys(entry);
    let what = match end.machine {
        _ if makes_keys => "The key that makes keys for",
        Some(_) => "Machine token",
        None => "Token",
    };
    let is_over = left <= 0;
    let title = match (is_over, end.is_assumed) {
        (true, false) => format!("{what} {name} has ended"),
        (true, true) => format!("{what} {name} has probably ended"),
        (false, false) => format!("{what} {name} ends in {}", span(left)),
        (false, true) => format!("{what} {name} probably ends in {}", span(left)),
    };
    let mut body = Vec::new();
    if let Some(machine) = &end.machine {
        let machine: String = machine.chars().take(NAME).collect();
        body.push(format!("It belongs to {}.", escape(&machine)));
    }
    if end.is_assumed {
        let day = &rfc3339(end.about.end)[..10];
        body.push(format!(
            "Its service does not tell: {day} is assumed, by `lifetime` in the configuration."
        ));
    }
    let by_itself = entry.source.as_token().is_some_and(|token| token.rotate == Rotate::Auto);
    let has_ended = is_over && !end.is_assumed;
    let command = super::renew(entry, has_ended);
    body.push(match (has_ended || makes_keys, by_itself) {
        (true, _) => format!("Add a new one: {command}"),
        (false, true) => format!("It was not rotated by itself. Rotate it: {command}"),
        (false, false) => format!("Rotate it: {command}"),
    });
    Told {
        entry: entry.name.to_string(),
        weight: weight(left),
        title,
        body: body.join(" "),
        is_question: false,
    }
}

/// How loud an end is that is so many seconds away.
pub fn weight(left: i64) -> Weight {
    if left <= URGENT { Weight::Urgent } else { Weight::Due }
}

/// `14 days`; what is left, in the unit that a person counts in.
pub fn span(seconds: i64) -> String {
    let (unit, name) = match seconds {
        // A timer comes a little late: 23 hours and 59 minutes are a day.
        seconds if seconds > DAY - HOUR => (DAY, "day"),
        seconds if seconds > HOUR - MINUTE => (HOUR, "hour"),
        _ => (MINUTE, "minute"),
    };
    let count = seconds.saturating_add(unit / 2).div_euclid(unit).max(1);
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_counted_as_people_count() {
        for (seconds, words) in [
            (30 * DAY, "30 days"),
            (30 * DAY - 1, "30 days"),
            (2 * DAY + DAY / 3, "2 days"),
            (DAY - 2, "1 day"),
            (DAY - HOUR, "23 hours"),
            (HOUR, "1 hour"),
            (HOUR / 2, "30 minutes"),
            (1, "1 minute"),
        ] {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn the_last_three_days_are_loud() {
        assert_eq!(
            [weight(URGENT + 1), weight(URGENT), weight(-1)],
            [Weight::Due, Weight::Urgent, Weight::Urgent]
        );
    }
}
