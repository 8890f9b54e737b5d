//! Faults on demand, per endpoint: for the next calls, or until cleared.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::common::locked;
use crate::sts::StsError;

/// What can be called, and therefore can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// The issuer's public keys.
    Jwks,
    /// The authorization endpoint, where a browser goes.
    Authorize,
    /// The token endpoint.
    Token,
    /// The device authorization endpoint (RFC 8628).
    Device,
    /// The page where a person enters the user code.
    DevicePage,
    /// Token revocation (RFC 7009).
    Revoke,
    /// Claims about the person.
    Userinfo,
    /// The STS.
    Sts,
    /// The sign-in of the AWS console.
    Console,
    /// The token portal's page.
    Portal,
    /// Token API: what a token says about itself.
    TokenSelf,
    /// Token API: a token rotates itself.
    TokenRotate,
    /// Token API: a token deletes itself.
    TokenDelete,
    /// Token API: everything that administrators do.
    TokenAdmin,
    /// The first cluster front.
    Cluster,
    /// The second cluster front.
    SecondCluster,
    /// GitLab: what a token says about itself.
    GitlabSelf,
    /// GitLab: whose a token is.
    GitlabUser,
    /// GitLab: a token rotates itself.
    GitlabRotate,
    /// GitLab: a token revokes itself.
    GitlabDelete,
    /// GitHub: whose a token is, with headers about it.
    GithubUser,
    /// GitHub: revocation.
    GithubRevoke,
    /// JFrog: a refresh token is spent.
    JfrogTokens,
    /// JFrog: what a token says about itself.
    JfrogSelf,
    /// JFrog: revocation.
    JfrogDelete,
    /// JupyterHub: whose a token is.
    HubUser,
    /// JupyterHub: what a token is.
    HubShow,
    /// JupyterHub: a user's tokens.
    HubList,
    /// JupyterHub: a token makes another one.
    HubCreate,
    /// JupyterHub: a token is deleted.
    HubDelete,
    /// OUTSCALE: a user's access keys.
    OutscaleRead,
    /// OUTSCALE: an access key is made.
    OutscaleCreate,
    /// OUTSCALE: an access key is switched off or on.
    OutscaleUpdate,
    /// OUTSCALE: an access key is deleted.
    OutscaleDelete,
    /// OUTSCALE: what the account allows to access keys.
    OutscalePolicy,
    /// OUTSCALE: users, groups and policies.
    Eim,
    /// GitHub Actions: a job asks for an ID token.
    GithubIdToken,
    /// GitHub Actions: the keys of its tokens.
    GithubKeys,
    /// CircleCI: the keys of an organisation's tokens.
    CircleciKeys,
    /// AWS: a container's endpoint.
    AwsContainer,
    /// AWS: the metadata service of a virtual machine.
    AwsMetadata,
    /// AWS: STS and Secrets Manager at the address of a machine.
    AwsService,
    /// Outerbounds: a service principal gets its token.
    OuterboundsPrincipal,
    /// Outerbounds: the configuration of a perimeter.
    OuterboundsConfig,
    /// Outerbounds: a web identity for AWS.
    OuterboundsAws,
    /// Outerbounds: a token for Kubernetes, which is also how its client tries a key.
    OuterboundsK8s,
    /// Outerbounds: where the values of an integration are.
    OuterboundsSecrets,
    /// Outerbounds: perimeters and workstations.
    OuterboundsApi,
    /// Outerbounds: the keys of its web identities.
    OuterboundsKeys,
    /// Metaflow's metadata service.
    Metadata,
}

impl Endpoint {
    /// Whether this is part of the token API.
    #[must_use]
    pub fn is_token_api(self) -> bool {
        matches!(self, Self::TokenSelf | Self::TokenRotate | Self::TokenDelete | Self::TokenAdmin)
    }
}

/// What goes wrong. As JSON: `"reset"`, `{"slow":1500}` (milliseconds), `{"status":500}`, `{"lie":"wrong_iss"}`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request waits this long before anything looks at it. Goes together with every other fault.
    Slow(#[serde(with = "milliseconds")] Duration),
    /// This HTTP status and a plain body; the request is not processed.
    Status(u16),
    /// The request IS processed, then the connection breaks in the middle of the answer.
    Reset,
    /// The page of a captive portal, with status 200; the request is not processed.
    Html,
    /// A body that never ends; the request is not processed.
    Endless,
    /// The issuer or the token API lies.
    Lie(Lie),
    /// The issuer's clock is this many seconds ahead (behind, if negative): `iat`, `exp`, `auth_time` of ID tokens.
    Skew(i64),
    /// The token endpoint refuses with `invalid_grant`; the request is not processed.
    InvalidGrant,
    /// The token or authorization endpoint refuses with this `error`; the request is not processed.
    OAuthError(String),
    /// The STS refuses so; the request is not processed.
    StsError(StsError),
    /// The token API answers 429 and `Retry-After` with so many seconds; the request is not processed.
    Busy(u32),
    /// The OUTSCALE API refuses with the error of this code; the request is not processed.
    Outscale(u32),
}

/// In what way the issuer or the token API lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Another issuer: in the ID token (Token), in the redirect (Authorize), in the metadata (Discovery).
    WrongIss,
    /// No `iss` in the redirect, although the metadata promises it (RFC 9207).
    MissingIss,
    /// Another `state` in the redirect.
    WrongState,
    /// Another audience in the ID token.
    WrongAud,
    /// Another nonce in the ID token.
    WrongNonce,
    /// An ID token that ended an hour ago.
    Expired,
    /// An ID token with `alg` `none` and no signature.
    Unsigned,
    /// An ID token signed over something else.
    BadSignature,
    /// A token that rotated itself may only read from then on.
    FewerPermissions,
    /// The token is said to be somebody else's (TokenSelf), or is so from then on (TokenRotate).
    OtherOwner,
}

impl Fault {
    /// Whether this fault can happen there.
    #[must_use]
    pub fn fits(&self, endpoint: Endpoint) -> bool {
        match self {
            Self::Slow(_) | Self::Reset | Self::Html | Self::Endless => true,
            Self::Status(status) => (100..600).contains(status),
            Self::Lie(Lie::WrongIss) => {
                matches!(endpoint, Endpoint::Token | Endpoint::Authorize | Endpoint::Discovery)
            }
            Self::Lie(Lie::MissingIss | Lie::WrongState) => endpoint == Endpoint::Authorize,
            Self::Lie(Lie::FewerPermissions) => endpoint == Endpoint::TokenRotate,
            Self::Lie(Lie::OtherOwner) => matches!(endpoint, Endpoint::TokenSelf | Endpoint::TokenRotate),
            Self::Lie(_) | Self::Skew(_) | Self::InvalidGrant => endpoint == Endpoint::Token,
            Self::OAuthError(_) => matches!(endpoint, Endpoint::Token | Endpoint::Authorize),
            Self::StsError(_) => endpoint == Endpoint::Sts,
            Self::Busy(_) => endpoint.is_token_api(),
            Self::Outscale(_) => matches!(
                endpoint,
                Endpoint::OutscaleRead
                    | Endpoint::OutscaleCreate
                    | Endpoint::OutscaleUpdate
                    | Endpoint::OutscaleDelete
                    | Endpoint::OutscalePolicy
            ),
        }
    }
}

/// One fault that is set; `times` is absent for "until cleared".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// What goes wrong.
    pub fault: Fault,
    /// How many calls it has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// The faults that are set. Several kinds may be set at one endpoint; a new one replaces its own kind.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<Endpoint, Vec<Active>>>>);

impl Faults {
    /// Sets a fault until it is cleared.
    ///
    /// # Panics
    /// When the fault cannot happen at that endpoint: a test that sets it proves nothing.
    pub fn set(&self, endpoint: Endpoint, fault: Fault) {
        self.put(endpoint, Active { fault, times: None });
    }

    /// Sets a fault for the next `times` calls that it touches.
    ///
    /// # Panics
    /// As [`Faults::set`].
    pub fn set_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.put(endpoint, Active { fault, times: Some(times) });
    }

    /// Clears one endpoint.
    pub fn clear(&self, endpoint: Endpoint) {
        locked(&self.0).remove(&endpoint);
    }

    /// Clears every endpoint.
    pub fn clear_all(&self) {
        locked(&self.0).clear();
    }

    /// What is set now.
    #[must_use]
    pub fn active(&self) -> BTreeMap<Endpoint, Vec<Active>> {
        locked(&self.0).clone()
    }

    pub(crate) fn put(&self, endpoint: Endpoint, active: Active) {
        assert!(active.fault.fits(endpoint), "{:?} cannot happen at {endpoint:?}", active.fault);
        let mut all = locked(&self.0);
        let here = all.entry(endpoint).or_default();
        here.retain(|other| kind(&other.fault) != kind(&active.fault));
        if active.times != Some(0) {
            here.push(active);
        }
    }

    /// The first fault at `endpoint` that `wanted` takes something from; its count goes down by one.
    pub(crate) fn take<T>(&self, endpoint: Endpoint, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut all = locked(&self.0);
        let here = all.get_mut(&endpoint)?;
        let (at, taken) = here
            .iter()
            .enumerate()
            .find_map(|(at, active)| wanted(&active.fault).map(|taken| (at, taken)))?;
        if let Some(times) = &mut here[at].times {
            *times -= 1;
            if *times == 0 {
                here.remove(at);
            }
        }
        Some(taken)
    }

    pub(crate) fn take_lie(&self, endpoint: Endpoint, lie: Lie) -> bool {
        self.take(endpoint, |fault| (*fault == Fault::Lie(lie)).then_some(())).is_some()
    }
}

/// Two lies are two kinds.
fn kind(fault: &Fault) -> (Discriminant<Fault>, Option<Lie>) {
    let lie = if let Fault::Lie(lie) = fault { Some(*lie) } else { None };
    (discriminant(fault), lie)
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_for_two_calls_is_gone_after_two() {
        let faults = Faults::default();
        faults.set_times(Endpoint::Jwks, Fault::Status(500), 2);
        let take = || faults.take(Endpoint::Jwks, |fault| matches!(fault, Fault::Status(_)).then_some(()));
        assert_eq!([take(), take(), take()], [Some(()), Some(()), None]);
    }

    #[test]
    fn a_new_fault_replaces_its_own_kind_alone() {
        let faults = Faults::default();
        faults.set(Endpoint::Token, Fault::Slow(Duration::from_secs(1)));
        faults.set(Endpoint::Token, Fault::Slow(Duration::from_secs(2)));
        faults.set(Endpoint::Token, Fault::Lie(Lie::WrongAud));
        faults.set(Endpoint::Token, Fault::Lie(Lie::WrongNonce));
        let json = serde_json::to_value(faults.active()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"token": [
                {"fault": {"slow": 2000}}, {"fault": {"lie": "wrong_aud"}}, {"fault": {"lie": "wrong_nonce"}}
            ]})
        );
    }

    #[test]
    #[should_panic(expected = "cannot happen")]
    fn a_fault_that_cannot_happen_there_is_a_broken_test() {
        Faults::default().set(Endpoint::Portal, Fault::InvalidGrant);
    }
}
