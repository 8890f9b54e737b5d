//! Why not: a stable code for programs, a sentence and the next command for people.

use serde::{Deserialize, Serialize};

/// A refusal as it crosses the wire and reaches a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{say}")]
pub struct Refusal {
    /// Stable; programs branch on it.
    pub code: Code,
    /// One sentence, lower case start, without the leading `keyfob: `. Text from outside in it is already escaped.
    pub say: String,
    /// The exact command or click that mends it; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: Code, say: impl Into<String>) -> Self {
        Self { code, say: say.into(), hint: String::new() }
    }

    /// The same with the command that mends it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// The codes of refusals. New ones may come; an unknown one reads as [`Code::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is no valid message, or what it names is malformed.
    BadRequest,
    /// The other side speaks a protocol version that this one does not.
    VersionMismatch,
    /// More bytes than the door takes.
    TooLarge,
    /// Too many connections or requests at once.
    Busy,
    /// The URI cannot be read, or carries user information.
    BadUri,
    /// Credentials go over TLS only.
    InsecureScheme,
    /// No entry has this host.
    UnknownHost,
    /// No entry has this name.
    UnknownEntry,
    /// Several entries have this name.
    AmbiguousEntry,
    /// The configuration does not load, and no earlier one is in force.
    ConfigBroken,
    /// An edit points the holding at a new place that nobody has confirmed.
    DestinationChanged,
    /// There is no session, or it has ended.
    SignInNeeded,
    /// No token is held, or it has ended.
    TokenNeeded,
    /// The pasted token is not of the expected form.
    TokenInvalid,
    /// The machine has no keychain.
    KeychainMissing,
    /// The keychain is locked.
    KeychainLocked,
    /// The keychain refused.
    KeychainDenied,
    /// The keychain does not answer in time, or failed.
    KeychainFailed,
    /// The network or the service cannot be reached.
    Offline,
    /// The service takes longer than a tool may wait; the work goes on.
    Pending,
    /// The identity provider refused.
    ProviderRefused,
    /// The identity provider's answer does not prove what it must.
    ProviderUntrusted,
    /// The token service refused.
    ServiceRefused,
    /// AWS refused the role.
    RoleRefused,
    /// An approval by the person is pending.
    ApprovalPending,
    /// The policy of the entry, or the person, does not allow this program.
    NotAllowed,
    /// Keyfob is locked.
    Locked,
    /// The sign-in was called off or ran out of time.
    CalledOff,
    /// This agent runs in no job that has the identity of the entry, or that identity has ended.
    MachineIdentityMissing,
    /// The agent cannot be reached or started.
    AgentUnreachable,
    /// The socket is answered by somebody else.
    AgentForeign,
    /// A folder or a file has the wrong owner or mode.
    PlaceUnsafe,
    /// A fault of Keyfob itself.
    Internal,
    /// A code of a newer version.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// The exit code of a command that ends with this refusal: 3 sign-in needed, 4 agent not reachable, 5 waiting for an
    /// approval or an unlock, else 1.
    pub fn exit(self) -> u8 {
        match self {
            Self::SignInNeeded | Self::TokenNeeded => 3,
            Self::AgentUnreachable | Self::AgentForeign => 4,
            Self::KeychainLocked | Self::ApprovalPending | Self::Locked => 5,
            Self::BadRequest
            | Self::VersionMismatch
            | Self::TooLarge
            | Self::Busy
            | Self::BadUri
            | Self::InsecureScheme
            | Self::UnknownHost
            | Self::UnknownEntry
            | Self::AmbiguousEntry
            | Self::ConfigBroken
            | Self::DestinationChanged
            | Self::TokenInvalid
            | Self::KeychainMissing
            | Self::KeychainDenied
            | Self::KeychainFailed
            | Self::Offline
            | Self::Pending
            | Self::ProviderRefused
            | Self::ProviderUntrusted
            | Self::ServiceRefused
            | Self::RoleRefused
            | Self::CalledOff
            | Self::MachineIdentityMissing
            | Self::NotAllowed
            | Self::PlaceUnsafe
            | Self::Internal
            | Self::Unknown => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_code_is_read_as_unknown() {
        let refusal: Refusal = serde_json::from_str(r#"{"code":"from_the_future","say":"no"}"#).unwrap();
        assert_eq!(refusal, Refusal::new(Code::Unknown, "no"));
    }

    #[test]
    fn codes_are_snake_case_on_the_wire() {
        let wire =
            serde_json::to_string(&Refusal::new(Code::SignInNeeded, "x").hint("keyfob login")).unwrap();
        assert_eq!(wire, r#"{"code":"sign_in_needed","say":"x","hint":"keyfob login"}"#);
    }
}
