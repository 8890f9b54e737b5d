//! The decision, row by row.

use std::time::Duration;

use keyfob_ipc::peer::FileId;

use super::*;
use crate::policy::{Allow, Given, Role};

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn dev() -> EntryName {
    EntryName { kind: "aws", name: "dev".to_owned() }
}

fn okta() -> EntryName {
    EntryName { kind: "sso", name: "okta".to_owned() }
}

fn file(inode: u64) -> FileId {
    FileId { device: 1, inode }
}

const KEYFOB: u64 = 1;
const SHELL: u64 = 2;
const TERRAFORM: u64 = 3;
const PYTHON: u64 = 4;
const BASH: u64 = 5;
const JAVA: u64 = 6;

/// A program in our namespace, not replaced.
fn link(inode: u64) -> Link {
    let (path, role) = match inode {
        KEYFOB => ("/usr/bin/keyfob", Role::Keyfob),
        SHELL => ("/usr/bin/sh", Role::OneCommand),
        TERRAFORM => ("/usr/bin/terraform", Role::Program),
        PYTHON => ("/usr/bin/python3", Role::Program),
        BASH => ("/usr/bin/bash", Role::Program),
        _ => ("/home/ada/install/java", Role::BazelServer("bazel(ws)".to_owned())),
    };
    let (file, process) = (Some(file(inode)), u32::try_from(inode).unwrap());
    Link { process, path: path.into(), file, is_replaced: false, is_attested: true, role }
}

fn chain(inodes: &[u64]) -> Chain {
    Chain { links: inodes.iter().map(|inode| link(*inode)).collect() }
}

/// The chain with one of its programs changed.
fn but(inodes: &[u64], which: u64, change: impl Fn(&mut Link)) -> Chain {
    let mut chain = chain(inodes);
    chain.links.iter_mut().filter(|link| link.file == Some(file(which))).for_each(change);
    chain
}

fn replaced(link: &mut Link) {
    link.is_replaced = true;
}

fn elsewhere(link: &mut Link) {
    link.is_attested = false;
}

fn hidden(link: &mut Link) {
    *link = Link { path: "".into(), file: None, is_attested: false, role: Role::Program, ..link.clone() };
}

fn rules(allow: &[Allow], confirm: Confirm) -> Rules {
    Rules { entry: dev(), allow: allow.to_vec(), confirm }
}

fn program(inode: u64) -> Admitted {
    Admitted::Program { path: link(inode).path, file: Some(file(inode)) }
}

fn allow(admitted: &[Admitted]) -> Vec<Allow> {
    vec![Allow { entry: dev(), admitted: admitted.to_vec() }]
}

fn refuse(reason: Reason) -> Verdict {
    Verdict::Refuse(reason)
}

fn not_allowed() -> Verdict {
    refuse(Reason::NotAllowed(dev()))
}

#[test]
fn without_a_policy_everybody_is_given() {
    for asker in [Chain::default(), chain(&[KEYFOB, BASH]), but(&[KEYFOB], KEYFOB, hidden)] {
        assert_eq!(decide(&rules(&[], Confirm::Never), &asker, &[], at(0)), Verdict::Give);
    }
}

#[test]
fn allow_is_met_by_a_program_of_the_chain() {
    let terraform = allow(&[program(TERRAFORM)]);
    let bazel = allow(&[Admitted::BazelServer]);
    let both = allow(&[Admitted::BazelServer, program(TERRAFORM)]);
    let absent = allow(&[Admitted::Program { path: "/usr/bin/absent".into(), file: None }]);
    let shell = allow(&[program(SHELL)]);
    let usual = [KEYFOB, SHELL, TERRAFORM, BASH];
    for (what, allow, asker, expected) in [
        ("it asks itself", &terraform, chain(&[TERRAFORM, BASH]), Verdict::Give),
        ("keyfob asks for it", &terraform, chain(&[KEYFOB, TERRAFORM, BASH]), Verdict::Give),
        ("through a shell", &terraform, chain(&usual), Verdict::Give),
        ("it started the one that asks", &terraform, chain(&[KEYFOB, PYTHON, TERRAFORM]), Verdict::Give),
        ("the shell is named", &shell, chain(&usual), Verdict::Give),
        ("another one asks", &terraform, chain(&[KEYFOB, PYTHON, BASH]), not_allowed()),
        ("a person asks", &terraform, chain(&[KEYFOB, BASH]), not_allowed()),
        ("the path is empty by now", &absent, chain(&usual), not_allowed()),
        ("a Bazel server", &bazel, chain(&[KEYFOB, JAVA]), Verdict::Give),
        ("a Bazel server, one of two", &both, chain(&[KEYFOB, JAVA]), Verdict::Give),
        ("no Bazel server", &bazel, chain(&usual), not_allowed()),
        ("nobody is known", &terraform, Chain::default(), refuse(Reason::Unknown)),
        ("keyfob and nobody behind it", &terraform, chain(&[KEYFOB]), refuse(Reason::Unknown)),
    ] {
        assert_eq!(decide(&rules(allow, Confirm::Never), &asker, &[], at(0)), expected, "{what}");
    }
}

#[test]
fn what_proves_nothing_meets_no_allow() {
    let terraform = allow(&[program(TERRAFORM)]);
    let usual = [KEYFOB, TERRAFORM, BASH];
    let path = |inode| link(inode).path;
    for (what, asker, expected) in [
        ("it was replaced", but(&usual, TERRAFORM, replaced), refuse(Reason::Replaced(path(TERRAFORM)))),
        ("it is elsewhere", but(&usual, TERRAFORM, elsewhere), refuse(Reason::Elsewhere(path(TERRAFORM)))),
        ("it hides what it runs", but(&usual, TERRAFORM, hidden), refuse(Reason::Unknown)),
        ("keyfob is elsewhere", but(&usual, KEYFOB, elsewhere), refuse(Reason::Elsewhere(path(KEYFOB)))),
        ("the caller hides what it runs", but(&usual, KEYFOB, hidden), refuse(Reason::Unknown)),
        (
            "it stands behind one that is elsewhere",
            but(&[KEYFOB, PYTHON, TERRAFORM], PYTHON, elsewhere),
            refuse(Reason::Elsewhere(path(PYTHON))),
        ),
        ("one behind it hides", but(&usual, BASH, hidden), Verdict::Give),
        ("one behind it is elsewhere", but(&usual, BASH, elsewhere), Verdict::Give),
        ("one behind it was replaced", but(&usual, BASH, replaced), Verdict::Give),
        (
            "another file has its path",
            but(&usual, TERRAFORM, |link| link.file = Some(file(99))),
            not_allowed(),
        ),
        (
            "its file has another path",
            but(&usual, TERRAFORM, |link| link.path = "/tmp/t".into()),
            Verdict::Give,
        ),
        (
            "a Bazel server was replaced",
            but(&[KEYFOB, JAVA], JAVA, replaced),
            refuse(Reason::Replaced(path(JAVA))),
        ),
    ] {
        assert_eq!(decide(&rules(&terraform, Confirm::Never), &asker, &[], at(0)), expected, "{what}");
    }
}

#[test]
fn every_allow_on_the_way_must_be_met() {
    let through = |first: u64, second: u64| {
        let of = |entry, inode| Allow { entry, admitted: vec![program(inode)] };
        rules(&[of(dev(), first), of(okta(), second)], Confirm::Never)
    };
    let asker = chain(&[KEYFOB, PYTHON, TERRAFORM]);
    let decided = |rules| decide(&rules, &asker, &[], at(0));
    assert_eq!(decided(through(TERRAFORM, TERRAFORM)), Verdict::Give);
    assert_eq!(decided(through(PYTHON, TERRAFORM)), Verdict::Give, "by different programs");
    assert_eq!(decided(through(TERRAFORM, BASH)), refuse(Reason::NotAllowed(okta())));
    assert_eq!(decided(through(BASH, TERRAFORM)), not_allowed());
}

fn grant(span: Span) -> Grant {
    Grant {
        id: "g1".to_owned(),
        entry: dev(),
        program: link(TERRAFORM).path,
        file: file(TERRAFORM),
        is_allowed: true,
        span,
        given: at(0),
        by: Given::Terminal,
    }
}

fn never() -> Grant {
    Grant { id: "g0".to_owned(), is_allowed: false, ..grant(Span::Always) }
}

#[test]
fn confirm_asks_where_no_answer_is_in_force() {
    let always = grant(Span::Always);
    let once = grant(Span::Once { used: None });
    let used = grant(Span::Once { used: Some(at(5)) });
    let hours = grant(Span::Until(at(3600)));
    let other_entry = Grant { entry: okta(), ..always.clone() };
    let other_file = Grant { file: file(99), ..always.clone() };
    let other_path = Grant { program: "/tmp/t".into(), ..always.clone() };
    let refused = refuse(Reason::Never("g0".to_owned()));
    let (ask, give) = (Verdict::Ask, Verdict::Give);
    //  answers, seconds after they were given, verdict under first, verdict under always
    for (what, grants, now, first, every) in [
        ("none", vec![], 1, &ask, &ask),
        ("until revoked", vec![always.clone()], 1, &give, &ask),
        ("until revoked, a year later", vec![always.clone()], 365 * 86400, &give, &ask),
        ("until revoked, clock set back", vec![always.clone()], -86400, &give, &ask),
        ("an hour", vec![hours.clone()], 3599, &give, &ask),
        ("an hour, over", vec![hours.clone()], 3600, &ask, &ask),
        ("an hour, clock put right", vec![hours.clone()], -60, &give, &ask),
        ("an hour, clock set back", vec![hours], -61, &ask, &ask),
        ("once", vec![once.clone()], 599, &give, &give),
        ("once, unused for too long", vec![once.clone()], 600, &ask, &ask),
        ("once, clock set back", vec![once], -61, &ask, &ask),
        ("once, together with the first use", vec![used.clone()], 14, &give, &give),
        ("once, after that", vec![used], 15, &ask, &ask),
        ("never", vec![never()], 1, &refused, &refused),
        ("never, clock set back", vec![never()], -86400, &refused, &refused),
        ("never, and another one", vec![always, never()], 1, &refused, &refused),
        ("about another entry", vec![other_entry], 1, &ask, &ask),
        ("about another file", vec![other_file], 1, &ask, &ask),
        ("about another path", vec![other_path], 1, &ask, &ask),
    ] {
        let asker = chain(&[KEYFOB, TERRAFORM, BASH]);
        for (confirm, expected) in [(Confirm::First, first), (Confirm::Always, every)] {
            let decided = decide(&rules(&[], confirm), &asker, &grants, at(now));
            assert_eq!(decided, *expected, "{what} under {confirm}");
        }
        // An answer says nothing where nobody is asked, and nothing about what is not allowed.
        let bash = allow(&[program(PYTHON)]);
        assert_eq!(decide(&rules(&bash, Confirm::First), &asker, &grants, at(now)), not_allowed(), "{what}");
        let open = allow(&[program(TERRAFORM)]);
        assert_eq!(decide(&rules(&open, Confirm::Never), &asker, &grants, at(now)), Verdict::Give, "{what}");
    }
}

#[test]
fn an_answer_is_about_the_program_that_is_meant_and_needs_its_proof() {
    let grants = [grant(Span::Always)];
    let decided = |asker: &Chain| decide(&rules(&[], Confirm::First), asker, &grants, at(1));
    let path = |inode| link(inode).path;
    assert_eq!(decided(&chain(&[KEYFOB, SHELL, TERRAFORM])), Verdict::Give);
    assert_eq!(
        decided(&chain(&[KEYFOB, PYTHON, TERRAFORM])),
        Verdict::Ask,
        "it started the one that is meant"
    );
    assert_eq!(decided(&chain(&[KEYFOB, BASH])), Verdict::Ask);
    assert_eq!(decided(&Chain::default()), refuse(Reason::Unknown));
    assert_eq!(decided(&chain(&[KEYFOB, SHELL])), refuse(Reason::Unknown));
    let usual = [KEYFOB, TERRAFORM];
    assert_eq!(decided(&but(&usual, TERRAFORM, replaced)), refuse(Reason::Replaced(path(TERRAFORM))));
    assert_eq!(decided(&but(&usual, TERRAFORM, elsewhere)), refuse(Reason::Elsewhere(path(TERRAFORM))));
    assert_eq!(decided(&but(&usual, KEYFOB, elsewhere)), refuse(Reason::Elsewhere(path(KEYFOB))));
    assert_eq!(decided(&but(&usual, TERRAFORM, hidden)), refuse(Reason::Unknown));
    assert_eq!(decided(&but(&usual, TERRAFORM, |link| link.file = None)), refuse(Reason::Unknown));
}

#[test]
fn a_yes_rests_on_the_programs_up_to_the_one_that_decided() {
    let asker = chain(&[KEYFOB, SHELL, PYTHON, TERRAFORM, BASH]);
    let rest = |allow: &[Allow], confirm| rules(allow, confirm).rest_on(&asker);
    assert_eq!(rest(&[], Confirm::Never), 0);
    assert_eq!(rest(&[], Confirm::First), 3);
    assert_eq!(rest(&allow(&[program(TERRAFORM)]), Confirm::Never), 4);
    assert_eq!(rest(&allow(&[program(KEYFOB)]), Confirm::Never), 1);
    assert_eq!(rest(&allow(&[program(TERRAFORM)]), Confirm::First), 4);
    assert_eq!(rest(&allow(&[program(KEYFOB)]), Confirm::First), 3);
    // The nearest of those who are named is enough.
    assert_eq!(rest(&allow(&[program(TERRAFORM), program(PYTHON)]), Confirm::Never), 3);
}

#[test]
fn how_long_an_answer_holds_is_as_documented() {
    assert_eq!(
        (crate::policy::AT_ONCE, crate::policy::UNUSED),
        (Duration::from_secs(10), Duration::from_secs(600))
    );
}
