//! Ends: what is served is never past its end, whatever the clock says and however far away the moments are.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_agent::clock::{after, before, rfc3339, seconds_left};
use keyfob_agent::config::{Config, Limits, load};
use keyfob_agent::holding::Facts;
use keyfob_agent::lease::{AwsKeys, Freshness, Lease, SessionTokens, cache_until};
use keyfob_ipc::Secret;
use proptest::prelude::*;

const SECOND: i128 = 1_000_000_000;

/// Any moment there is; more often one of our time, the turn of a year, and the two ends of time.
fn moment() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
    let turn: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let turn = turn.as_nanosecond();
    let near = |middle: i128| (middle - 90 * SECOND)..(middle + 90 * SECOND);
    prop_oneof![
        2 => first..=last,
        3 => near(1_800_000_000 * SECOND),
        2 => near(turn),
        1 => first..first + 90 * SECOND,
        1 => last - 90 * SECOND..=last,
    ]
    .prop_map(|nanoseconds| Timestamp::from_nanosecond(nanoseconds).unwrap())
}

/// A moment, and one after it that is more often near than far.
fn life() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    let length = prop_oneof![Just(Duration::ZERO), any_length(), (0u64..7200).prop_map(Duration::from_secs)];
    (moment(), length, any::<bool>()).prop_map(|(since, length, forward)| {
        (since, if forward { after(since, length) } else { before(since, length) })
    })
}

fn any_length() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (any::<u64>(), 0u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        (0u64..4000, 0u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
}

fn session(now: Timestamp, until: Timestamp) -> Lease {
    let tokens =
        SessionTokens { access_token: Secret::default(), id_token: None, session_name: String::new() };
    Lease::session(tokens, now, until)
}

fn aws(now: Timestamp, until: Timestamp, asked: Duration) -> Lease {
    let keys = AwsKeys {
        access_key_id: String::new(),
        secret_access_key: Secret::default(),
        session_token: None,
        assumed: None,
    };
    Lease::aws(keys, now, until, asked)
}

fn leases((since, until): (Timestamp, Timestamp), asked: Duration) -> [Lease; 2] {
    [session(since, until), aws(since, until, asked)]
}

fn age(freshness: Freshness) -> u8 {
    match freshness {
        Freshness::Fresh => 0,
        Freshness::Renewing => 1,
        Freshness::Last => 2,
        Freshness::Ended => 3,
    }
}

fn clamped(nanoseconds: i128) -> Timestamp {
    let (first, last) = (Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
    Timestamp::from_nanosecond(nanoseconds.clamp(first, last)).unwrap()
}

proptest! {
    #[test]
    fn no_lease_is_served_past_its_end(life in life(), asked in any_length(), now in moment()) {
        for lease in leases(life, asked) {
            if lease.freshness(now) != Freshness::Ended {
                prop_assert!(now < lease.until, "{:?}", lease);
            }
        }
    }

    /// Near its own moments, where the arithmetic is.
    #[test]
    fn no_lease_is_served_past_its_end_by_a_hair(
        life in life(), asked in any_length(), which in 0usize..4, by in -70_000_000_000i128..70_000_000_000
    ) {
        for lease in leases(life, asked) {
            let moments = [lease.since, lease.renew_from, lease.prefer_until, lease.until];
            let now = clamped(moments[which].as_nanosecond() + by);
            if lease.freshness(now) != Freshness::Ended {
                prop_assert!(now < lease.until, "{:?} at {}", lease, now);
            }
        }
    }

    #[test]
    fn a_lease_only_ages(life in life(), asked in any_length(), one in moment(), other in moment()) {
        let (earlier, later) = (one.min(other), one.max(other));
        for lease in leases(life, asked) {
            // Before it was bought is a clock that was set back.
            if earlier >= lease.since {
                let (younger, older) = (lease.freshness(earlier), lease.freshness(later));
                prop_assert!(age(younger) <= age(older), "{:?}", lease);
            }
        }
    }

    #[test]
    fn a_lease_that_has_a_while_to_live_serves_when_it_is_bought(
        since in moment(), seconds in 2u64..100_000, asked in any_length()
    ) {
        let until = after(since, Duration::from_secs(seconds));
        prop_assume!(until != Timestamp::MAX);
        for lease in leases((since, until), asked) {
            prop_assert_eq!(lease.freshness(since), Freshness::Fresh);
        }
    }

    #[test]
    fn a_tool_caches_as_the_formula_says(now in moment(), end in prop::option::of(moment())) {
        let latest = now.as_nanosecond() + 600 * SECOND;
        let by_end = end.map_or(latest, |end| end.as_nanosecond() - 60 * SECOND);
        let expected = clamped(latest.min(by_end).max(now.as_nanosecond()));
        prop_assert_eq!(cache_until(now, end), expected);
    }

    #[test]
    fn a_tool_never_caches_past_the_end(now in moment(), end in moment()) {
        let expires = cache_until(now, Some(end));
        prop_assert!(expires <= end || expires == now);
    }

    #[test]
    fn what_is_written_is_never_later_than_what_is_meant(moment in moment()) {
        let written = rfc3339(moment);
        let read: Timestamp = written.parse().unwrap();
        prop_assert!(read <= moment, "{}", written);
        prop_assert!(seconds_left(read, moment) == 0, "{}", written);
        prop_assert!(written.ends_with('Z') && !written.contains('.'), "{}", written);
    }

    #[test]
    fn adding_and_taking_away_stop_at_the_ends_of_time(moment in moment(), length in any_length()) {
        let nanoseconds = i128::try_from(length.as_nanos()).unwrap();
        prop_assert_eq!(after(moment, length), clamped(moment.as_nanosecond() + nanoseconds));
        prop_assert_eq!(before(moment, length), clamped(moment.as_nanosecond() - nanoseconds));
    }

    #[test]
    fn an_assumed_end_follows_from_the_day_a_token_came(
        added in moment(), days in 1u64..36_500, known in prop::option::of(moment())
    ) {
        let config = tokens(days);
        let entry = &config.entries[0];
        let facts = |ends, ends_assumed, added| Facts { ends, ends_assumed, added, ..Facts::default() };
        let assumed = entry.source.end(&facts(known, true, Some(added)));
        prop_assert_eq!(assumed, (Some(after(added, Duration::from_secs(days * 24 * 3600))), true));
        let told = entry.source.end(&facts(known, false, Some(added)));
        prop_assert_eq!(told, (known, false));
    }
}

fn tokens(days: u64) -> Config {
    let text = format!("[token.t]\nhosts = [\"h.example\"]\nlifetime = \"{days}d\"");
    load(&text, Limits { plain_loopback: false }).unwrap()
}
