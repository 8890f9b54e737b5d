//! What somebody says of a token beyond clusters.

use keyfob_ipc::reply::{Teller, ToldFact};

use super::Token;
use crate::clock::rfc3339;
use crate::holding::Facts;
use crate::kind::{Source as _, told as fact};

pub(super) fn told(token: &Token, held: &Facts) -> Vec<ToldFact> {
    let (said, when) = match &held.token.told {
        Some((said, when)) => (Some(said), Some(*when)),
        None => (None, None),
    };
    let by = said.and_then(|said| said.by).unwrap_or(Teller::TokenService);
    let owner = held.owner.clone().map(|owner| vec![owner]).unwrap_or_default();
    // That somebody is a person goes without saying.
    let is_machine = said.and_then(|said| said.machine) == Some(true);
    let machine = if is_machine { vec!["yes".to_owned()] } else { Vec::new() };
    let scopes = said.and_then(|said| said.scopes.clone()).unwrap_or_default();
    let facts = [
        fact("owner", &owner, by, when.or(held.proven)),
        fact("machine", &machine, by, when),
        fact("scopes", &scopes, by, when),
        end(token, held),
    ];
    facts.into_iter().flatten().collect()
}

/// The end, by whoever told it.
fn end(token: &Token, held: &Facts) -> Option<ToldFact> {
    let (ends, is_assumed) = token.end(held);
    let by = match held.token.ends_by {
        _ if is_assumed => Teller::Configuration,
        Some(by) => by,
        None => Teller::Unknown,
    };
    let said = held.token.told.as_ref().filter(|(said, _)| said.ends.is_some()).map(|(_, when)| *when);
    let when = match by {
        Teller::TokenService | Teller::Token => said.or(held.proven),
        _ => held.added,
    };
    fact("ends", &[rfc3339(ends?)], by, when)
}
