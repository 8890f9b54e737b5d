//! This machine's clock, against what servers say the time is (`Date`, RFC 9110, section 6.6.1).

use http::Response;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use keyfob_ipc::reply::Check;
use keyfob_ipc::{Code, Refusal};

use super::{bad, good};
use crate::clock::seconds_left;

/// More than an answer's way and a lazy server explain, and what the check of ID tokens allows.
const LEEWAY: i64 = 60;
/// No machine that runs this program was there before: a clock that lost its battery.
const YOUNGEST: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// By whom, and how many seconds our clock is ahead of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    by: String,
    ahead: i64,
}

/// What an answer that came just now says.
pub(super) fn told(now: Timestamp, answer: &Response<Vec<u8>>, by: String) -> Option<Told> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    let theirs = DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Told { by, ahead: seconds_left(theirs, now) })
}

/// The clock, where there is anything to say: servers that agree with each other, or a year that cannot be.
pub(super) fn judge(now: Timestamp, told: &[Told]) -> Option<Check> {
    let hint = "set the clock of this machine (timedatectl set-ntp true)";
    if now < YOUNGEST {
        let say = format!("it shows {}, which cannot be", crate::clock::rfc3339(now));
        return Some(bad("clock", &Refusal::new(Code::ProviderUntrusted, say).hint(hint)));
    }
    // One server may be wrong: the one that is closest to us has the last word.
    let Told { by, ahead } = told.iter().min_by_key(|told| told.ahead.unsigned_abs())?;
    if ahead.unsigned_abs() <= LEEWAY.unsigned_abs() {
        return Some(good("clock", format!("it agrees with {by}")));
    }
    let (amount, unit) = match ahead.unsigned_abs() {
        seconds if seconds >= 2 * 86_400 => (seconds / 86_400, "days"),
        seconds if seconds >= 2 * 3600 => (seconds / 3600, "hours"),
        seconds if seconds >= 120 => (seconds / 60, "minutes"),
        seconds => (seconds, "seconds"),
    };
    let way = if *ahead > 0 { "ahead of" } else { "behind" };
    let say = format!("it is {amount} {unit} {way} {by}, so that sign-ins and AWS keys fail");
    Some(bad("clock", &Refusal::new(Code::ProviderUntrusted, say).hint(hint)))
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Health;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T08:00:00Z".parse().unwrap()
    }

    fn answer(date: &str) -> Response<Vec<u8>> {
        Response::builder().header(DATE, date).body(Vec::new()).unwrap()
    }

    fn of(date: &str) -> Option<Told> {
        told(now(), &answer(date), "https://acme.okta.com".to_owned())
    }

    #[test]
    fn a_clock_that_agrees_and_one_that_does_not() {
        let agreed = judge(now(), &[of("Sat, 21 Nov 2026 08:00:40 GMT").unwrap()]).unwrap();
        assert_eq!(
            (agreed.health, agreed.say.as_str()),
            (Health::Good, "it agrees with https://acme.okta.com")
        );
        let behind = judge(now(), &[of("Sun, 22 Nov 2026 12:00:00 GMT").unwrap()]).unwrap();
        assert_eq!(behind.health, Health::Bad);
        assert!(behind.say.starts_with("it is 28 hours behind https://acme.okta.com"), "{}", behind.say);
        let ahead = judge(now(), &[of("Sat, 21 Nov 2026 07:50:00 GMT").unwrap()]).unwrap();
        assert!(ahead.say.starts_with("it is 10 minutes ahead of"), "{}", ahead.say);
    }

    #[test]
    fn one_server_that_is_wrong_is_not_believed() {
        let told =
            [of("Thu, 21 Nov 2019 08:00:00 GMT").unwrap(), of("Sat, 21 Nov 2026 08:00:00 GMT").unwrap()];
        assert_eq!(judge(now(), &told).unwrap().health, Health::Good);
    }

    #[test]
    fn without_an_answer_only_the_impossible_is_said() {
        assert_eq!(judge(now(), &[]), None);
        assert_eq!(of("soon"), None);
        let lost = judge("1970-01-01T00:05:00Z".parse().unwrap(), &[]).unwrap();
        assert_eq!(lost.health, Health::Bad);
    }
}
