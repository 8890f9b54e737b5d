//! What other hands do to the Secret Service: a person locks or opens the collection, the service ends or begins.

use zbus::{Connection, MatchRule, MessageStream};

use super::super::super::{Pending, Stirring};
use crate::signals;

const SERVICE: &str = "org.freedesktop.secrets";
const PATHS: &str = "/org/freedesktop/secrets";

/// Signals of the service and about it, on a connection of its own.
pub(super) struct Signals {
    service: MessageStream,
    bus: MessageStream,
}

impl Signals {
    pub(super) async fn of(bus: &Connection) -> zbus::Result<Self> {
        let signal = || MatchRule::builder().msg_type(zbus::message::Type::Signal);
        let service = signal().sender(SERVICE)?.path_namespace(PATHS)?.build();
        let owner = signal()
            .sender("org.freedesktop.DBus")?
            .interface("org.freedesktop.DBus")?
            .member("NameOwnerChanged")?
            .arg(0, SERVICE)?
            .build();
        Ok(Self {
            service: MessageStream::for_match_rule(service, bus, None).await?,
            bus: MessageStream::for_match_rule(owner, bus, None).await?,
        })
    }
}

impl Stirring for Signals {
    fn next(&mut self) -> Pending<'_, bool> {
        Box::pin(async {
            loop {
                let signal = tokio::select! {
                    signal = signals::next(&mut self.bus) => return matches!(signal, Some(Ok(_))),
                    signal = signals::next(&mut self.service) => signal,
                };
                let Some(Ok(signal)) = signal else { return false };
                // What happens to items happens all the time, and says nothing about the lock.
                let header = signal.header();
                let member = header.member().map(|member| member.as_str());
                if matches!(
                    member,
                    Some(
                        "PropertiesChanged" | "CollectionChanged" | "CollectionCreated" | "CollectionDeleted"
                    )
                ) {
                    return true;
                }
            }
        })
    }
}
