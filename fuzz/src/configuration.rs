//! Configurations: every error has its line, and what loads keeps its promises.

use std::collections::HashSet;

use keyfob_agent::config::{Ask, Config, Host, HostPattern, Limits, load};

/// Errors about the whole, which have no line.
const WHOLE: [&str; 1] = ["the file is over "];

/// Checks one input.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let strict = load(text, Limits { plain_loopback: false });
    let lax = load(text, Limits { plain_loopback: true });
    for outcome in [&strict, &lax] {
        match outcome {
            Ok(config) => holds(config),
            Err(errors) => are_helpful(errors, text),
        }
    }
    if let Ok(config) = &strict {
        assert!(lax.is_ok(), "what is fine for a person is fine for a test");
        for place in places(config) {
            assert!(!place.contains("http://"), "{place} is plain");
        }
    }
}

fn are_helpful(errors: &[String], text: &str) {
    assert!(!errors.is_empty());
    let lines = text.split('\n').count();
    for error in errors {
        assert!(!error.chars().any(char::is_control), "{error:?}");
        assert!(error.len() < 4096, "an error of {} bytes", error.len());
        if WHOLE.iter().any(|whole| error.starts_with(whole)) {
            continue;
        }
        let place = error.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
        let (line, say) = place.unwrap_or_else(|| panic!("{error:?} has no line"));
        let line: usize = line.parse().unwrap_or_else(|_| panic!("{error:?} has no line"));
        assert!((1..=lines).contains(&line), "{error:?}, and there are {lines}");
        assert!(!say.is_empty());
    }
}

fn holds(config: &Config) {
    let mut names = HashSet::new();
    let mut hosts = HashSet::new();
    for entry in &config.entries {
        assert!(names.insert(&entry.name), "{} is there twice", entry.name);
        assert_eq!(config.entry(&entry.name).map(|found| found.name.clone()), Some(entry.name.clone()));
        let found = config.find(&entry.name.to_string(), Ask::Anything).map(|found| found.name.clone());
        assert_eq!(found.as_ref(), Ok(&entry.name));
        for pattern in entry.source.hosts() {
            assert!(hosts.insert(pattern.clone()), "{pattern} is there twice");
            let owner = config.route(&a_host_of(pattern)).map(|owner| &owner.name);
            assert_eq!(owner, Some(&entry.name), "{pattern} leads to another entry");
        }
        // Whoever pays for an entry is there.
        let mut behind = entry.source.through().cloned();
        for _ in 0..config.entries.len() {
            let Some(name) = behind else { break };
            behind = config.entry(&name).expect("a way leads to an entry").source.through().cloned();
        }
        assert_eq!(behind, None, "{} goes in a circle", entry.name);
    }
    let reminders = &config.agent.reminders;
    assert!(reminders.is_sorted_by(|one, next| one > next), "{reminders:?}");
}

/// The name itself: no other pattern can be more specific, unless it is that very name.
fn a_host_of(pattern: &HostPattern) -> Host {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        // Below it by a label that nobody would write, else an exact name or a longer wildcard might answer.
        HostPattern::Below(name) => {
            Host::parse(&format!("zq7-nobody.{name}")).unwrap_or_else(|_| name.clone())
        }
    }
}

fn places(config: &Config) -> impl Iterator<Item = String> + '_ {
    let entries = config.entries.iter();
    entries.flat_map(|entry| {
        let places = entry.source.destination(&entry.name, config).places;
        // A proxy is spoken to in plain HTTP, and carries encrypted connections.
        places.into_iter().filter(|place| !place.starts_with("proxy "))
    })
}
