//! What a person can do about an entry, and what is due.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Code;
use keyfob_ipc::reply::{EntryReport, EntryState, Weight};

use super::life;
use crate::page::Deed;

/// What decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    /// The entry.
    pub entry: &'a EntryReport,
    /// The name of the entry that holds the value: its own, or that of the one behind it.
    pub root: &'a str,
    /// Whether secrets are kept in a file of our own.
    pub is_file_keychain: bool,
    /// How long before an end the person wants to hear of it first; `None` where nothing was said.
    pub first_reminder: Option<Duration>,
    /// The time.
    pub now: Timestamp,
}

/// The one thing to do now; `None` where a person has nothing to do.
pub(super) fn due(situation: &Situation<'_>) -> Option<Deed> {
    let Situation { entry, root, .. } = *situation;
    if let Some(refusal) = &entry.refusal {
        match refusal.code {
            Code::Locked | Code::KeychainLocked => return Some(Deed::Unlock),
            // The passphrase was not the right one.
            Code::KeychainDenied if situation.is_file_keychain => return Some(Deed::Unlock),
            Code::DestinationChanged => return Some(Deed::ConfirmPlaces { entry: root.to_owned() }),
            Code::SignInNeeded | Code::TokenNeeded => return obtain(root),
            _ => {}
        }
    }
    match entry.state {
        EntryState::SignedOut => obtain(root),
        EntryState::Live | EntryState::Ending if is_token(entry) => renewal(situation),
        EntryState::Live | EntryState::Ending | EntryState::Waiting | EntryState::Refused => None,
    }
}

/// What fits its kind and state, the usual first; with what is due.
pub(super) fn possible(situation: &Situation<'_>) -> Vec<Deed> {
    let Situation { entry, root, .. } = *situation;
    let code = entry.refusal.as_ref().map(|refusal| refusal.code);
    if code.is_some_and(is_keychain) {
        return vec![];
    }
    let name = || entry.name.clone();
    if is_token(entry) {
        return match (holds(entry), code) {
            (false, _) => vec![Deed::AddToken { entry: name() }],
            (true, _) if entry.state == EntryState::SignedOut => {
                vec![Deed::AddToken { entry: name() }, Deed::RemoveToken { entry: name() }]
            }
            // Until the places are accepted, nothing goes anywhere.
            (true, Some(Code::DestinationChanged)) => vec![Deed::RemoveToken { entry: name() }],
            (true, _) => {
                let can_say = entry.until.is_none() || entry.until_assumed || is_by_person(entry);
                let deeds = [
                    Some(Deed::RotateToken { entry: name() }),
                    can_say.then(|| Deed::SayEnd { entry: name() }),
                    entry.until.is_some().then(|| Deed::Snooze { entry: name() }),
                    Some(Deed::RemoveToken { entry: name() }),
                ];
                deeds.into_iter().flatten().collect()
            }
        };
    }
    if entry.through.is_some() {
        // Where a role is refused, a new session may have more rights.
        let may_help = matches!(entry.state, EntryState::SignedOut | EntryState::Refused);
        let console = has_console(entry).then(|| Deed::OpenConsole { entry: name() });
        return console.into_iter().chain(obtain(root).filter(|_| may_help)).collect();
    }
    if ["outscale", "outerbounds"].contains(&kind_of(&entry.name)) {
        // The agent renews OUTSCALE's keys by itself: what a person gives and takes is the key that makes them. Nobody renews that of
        // Outerbounds.
        return match holds(entry) {
            false => vec![Deed::AddToken { entry: name() }],
            true if entry.state == EntryState::SignedOut => {
                vec![Deed::AddToken { entry: name() }, Deed::RemoveToken { entry: name() }]
            }
            true => vec![Deed::RemoveToken { entry: name() }],
        };
    }
    if kind_of(&entry.name) == "sso" {
        let sign_in = Deed::SignIn { entry: name() };
        return match (entry.state, code) {
            (EntryState::SignedOut, _) => vec![sign_in],
            (_, Some(Code::DestinationChanged)) => vec![Deed::SignOut { entry: name() }],
            _ => vec![sign_in, Deed::SignOut { entry: name() }],
        };
    }
    vec![]
}

/// Until when there are no reminders, where that is still ahead.
pub(super) fn quiet_until(entry: &EntryReport, now: Timestamp) -> Option<Timestamp> {
    life::moment(entry.quiet_until.as_deref()?).filter(|until| *until > now)
}

/// A token that serves, and whose end or unfinished rotation wants somebody.
fn renewal(situation: &Situation<'_>) -> Option<Deed> {
    let Situation { entry, now, .. } = *situation;
    let name = || entry.name.clone();
    let wants = |weight| {
        let is_rotation = |hint: &str| {
            ["keyfob token rotate", "keyfob token add"].iter().any(|command| hint.starts_with(command))
        };
        entry.notes.iter().any(|note| note.weight <= weight && is_rotation(&note.hint))
    };
    // The last days break through a snooze, as they do in the agent's own notes.
    let is_quiet = quiet_until(entry, now).is_some() && !wants(Weight::Urgent);
    let is_by_itself = entry.facts.get("rotate").is_some_and(|rotate| rotate == "auto");
    let is_near = entry.state == EntryState::Ending && is_within_reminders(situation) && !is_by_itself;
    if is_quiet || !(is_near || wants(Weight::Due)) {
        return None;
    }
    Some(if entry.until_assumed {
        Deed::SayEnd { entry: name() }
    } else {
        Deed::RotateToken { entry: name() }
    })
}

/// Whether the end is so near that the person wants to hear of it.
fn is_within_reminders(situation: &Situation<'_>) -> bool {
    let (Some(first), Some(until)) =
        (situation.first_reminder, situation.entry.until.as_deref().and_then(life::moment))
    else {
        return true;
    };
    until.duration_since(situation.now).as_secs() <= i64::try_from(first.as_secs()).unwrap_or(i64::MAX)
}

/// How a person fills an entry of that name.
fn obtain(root: &str) -> Option<Deed> {
    let entry = root.to_owned();
    match kind_of(root) {
        "sso" => Some(Deed::SignIn { entry }),
        "token" | "outscale" | "outerbounds" => Some(Deed::AddToken { entry }),
        // A job's identity and another program are not filled by hand, and a secret is on the command line.
        _ => None,
    }
}

/// Whether the console of AWS opens as it: a role, and one that serves.
fn has_console(entry: &EntryReport) -> bool {
    kind_of(&entry.name) == "aws"
        && entry.facts.contains_key("role_arn")
        && matches!(entry.state, EntryState::Live | EntryState::Ending)
}

/// Whether it holds something, as far as that can be seen.
fn holds(entry: &EntryReport) -> bool {
    matches!(entry.state, EntryState::Live | EntryState::Ending)
        || entry.until.is_some()
        || entry.since.is_some()
}

fn is_by_person(entry: &EntryReport) -> bool {
    entry.until_by == Some(keyfob_ipc::reply::Teller::Person)
}

fn is_token(entry: &EntryReport) -> bool {
    kind_of(&entry.name) == "token"
}

fn kind_of(name: &str) -> &str {
    name.split_once('.').map_or("", |(kind, _)| kind)
}

/// Whether the keychain or the lock is in the way, so that nothing of an entry can be changed.
fn is_keychain(code: Code) -> bool {
    matches!(
        code,
        Code::Locked
            | Code::KeychainLocked
            | Code::KeychainMissing
            | Code::KeychainDenied
            | Code::KeychainFailed
    )
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Sample, entry, now};
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn situation(entry: &EntryReport) -> Situation<'_> {
        let root = entry.through.as_deref().unwrap_or(&entry.name);
        Situation { entry, root, is_file_keychain: true, first_reminder: None, now: now() }
    }

    /// `rotate-token token.aspect`
    fn words(deed: &Deed) -> String {
        let json = serde_json::to_value(deed).unwrap();
        let deed = json["do"].as_str().unwrap().to_owned();
        json["entry"].as_str().map_or(deed.clone(), |entry| format!("{deed} {entry}"))
    }

    fn due_of(entry: &EntryReport) -> String {
        due(&situation(entry)).as_ref().map(words).unwrap_or_default()
    }

    fn possible_of(entry: &EntryReport) -> Vec<String> {
        possible(&situation(entry)).iter().map(words).collect()
    }

    fn token(state: EntryState) -> EntryReport {
        entry("token.aspect", state).until(Some("2026-12-01T08:00:00Z"))
    }

    fn role(state: EntryState) -> EntryReport {
        entry("aws.dev", state).through("sso.okta")
    }

    #[test]
    fn what_serves_for_long_needs_nobody() {
        for state in [EntryState::Live, EntryState::Ending] {
            for entry in [entry("sso.okta", state), role(state), entry("future.thing", state)] {
                assert_eq!(due_of(&entry), "", "{}", entry.name);
            }
        }
        assert_eq!(due_of(&token(EntryState::Live)), "");
    }

    #[test]
    fn what_stands_in_the_way_decides() {
        let waiting = |code| role(EntryState::Waiting).refused(code);
        for (entry, due) in [
            (waiting(Code::Locked), "unlock"),
            (waiting(Code::KeychainLocked), "unlock"),
            (waiting(Code::KeychainDenied), "unlock"),
            (waiting(Code::KeychainMissing), ""),
            (waiting(Code::Offline), ""),
            (waiting(Code::Pending), ""),
            (waiting(Code::ApprovalPending), ""),
            (role(EntryState::Refused).refused(Code::RoleRefused), ""),
            (role(EntryState::Refused).refused(Code::NotAllowed), ""),
            (role(EntryState::Refused).refused(Code::DestinationChanged), "confirm-places sso.okta"),
            (role(EntryState::Refused).refused(Code::SignInNeeded), "sign-in sso.okta"),
            (token(EntryState::Refused).refused(Code::DestinationChanged), "confirm-places token.aspect"),
            (token(EntryState::SignedOut).refused(Code::TokenNeeded), "add-token token.aspect"),
            (token(EntryState::Ending).refused(Code::TokenNeeded), "add-token token.aspect"),
        ] {
            assert_eq!(due_of(&entry), due, "{entry:?}");
        }
    }

    #[test]
    fn a_system_keychain_that_says_no_is_not_unlocked_here() {
        let entry = entry("sso.okta", EntryState::Waiting).refused(Code::KeychainDenied);
        assert_eq!(due(&Situation { is_file_keychain: false, ..situation(&entry) }), None);
    }

    #[test]
    fn who_is_signed_out_signs_in_at_the_root() {
        for (entry, due) in [
            (entry("sso.okta", EntryState::SignedOut), "sign-in sso.okta"),
            (role(EntryState::SignedOut), "sign-in sso.okta"),
            (entry("token.aspect", EntryState::SignedOut), "add-token token.aspect"),
            (entry("future.thing", EntryState::SignedOut), ""),
            (entry("outscale.monitoring", EntryState::SignedOut), "add-token outscale.monitoring"),
            (entry("outerbounds.prod", EntryState::SignedOut), "add-token outerbounds.prod"),
            (
                entry("aws.prod", EntryState::SignedOut).through("outerbounds.prod"),
                "add-token outerbounds.prod",
            ),
            (entry("secret.build", EntryState::SignedOut).refused(Code::TokenNeeded), ""),
            (entry("aws.job", EntryState::SignedOut).through("machine.ci"), ""),
            (entry("sso.bazel", EntryState::SignedOut).through("machine.ci"), ""),
            (entry("machine.ci", EntryState::Refused).refused(Code::MachineIdentityMissing), ""),
            (entry("aws.legacy", EntryState::Refused).refused(Code::RoleRefused), ""),
        ] {
            assert_eq!(due_of(&entry), due);
        }
    }

    #[test]
    fn a_token_near_its_end_is_rotated_or_its_end_is_said() {
        let ending = || token(EntryState::Ending);
        let quiet = Some("2026-11-25T08:00:00Z");
        let rotate = "rotate-token token.aspect";
        for (entry, due) in [
            (ending(), rotate),
            (ending().assumed(), "say-end token.aspect"),
            (ending().quiet(quiet), ""),
            (ending().assumed().quiet(quiet), ""),
            (ending().quiet(quiet).note(Weight::Urgent, "keyfob token rotate aspect"), rotate),
            (ending().quiet(quiet).note(Weight::Known, "keyfob token rotate aspect"), ""),
            (ending().quiet(Some("2026-11-21T07:00:00Z")), rotate),
            (ending().fact("rotate", "auto"), ""),
            (ending().fact("rotate", "auto").note(Weight::Due, "keyfob token rotate aspect"), rotate),
            (token(EntryState::Live).note(Weight::Due, "keyfob token rotate aspect"), rotate),
            (token(EntryState::Live).note(Weight::Urgent, "keyfob token rescue aspect"), ""),
            (token(EntryState::Live).note(Weight::Known, "keyfob token rotate aspect"), ""),
        ] {
            assert_eq!(due_of(&entry), due, "{entry:?}");
        }
    }

    #[test]
    fn nothing_is_due_before_the_first_reminder() {
        let token = token(EntryState::Ending);
        let due = |days| {
            due(&Situation { first_reminder: Some(Duration::from_secs(days * DAY)), ..situation(&token) })
                .is_some()
        };
        assert_eq!([due(30), due(10), due(9)], [true, true, false]);
    }

    #[test]
    fn what_else_fits_kind_and_state() {
        let (rotate, end, snooze, remove, add) = (
            "rotate-token token.aspect",
            "say-end token.aspect",
            "snooze token.aspect",
            "remove-token token.aspect",
            "add-token token.aspect",
        );
        for (entry, deeds) in [
            (token(EntryState::Live), vec![rotate, snooze, remove]),
            (token(EntryState::Live).assumed(), vec![rotate, end, snooze, remove]),
            (token(EntryState::Live).until(None), vec![rotate, end, remove]),
            (entry("token.aspect", EntryState::SignedOut), vec![add]),
            (token(EntryState::SignedOut), vec![add, remove]),
            (token(EntryState::Refused).refused(Code::DestinationChanged), vec![remove]),
            (token(EntryState::Waiting).refused(Code::KeychainLocked), vec![]),
            (token(EntryState::Waiting).refused(Code::Locked), vec![]),
            (entry("sso.okta", EntryState::SignedOut), vec!["sign-in sso.okta"]),
            (entry("sso.okta", EntryState::Live), vec!["sign-in sso.okta", "sign-out sso.okta"]),
            (
                entry("sso.okta", EntryState::Refused).refused(Code::DestinationChanged),
                vec!["sign-out sso.okta"],
            ),
            (role(EntryState::Live), vec![]),
            (
                role(EntryState::Live).fact("role_arn", "arn:aws:iam::1:role/Dev"),
                vec!["open-console aws.dev"],
            ),
            (role(EntryState::Waiting).fact("role_arn", "arn:aws:iam::1:role/Dev"), vec![]),
            (entry("aws.legacy", EntryState::Live).fact("command", "/usr/bin/vault"), vec![]),
            (entry("outscale.monitoring", EntryState::SignedOut), vec!["add-token outscale.monitoring"]),
            (entry("outscale.monitoring", EntryState::Live), vec!["remove-token outscale.monitoring"]),
            (entry("outerbounds.prod", EntryState::SignedOut), vec!["add-token outerbounds.prod"]),
            (entry("outerbounds.prod", EntryState::Live), vec!["remove-token outerbounds.prod"]),
            (entry("secret.build", EntryState::SignedOut), vec![]),
            (entry("secret.build", EntryState::Live), vec![]),
            (entry("secret.db", EntryState::Live).through("aws.dev"), vec![]),
            (entry("machine.ci", EntryState::Live), vec![]),
            (role(EntryState::Refused).refused(Code::RoleRefused), vec!["sign-in sso.okta"]),
            (entry("future.thing", EntryState::Live), vec![]),
        ] {
            assert_eq!(possible_of(&entry), deeds, "{entry:?}");
        }
    }
}
