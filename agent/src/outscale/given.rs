//! The key that a person gives: the bootstrap key, with which the first key of ours is made.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Teller, TokenReport, Weight};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;

use super::kit::{Kit, Pair};
use super::{At, Held};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::{Facts, Holding};
use crate::kind::Outscale;
use crate::lease::Lease;
use crate::upstream::outscale::{Listed, OutscaleError, is_key_id, is_secret};

/// Why OUTSCALE may not accept a key: it says no more than that.
pub(super) const NOT_ACCEPTED: &str =
    "its secret key is another one, or it has ended, is off, was deleted or is of another region";

/// Reads what was pasted: `ACCESS:SECRET`, two lines, or JSON.
pub(super) fn read_pair(value: &Secret<String>, name: &EntryName) -> Result<Pair, Refusal> {
    #[derive(Deserialize)]
    struct Json {
        access_key: String,
        secret_key: Secret<String>,
    }
    let text = value.expose().trim();
    let refuse = |say: String| {
        let again = format!("copy both halves again, then keyfob token add {name}");
        Refusal::new(Code::TokenInvalid, say).hint(again)
    };
    let wrong = |why: &str| refuse(format!("this is no access key of OUTSCALE: {why}"));
    if text.is_empty() {
        return Err(refuse("nothing was given".to_owned()));
    }
    let (id, secret) = if text.starts_with('{') {
        let json: Json = serde_json::from_str(text).map_err(|_| wrong("it is not the JSON that is known"))?;
        (json.access_key, json.secret_key)
    } else {
        let halves = text.split_once(['\n', ':']).ok_or_else(|| wrong("its secret half is missing"))?;
        (halves.0.trim().to_owned(), Secret::from(halves.1.trim()))
    };
    if !is_key_id(&id) {
        return Err(wrong("the first half is to have 16 to 128 capital letters and digits"));
    }
    if !is_secret(secret.expose()) {
        return Err(wrong("the secret half is to have 16 to 128 visible characters"));
    }
    Ok(Pair { id, secret })
}

impl Agent {
    /// Takes a bootstrap key in, once OUTSCALE has accepted it. What the agent has made goes on.
    pub(crate) async fn add_outscale(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        value: &Secret<String>,
    ) -> Result<TokenReport, Refusal> {
        let pair = read_pair(value, &entry.name)?;
        footing.holdings.prove().await?;
        self.keep_bootstrap(footing, entry, pair).await
    }

    /// The key that is held and serves, if it still does. Nobody is asked for another one.
    pub(crate) async fn kept_key(&self, footing: &Footing, entry: &Entry) -> Option<Arc<Lease>> {
        let holding = self.usable_holding(footing, entry).await.ok()?;
        let Held { kit, .. } = Held::of(&holding, &entry.name).ok()?;
        let user = &entry.source.as_outscale()?.user;
        let current = kit.current_of(user).filter(|current| current.signs(self.clock.now()))?;
        Some(Arc::new(current.lease()))
    }

    pub(super) async fn keep_bootstrap(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        pair: Pair,
    ) -> Result<TokenReport, Refusal> {
        let Some(source) = entry.source.as_outscale() else {
            return Err(Refusal::new(Code::UnknownEntry, format!("`{}` has no access keys", entry.name)));
        };
        let turn = self.rotations.turn(&entry.name);
        let _turn = turn.lock().await;
        let name = &entry.name;
        let before = footing.holdings.get(name).await.ok().flatten();
        let before = before.and_then(|before| Held::of(&before, name).ok());
        let kit = match before {
            Some(Held { kit, .. }) => Kit { bootstrap: pair, ..kit },
            None => Kit::new(pair),
        };
        let destination = entry.source.destination(name, &footing.config);
        let mut holding = Holding::new(kit.to_value(), Facts::default(), destination);
        let waiting = self.inherit_destination(footing, entry, &mut holding).await;
        let mut notes = Vec::new();
        holding.facts.added = Some(self.clock.now());
        // A place that nobody has confirmed is asked nothing.
        if waiting.is_empty() {
            let at = At::new(self, footing, entry, source)?;
            notes.extend(proven(&at, source, &kit, &mut holding.facts).await?);
        }
        let facts = holding.facts.clone();
        footing.holdings.exchange(name, holding).await?;
        self.outscales.worked(name);
        self.outscales.stir();
        self.drop_bought_with(name);
        self.states.held(name, facts.ends);
        Ok(TokenReport {
            say: format!("`{name}` is kept{waiting}"),
            owner: facts.owner,
            until: facts.ends.map(rfc3339),
            until_by: facts.token.ends_by,
            lost: Vec::new(),
            gained: Vec::new(),
            notes,
            permissions: Some(self.known_permissions(entry).await),
        })
    }
}

/// Asks OUTSCALE with the key, and notes what is learned of it.
async fn proven(
    at: &At<'_>,
    source: &Outscale,
    kit: &Kit,
    facts: &mut Facts,
) -> Result<Option<Note>, Refusal> {
    let keys = match at.api.read(&kit.bootstrap.keys()).await {
        Ok(keys) => keys,
        Err(OutscaleError::BadKey) => {
            let say = format!("OUTSCALE does not accept this access key: {NOT_ACCEPTED}");
            return Err(Refusal::new(Code::TokenInvalid, say).hint(at.add()));
        }
        Err(error) => return Err(at.failure(&error).refusal),
    };
    let now: Timestamp = at.now();
    facts.proven = Some(now);
    let own = keys.into_iter().find(|key| key.id == kit.bootstrap.id);
    let Some(own) = own else {
        // Whose it is it may not be allowed to ask; then its end is not known.
        let its = at.api.of("").read(&kit.bootstrap.keys()).await.unwrap_or_default();
        if let Some(own) = its.into_iter().find(|key| key.id == kit.bootstrap.id) {
            learn_end(&own, facts);
        }
        return Ok(Some(Note {
            weight: Weight::Due,
            say: format!(
                "this is no key of the user `{}`: it may do more than make keys for it",
                source.user
            ),
            hint: "keyfob outscale bootstrap --help".to_owned(),
        }));
    };
    facts.owner = Some(source.user.clone());
    learn_end(&own, facts);
    Ok(None)
}

/// A key that is listed without an end has none.
fn learn_end(own: &Listed, facts: &mut Facts) {
    facts.ends = own.ends;
    facts.token.ends_by = Some(Teller::Eim);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789ABCDEFGHIJ";
    const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t";

    fn read(text: &str) -> Result<(String, String), Refusal> {
        let name = EntryName { kind: "outscale", name: "monitoring".to_owned() };
        let pair = read_pair(&Secret::from(text), &name)?;
        Ok((pair.id, pair.secret.expose().clone()))
    }

    #[test]
    fn a_key_is_read_in_every_form_that_people_have_it_in() {
        let expected = (ID.to_owned(), SECRET.to_owned());
        for text in [
            format!("{ID}:{SECRET}"),
            format!("{ID}\n{SECRET}\n"),
            format!("  {ID}\r\n{SECRET}\r\n"),
            format!(r#"{{"access_key": "{ID}", "secret_key": "{SECRET}"}}"#),
        ] {
            assert_eq!(read(&text).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for text in [
            "".to_owned(),
            ID.to_owned(),
            format!("{SECRET}:{ID}"),
            format!("{ID}:"),
            format!("{ID}:{SECRET} x"),
            format!("{{\"access_key\": \"{SECRET}\"}}"),
            format!("{ID}:{}", "x".repeat(500)),
        ] {
            let refusal = read(&text).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!format!("{refusal}").contains("s3cr3t"), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn nothing_pasted_breaks_anything(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
