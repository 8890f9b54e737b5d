//! The values of secrets: given to tools, kept for people.
//!
//! Sets of one entry are merged in the turn of its keychain item ([`crate::holdings::Holdings::update`]), so none loses what
//! another one has just kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob_ipc::reply::{Reply, SecretValues};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::{Ask, Entry, EntryName, nearest};
use crate::footing::Footing;
use crate::holding::{Facts, Holding};
use crate::kind::{LONGEST_VALUE, SecretEntry, Values, kept_in, listed, values_fit, written};
use crate::ledger::Deed;

impl Agent {
    /// The values of a secret, for a tool. `role_arn` is another role that one in AWS is read with; one in the keychain has no
    /// role, and Metaflow names its usual one to every backend.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) async fn secret_values(
        self: &Arc<Self>,
        name: &str,
        role_arn: Option<&str>,
        asker: &Asker,
        deed: &mut Deed,
    ) -> Result<Reply, Refusal> {
        self.check_lock()?;
        let config = self.config()?;
        let named = config.find(name, Ask::Secret)?.clone();
        let entry = match role_arn {
            Some(role_arn) => config.secret_through(&named, role_arn)?,
            None => named.clone(),
        };
        deed.entry = Some(entry.name.clone());
        let _waiting = crate::kind::refuse_own_command(self, &config, &entry, asker).await?;
        let permit = self.permit(&config, &entry, asker, deed).await?;
        let values = secret_of(&entry)?.values(self, &entry, &permit).await?;
        Ok(Reply::Secret(Box::new(SecretValues { entry: named.name.to_string(), values })))
    }

    /// Keeps values, beside those that are there or in place of all of them.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a name that the configuration does not have and for what no variable can hold; the keychain's, and
    /// then everything is as it was.
    pub(crate) async fn secret_set(
        self: &Arc<Self>,
        name: &str,
        values: BTreeMap<String, Secret<String>>,
        replace: bool,
    ) -> Result<Reply, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Secret)?.clone();
        let secret = kept_here(&entry)?;
        if values.is_empty() {
            return Err(no_value(&entry, "no value was given", ""));
        }
        for (key, value) in &values {
            secret.check_key(&entry.name, key)?;
            check_value(&entry, key, value)?;
        }
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        let kept = values.keys().cloned().collect::<Vec<_>>();
        let (now, keys, changed) = (self.clock.now(), secret.keys().to_vec(), entry.clone());
        let destination = entry.source.destination(&entry.name, &footing.config);
        let merge = move |before: Option<&Holding>| {
            let mut all = match before {
                Some(before) if !replace => kept_in(before, &changed.name)?,
                _ => Values::new(),
            };
            all.extend(values);
            values_fit(&changed.name, &all)?;
            let missing = keys.iter().filter(|key| !all.contains_key(*key)).cloned().collect::<Vec<_>>();
            let facts = Facts { added: Some(now), ..Facts::default() };
            Ok((Holding::new(written(&all), facts, destination), missing))
        };
        // An item that cannot be read has nothing to be merged with; whoever replaces everything needs none.
        let missing = footing.holdings.update(&entry.name, replace, merge).await;
        let missing = missing.map_err(|refusal| damaged(&entry.name, refusal, false))?;
        self.drop_bought_with(&entry.name);
        let kept = listed(kept.iter().map(String::as_str));
        let rest = match missing.as_slice() {
            [] => String::new(),
            missing => format!("; it still has no {}", listed(missing.iter().map(String::as_str))),
        };
        Ok(Reply::Done { say: format!("`{}` keeps {kept}{rest}", entry.name) })
    }

    /// Forgets one value, or all of them; also of an entry that has left the configuration, by its full name.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a value that is not held; the keychain's, and then it is still held.
    pub(crate) async fn secret_remove(
        self: &Arc<Self>,
        name: &str,
        key: Option<&str>,
    ) -> Result<Reply, Refusal> {
        let footing = self.footing()?;
        let found = footing.config.find(name, Ask::Secret).cloned();
        let (entry, left) = match found {
            Ok(entry) => match kept_here(&entry) {
                Ok(_) => (entry.name.clone(), ""),
                Err(refusal) => (left_behind(&footing, entry.name.clone(), refusal).await?, IN_AWS),
            },
            Err(refusal) => {
                let refusal = refusal.hint("keyfob secret list");
                let Some(name) = EntryName::of(SECRET, name) else { return Err(refusal) };
                (left_behind(&footing, name, refusal).await?, NOT_CONFIGURED)
            }
        };
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        let Some(key) = key else {
            let held = footing.holdings.get(&entry).await.ok().flatten();
            footing.holdings.remove(&entry).await?;
            self.drop_bought_with(&entry);
            let what = if held.is_some() { "keeps no value any more" } else { "kept no value" };
            return Ok(Reply::Done { say: format!("`{entry}` {what}{left}") });
        };
        let (gone, changed) = (key.to_owned(), entry.clone());
        let leave_out = move |before: Option<&Holding>| {
            let Some(before) = before else { return Err(not_held(&changed, &gone, &Values::new())) };
            let mut all = kept_in(before, &changed)?;
            if all.remove(&gone).is_none() {
                return Err(not_held(&changed, &gone, &all));
            }
            Ok((Holding { value: written(&all), ..before.clone() }, ()))
        };
        footing
            .holdings
            .update(&entry, false, leave_out)
            .await
            .map_err(|refusal| damaged(&entry, refusal, !left.is_empty()))?;
        self.drop_bought_with(&entry);
        Ok(Reply::Done { say: format!("`{entry}` keeps no `{}` any more{left}", escape(key)) })
    }
}

const SECRET: &str = "secret";
const NOT_CONFIGURED: &str = "; the configuration has no such entry";
const IN_AWS: &str = " in the keychain; those in AWS Secrets Manager stay there";

/// What the keychain still has of an entry that keeps nothing there now.
async fn left_behind(footing: &Footing, name: EntryName, refusal: Refusal) -> Result<EntryName, Refusal> {
    match footing.holdings.get(&name).await {
        Ok(None) => Err(refusal),
        // An item that cannot be read is there to be forgotten, too; a keychain that cannot be read tells nothing.
        Err(unread) if !unread.hint.is_empty() => Err(unread),
        _ => Ok(name),
    }
}

fn secret_of(entry: &Entry) -> Result<&SecretEntry, Refusal> {
    entry.source.as_secret().ok_or_else(|| {
        Refusal::new(Code::UnknownEntry, format!("`{}` is no secret", entry.name)).hint("keyfob secret list")
    })
}

/// One whose values a person keeps here.
fn kept_here(entry: &Entry) -> Result<&SecretEntry, Refusal> {
    let secret = secret_of(entry)?;
    match secret.id() {
        None => Ok(secret),
        Some(id) => {
            let say =
                format!("the values of `{}` are in AWS Secrets Manager, not in the keychain", entry.name);
            Err(Refusal::new(Code::BadRequest, say).hint(format!("change the secret `{id}` there")))
        }
    }
}

/// An item that cannot be read has its way out here: the keychain knows no command. One that has left can only be forgotten.
fn damaged(name: &EntryName, refusal: Refusal, has_left: bool) -> Refusal {
    if !refusal.hint.is_empty() {
        return refusal;
    }
    refusal.hint(if has_left {
        format!("keyfob secret remove {}", name.name)
    } else {
        format!("keyfob secret set {} --replace", name.name)
    })
}

fn check_value(entry: &Entry, key: &str, value: &Secret<String>) -> Result<(), Refusal> {
    let value = value.expose();
    if value.is_empty() {
        return Err(no_value(entry, &format!("no value was given for `{key}`"), key));
    }
    if value.len() > LONGEST_VALUE {
        let say = format!("the value of `{key}` is too long; one has at most {} KiB", LONGEST_VALUE / 1024);
        return Err(Refusal::new(Code::BadRequest, say).hint("keep a file of that size elsewhere"));
    }
    if value.contains('\0') {
        return Err(no_value(
            entry,
            &format!("the value of `{key}` has a zero byte, which no variable can have"),
            key,
        ));
    }
    Ok(())
}

fn no_value(entry: &Entry, say: &str, key: &str) -> Refusal {
    let command = format!("keyfob secret set {} {key}", entry.name.name);
    Refusal::new(Code::BadRequest, say).hint(command.trim_end())
}

fn not_held(name: &EntryName, key: &str, held: &Values) -> Refusal {
    let known: Vec<&str> = held.keys().map(String::as_str).collect();
    let meant = match nearest(key, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; it keeps {}", listed(known.into_iter())),
    };
    let say = format!("`{name}` keeps no value `{}`{meant}", escape(key));
    Refusal::new(Code::BadRequest, say).hint("keyfob secret list")
}
