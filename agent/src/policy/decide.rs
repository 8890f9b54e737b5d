//! The decision.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Admitted, Chain, Confirm, Grant, Link, Role, Rules, Span};
use crate::config::EntryName;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Give,
    /// The person is asked.
    Ask,
    /// It is refused.
    Refuse(Reason),
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The system does not tell which program asks.
    Unknown,
    /// It runs in another mount or user namespace, where its path may lead to another file.
    Elsewhere(PathBuf),
    /// Another file is at its path by now.
    Replaced(PathBuf),
    /// It is called as Keyfob's own program, and is another file.
    Copy(PathBuf),
    /// `allow` of this entry does not name it.
    NotAllowed(EntryName),
    /// The person has said never, by the answer with this id.
    Never(String),
}

/// Decides whether this asker may have what an entry gives.
///
/// | `allow` | `confirm` | answer of the person | verdict |
/// |---|---|---|---|
/// | none | `never` | | give, whoever asks |
/// | names a program of the chain | `never` | | give |
/// | names none | | | refuse |
/// | met, or none | `first`, `always` | none in force for this entry and this program | ask |
/// | | | `never` | refuse |
/// | | `first` | any other | give |
/// | | `always` | once, and in time | give |
/// | | `always` | for a while, until revoked (given when the policy said `first`) | ask |
///
/// Where there is an `allow` or a `confirm`, a chain that cannot be read, a program from another namespace and one that
/// was replaced are refused, and so is a copy of `keyfob` that is not the agent's own.
pub fn decide(rules: &Rules, asker: &Chain, grants: &[Grant], now: Timestamp) -> Verdict {
    if rules.are_open() {
        return Verdict::Give;
    }
    for allow in &rules.allow {
        if allow.met_by(asker).is_none() {
            let reason = replaced_one(&allow.admitted, asker)
                .or_else(|| asking(asker).err())
                .unwrap_or_else(|| Reason::NotAllowed(allow.entry.clone()));
            return Verdict::Refuse(reason);
        }
    }
    if rules.confirm == Confirm::Never {
        return Verdict::Give;
    }
    if let Err(reason) = asking(asker) {
        return Verdict::Refuse(reason);
    }
    match grant_for(rules, asker, grants, now) {
        Some(grant) if grant.is_allowed => Verdict::Give,
        Some(grant) => Verdict::Refuse(Reason::Never(grant.id.clone())),
        None => Verdict::Ask,
    }
}

/// The answer that decides, where one does. A `never` goes before all others.
pub fn grant_for<'a>(rules: &Rules, asker: &Chain, grants: &'a [Grant], now: Timestamp) -> Option<&'a Grant> {
    let program = asking(asker).ok()?;
    let is_about = |grant: &&Grant| {
        grant.entry == rules.entry && grant.program == program.path && Some(grant.file) == program.file
    };
    let is_enough = |grant: &Grant| match rules.confirm {
        Confirm::Never => false,
        Confirm::First => true,
        Confirm::Always => matches!(grant.span, Span::Once { .. }),
    };
    let counts = |grant: &&Grant| grant.is_in_force(now) && (!grant.is_allowed || is_enough(grant));
    grants.iter().filter(is_about).filter(counts).min_by_key(|grant| grant.is_allowed)
}

/// The program that is meant, if it can be told for sure.
fn asking(asker: &Chain) -> Result<&Link, Reason> {
    let Some((nearer, link)) = asker.asking() else { return Err(Reason::Unknown) };
    // It may be a nearer one that hides the view.
    match asker.links.get(asker.attested().len()).filter(|_| asker.attested().len() <= nearer) {
        Some(hiding) if hiding.path.as_os_str().is_empty() => return Err(Reason::Unknown),
        Some(hiding) => return Err(Reason::Elsewhere(hiding.path.clone())),
        None => {}
    }
    match link.file {
        _ if link.is_replaced => Err(Reason::Replaced(link.path.clone())),
        // Whoever runs it would get what was given to it.
        _ if link.role == Role::Copy => Err(Reason::Copy(link.path.clone())),
        Some(_) => Ok(link),
        None => Err(Reason::Unknown),
    }
}

/// A program that would be allowed, had it not been replaced.
fn replaced_one(admitted: &[Admitted], asker: &Chain) -> Option<Reason> {
    let is_named = |link: &&Link| {
        let is = |one: &Admitted| matches!(one, Admitted::Program { path, .. } if *path == link.path);
        link.is_replaced && admitted.iter().any(is)
    };
    asker.attested().iter().find(is_named).map(|link| Reason::Replaced(link.path.clone()))
}

#[cfg(test)]
mod tests;
