//! `[machine.…]`: the identity of a job, for where no person is.
//!
//! Nothing is held: what a job is comes from its surroundings ([`crate::ambient::Ambient`]), and is asked for anew for each lease.
//! Roles take it as proof of who asks, hosts of an `[sso.…]` entry with `machine` get it as it is.

mod file;
mod identity;
mod jwt;
mod role;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Teller, ToldFact};
use keyfob_ipc::{Code, Refusal, Secret};

use super::aws::session_name;
use super::{IdentityToken, Kind, Proof, Source};
use crate::agent::Agent;
use crate::ambient::Ambient;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Facts;
use crate::keychain::Pending;
use crate::lease::{Body, Lease, SessionTokens};
use crate::renew::Need;
use crate::upstream::github_actions;

pub use identity::Identity;
pub use jwt::Jwt;
pub use role::UserRole;

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "machine", read: table::read };

/// For whom a token is where the configuration does not say: what IAM suggests for its OIDC providers.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The identity of a job, as configured.
#[derive(Debug)]
pub struct Machine {
    /// Which one; chosen by the surroundings where it is left out.
    identity: Option<Identity>,
    /// For whom tokens are to be.
    audience: Option<String>,
    /// `token_file`.
    token_file: Option<PathBuf>,
    /// The machine user's role, for aws-iam.
    role: Option<UserRole>,
}

impl Machine {
    /// The machine user's role and its secret, for aws-iam.
    pub fn role(&self) -> Option<&UserRole> {
        self.role.as_ref()
    }

    /// The identity that counts here.
    ///
    /// # Errors
    /// [`Code::MachineIdentityMissing`].
    pub fn identity_here(&self, name: &EntryName, ambient: &Ambient) -> Result<Identity, Refusal> {
        self.identity(name, ambient)
    }

    /// For whom tokens are asked for.
    pub fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(AUDIENCE)
    }

    fn token_file<'a>(&'a self, ambient: &'a Ambient) -> Option<&'a Path> {
        self.token_file.as_deref().or(ambient.web_identity_file.as_deref())
    }

    /// The job's own token, as it is now.
    async fn token(&self, agent: &Agent, entry: &Entry, footing: &Footing) -> Result<Jwt, Refusal> {
        let jwt = self.ask(agent, entry, footing, self.audience()).await?;
        self.check_audience(&entry.name, &jwt)?;
        Ok(jwt)
    }

    /// The same for somebody other than AWS, where tokens are asked for; what the surroundings give is for whom they chose, and
    /// goes to nobody else where they chose AWS: whoever sees it could be this job there.
    ///
    /// # Errors
    /// The refusal; for an identity that is no token, too.
    pub async fn token_for(
        &self,
        agent: &Agent,
        entry: &Entry,
        footing: &Footing,
        audience: &str,
    ) -> Result<Jwt, Refusal> {
        let jwt = self.ask(agent, entry, footing, audience).await?;
        if self.identity(&entry.name, &agent.ambient)? == Identity::GithubActions {
            return Ok(jwt);
        }
        if let Some(aws) = jwt.audiences().into_iter().find(|given| is_sts(given)) {
            let say = format!(
                "the ID token of this job is for AWS (`{}`), and is shown to nobody else",
                keyfob_ipc::text::escape(aws)
            );
            let hint = format!(
                "have a token made for `{audience}`, and name its file by `token_file` of a [machine.*] entry of its own"
            );
            return Err(identity::missing(say, hint));
        }
        self.check_audience(&entry.name, &jwt)?;
        Ok(jwt)
    }

    async fn ask(
        &self,
        agent: &Agent,
        entry: &Entry,
        footing: &Footing,
        audience: &str,
    ) -> Result<Jwt, Refusal> {
        let (name, ambient, now) = (&entry.name, &agent.ambient, agent.clock.now());
        let jwt = match self.identity(name, ambient)? {
            Identity::GithubActions => {
                let request = identity::github(name, ambient)?;
                let token = github_actions::id_token(&agent.http(footing)?, request, audience).await?;
                identity::read(&token, "what GitHub gives")?
            }
            Identity::CircleCi => identity::circleci(name, ambient, now)?,
            Identity::WebIdentityFile => {
                let path = self.token_file(ambient).ok_or_else(|| no_file(name))?;
                identity::read(&file::read(path).await?, &format!("`{}`", shown(path)))?
            }
            Identity::AwsIam => return Err(super::wrong_kind(name, "ID tokens")),
        };
        if jwt.until <= now {
            return Err(identity::missing(
                format!("the ID token of this job ended at {}", crate::clock::rfc3339(jwt.until)),
                "set this machine's clock, or see to whoever renews that token",
            ));
        }
        Ok(jwt)
    }

    /// A token that somebody else asked for is for whom they chose.
    fn check_audience(&self, name: &EntryName, jwt: &Jwt) -> Result<(), Refusal> {
        let Some(audience) = &self.audience else { return Ok(()) };
        let given = jwt.audiences();
        if given.contains(&audience.as_str()) {
            return Ok(());
        }
        let given = keyfob_ipc::text::escape(&given.join(", "));
        Err(identity::missing(
            format!("the ID token of this job is for `{given}`, and not for `{audience}`"),
            format!("set `audience` of [{name}] to what the token is for, or have it made for `{audience}`"),
        ))
    }
}

/// Whether a token for this audience is good for the STS of any partition: `sts.amazonaws.com`, `sts.eu-west-1.amazonaws.com`.
fn is_sts(audience: &str) -> bool {
    let audience = audience.trim().to_ascii_lowercase();
    let host = audience.split_once("://").map_or(audience.as_str(), |(_, host)| host);
    host.starts_with("sts.") || host.starts_with("sts-fips.")
}

fn no_file(name: &EntryName) -> Refusal {
    identity::missing(
        format!("`{name}` has no identity here: AWS_WEB_IDENTITY_TOKEN_FILE is not set"),
        format!("set `token_file` of [{name}], or run it where the platform sets that variable"),
    )
}

fn shown(path: &Path) -> String {
    keyfob_ipc::text::escape(&path.display().to_string())
}

impl Source for Machine {
    fn holds(&self) -> bool {
        false
    }

    fn as_machine(&self) -> Option<&Machine> {
        Some(self)
    }

    fn sends_identity_to(&self) -> Vec<&str> {
        self.role.iter().filter_map(|role| role.endpoint.as_deref()).collect()
    }

    fn ready(&self, agent: &Agent, name: &EntryName) -> Result<(), Refusal> {
        let ambient = &agent.ambient;
        match self.identity(name, ambient)? {
            Identity::GithubActions => identity::github(name, ambient).map(drop),
            Identity::CircleCi => identity::circleci(name, ambient, agent.clock.now()).map(drop),
            Identity::WebIdentityFile => self.token_file(ambient).map(drop).ok_or_else(|| no_file(name)),
            // Whether there is a role is for the machine to say, and it is not asked here.
            Identity::AwsIam => Ok(()),
        }
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let role = self.role.as_ref();
        let facts = [
            ("identity", self.identity.map(|identity| identity.name().to_owned())),
            ("audience", role.is_none().then(|| self.audience().to_owned())),
            ("token_file", self.token_file.as_deref().map(shown)),
            ("role_arn", role.map(|role| role.role_arn.clone())),
            ("region", role.map(|role| role.region.clone())),
            ("secret_arn", role.and_then(|role| role.secret_arn.clone())),
        ];
        facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect()
    }

    fn told(&self, agent: &Agent, entry: &Entry, _held: &Facts) -> Vec<ToldFact> {
        let now = agent.clock.now();
        let identity = self.identity(&entry.name, &agent.ambient).ok();
        let name = identity.map(|identity| identity.name().to_owned());
        let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > now);
        let mut facts =
            vec![name.and_then(|name| super::told("identity", &[name], Teller::Configuration, None))];
        match (lease.as_deref(), identity) {
            (Some(Lease { body: Body::Session(tokens), since, .. }), _) => {
                let jwt = Jwt::read(tokens.access_token.clone()).ok();
                facts.extend(jwt.iter().flat_map(|jwt| said(jwt, Some(*since))));
            }
            (Some(Lease { body: Body::Aws(keys), since, .. }), _) => {
                facts.extend(
                    keys.assumed.iter().map(|arn| {
                        super::told("assumed", std::slice::from_ref(arn), Teller::Aws, Some(*since))
                    }),
                );
            }
            (_, Some(Identity::CircleCi)) => {
                let jwt = identity::circleci(&entry.name, &agent.ambient, now).ok();
                facts.extend(jwt.iter().flat_map(|jwt| said(jwt, None)));
            }
            _ => {}
        }
        facts.into_iter().flatten().collect()
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move {
            let need = match self.identity(&entry.name, &agent.ambient)? {
                // Who gives these renews them; to look again costs nothing, and what was there before may have been revoked.
                Identity::CircleCi | Identity::WebIdentityFile if need != Need::Tool => Need::New,
                _ => need,
            };
            let lease = agent.lease(entry, need).await?;
            let (token, name) = match &lease.body {
                Body::Aws(_) => return Ok(Proof::Keys(lease)),
                Body::Session(tokens) => (tokens.access_token.clone(), tokens.session_name.clone()),
                _ => return Err(super::wrong_kind(&entry.name, "proof of who asks")),
            };
            Ok(Proof::Token(IdentityToken { token, session_name: name, until: lease.until }))
        })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            match (&self.role, self.identity(&entry.name, &agent.ambient)?) {
                (Some(role), Identity::AwsIam) => role.assume(agent, &entry.name, footing).await,
                (None, Identity::AwsIam) => Err(super::wrong_kind(&entry.name, "AWS role")),
                _ => {
                    let jwt = self.token(agent, entry, footing).await?;
                    Ok(lease(&jwt, agent.clock.now()))
                }
            }
        })
    }
}

/// What a token says of who it is about.
fn said(jwt: &Jwt, when: Option<Timestamp>) -> [Option<ToldFact>; 3] {
    let audiences: Vec<String> = jwt.audiences().into_iter().map(str::to_owned).collect();
    [
        super::told("issuer", &[jwt.issuer().to_owned()], Teller::Token, when),
        super::told("subject", &[jwt.subject().to_owned()], Teller::Token, when),
        super::told("audience", &audiences, Teller::Token, when),
    ]
}

fn lease(jwt: &Jwt, now: Timestamp) -> Lease {
    let tokens = SessionTokens {
        access_token: jwt.token.clone(),
        id_token: Some((jwt.token.clone(), jwt.until)),
        session_name: session_name(&job_name(jwt)),
    };
    Lease::session(tokens, now, jwt.until)
}

/// What CloudTrail is to say of a job: which run it was, where the token tells, else whom it is about.
fn job_name(jwt: &Jwt) -> String {
    const LONGEST: usize = 64;
    let (of, run) = match (jwt.text("repository"), jwt.text("run_id"), jwt.text("oidc.circleci.com/job-id")) {
        (Some(repository), Some(run), _) => (repository, run),
        (_, _, Some(job)) => ("circleci", job),
        _ => return jwt.subject().to_owned(),
    };
    // A long repository gives way to the run.
    let room = LONGEST.saturating_sub(run.chars().count() + 1);
    let of: String = of.chars().take(room).collect();
    format!("{of}-{run}")
}

/// A job's token as the header of a host.
pub(super) fn bearer(token: &Secret<String>) -> Secret<String> {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// Where a configuration names a machine entry that gives no token.
pub(super) fn no_token(name: &EntryName) -> Refusal {
    Refusal::new(Code::UnknownEntry, format!("`{name}` is a role of AWS, which gives hosts no token"))
        .hint("keyfob config check")
}
