//! A zone's rule for all years: `CET-1CEST,M3.5.0,M10.5.0/3` (the `TZ` of POSIX, with the hours of RFC 9636).

use super::date;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Offsets are what is added to UTC, in seconds.
#[derive(Debug)]
pub struct Rule {
    standard: i64,
    summer: Option<Summer>,
}

#[derive(Debug)]
struct Summer {
    offset: i64,
    begins: Change,
    ends: Change,
}

/// A moment of each year, by the clock that shows until then.
#[derive(Debug)]
struct Change {
    day: Day,
    second: i64,
}

#[derive(Debug)]
enum Day {
    /// From 1 to 365; the 29th of February is never counted.
    Common(i64),
    /// From 0 to 365.
    Counted(i64),
    /// Month, week (5 is the last one), day of the week from Sunday.
    Weekday(i64, i64, i64),
}

impl Rule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        name(&mut rest)?;
        let standard = -offset(&mut rest)?;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        name(&mut rest)?;
        let is_given = !rest.starts_with(b",");
        let summer = if is_given { -offset(&mut rest)? } else { standard + HOUR };
        let begins = Change::take(&mut rest)?;
        let ends = Change::take(&mut rest)?;
        let summer = Summer { offset: summer, begins, ends };
        rest.is_empty().then_some(Self { standard, summer: Some(summer) })
    }

    /// Seconds to be added to a time of UTC.
    pub fn offset(&self, time: i64) -> i64 {
        let Some(summer) = &self.summer else { return self.standard };
        let (year, ..) = date((time + self.standard).div_euclid(DAY));
        // A change close to the turn of the year may be one of the next.
        let inside = (year - 1..=year + 1).any(|year| {
            let begin = summer.begins.of(year) - self.standard;
            let end = summer.ends.of(year) - summer.offset;
            // South of the equator summer goes over the turn of the year.
            let end = if end <= begin { summer.ends.of(year + 1) - summer.offset } else { end };
            (begin..end).contains(&time)
        });
        if inside { summer.offset } else { self.standard }
    }
}

impl Change {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        sign(rest, b',')?;
        let day = if sign(rest, b'J').is_some() {
            Day::Common(number(rest, 1, 365)?)
        } else if sign(rest, b'M').is_some() {
            let month = number(rest, 1, 12)?;
            sign(rest, b'.')?;
            let week = number(rest, 1, 5)?;
            sign(rest, b'.')?;
            Day::Weekday(month, week, number(rest, 0, 6)?)
        } else {
            Day::Counted(number(rest, 0, 365)?)
        };
        let second = if sign(rest, b'/').is_some() { offset(rest)? } else { 2 * HOUR };
        Some(Self { day, second })
    }

    /// By the clock on the wall, in seconds since 1970.
    fn of(&self, year: i64) -> i64 {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let day = match self.day {
            Day::Common(day) => first_of(year, 1) + day - 1 + i64::from(is_leap && day >= 60),
            Day::Counted(day) => first_of(year, 1) + day,
            Day::Weekday(month, week, weekday) => {
                let first = first_of(year, month);
                // The first of January 1970 was a Thursday.
                let day = first + (weekday - (first + 4)).rem_euclid(7) + 7 * (week - 1);
                let next = if month == 12 { first_of(year + 1, 1) } else { first_of(year, month + 1) };
                if day < next { day } else { day - 7 }
            }
        };
        day * DAY + self.second
    }
}

/// The first day of a month, in days since 1970.
fn first_of(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 - 719_468
}

/// Three letters or more, or anything between brackets.
fn name(rest: &mut &[u8]) -> Option<()> {
    let length = if rest.starts_with(b"<") {
        rest.iter().position(|byte| *byte == b'>')? + 1
    } else {
        rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count()
    };
    *rest = rest.get(length..).filter(|_| length >= 3)?;
    Some(())
}

/// `-3:30`, in seconds.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    let is_negative = sign(rest, b'-').is_some();
    if !is_negative {
        // A plus says nothing.
        let _ = sign(rest, b'+');
    }
    let mut seconds = number(rest, 0, 167)? * HOUR;
    for unit in [60, 1] {
        if sign(rest, b':').is_none() {
            break;
        }
        seconds += number(rest, 0, 59)? * unit;
    }
    Some(if is_negative { -seconds } else { seconds })
}

fn sign(rest: &mut &[u8], sign: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[sign])?;
    Some(())
}

fn number(rest: &mut &[u8], least: i64, most: i64) -> Option<i64> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (taken, more) = rest.split_at_checked(digits).filter(|_| (1..=3).contains(&digits))?;
    *rest = more;
    let number = taken.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    (least..=most).contains(&number).then_some(number)
}
