//! What will happen to an entry within twelve months, as far as the agent knows now.
//!
//! [`plan`] is a pure function: what is known goes in, moments in order of time come out.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Planned, PlannedDeed};

use crate::clock::{after, rfc3339};
use crate::config::Entry;
use crate::holding::Holding;
use crate::lease::Lease;
use crate::reminders::{Outlook, Standing};

/// So far ahead is looked: a token of a year that was added just now is in the picture whole.
const AHEAD: Duration = Duration::from_secs(366 * 24 * 3600);

/// Most of one entry.
const MOST: usize = 32;

/// Most of a whole `status`, which must fit into a frame ([`keyfob_ipc::limits`]): a twentieth of it.
const MOST_OF_ALL: usize = 8 * 1024;

/// Fewest of one entry, however many entries there are: the next one, and the end.
const FEWEST: usize = 2;

/// What the moments follow from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// What was told of the end, and the thresholds of the configuration.
    pub reminders: Option<(Standing<'a>, &'a [Duration])>,
    /// When the agent begins to replace it by itself; a moment that has passed means now.
    pub renewal: Option<Timestamp>,
    /// Its end.
    pub end: Option<Timestamp>,
}

/// At most 32 moments from now on, in order of time; where there are more, the end is among them.
pub fn plan(known: &Known<'_>, now: Timestamp) -> Vec<Planned> {
    let horizon = after(now, AHEAD);
    // The reminder at the end itself says no more than the end.
    let told = known.reminders.map(|(standing, thresholds)| {
        let end = standing.end;
        let moments = standing.to_come(thresholds, now, horizon).into_iter();
        moments.filter(move |moment| *moment != end).map(|moment| (moment, PlannedDeed::Remind))
    });
    let renewal = known.renewal.map(|begin| (begin.max(now), PlannedDeed::Renew));
    let end = known.end.filter(|end| *end > now).map(|end| (end, PlannedDeed::End));
    let mut moments: Vec<_> = told.into_iter().flatten().chain(renewal).chain(end).collect();
    moments.retain(|(moment, _)| *moment <= horizon);
    moments.sort_by_key(|(moment, what)| (*moment, *what == PlannedDeed::End));
    let planned = |(moment, what)| Planned { at: rfc3339(moment), what };
    let mut plan: Vec<_> = moments.into_iter().map(planned).collect();
    shorten(&mut plan, MOST);
    plan
}

/// Leaves so many, the end among them.
pub fn shorten(plan: &mut Vec<Planned>, most: usize) {
    while plan.len() > most {
        // The last that is no end: there is one end at most.
        let last = plan.iter().rposition(|planned| planned.what != PlannedDeed::End);
        plan.remove(last.unwrap_or(plan.len() - 1));
    }
}

/// How many each of so many entries may have for all of them to fit.
pub fn share(entries: usize) -> usize {
    (MOST_OF_ALL / entries.max(1)).clamp(FEWEST, MOST)
}

/// The plan of what holds a value itself: a token or a session. `ends` is the end that is shown, `dies` that of a value which
/// its service has ended already.
pub fn of_holder(
    entry: &Entry,
    outlook: Option<&Outlook>,
    held: Option<&Holding>,
    (ends, dies): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
) -> Vec<Planned> {
    if dies.is_some() {
        return plan(&Known { end: dies, ..Known::default() }, now);
    }
    let reminders = outlook.map(|outlook| (outlook.about.standing(), outlook.thresholds.as_slice()));
    let renewal = held.and_then(|held| crate::rotation::begins(held, entry, now));
    // What is known of ends outlasts a keychain that is locked.
    let end = ends.or(reminders.map(|(standing, _)| standing.end));
    plan(&Known { reminders, renewal, end }, now)
}

/// The plan of a role: its newest lease is renewed if a tool has used it, for as long as the session does not end. The agent's
/// own keys are made with one that a person gives: of that one's end there are reminders.
pub fn of_role(
    lease: Option<&Lease>,
    session_ends: Option<Timestamp>,
    outlook: Option<&Outlook>,
    now: Timestamp,
) -> Vec<Planned> {
    let renewal = lease.filter(|lease| lease.is_used()).map(|lease| lease.renew_from);
    let renewal = renewal.filter(|begin| session_ends.is_none_or(|end| *begin < end));
    let reminders = outlook.map(|outlook| (outlook.about.standing(), outlook.thresholds.as_slice()));
    plan(&Known { reminders, renewal, end: session_ends }, now)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lease::{AwsKeys, Lease};

    const DAY: u64 = 24 * 3600;

    /// So many days from now.
    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 24 * 3600).unwrap()
    }

    fn usual() -> Vec<Duration> {
        [30, 14, 7, 3, 1, 0].map(|days| Duration::from_secs(days * DAY)).to_vec()
    }

    static NOTHING: BTreeMap<u64, Timestamp> = BTreeMap::new();

    fn ending(end: i64) -> Standing<'static> {
        Standing { end: day(end), told: &NOTHING, owed: None, snoozed_until: None }
    }

    /// In days from now, with the first letter of what happens.
    fn written(plan: &[Planned]) -> String {
        let days = |planned: &Planned| {
            let moment: Timestamp = planned.at.parse().unwrap();
            let letter = match planned.what {
                PlannedDeed::Remind => 'r',
                PlannedDeed::Renew => 'n',
                PlannedDeed::End => 'e',
                PlannedDeed::Unknown => '?',
            };
            format!("{letter}{}", (moment.as_second() - day(0).as_second()) / (24 * 3600))
        };
        plan.iter().map(days).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_comes_is_in_order_and_within_twelve_months() {
        let thresholds = usual();
        let told = BTreeMap::from([(30 * DAY, day(-5)), (14 * DAY, day(-1))]);
        let reminded = |standing| Some((standing, thresholds.as_slice()));
        let snoozed = |end, until| Standing { snoozed_until: Some(day(until)), ..ending(end) };
        let known = |reminders, renewal: Option<i64>, end: Option<i64>| Known {
            reminders,
            renewal: renewal.map(day),
            end: end.map(day),
        };
        for (what, known, expected) in [
            ("nothing is known", known(None, None, None), ""),
            ("a token", known(reminded(ending(40)), None, Some(40)), "r10 r26 r33 r37 r39 e40"),
            (
                "some were told",
                known(reminded(Standing { told: &told, ..ending(13) }), None, Some(13)),
                "r6 r10 r12 e13",
            ),
            ("a snooze", known(reminded(snoozed(40, 35)), None, Some(40)), "r35 r37 r39 e40"),
            ("a snooze beyond the end", known(reminded(snoozed(40, 50)), None, Some(40)), "e40 r50"),
            ("a rotation", known(None, Some(10), Some(40)), "n10 e40"),
            ("a rotation that is due", known(None, Some(-3), Some(40)), "n0 e40"),
            ("a rotation at the end", known(None, Some(40), Some(40)), "n40 e40"),
            ("no reminders wanted", known(Some((ending(40), &[])), None, Some(40)), "e40"),
            ("an end that has passed", known(reminded(ending(-1)), None, Some(-1)), ""),
            ("a year", known(None, None, Some(365)), "e365"),
            ("two years", known(reminded(ending(730)), Some(500), Some(730)), ""),
            ("a year and a bit", known(reminded(ending(390)), None, Some(390)), "r360"),
        ] {
            assert_eq!(written(&plan(&known, day(0))), expected, "{what}");
        }
    }

    #[test]
    fn where_there_is_too_much_the_end_is_not_what_is_left_out() {
        let many: Vec<Duration> = (1..=32).rev().map(|days| Duration::from_secs(days * DAY)).collect();
        let known =
            Known { reminders: Some((ending(40), &many)), renewal: Some(day(20)), end: Some(day(40)) };
        let mut full = plan(&known, day(0));
        assert_eq!(full.len(), MOST);
        assert!(written(&full).ends_with("r37 e40"), "{}", written(&full));
        for (most, expected) in [(3, "r8 r9 e40"), (1, "e40"), (0, "")] {
            shorten(&mut full, most);
            assert_eq!(written(&full), expected);
        }
        let mut without_end = plan(&Known { end: None, ..known }, day(0));
        shorten(&mut without_end, 2);
        assert_eq!(written(&without_end), "r8 r9");
    }

    #[test]
    fn however_many_entries_there_are_all_of_them_fit() {
        for entries in [0, 1, 250, 1_000, 4_000, 10_000] {
            let share = share(entries);
            assert!((FEWEST..=MOST).contains(&share), "{entries}");
            assert!(share * entries <= MOST_OF_ALL.max(FEWEST * entries), "{entries}");
        }
    }

    #[test]
    fn a_role_is_renewed_where_it_is_used_and_its_session_does_not_end_before() {
        let keys = AwsKeys {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: "secret".into(),
            session_token: Some("token".into()),
            assumed: None,
        };
        let lease = Lease::aws(keys, day(0), day(4), Duration::from_secs(4 * DAY));
        assert_eq!(written(&of_role(Some(&lease), None, None, day(0))), "", "nobody has used it");
        lease.mark_used();
        assert_eq!(written(&of_role(None, Some(day(9)), None, day(0))), "e9");
        assert_eq!(written(&of_role(Some(&lease), None, None, day(0))), "n3");
        assert_eq!(written(&of_role(Some(&lease), Some(day(9)), None, day(0))), "n3 e9");
        assert_eq!(written(&of_role(Some(&lease), Some(day(2)), None, day(0))), "e2");
        assert_eq!(of_role(Some(&lease), None, None, day(0))[0].at, rfc3339(lease.renew_from));
    }
}
