//! The identity `aws-iam`: the role that AWS gives to the machine assumes the machine user's role, which may read one secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use super::{file, identity};
use crate::agent::Agent;
use crate::config::EntryName;
use crate::footing::Footing;
use crate::lease::{AwsKeys, Body, Lease};
use crate::renew::Need;
use crate::upstream::aws_machine::{self, MachineKeys};
use crate::upstream::http::Http;
use crate::upstream::secrets_manager::{self, SecretError, Wanted};
use crate::upstream::sts::{self, At, By, RoleAsk, StsError};

/// AWS gives a role that is assumed with a role no longer than this.
const HOUR: Duration = Duration::from_secs(3600);

/// The machine user's role, and where its secret is.
#[derive(Debug)]
pub struct UserRole {
    /// The role.
    pub role_arn: String,
    /// Where STS is asked.
    pub region: String,
    /// The secret that it may read, whose region its name has.
    pub secret_arn: Option<String>,
    /// Another address for STS and Secrets Manager than their own.
    pub endpoint: Option<String>,
}

impl UserRole {
    /// Who the machine is, before it assumes anything.
    ///
    /// # Errors
    /// [`Code::MachineIdentityMissing`] where AWS gives it no role.
    pub async fn ambient_keys(
        &self,
        agent: &Agent,
        name: &EntryName,
        footing: &Footing,
    ) -> Result<MachineKeys, Refusal> {
        let ambient = &agent.ambient;
        let http = agent.http(footing)?;
        match (&ambient.aws_keys, &ambient.aws_role, &ambient.web_identity_file) {
            (None, Some(role_arn), Some(path)) => {
                if !crate::kind::is_role(role_arn) {
                    let say = format!("`{name}` has no identity here: AWS_ROLE_ARN is not the ARN of a role");
                    return Err(identity::missing(say, "write it arn:aws:iam::123456789012:role/Name"));
                }
                let token = file::read(path).await?;
                let jwt = identity::read(&token, &format!("`{}`", super::shown(path)))?;
                let session = super::session_name(&super::job_name(&jwt));
                let keys = self.ask(agent, &http, role_arn, &session, By::Identity(&jwt.token)).await?.0;
                Ok(MachineKeys { keys, from: "a web identity" })
            }
            _ => aws_machine::keys(&http, ambient).await.map_err(|refusal| of_entry(name, refusal)),
        }
    }

    /// Assumes the machine user's role.
    ///
    /// # Errors
    /// [`Code::MachineIdentityMissing`] where the machine has no role, [`Code::RoleRefused`] where that may not assume this one.
    pub(super) async fn assume(
        &self,
        agent: &Arc<Agent>,
        name: &EntryName,
        footing: &Footing,
    ) -> Result<Lease, Refusal> {
        let ambient = self.ambient_keys(agent, name, footing).await?;
        let session = super::session_name(&format!("keyfob-{}", name.name));
        let http = agent.http(footing)?;
        let machine = format!("{name} ({})", ambient.from);
        let look = format!("keyfob machine claims {}", name.name);
        let (keys, tags) = (&ambient.keys, BTreeMap::new());
        let by = By::Keys { keys, of: &machine, look: &look, external_id: None, tags: &tags };
        let (keys, until) = self.ask(agent, &http, &self.role_arn, &session, by).await?;
        let now = agent.clock.now();
        if until <= now {
            let say =
                format!("AWS gave keys for `{}` that have ended by this machine's clock", self.role_arn);
            return Err(Refusal::new(Code::RoleRefused, say).hint("set this machine's clock"));
        }
        Ok(Lease::aws(keys, now, until, HOUR))
    }

    /// Reads the machine user's secret. It is kept nowhere.
    ///
    /// # Errors
    /// [`Code::UnknownEntry`] where the configuration names none; else why AWS does not give it.
    pub async fn secret(
        &self,
        agent: &Arc<Agent>,
        name: &EntryName,
        footing: &Footing,
    ) -> Result<Secret<Vec<u8>>, Refusal> {
        let Some(arn) = &self.secret_arn else {
            return Err(Refusal::new(Code::UnknownEntry, format!("`{name}` names no secret"))
                .hint(format!("add `secret_arn` under [{name}]")));
        };
        self.read(agent, name, footing, arn).await
    }

    /// Reads a secret with the machine user's role.
    ///
    /// # Errors
    /// Why AWS does not give it.
    pub async fn read(
        &self,
        agent: &Arc<Agent>,
        name: &EntryName,
        footing: &Footing,
        arn: &str,
    ) -> Result<Secret<Vec<u8>>, Refusal> {
        let Some(entry) = footing.config.entry(name) else {
            let say = format!("there is no entry `{name}` any more");
            return Err(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"));
        };
        let lease = agent.lease(&entry, Need::Renewal).await?;
        let Body::Aws(keys) = &lease.body else {
            return Err(crate::kind::wrong_kind(name, "AWS role"));
        };
        let http = agent.http(footing)?;
        let wanted = Wanted {
            id: arn,
            // Of what is no ARN the table has spoken.
            region: secrets_manager::region_of(arn).unwrap_or_default(),
            endpoint: self.endpoint.as_deref(),
            use_fips: false,
            reader: "the machine user's role",
            written: "`secret_arn` and `endpoint_url` of the machine entry",
            look: &format!("keyfob machine claims {}", name.name),
        };
        let found = secrets_manager::get_secret(&http, &keys.signing(), &wanted, agent.clock.now()).await;
        let bytes = found.map_err(SecretError::refusal)?.value.bytes();
        bytes.ok_or_else(|| Refusal::new(Code::ProviderUntrusted, "AWS gives a secret in another form"))
    }

    /// Who these keys are, by the word of AWS.
    ///
    /// # Errors
    /// Why AWS does not say.
    pub async fn who(
        &self,
        agent: &Agent,
        footing: &Footing,
        (keys, of): (&AwsKeys, &str),
    ) -> Result<String, Refusal> {
        let http = agent.http(footing)?;
        let caller = sts::caller_identity(&http, self.at(), (keys, of), agent.clock.now()).await;
        Ok(escape(&caller.map_err(|error| plain(&self.role_arn, error))?.arn))
    }

    async fn ask(
        &self,
        agent: &Agent,
        http: &Http,
        role_arn: &str,
        session_name: &str,
        by: By<'_>,
    ) -> Result<(AwsKeys, Timestamp), Refusal> {
        let ask = RoleAsk {
            at: self.at(),
            role_arn,
            session_name,
            duration: HOUR,
            policy_arns: &[],
            by,
            now: agent.clock.now(),
        };
        sts::assume_role(http, &ask).await.map_err(|error| plain(role_arn, error))
    }

    fn at(&self) -> At<'_> {
        At { region: &self.region, endpoint: self.endpoint.as_deref(), use_fips: false }
    }
}

/// There is nobody to renew what the surroundings give.
fn plain(role_arn: &str, error: StsError) -> Refusal {
    match error {
        StsError::Refused(refusal) => refusal,
        StsError::Expired => {
            let say = format!("AWS takes what this machine has for the role `{role_arn}` for expired");
            Refusal::new(Code::RoleRefused, say).hint("set this machine's clock, or renew what it is given")
        }
    }
}

fn of_entry(name: &EntryName, refusal: Refusal) -> Refusal {
    let say = format!("`{name}` has no identity here: {}", refusal.say);
    Refusal { say, ..refusal }
}
