//! `[aws.…]`: an AWS role, assumed with the ID token of an SSO session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{AwsCredentials, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::{Kind, Source, sso};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Entry, EntryName, Problem, Reading};
use crate::footing::Footing;
use crate::holding::Facts;
use crate::keychain::Pending;
use crate::lease::{Body, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::sts::{self, RoleAsk, StsError};

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "aws", read };

/// Sessions of STS (its API reference).
const SHORTEST: Duration = Duration::from_secs(900);
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const USUAL: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Table {
    sso: Spanned<String>,
    role_arn: Spanned<String>,
    region: Spanned<String>,
    duration: Option<Spanned<String>>,
    session_name: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
}

#[derive(Debug)]
struct Role {
    session: EntryName,
    role_arn: String,
    region: String,
    duration: Duration,
    session_name: Option<String>,
    endpoint: Option<String>,
}

fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let role_arn = reading.check(read_role(place, &table.role_arn));
    let region = reading.check(read_region(place, &table.region));
    let duration = table.duration.map_or(Some(USUAL), |text| {
        let duration = reading.duration(&text)?;
        reading.check(if (SHORTEST..=LONGEST).contains(&duration) {
            Ok(duration)
        } else {
            Err(Problem::at(&text, format!("{place}: a session of AWS lasts from 15m to 12h")))
        })
    });
    let session_name = table.session_name.and_then(|text| {
        let clean = session_name(text.get_ref());
        reading.check(if clean == *text.get_ref() {
            Ok(clean)
        } else {
            Err(Problem::at(
                &text,
                format!("{place}: a session name has 2 to 64 letters, digits and _+=,.@-"),
            ))
        })
    });
    let endpoint = table.endpoint_url.and_then(|text| reading.address(&text));
    let bare = table.sso.get_ref();
    let session =
        EntryName { kind: sso::KIND.name, name: bare.strip_prefix("sso.").unwrap_or(bare).to_owned() };
    Some(Box::new(Role {
        session,
        role_arn: role_arn?,
        region: region?,
        duration: duration?,
        session_name,
        endpoint: endpoint.map(Into::into),
    }))
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
fn read_role(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    let arn = text.get_ref();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()));
    let is_plain = arn.len() <= 2048 && arn.bytes().all(|byte| byte.is_ascii_graphic());
    if is_role && is_plain {
        Ok(arn.clone())
    } else {
        Err(Problem::at(text, format!("{place}: a role is written arn:aws:iam::123456789012:role/Name")))
    }
}

/// The region becomes part of a host name.
fn read_region(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    let region = text.get_ref();
    let is_region = region.split('-').count() >= 3
        && region.len() <= 32
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !region.starts_with('-')
        && !region.ends_with('-');
    if is_region {
        Ok(region.clone())
    } else {
        Err(Problem::at(text, format!("{place}: this is not an AWS region, such as eu-west-1")))
    }
}

/// A person's name as a session name: `[\w+=,.@-]{2,64}` (STS API reference, `RoleSessionName`). Other characters become
/// `-`, and a longer name is cut, always the same way, because it stands in CloudTrail and in policies.
pub fn session_name(person: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character);
    let mut name: String =
        person.chars().take(64).map(|character| if fits(character) { character } else { '-' }).collect();
    while name.len() < 2 {
        name.push('-');
    }
    name
}

impl Source for Role {
    fn through(&self) -> Option<&EntryName> {
        Some(&self.session)
    }

    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn sends_identity_to(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("role_arn".to_owned(), self.role_arn.clone()),
            ("region".to_owned(), self.region.clone()),
            ("duration".to_owned(), self.duration.as_secs().to_string()),
        ])
    }

    fn told(&self, agent: &Agent, entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        let configured = |name: &str, text: Option<&str>| {
            super::told(name, &[text?.to_owned()], Teller::Configuration, None)
        };
        let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > agent.clock.now());
        let assumed = lease.as_ref().and_then(|lease| match &lease.body {
            Body::Aws(keys) => {
                super::told("assumed", &[keys.assumed.clone()?], Teller::Aws, Some(lease.since))
            }
            Body::Session(_) => None,
        });
        let owner = held.owner.as_ref().and_then(|owner| {
            super::told("owner", std::slice::from_ref(owner), Teller::IdentityProvider, held.proven)
        });
        let facts =
            [owner, configured("account", self.account()), configured("role", Some(&self.role_arn)), assumed];
        facts.into_iter().flatten().collect()
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(async move {
            let lease = agent.lease(entry, Need::Tool).await?;
            let Body::Aws(keys) = &lease.body else {
                return Err(super::wrong_kind(&entry.name, "AWS credentials"));
            };
            Ok(AwsCredentials {
                version: 1,
                access_key_id: keys.access_key_id.clone(),
                secret_access_key: keys.secret_access_key.clone(),
                session_token: Some(keys.session_token.clone()),
                expiration: Some(rfc3339(lease.until)),
                account_id: self.account().map(str::to_owned),
            })
        })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            match self.assume(agent, footing, Need::Renewal).await {
                Ok(lease) => Ok(lease),
                // Our clock and AWS' differ, or the token aged on the way: one new token, one more try.
                Err(StsError::TokenExpired) => match self.assume(agent, footing, Need::New).await {
                    Ok(lease) => Ok(lease),
                    Err(StsError::Refused(refusal)) => Err(refusal),
                    Err(StsError::TokenExpired) => Err(Refusal::new(
                        Code::RoleRefused,
                        format!("AWS takes a new ID token for expired (`{}`)", entry.name),
                    )
                    .hint("set this machine's clock")),
                },
                Err(StsError::Refused(refusal)) => Err(refusal),
            }
        })
    }
}

impl Role {
    fn account(&self) -> Option<&str> {
        self.role_arn.split(':').nth(4)
    }

    async fn assume(&self, agent: &Arc<Agent>, footing: &Footing, need: Need) -> Result<Lease, StsError> {
        let session = footing.config.entry(&self.session).cloned().ok_or_else(|| {
            StsError::Refused(Refusal::new(
                Code::UnknownEntry,
                format!("there is no entry `{}` any more", self.session),
            ))
        })?;
        // The ID token goes to this entry's endpoint: whether it may is asked for a session in memory, too.
        agent.usable_holding(footing, &session).await.map_err(StsError::Refused)?;
        let lease = agent.lease(&session, need).await.map_err(StsError::Refused)?;
        let (id_token, name) = self.identity(&lease, agent)?;
        let ask = RoleAsk {
            role_arn: &self.role_arn,
            region: &self.region,
            endpoint: self.endpoint.as_deref(),
            session_name: &name,
            duration: self.duration,
            id_token,
        };
        let http = agent.http(footing).map_err(StsError::Refused)?;
        let (keys, until) = sts::assume_role(&http, &ask).await?;
        let now = agent.clock.now();
        if until <= now {
            return Err(StsError::Refused(
                Refusal::new(
                    Code::RoleRefused,
                    format!("AWS gave keys for `{}` that have ended by this machine's clock", self.role_arn),
                )
                .hint("set this machine's clock"),
            ));
        }
        Ok(Lease::aws(keys, now, until, self.duration))
    }

    fn identity<'a>(
        &self,
        lease: &'a Lease,
        agent: &Agent,
    ) -> Result<(&'a Secret<String>, String), StsError> {
        let Body::Session(tokens) = &lease.body else {
            return Err(StsError::Refused(super::wrong_kind(&self.session, "ID tokens")));
        };
        match &tokens.id_token {
            Some((token, until)) if *until > agent.clock.now() => {
                let name = self.session_name.clone().unwrap_or_else(|| tokens.session_name.clone());
                Ok((token, name))
            }
            Some(_) => Err(StsError::TokenExpired),
            None => Err(StsError::Refused(
                Refusal::new(
                    Code::ProviderRefused,
                    format!("the provider of `{}` gives no new ID token, which AWS needs", self.session),
                )
                .hint(format!("keyfob login {}", self.session.name)),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_becomes_a_session_name() {
        assert_eq!(session_name("ada@example.com"), "ada@example.com");
        assert_eq!(session_name("Ada L\u{f6}velace"), "Ada-L-velace");
        assert_eq!(session_name("a"), "a-");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
