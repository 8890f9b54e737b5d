//! `keyfob machine claims`: what the token of this job says, beside what whoever trusts it must name.

mod policy;
mod said;

use std::sync::Arc;

use keyfob_ipc::reply::{Claim, ClaimsReport};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use crate::agent::Agent;
use crate::config::{Ask, Entry, EntryName};
use crate::footing::Footing;
use crate::kind::{Identity, Jwt, KINDS, Machine, Proof, UserRole};
use crate::lease::{AwsKeys, Body};
use crate::renew::Need;

impl Agent {
    /// What the token of this job says, or who the machine is to AWS. The token itself is not in it.
    ///
    /// # Errors
    /// [`Code::UnknownEntry`] for what is no machine entry, [`Code::MachineIdentityMissing`] outside of a job, and what a renewal
    /// may end with.
    pub async fn machine_claims(self: &Arc<Self>, name: &str) -> Result<ClaimsReport, Refusal> {
        self.check_lock()?;
        let footing = self.footing()?;
        let entry = find(&footing, name)?;
        let machine = entry.source.as_machine().ok_or_else(|| no_machine(&entry.name))?;
        entry.source.ready(self, &entry.name)?;
        let identity = machine.identity_here(&entry.name, &self.ambient)?;
        match machine.role() {
            Some(role) if identity == Identity::AwsIam => self.role_claims(&footing, &entry, role).await,
            _ => self.token_claims(&footing, &entry, machine, identity).await,
        }
    }

    async fn token_claims(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        machine: &Machine,
        identity: Identity,
    ) -> Result<ClaimsReport, Refusal> {
        let Proof::Token(token) = entry.source.proof(self, entry, footing, Need::Renewal).await? else {
            return Err(no_machine(&entry.name));
        };
        let jwt = Jwt::read(token.token).map_err(|no| {
            Refusal::new(Code::ProviderUntrusted, format!("the token of `{}` {no}", entry.name))
        })?;
        let roles = roles(footing, &entry.name);
        let account = roles.first().and_then(|(_, arn)| account(arn));
        let mut notes = vec![said::lets_in(identity, &jwt)];
        notes.extend(carriers(&roles));
        match account {
            None => {
                notes.push(format!("put the number of your AWS account in the place of {}", policy::ACCOUNT));
            }
            Some((_, number)) if roles.iter().any(|(_, arn)| self::account(arn) != account) => {
                notes.push(format!("for a role of another account, put its number in the place of {number}"));
            }
            Some(_) => {}
        }
        notes.extend(said::notes(identity, &jwt));
        if identity == Identity::GithubActions && !jwt.audiences().contains(&machine.audience()) {
            notes.push(format!("GitHub made the token for another audience than `{}`", machine.audience()));
        }
        Ok(ClaimsReport {
            entry: entry.name.to_string(),
            identity: identity.name().to_owned(),
            claims: said::claims(identity, &jwt),
            trust_policy: Some(policy::for_token(&jwt, account)),
            notes,
        })
    }

    async fn role_claims(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        role: &UserRole,
    ) -> Result<ClaimsReport, Refusal> {
        let name = &entry.name;
        let machine = role.ambient_keys(self, name, footing).await?;
        let whose = format!("{name} ({})", machine.from);
        let arn = role.who(self, footing, (&machine.keys, &whose)).await?;
        let principal = policy::role_of(&arn);
        let mut claims = vec![
            claim("the machine is", "GetCallerIdentity", &arn, None),
            claim("its role", "Principal", &principal, Some("Principal.AWS")),
            claim("machine user's role", "role_arn", &role.role_arn, None),
        ];
        let mut notes = vec![
            format!(
                "the policy lets in whatever runs with the role `{}`, on any machine",
                escape(&principal)
            ),
            format!("it belongs on the machine user's role, {}", role.role_arn),
        ];
        match self.lease(entry, Need::Renewal).await {
            Ok(lease) => {
                if let Body::Aws(keys) = &lease.body {
                    claims.push(self.who_it_becomes(footing, name, role, keys).await);
                }
                if role.secret_arn.is_some() {
                    let (found, note) = self.secret_claims(footing, name, role).await;
                    claims.extend(found);
                    notes.extend(note);
                }
            }
            Err(refusal) => notes.push(say(&refusal)),
        }
        Ok(ClaimsReport {
            entry: name.to_string(),
            identity: Identity::AwsIam.name().to_owned(),
            claims,
            trust_policy: Some(policy::for_role(&principal)),
            notes,
        })
    }

    async fn who_it_becomes(
        &self,
        footing: &Footing,
        name: &EntryName,
        role: &UserRole,
        keys: &AwsKeys,
    ) -> Claim {
        let whose = name.to_string();
        let arn = role.who(self, footing, (keys, &whose)).await.unwrap_or_else(|refusal| refusal.say);
        claim("becomes", "GetCallerIdentity", &arn, None)
    }

    /// The names of what is in the secret, never a value.
    async fn secret_claims(
        self: &Arc<Self>,
        footing: &Footing,
        name: &EntryName,
        role: &UserRole,
    ) -> (Vec<Claim>, Option<String>) {
        let arn = role.secret_arn.as_deref().unwrap_or_default();
        let of_secret = |value: &str| claim("secret", "secret_arn", value, None);
        match role.secret(self, name, footing).await {
            Err(refusal) => (vec![of_secret(&format!("{arn}, not readable"))], Some(say(&refusal))),
            Ok(secret) => {
                let keys: Option<serde_json::Map<String, serde_json::Value>> =
                    serde_json::from_slice(secret.expose()).ok();
                let names = keys.map(|keys| keys.keys().map(|key| escape(key)).collect::<Vec<_>>());
                let names = names.map_or_else(|| "no JSON object".to_owned(), |names| names.join(", "));
                let holds = claim("the secret has", "keys", &names, None);
                (vec![of_secret(&format!("{arn}, readable")), holds], None)
            }
        }
    }
}

fn find(footing: &Footing, name: &str) -> Result<Arc<Entry>, Refusal> {
    // A bare name is a machine's here, whatever else has it.
    let kind = KINDS.iter().find(|kind| kind.name == "machine").map(|kind| kind.name);
    let own = kind.map(|kind| EntryName { kind, name: name.to_owned() });
    match own.and_then(|own| footing.config.entry(&own)) {
        Some(entry) => Ok(entry),
        None => footing.config.find(name, Ask::Machine).cloned(),
    }
}

fn no_machine(name: &EntryName) -> Refusal {
    Refusal::new(Code::UnknownEntry, format!("`{name}` is no identity of a job"))
        .hint("add [machine.ci] to the configuration, then keyfob machine claims ci")
}

/// Most roles that are named.
const NAMED: usize = 8;

/// The roles of the configuration that are assumed with a token of this machine, with their ARNs: directly, or by a session of it.
/// One that is assumed with another role's keys trusts that role.
fn roles(footing: &Footing, machine: &EntryName) -> Vec<(EntryName, String)> {
    let config = &footing.config;
    let is_proof = |name: &EntryName| {
        name == machine
            || config.entry(name).is_some_and(|entry| {
                !entry.source.gives_aws_credentials() && entry.source.through() == Some(machine)
            })
    };
    let carries = |entry: &&Arc<Entry>| entry.source.through().is_some_and(is_proof);
    let arn = |entry: &Arc<Entry>| Some((entry.name.clone(), entry.source.facts().remove("role_arn")?));
    config.entries.iter().filter(carries).filter_map(arn).collect()
}

/// Which roles should carry the policy.
fn carriers(roles: &[(EntryName, String)]) -> Vec<String> {
    let mut said: Vec<String> = roles
        .iter()
        .take(NAMED)
        .map(|(name, arn)| format!("it belongs on the role of `{name}`, {arn}"))
        .collect();
    if let Some(more) = roles.len().checked_sub(NAMED).filter(|more| *more > 0) {
        said.push(format!("and on those of {more} more entries"));
    }
    said
}

/// Partition and number of the account of a role.
fn account(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.split(':').skip(1);
    Some((parts.next()?, parts.nth(2)?))
}

fn claim(name: &str, in_token: &str, value: &str, condition: Option<&str>) -> Claim {
    Claim {
        name: name.to_owned(),
        claim: in_token.to_owned(),
        value: escape(value),
        condition: condition.map(str::to_owned),
    }
}

/// A refusal as one sentence.
fn say(refusal: &Refusal) -> String {
    if refusal.hint.is_empty() { refusal.say.clone() } else { format!("{}; {}", refusal.say, refusal.hint) }
}
