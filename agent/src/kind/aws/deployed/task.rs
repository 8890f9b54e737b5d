//! The task role: keys for the web identity of a deployment.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob_ipc::reply::AwsCredentials;
use keyfob_ipc::{Code, Refusal};

use super::{Deployed, Hop, given, gone};
use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::keychain::Pending;
use crate::kind::aws::{said, session_name};
use crate::kind::{Jwt, Proof, Source};
use crate::lease::{About, Chosen, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::sts::{By, StsError};

/// What stands in CloudTrail where the web identity has no name.
const NAMELESS: &str = "keyfob";

/// The task role behind such an entry.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) of: EntryName,
    pub(super) deployed: Deployed,
}

impl Source for Task {
    /// So that whoever may not have the entry may not have this.
    fn through(&self) -> Option<&EntryName> {
        Some(&self.of)
    }

    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.deployed.facts()
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(given(agent, entry))
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move { agent.lease(entry, need).await.map(Proof::Keys) })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        _entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            match self.assume(agent, footing).await {
                Err(StsError::Expired) => self.assume(agent, footing).await,
                outcome => outcome,
            }
            .map_err(|error| match error {
                StsError::Expired => {
                    let say =
                        format!("AWS takes a new web identity of `{}` for expired", self.deployed.behind);
                    Refusal::new(Code::RoleRefused, say).hint("set this machine's clock")
                }
                StsError::Refused(refusal) => refusal,
            })
        })
    }
}

impl Task {
    async fn assume(&self, agent: &Arc<Agent>, footing: &Footing) -> Result<Lease, StsError> {
        let behind = &self.deployed.behind;
        let entry = footing.config.entry(behind).ok_or_else(|| gone(behind))?;
        let deployment = entry.source.as_outerbounds().ok_or_else(|| gone(behind))?;
        let identity = deployment.web_identity(agent, &entry, footing).await;
        let identity = identity.map_err(|refusal| StsError::Refused(self.behind_of(refusal)))?;
        let Some(region) = self.deployed.region.as_deref().or(identity.region.as_deref()) else {
            let say = format!("`{behind}` does not say in which region its role is");
            let hint = format!("set `region` under [{}]", self.of);
            return Err(StsError::Refused(Refusal::new(Code::RoleRefused, say).hint(hint)));
        };
        let about = About {
            session_tags: said::tags_of(identity.token.expose()),
            chosen: Some(Chosen {
                role_arn: identity.role_arn.clone(),
                region: region.to_owned(),
                customer_role: identity.customer_role.clone(),
            }),
            ..About::default()
        };
        let session = self.deployed.session_name.clone().unwrap_or_else(|| named(identity.token.expose()));
        let hop = Hop {
            role_arn: &identity.role_arn,
            session: &session,
            duration: self.deployed.duration,
            by: By::Identity(&identity.token),
        };
        let lease = self.deployed.assume(agent, footing, region, hop).await.map_err(|error| match error {
            StsError::Refused(refusal) => StsError::Refused(self.of_task_role(refusal)),
            expired @ StsError::Expired => expired,
        })?;
        Ok(lease.with(about))
    }

    /// A refusal of the deployment names the hop.
    fn behind_of(&self, refusal: Refusal) -> Refusal {
        let say = format!("`{}` is obtained with `{}`: {}", self.of, self.deployed.behind, refusal.say);
        Refusal { say, ..refusal }
    }

    /// A refusal of AWS is about a trust that the platform set up, and no person's group.
    fn of_task_role(&self, refusal: Refusal) -> Refusal {
        let say = format!("the task role of `{}`: {}", self.of, refusal.say);
        let is_trust = matches!(refusal.code, Code::RoleRefused | Code::SignInNeeded);
        let code = if is_trust { Code::RoleRefused } else { refusal.code };
        let hint = format!(
            "tell whoever runs `{}` that AWS does not take its web identity; or lower `duration` under [{}]",
            self.deployed.behind, self.of
        );
        Refusal { say, code, hint: if is_trust { hint } else { refusal.hint } }
    }
}

/// Whom a web identity is about, as AWS session name.
fn named(token: &str) -> String {
    let claims = Jwt::claims_of(token).unwrap_or_default();
    let name = ["username", "sub"].iter().find_map(|name| claims.get(*name)?.as_str());
    session_name(name.filter(|name| !name.is_empty()).unwrap_or(NAMELESS))
}
