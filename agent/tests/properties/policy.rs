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
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

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

/// On both sides of every limit in time there is.
fn moment() -> impl Strategy<Value = Timestamp> {
    let seconds = vec![0, 1, 9, 10, 11, 30, 59, 60, 61, 599, 600, 601, 660, 1400];
    prop::sample::select(seconds).prop_map(|seconds| Timestamp::from_second(1_800_000_000 + seconds).unwrap())
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

/// Somebody asks.
#[derive(Debug, Clone)]
struct Scene {
    rules: Rules,
    asker: Chain,
    grants: Vec<Grant>,
    /// An answer about this program and this entry.
    fitting: Grant,
    now: Timestamp,
}

impl Scene {
    fn verdict(&self) -> Verdict {
        decide(&self.rules, &self.asker, &self.grants, self.now)
    }

    /// Makes an answer one about the program that asks.
    fn fit(&self, grant: &mut Grant) {
        let Some((_, link)) = self.asker.asking() else { return };
        let Some(file) = link.file else { return };
        (grant.entry, grant.program, grant.file) = (self.rules.entry.clone(), link.path.clone(), file);
    }
}

/// Rules that name programs of the chain, and answers that are about it, more often than chance would have it.
fn scene() -> impl Strategy<Value = Scene> {
    let wanted = prop::collection::vec(prop::bool::weighted(0.6), 24);
    let which = any::<prop::sample::Index>();
    (rules(), chain(), grants(), grant(), moment(), wanted, which).prop_map(
        |(rules, asker, grants, fitting, now, wanted, which)| {
            let mut wanted = wanted.into_iter().cycle();
            let mut is_wanted = move || wanted.next().unwrap_or_default();
            let mut scene = Scene { rules, asker, grants, fitting, now };
            for admitted in scene.rules.allow.iter_mut().flat_map(|allow| &mut allow.admitted) {
                if let Admitted::Program { file, .. } = admitted
                    && !scene.asker.links.is_empty()
                    && is_wanted()
                {
                    *file = which.get(&scene.asker.links).file;
                }
            }
            let mut grants = std::mem::take(&mut scene.grants);
            grants.iter_mut().filter(|_| is_wanted()).for_each(|grant| scene.fit(grant));
            scene.grants = grants;
            let mut fitting = scene.fitting.clone();
            scene.fit(&mut fitting);
            scene.fitting = fitting;
            scene
        },
    )
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
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_given_against_allow(scene in scene()) {
        if scene.verdict() == Verdict::Give {
            for allow in &scene.rules.allow {
                // By hand: a program of the chain, seen for certain, that runs the very file.
                let seen = scene.asker.links.iter().take_while(|link| link.is_attested);
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
    fn nothing_is_given_under_confirm_without_a_live_answer_for_that_program_and_entry(scene in scene()) {
        let Scene { rules, asker, grants, now, .. } = &scene;
        if rules.confirm != Confirm::Never && scene.verdict() == Verdict::Give {
            let (_, program) = asker.asking().unwrap();
            let is_about = |grant: &&Grant| {
                grant.entry == rules.entry && grant.program == program.path && Some(grant.file) == program.file
            };
            prop_assert!(!program.is_replaced);
            prop_assert!(!grants.iter().filter(is_about).any(|grant| !grant.is_allowed), "the person said never");
            let mut live = grants.iter().filter(is_about).filter(|grant| is_live(grant, *now));
            let is_enough =
                |grant: &Grant| rules.confirm == Confirm::First || matches!(grant.span, Span::Once { .. });
            prop_assert!(live.any(is_enough));
        }
    }

    #[test]
    fn whoever_cannot_be_seen_for_certain_is_refused(mut scene in scene()) {
        if let Some(first) = scene.asker.links.first_mut() {
            first.is_attested = false;
        }
        let is_open = scene.rules.allow.is_empty() && scene.rules.confirm == Confirm::Never;
        let verdict = scene.verdict();
        prop_assert_eq!(matches!(verdict, Verdict::Refuse(_)), !is_open);
        prop_assert_eq!(verdict == Verdict::Give, is_open);
    }

    #[test]
    fn what_stands_behind_one_that_cannot_be_seen_for_certain_has_no_say(scene in scene(), others in chain()) {
        let links = &scene.asker.links;
        let Some(hiding) = links.iter().position(|link| !link.is_attested) else { return Ok(()) };
        let links = links[..=hiding].iter().cloned().chain(others.links).collect();
        let other = Scene { asker: Chain { links }, ..scene.clone() };
        prop_assert_eq!(scene.verdict() == Verdict::Give, other.verdict() == Verdict::Give);
    }

    #[test]
    fn another_yes_takes_nothing_away_and_a_never_gives_nothing(scene in scene(), place in 0usize..12) {
        let mut more = scene.clone();
        more.grants.insert(place.min(scene.grants.len()), scene.fitting.clone());
        let (before, then) = (scene.verdict(), more.verdict());
        if scene.fitting.is_allowed {
            prop_assert!(before != Verdict::Give || then == Verdict::Give, "{then:?}");
        } else {
            prop_assert!(then != Verdict::Give || before == Verdict::Give);
        }
    }

    #[test]
    fn the_order_of_answers_says_nothing(mut scene in scene()) {
        let one = scene.verdict();
        scene.grants.reverse();
        prop_assert_eq!(scene.verdict(), one);
    }

    #[test]
    fn time_turns_no_refusal_into_a_yes(scene in scene(), seconds in 0u64..2000) {
        if let Verdict::Refuse(_) = scene.verdict() {
            let now = after(scene.now, Duration::from_secs(seconds));
            let later = Scene { now, ..scene }.verdict();
            prop_assert!(matches!(later, Verdict::Refuse(_)), "{later:?}");
        }
    }
}

/// What is asked of all scenes is asked of something.
#[test]
fn every_verdict_is_among_the_scenes() {
    let mut runner = TestRunner::deterministic();
    let mut counts = [0; 4];
    for _ in 0..2000 {
        let scene = scene().new_tree(&mut runner).unwrap().current();
        let is_confirmed = scene.rules.confirm != Confirm::Never;
        let place = match scene.verdict() {
            Verdict::Give if is_confirmed => 0,
            Verdict::Give => 1,
            Verdict::Ask => 2,
            Verdict::Refuse(_) => 3,
        };
        counts[place] += 1;
    }
    assert!(counts.iter().all(|count| *count >= 60), "{counts:?}");
}
