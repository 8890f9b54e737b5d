//! The decision about who may have what, over all callers, rules, answers and moments.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_agent::clock::after;
use keyfob_agent::config::EntryName;
use keyfob_agent::policy::{
    AT_ONCE, Admitted, Allow, Chain, Confirm, Given, Grant, Link, Role, Rules, SET_BACK, Span, UNUSED,
    Verdict, decide,
};
use keyfob_ipc::peer::FileId;
use proptest::prelude::*;

/// Few files and few paths, so that they meet; a file may be at any of the paths.
fn file() -> impl Strategy<Value = FileId> {
    (1u64..3, 1u64..4).prop_map(|(device, inode)| FileId { device, inode })
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop::sample::select(vec!["", "/usr/bin/bazel", "/usr/bin/terraform", "/tmp/x"]).prop_map(PathBuf::from)
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        2 => Just(Role::Keyfob),
        1 => Just(Role::OneCommand),
        1 => Just(Role::BazelServer("bazel(ws)".to_owned())),
        1 => Just(Role::Gone),
        4 => Just(Role::Program),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let seldom = || prop::bool::weighted(0.15);
    (1u32..100, path(), prop::option::weighted(0.9, file()), seldom(), seldom(), role()).prop_map(
        |(process, path, file, is_replaced, is_elsewhere, role)| Link {
            process,
            path,
            file,
            is_replaced,
            is_attested: !is_elsewhere,
            role,
        },
    )
}

fn chain() -> impl Strategy<Value = Chain> {
    prop::collection::vec(link(), 0..5).prop_map(|links| Chain { links })
}

fn entry() -> impl Strategy<Value = EntryName> {
    prop::sample::select(vec!["aws", "sso"]).prop_map(|kind| EntryName { kind, name: "x".to_owned() })
}

fn allow() -> impl Strategy<Value = Allow> {
    let admitted = prop_oneof![
        4 => (path(), prop::option::weighted(0.9, file()))
            .prop_map(|(path, file)| Admitted::Program { path, file }),
        1 => Just(Admitted::BazelServer),
    ];
    (entry(), prop::collection::vec(admitted, 1..4)).prop_map(|(entry, admitted)| Allow { entry, admitted })
}

fn rules() -> impl Strategy<Value = Rules> {
    let confirm = prop::sample::select(vec![Confirm::Never, Confirm::First, Confirm::Always]);
    (entry(), prop::collection::vec(allow(), 0..3), confirm).prop_map(|(entry, allow, confirm)| Rules {
        entry,
        allow,
        confirm,
    })
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0i64..1500).prop_map(|seconds| Timestamp::from_second(1_800_000_000 + seconds).unwrap())
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        prop::option::of(moment()).prop_map(|used| Span::Once { used }),
        moment().prop_map(Span::Until),
        Just(Span::Always),
    ]
}

/// A `never` has no end.
fn grant() -> impl Strategy<Value = Grant> {
    let of = (entry(), path(), file(), prop::bool::weighted(0.8), span(), moment());
    of.prop_map(|(entry, program, file, is_allowed, span, given)| Grant {
        id: "g".to_owned(),
        entry,
        program,
        file,
        is_allowed,
        span: if is_allowed { span } else { Span::Always },
        given,
        by: Given::Terminal,
    })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(grant(), 0..12)
}

/// A grant that fits the program which asks, so that there is something to give.
fn fitting(grant: Grant, rules: &Rules, asker: &Chain) -> Grant {
    let program = asker.asking().and_then(|(_, link)| Some((link.path.clone(), link.file?)));
    let Some((program, file)) = program else { return grant };
    Grant { entry: rules.entry.clone(), program, file, ..grant }
}

/// Whether an allowing answer counts, said in another way than the product says it.
fn is_live(grant: &Grant, now: Timestamp) -> bool {
    let age = |since: Timestamp| now.duration_since(since).as_secs_f64();
    let within = |since: Timestamp, longest: Duration| {
        age(since) < longest.as_secs_f64() && age(since) >= -SET_BACK.as_secs_f64()
    };
    match grant.span {
        Span::Always => true,
        Span::Until(until) => now < until && age(grant.given) >= -SET_BACK.as_secs_f64(),
        Span::Once { used: None } => within(grant.given, UNUSED),
        Span::Once { used: Some(used) } => within(used, AT_ONCE),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_given_against_allow(
        rules in rules(), asker in chain(), grants in grants(), now in moment()
    ) {
        if decide(&rules, &asker, &grants, now) == Verdict::Give {
            for allow in &rules.allow {
                // By hand: a program of the chain, seen for certain, that runs the very file.
                let seen = asker.links.iter().take_while(|link| link.is_attested);
                let mut seen = seen.filter(|link| !link.is_replaced);
                let is_named = seen.any(|link| allow.admitted.iter().any(|admitted| match admitted {
                    Admitted::Program { file, .. } => file.is_some() && *file == link.file,
                    Admitted::BazelServer => matches!(link.role, Role::BazelServer(_)),
                }));
                prop_assert!(is_named);
            }
        }
    }

    #[test]
    fn nothing_is_given_under_confirm_without_a_live_answer_for_that_program_and_entry(
        rules in rules(), asker in chain(), some in grants(), extra in grant(), now in moment()
    ) {
        let extra = fitting(extra, &rules, &asker);
        let grants: Vec<Grant> = some.into_iter().chain([extra]).collect();
        if rules.confirm != Confirm::Never && decide(&rules, &asker, &grants, now) == Verdict::Give {
            let (_, program) = asker.asking().unwrap();
            let is_about = |grant: &&Grant| {
                grant.entry == rules.entry && grant.program == program.path && Some(grant.file) == program.file
            };
            prop_assert!(!grants.iter().filter(is_about).any(|grant| !grant.is_allowed), "the person said never");
            let mut live = grants.iter().filter(is_about).filter(|grant| is_live(grant, now));
            let is_enough =
                |grant: &Grant| rules.confirm == Confirm::First || matches!(grant.span, Span::Once { .. });
            prop_assert!(live.any(is_enough));
        }
    }

    #[test]
    fn whoever_cannot_be_seen_for_certain_is_refused(
        rules in rules(), mut asker in chain(), grants in grants(), now in moment()
    ) {
        if let Some(first) = asker.links.first_mut() {
            first.is_attested = false;
        }
        let verdict = decide(&rules, &asker, &grants, now);
        let is_open = rules.allow.is_empty() && rules.confirm == Confirm::Never;
        prop_assert_eq!(matches!(verdict, Verdict::Refuse(_)), !is_open);
        prop_assert_eq!(verdict == Verdict::Give, is_open);
    }

    #[test]
    fn what_stands_behind_one_that_cannot_be_seen_for_certain_has_no_say(
        rules in rules(), asker in chain(), others in chain(), grants in grants(), now in moment()
    ) {
        let Some(hiding) = asker.links.iter().position(|link| !link.is_attested) else { return Ok(()) };
        let nearer = asker.links[..=hiding].iter().cloned();
        let other = Chain { links: nearer.chain(others.links).collect() };
        let given = |asker: &Chain| decide(&rules, asker, &grants, now) == Verdict::Give;
        prop_assert_eq!(given(&asker), given(&other));
    }

    #[test]
    fn another_yes_takes_nothing_away_and_a_never_gives_nothing(
        rules in rules(), asker in chain(), grants in grants(), extra in grant(), place in 0usize..12,
        now in moment()
    ) {
        let before = decide(&rules, &asker, &grants, now);
        let extra = fitting(extra, &rules, &asker);
        let mut more = grants;
        more.insert(place.min(more.len()), extra.clone());
        let then = decide(&rules, &asker, &more, now);
        if extra.is_allowed {
            prop_assert!(before != Verdict::Give || then == Verdict::Give, "{then:?}");
        } else {
            prop_assert!(then != Verdict::Give || before == Verdict::Give);
        }
    }

    #[test]
    fn the_order_of_answers_says_nothing(
        rules in rules(), asker in chain(), grants in grants(), extra in grant(), now in moment()
    ) {
        let mut grants: Vec<Grant> = [fitting(extra, &rules, &asker)].into_iter().chain(grants).collect();
        let one = decide(&rules, &asker, &grants, now);
        grants.reverse();
        prop_assert_eq!(decide(&rules, &asker, &grants, now), one);
    }

    #[test]
    fn time_turns_no_refusal_into_a_yes(
        rules in rules(), asker in chain(), some in grants(), extra in grant(), now in moment(),
        seconds in 0u64..2000
    ) {
        let grants: Vec<Grant> = [fitting(extra, &rules, &asker)].into_iter().chain(some).collect();
        if let Verdict::Refuse(_) = decide(&rules, &asker, &grants, now) {
            let later = decide(&rules, &asker, &grants, after(now, Duration::from_secs(seconds)));
            prop_assert!(matches!(later, Verdict::Refuse(_)), "{later:?}");
        }
    }
}
