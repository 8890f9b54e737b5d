//! The time zone of this machine: a moment as the clock on the wall shows it.
//!
//! Reads the files of the time zone database (TZif, RFC 9636), and the rule that each of them ends with for the years that it
//! does not list. What cannot be read is shown in UTC, and says so.

mod rule;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use keyfob_ipc::text::escape;

use self::rule::Rule;
use crate::moment::Moment;

/// Largest file that is read, in bytes; the largest of the database has some kilobytes.
const LARGEST: u64 = 256 * 1024;
const LOCAL: &str = "/etc/localtime";
const DATABASE: &str = "/usr/share/zoneinfo";

/// A time zone.
#[derive(Debug, Default)]
pub struct Zone {
    /// Begin of each span, and its offset to UTC in seconds.
    spans: Vec<(i64, i64)>,
    /// Before the first of them.
    first: i64,
    /// Behind the last of them.
    rule: Option<Rule>,
    is_known: bool,
}

impl Zone {
    /// By `TZ` (tzset(3)), else by the system's setting.
    pub fn of_this_machine(variable: Option<&str>) -> Self {
        let named = variable.map(|text| text.strip_prefix(':').unwrap_or(text));
        let path = match named {
            None => PathBuf::from(LOCAL),
            Some(name) => Path::new(DATABASE).join(name),
        };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        let of_file = read.ok().and_then(|_| Self::of_file(&bytes));
        of_file.or_else(|| Self::of_rule(named?)).unwrap_or_default()
    }

    fn of_rule(text: &str) -> Option<Self> {
        let rule = Rule::parse(text)?;
        Some(Self { rule: Some(rule), is_known: true, ..Self::default() })
    }

    fn of_file(file: &[u8]) -> Option<Self> {
        let mut rest = file;
        let old = Head::take(&mut rest)?;
        // The first block is for readers that know nothing of 64 bits.
        skip(&mut rest, old.length(4)?)?;
        let head = Head::take(&mut rest)?;
        let times = skip(&mut rest, head.times.checked_mul(8)?)?;
        let indexes = skip(&mut rest, head.times)?;
        let types = skip(&mut rest, head.types.checked_mul(6)?)?;
        skip(&mut rest, head.length(8)? - head.times * 9 - head.types * 6)?;
        let offset = |index: usize| {
            let entry: &[u8; 6] = types.get(index * 6..index * 6 + 6)?.try_into().ok()?;
            Some(i64::from(i32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]])))
        };
        let mut spans = Vec::with_capacity(head.times);
        for (time, index) in times.chunks_exact(8).zip(indexes) {
            spans.push((i64::from_be_bytes(time.try_into().ok()?), offset(usize::from(*index))?));
        }
        let footer = rest.strip_prefix(b"\n")?.split(|byte| *byte == b'\n').next()?;
        let rule = std::str::from_utf8(footer).ok().and_then(Rule::parse);
        Some(Self { spans, first: offset(0)?, rule, is_known: true })
    }

    /// Seconds to be added to UTC.
    fn offset(&self, time: i64) -> i64 {
        let after = self.spans.partition_point(|(begin, _)| *begin <= time);
        match (&self.rule, after == self.spans.len(), after.checked_sub(1)) {
            (Some(rule), true, _) => rule.offset(time),
            (_, _, Some(index)) => self.spans[index].1,
            (_, _, None) => self.first,
        }
    }

    /// A time given as RFC 3339 as people here read it: `2026-11-21 15:03:02`; a `Z` behind it where it is UTC for want of
    /// something better. A time that cannot be read is shown as it is, escaped.
    pub fn show(&self, time: &str) -> String {
        let Ok(moment) = time.parse::<Moment>() else { return escape(time) };
        let seconds = moment.seconds() + self.offset(moment.seconds());
        let (day, second) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
        let (year, month, day) = date(day);
        let zone = if self.is_known { "" } else { "Z" };
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{zone}")
    }
}

/// The counts of one block.
struct Head {
    universal: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    characters: usize,
}

impl Head {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let head = skip(rest, 44)?;
        // Version 1 has no second block, and no system writes it any more.
        if !head.starts_with(b"TZif") || head[4] < b'2' {
            return None;
        }
        let mut counts = head[20..]
            .chunks_exact(4)
            .map(|count| count.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)));
        let mut next = || counts.next().filter(|count| *count <= LARGEST as usize);
        Some(Self {
            universal: next()?,
            standard: next()?,
            leaps: next()?,
            times: next()?,
            types: next()?,
            characters: next()?,
        })
    }

    /// Bytes of the block, where a time has so many.
    fn length(&self, time: usize) -> Option<usize> {
        let counted = self.times * (time + 1) + self.types * 6 + self.characters;
        (self.types > 0).then_some(counted + self.leaps * (time + 4) + self.standard + self.universal)
    }
}

fn skip<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, more) = rest.split_at_checked(count)?;
    *rest = more;
    Some(taken)
}

/// Year, month and day of a number of days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    // Years from March on have their odd day at the end: 400 of them are an era of 146097 days.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// A file as zic(8) writes it: two spans, then the rule.
    fn file() -> Vec<u8> {
        let head = |times: u32, types: u32, characters: u32| {
            let mut head = b"TZif2".to_vec();
            head.extend([0; 15]);
            for count in [0, 0, 0, times, types, characters] {
                head.extend(count.to_be_bytes());
            }
            head
        };
        let mut file = head(0, 1, 4);
        file.extend([0; 6]);
        file.extend(b"UTC\0");
        file.extend(head(2, 3, 13));
        file.extend((-2_422_054_408_i64).to_be_bytes());
        file.extend(828_234_000_i64.to_be_bytes());
        file.extend([1, 2]);
        for (offset, is_summer, name) in [(3208_i32, 0_u8, 0_u8), (3600, 0, 4), (7200, 1, 8)] {
            file.extend(offset.to_be_bytes());
            file.extend([is_summer, name]);
        }
        file.extend(b"LMT\0CET\0CEST\0");
        file.extend(format!("\n{BERLIN}\n").into_bytes());
        file
    }

    fn theirs(zone: &TimeZone, second: i64) -> i64 {
        i64::from(zone.to_offset(Timestamp::from_second(second).unwrap()).seconds())
    }

    #[test]
    fn the_clock_on_the_wall() {
        let berlin = Zone::of_file(&file()).unwrap();
        assert_eq!(berlin.show("2026-11-21T15:03:02.123Z"), "2026-11-21 16:03:02");
        assert_eq!(berlin.show("2026-06-30T23:30:00Z"), "2026-07-01 01:30:00");
        assert_eq!(berlin.show("soon\u{7}"), "soon\\u{7}");
        assert_eq!(Zone::default().show("2026-11-21T15:03:02Z"), "2026-11-21 15:03:02Z");
    }

    #[test]
    fn a_variable_with_a_rule_or_with_nonsense() {
        assert_eq!(Zone::of_this_machine(Some(BERLIN)).show("2026-11-21T15:03:02Z"), "2026-11-21 16:03:02");
        assert_eq!(Zone::of_this_machine(Some("UTC0")).show("2026-11-21T15:03:02Z"), "2026-11-21 15:03:02");
        assert_eq!(
            Zone::of_this_machine(Some("/nowhere")).show("2026-11-21T15:03:02Z"),
            "2026-11-21 15:03:02Z"
        );
        assert_eq!(Zone::of_this_machine(Some("")).show("2026-11-21T15:03:02Z"), "2026-11-21 15:03:02Z");
    }

    #[test]
    fn a_cut_file_is_no_zone() {
        let file = file();
        for length in 0..file.len() - BERLIN.len() - 1 {
            assert!(Zone::of_file(&file[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn every_second_is_where_the_library_puts_it(second in -5_000_000_000_i64..10_000_000_000) {
            let ours = Zone::of_file(&file()).unwrap();
            let zone = TimeZone::tzif("Europe/Berlin", &file()).unwrap();
            prop_assert_eq!(ours.offset(second), theirs(&zone, second));
            let local = zone.to_datetime(Timestamp::from_second(second).unwrap());
            let shown = ours.show(&Timestamp::from_second(second).unwrap().to_string());
            prop_assert_eq!(shown, local.to_string().replace('T', " "));
        }

        #[test]
        fn rules_are_read_as_the_library_reads_them(
            second in -5_000_000_000_i64..10_000_000_000,
            rule in prop_oneof![
                Just("EST5EDT,M3.2.0,M11.1.0".to_owned()),
                Just("AEST-10AEDT,M10.1.0,M4.1.0/3".to_owned()),
                Just("<-02>2<-01>,M3.5.0/-1,M10.5.0/0".to_owned()),
                Just("<+0330>-3:30".to_owned()),
                Just("IST-1GMT0,M10.5.0,M3.5.0/1".to_owned()),
                Just("XXX3YYY,J60/0,J300/5:30".to_owned()),
                Just("XXX-3YYY,59,364/1".to_owned()),
            ],
        ) {
            let ours = Zone::of_rule(&rule).unwrap();
            prop_assert_eq!(ours.offset(second), theirs(&TimeZone::posix(&rule).unwrap(), second), "{}", rule);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}", second: i32) {
            let mut file = file();
            for (at, byte) in bytes.chunks_exact(2).map(|pair| (usize::from(pair[0]), pair[1])) {
                if let Some(place) = file.get_mut(at) { *place = byte; }
            }
            for zone in [Zone::of_file(&file), Zone::of_file(&bytes), Zone::of_rule(&text)].into_iter().flatten() {
                zone.offset(i64::from(second));
            }
        }
    }
}
