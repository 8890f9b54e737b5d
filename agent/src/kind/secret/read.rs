//! Reading a secret in AWS, with the keys of the entry behind it.

use std::sync::Arc;

use keyfob_ipc::{Code, Refusal};

use super::{InAws, Values, members};
use crate::agent::Agent;
use crate::config::Entry;
use crate::footing::Footing;
use crate::kind::wrong_kind;
use crate::lease::Body;
use crate::renew::Need;
use crate::upstream::secrets_manager::{self, SecretError, Wanted};

/// Its values. AWS may take good keys for expired, where its clock is another one: then new ones are tried once.
pub(super) async fn values(
    agent: &Arc<Agent>,
    entry: &Entry,
    aws: &InAws,
    keys: &[String],
    footing: &Footing,
) -> Result<Values, Refusal> {
    check_destination(agent, entry, aws, footing).await?;
    let found = match ask(agent, entry, aws, footing, Need::Renewal).await {
        Err(SecretError::Expired(_)) => ask(agent, entry, aws, footing, Need::New).await,
        other => other,
    };
    let found = found.map_err(SecretError::refusal)?;
    members::values(&entry.name, &aws.id, &found, keys)
}

async fn ask(
    agent: &Arc<Agent>,
    entry: &Entry,
    aws: &InAws,
    footing: &Footing,
    need: Need,
) -> Result<secrets_manager::Found, SecretError> {
    let refused = SecretError::Refused;
    let reader = footing.config.entry(&aws.reader).ok_or_else(|| {
        let say = format!("there is no entry `{}` any more", aws.reader);
        refused(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"))
    })?;
    let lease = agent.lease(&reader, need).await.map_err(|refusal| refused(behind(entry, aws, refusal)))?;
    let Body::Aws(keys) = &lease.body else { return Err(refused(wrong_kind(&aws.reader, "AWS keys"))) };
    let base = entry.name.without_role();
    let role = match aws.reader.role_behind() {
        Some((_, role_arn)) => format!("the role `{role_arn}`"),
        None => format!("the role of `{}`", aws.reader),
    };
    let wanted = Wanted {
        id: &aws.id,
        region: aws.region.as_deref().unwrap_or_default(),
        endpoint: aws.endpoint.as_deref(),
        use_fips: aws.use_fips,
        reader: &role,
        written: &format!("`id`, `region` and `endpoint_url` under [{base}]"),
        look: &format!("keyfob why {base}"),
    };
    let http = agent.http(footing).map_err(refused)?;
    secrets_manager::get_secret(&http, &keys.signing(), &wanted, agent.clock.now()).await
}

/// Keys that are in memory go, as a session token, to the endpoint of each secret that is read with them: whether what they were
/// bought with may go there is asked here too, and not only when they are bought.
async fn check_destination(
    agent: &Agent,
    entry: &Entry,
    aws: &InAws,
    footing: &Footing,
) -> Result<(), Refusal> {
    let root = Agent::root_of(&footing.config, entry)?;
    match footing.config.entry(&root) {
        Some(root) if root.source.holds() => {
            let held = agent.usable_holding(footing, &root).await;
            held.map(drop).map_err(|refusal| behind(entry, aws, refusal))
        }
        _ => Ok(()),
    }
}

/// A refusal from behind names the hop; one of a session or of a new place names the way out itself.
fn behind(entry: &Entry, aws: &InAws, refusal: Refusal) -> Refusal {
    if matches!(refusal.code, Code::SignInNeeded | Code::DestinationChanged | Code::Locked) {
        return refusal;
    }
    // A role that the caller named is in that already.
    let (secret, reader) = (entry.name.without_role(), aws.reader.without_role());
    let say = format!("`{secret}` is read with `{reader}`: {}", refusal.say);
    Refusal { say, ..refusal }
}
