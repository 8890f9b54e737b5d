//! A moment, as the wire writes it.
//!
//! The agent writes every time in one form (RFC 3339), so reading it takes these few lines; a library of calendars and time
//! zones would be a good part of this small program.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A second of UTC; fractions are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

/// A text that is no moment.
#[derive(Debug, PartialEq, Eq)]
pub struct NoMoment;

impl Moment {
    /// By the system's clock; 1970 where that is set before it.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
        Self(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// Since 1970.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Seconds from another moment to this one.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl FromStr for Moment {
    type Err = NoMoment;

    /// Reads `2027-03-01T08:00:00Z`, also with a fraction and with an offset (RFC 3339, section 5.6). A leap second counts as
    /// the one before it.
    fn from_str(text: &str) -> Result<Self, NoMoment> {
        read(text.as_bytes()).map(Self).ok_or(NoMoment)
    }
}

fn read(text: &[u8]) -> Option<i64> {
    let mut rest = text;
    let days = day(&mut rest)?;
    sign(&mut rest, b"Tt")?;
    let (hour, minute) = hour_and_minute(&mut rest)?;
    sign(&mut rest, b":")?;
    let second = number(&mut rest, 2, 0, 60)?.min(59);
    if sign(&mut rest, b".").is_some() {
        let digits = rest.iter().take_while(|digit| digit.is_ascii_digit()).count();
        rest = rest.get(digits..).filter(|_| digits > 0)?;
    }
    let offset = match sign(&mut rest, b"Zz+-")? {
        b'+' => -offset(&mut rest)?,
        b'-' => offset(&mut rest)?,
        _ => 0,
    };
    rest.is_empty().then_some(((days * 24 + hour) * 60 + minute + offset) * 60 + second)
}

/// Reads `2027-03-01` as days since 1970.
fn day(rest: &mut &[u8]) -> Option<i64> {
    let year = number(rest, 4, 0, 9999)?;
    sign(rest, b"-")?;
    let month = number(rest, 2, 1, 12)?;
    sign(rest, b"-")?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(rest, 2, 1, length)?;
    // Years from March on have their odd day at the end, and months of 153 days in five.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leaps + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970)
}

/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

fn hour_and_minute(rest: &mut &[u8]) -> Option<(i64, i64)> {
    let hour = number(rest, 2, 0, 23)?;
    sign(rest, b":")?;
    Some((hour, number(rest, 2, 0, 59)?))
}

/// In minutes.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    hour_and_minute(rest).map(|(hour, minute)| hour * 60 + minute)
}

fn sign(rest: &mut &[u8], of: &[u8]) -> Option<u8> {
    let (first, more) = rest.split_first().filter(|(first, _)| of.contains(first))?;
    *rest = more;
    Some(*first)
}

fn number(rest: &mut &[u8], digits: usize, least: i64, most: i64) -> Option<i64> {
    let (taken, more) = rest.split_at_checked(digits)?;
    *rest = more;
    let mut number = 0;
    for digit in taken {
        number = number * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (least..=most).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        text.parse::<Moment>().ok().map(|moment| moment.0)
    }

    #[test]
    fn known_moments() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T23:59:59Z"), Some(951_868_799));
        assert_eq!(seconds("2026-11-21T08:00:00Z"), Some(1_795_248_000));
        assert_eq!(seconds("2026-11-21t08:00:00.999z"), Some(1_795_248_000));
        assert_eq!(seconds("2026-11-21T10:30:00+02:30"), Some(1_795_248_000));
        assert_eq!(seconds("2026-11-20T23:00:00-09:00"), Some(1_795_248_000));
        assert_eq!(seconds("1969-12-31T23:59:60Z"), Some(-1));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T08:00:00",
            "2026-11-21 08:00:00Z",
            "2026-11-21T08:00Z",
            "2026-11-21T08:00:00.Z",
            "2026-11-21T08:00:00+02",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:60:00Z",
            "2026-11-21T08:00:61Z",
            "2026-02-29T08:00:00Z",
            "2100-02-29T08:00:00Z",
            "2026-13-01T08:00:00Z",
            "2026-00-01T08:00:00Z",
            "2026-01-00T08:00:00Z",
            "+02026-01-01T08:00:00Z",
            "2026-01-01T08:00:00ZZ",
            "2026-01-01T08:00:00\u{e9}",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_clock_may_be_wrong() {
        assert_eq!(Moment::of(UNIX_EPOCH - Duration::from_secs(5)), Moment(0));
        assert_eq!(Moment::of(UNIX_EPOCH + Duration::from_millis(5999)), Moment(5));
    }

    proptest! {
        #[test]
        fn every_second_is_read_as_the_library_writes_it(second in -62_135_596_800_i64..253_402_207_200) {
            let time = jiff::Timestamp::from_second(second).unwrap();
            prop_assert_eq!(seconds(&time.to_string()), Some(second));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}|[2-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9:.]{0,12}[Z+-][0-9:]{0,6}") {
            let ours = seconds(&text);
            let theirs = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_second());
            prop_assert!(ours.is_none() || theirs.is_none() || ours == theirs || text.contains(":60"), "{}", text);
        }
    }
}
