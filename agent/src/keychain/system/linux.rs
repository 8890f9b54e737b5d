//! The Secret Service of the session bus (<https://specifications.freedesktop.org/secret-service/>): GNOME Keyring,
//! KWallet, KeePassXC.
//!
//! Each call makes a connection of its own. A keychain is asked rarely, once per renewal, and so the bus or the service
//! may go and come back at any time, no idle connection wakes the agent, and a call that is dropped leaves nothing behind.
//! One connection stays open while somebody watches the agent, to hear of other hands ([`stirring`]).
//!
//! The service would prompt for a locked collection, and a tool would hang on it: so the lock is looked at first, and what
//! is locked is answered as [`KeychainError::Locked`]. A collection that locks itself between the look and the creation of
//! a new item can still prompt; the call's deadline then ends the wait.

mod prompt;
mod stirring;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;
use secret_service::{Collection, EncryptionType, Error, Item};
use tokio::net::UnixStream;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::{Address, Connection};

use super::super::{Keychain, KeychainError, MAX_VALUE, Pending, Stirring, check_item, check_value};

/// The login keychain behind the session bus.
pub struct SecretService {
    address: Option<String>,
    profile: String,
}

impl SecretService {
    /// The service on the bus at `address` (D-Bus specification, server addresses), or on the session bus of this process.
    pub fn at(address: Option<String>, namespace: Option<&str>) -> Self {
        Self { address, profile: namespace.unwrap_or("default").to_owned() }
    }

    async fn connect(&self) -> Result<secret_service::SecretService<'static>, Error> {
        // The bus has its own access control; this keeps values out of what a bus monitor records.
        secret_service::SecretService::connect_with_existing(EncryptionType::Dh, self.bus().await?).await
    }

    async fn bus(&self) -> Result<Connection, Error> {
        let address = match &self.address {
            Some(address) => address.parse()?,
            None => Address::session()?,
        };
        let bus = bus_of(rustix::process::geteuid().as_raw(), &address).await?;
        Ok(zbus::connection::Builder::unix_stream(bus).build().await?)
    }

    fn attributes<'a>(&'a self, item: &'a str) -> HashMap<&'a str, &'a str> {
        HashMap::from([("application", "keyfob"), ("profile", self.profile.as_str()), ("item", item)])
    }

    /// The items of this name: one, unless another program made copies.
    async fn find<'a>(
        &self,
        service: &'a secret_service::SecretService<'static>,
        item: &str,
    ) -> Result<Vec<Item<'a>>, Error> {
        let found = service.search_items(self.attributes(item)).await?;
        if found.unlocked.is_empty() && !found.locked.is_empty() {
            return Err(Error::Locked);
        }
        Ok(found.unlocked)
    }

    async fn load_item(&self, item: &str) -> Result<Option<Vec<u8>>, Error> {
        let service = self.connect().await?;
        unlocked(&service).await?;
        let found = self.find(&service, item).await?;
        let Some(first) = found.first() else { return Ok(None) };
        match first.get_secret().await {
            Err(error) if is_gone(&error) => Ok(None),
            other => other.map(Some),
        }
    }

    async fn store_item(&self, item: &str, value: &[u8]) -> Result<(), Error> {
        let service = self.connect().await?;
        let collection = unlocked(&service).await?;
        let content_type = content_type(value);
        let mut found = self.find(&service, item).await?.into_iter();
        if let Some(first) = found.next() {
            match first.set_secret(value, content_type).await {
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
                Ok(()) => return delete_all(found).await,
            }
        }
        let label = format!("Keyfob: {item}");
        // Replacing, as another call may have created it meanwhile.
        collection.create_item(&label, self.attributes(item), value, true, content_type).await.map(|_| ())
    }

    async fn remove_item(&self, item: &str) -> Result<(), Error> {
        let service = self.connect().await?;
        unlocked(&service).await?;
        delete_all(self.find(&service, item).await?.into_iter()).await
    }

    async fn clear_items(&self) -> Result<(), Error> {
        let service = self.connect().await?;
        unlocked(&service).await?;
        let ours = HashMap::from([("application", "keyfob"), ("profile", self.profile.as_str())]);
        let found = service.search_items(ours).await?;
        delete_all(found.unlocked.into_iter()).await?;
        // They may lie in another collection.
        if found.locked.is_empty() { Ok(()) } else { Err(Error::Locked) }
    }

    async fn look(&self) -> Result<(), Error> {
        let service = self.connect().await?;
        unlocked(&service).await.map(|_| ())
    }

    /// Has the service ask the person, where its collection is locked.
    async fn ask(&self) -> Result<(), KeychainError> {
        let bus = self.bus().await.map_err(translate)?;
        // No value crosses this connection.
        let service =
            secret_service::SecretService::connect_with_existing(EncryptionType::Plain, bus.clone());
        let service = service.await.map_err(translate)?;
        let collection = service.get_default_collection().await.map_err(translate)?;
        match unlocked(&service).await {
            Err(Error::Locked) => {}
            other => return other.map(|_| ()).map_err(translate),
        }
        prompt::unlock(&bus, &collection.collection_path).await?;
        // Whoever said that it is open, the lock itself is looked at.
        unlocked(&service).await.map(|_| ()).map_err(translate)
    }
}

impl Keychain for SecretService {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(async {
            match self.look().await {
                Ok(()) => KeychainState::Present,
                Err(error) => translate(error).state(),
            }
        })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        Box::pin(async move {
            check_item(item)?;
            let Some(value) = self.load_item(item).await.map_err(translate)?.map(Secret::new) else {
                return Ok(None);
            };
            if value.expose().len() > MAX_VALUE {
                return Err(KeychainError::Failed(format!("`{item}` is larger than any item of keyfob")));
            }
            Ok(Some(value))
        })
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(async move {
            check_item(item)?;
            check_value(value)?;
            self.store_item(item, value.expose()).await.map_err(translate)
        })
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(async move {
            check_item(item)?;
            self.remove_item(item).await.map_err(translate)
        })
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(async { self.clear_items().await.map_err(translate) })
    }

    fn unlock<'a>(&'a self, _passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(std::future::ready(Err(KeychainError::Failed(
            "the desktop's keychain opens when you sign in to the desktop".to_owned(),
        ))))
    }

    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        Box::pin(async {
            let signals = stirring::Signals::of(&self.bus().await.ok()?).await.ok()?;
            Some(Box::new(signals) as Box<dyn Stirring>)
        })
    }

    fn open(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.ask())
    }
}

/// A connection to the bus of this user (a number). Somebody else's would be handed the person's secrets.
async fn bus_of(user: u32, address: &Address) -> Result<UnixStream, Error> {
    let Transport::Unix(socket) = address.transport() else { return Err(Error::Unavailable) };
    // Other sockets have no owner to look at before the first word.
    let UnixSocket::File(path) = socket.path() else { return Err(Error::Unavailable) };
    if std::fs::metadata(path).map_err(zbus::Error::from)?.uid() != user {
        return Err(Error::Unavailable);
    }
    let bus = UnixStream::connect(path).await.map_err(zbus::Error::from)?;
    // A link on the way may lead elsewhere since.
    match bus.peer_cred() {
        Ok(peer) if peer.uid() == user => Ok(bus),
        _ => Err(Error::Unavailable),
    }
}

/// The collection for new items, if it is open.
async fn unlocked<'a>(service: &'a secret_service::SecretService<'static>) -> Result<Collection<'a>, Error> {
    let collection = service.get_default_collection().await?;
    match collection.ensure_unlocked().await {
        Ok(()) => Ok(collection),
        // The alias outlives a collection that was deleted.
        Err(error) if is_gone(&error) => Err(Error::NoResult),
        Err(error) => Err(error),
    }
}

async fn delete_all(items: impl Iterator<Item = Item<'_>>) -> Result<(), Error> {
    for item in items {
        match item.delete().await {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn content_type(value: &[u8]) -> &'static str {
    if std::str::from_utf8(value).is_ok() { "text/plain" } else { "application/octet-stream" }
}

fn is_gone(error: &Error) -> bool {
    name_of(error).is_some_and(|name| {
        matches!(
            name.as_str(),
            "org.freedesktop.Secret.Error.NoSuchObject"
                | "org.freedesktop.DBus.Error.UnknownObject"
                | "org.freedesktop.DBus.Error.UnknownMethod"
        )
    })
}

/// The D-Bus name of an error that came as a reply.
fn name_of(error: &Error) -> Option<String> {
    use zbus::DBusError;
    match error {
        Error::Zbus(zbus::Error::MethodError(name, ..)) => Some(name.to_string()),
        Error::Zbus(zbus::Error::FDO(error)) => Some(error.name().to_string()),
        Error::ZbusFdo(zbus::fdo::Error::ZBus(zbus::Error::MethodError(name, ..))) => Some(name.to_string()),
        Error::ZbusFdo(error) => Some(error.name().to_string()),
        _ => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a `map_err`")]
fn translate(error: Error) -> KeychainError {
    match &error {
        Error::Locked => KeychainError::Locked,
        Error::NoResult | Error::Unavailable => KeychainError::Missing,
        Error::Prompt | Error::PromptDisconnected => KeychainError::Denied,
        Error::Zbus(zbus::Error::Address(_)) => KeychainError::Missing,
        Error::Zbus(zbus::Error::InputOutput(cause) | zbus::Error::Connection(cause, _)) => no_bus(cause),
        _ => match name_of(&error) {
            Some(name) => replied(&name),
            None => KeychainError::Failed(error.to_string()),
        },
    }
}

fn no_bus(cause: &std::io::Error) -> KeychainError {
    use std::io::ErrorKind;
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => KeychainError::Missing,
        _ => KeychainError::Failed(format!("the session bus does not work ({cause})")),
    }
}

/// An error reply, from the service or from the bus on its behalf.
fn replied(name: &str) -> KeychainError {
    match name {
        "org.freedesktop.Secret.Error.IsLocked" => KeychainError::Locked,
        "org.freedesktop.DBus.Error.AccessDenied" => KeychainError::Denied,
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
            KeychainError::Missing
        }
        // The bus knows a service of that name and cannot start it: masked, or its program is gone.
        _ if name.starts_with("org.freedesktop.DBus.Error.Spawn.")
            || name.starts_with("org.freedesktop.systemd1.") =>
        {
            KeychainError::Missing
        }
        _ => KeychainError::Failed(format!("it answered {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_replies_become_states() {
        for (name, expected) in [
            ("org.freedesktop.Secret.Error.IsLocked", KeychainState::Locked),
            ("org.freedesktop.DBus.Error.ServiceUnknown", KeychainState::Missing),
            ("org.freedesktop.DBus.Error.Spawn.ChildExited", KeychainState::Missing),
            ("org.freedesktop.systemd1.UnitMasked", KeychainState::Missing),
            ("org.freedesktop.DBus.Error.AccessDenied", KeychainState::Denied),
            ("org.freedesktop.DBus.Error.NoReply", KeychainState::Failing),
        ] {
            assert_eq!(replied(name).state(), expected, "{name}");
        }
        assert_eq!(translate(Error::Prompt), KeychainError::Denied);
    }

    #[tokio::test]
    async fn where_there_is_no_bus_there_is_no_keychain() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("bus");
        for address in [format!("unix:path={}", socket.display()), "disabled:".to_owned()] {
            let keychain = SecretService::at(Some(address), None);
            assert_eq!(keychain.state().await, KeychainState::Missing);
            assert_eq!(keychain.load("token.a").await, Err(KeychainError::Missing));
        }
        // A socket whose listener is gone: what a bus leaves behind when it dies.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let keychain = SecretService::at(Some(format!("unix:path={}", socket.display())), None);
        assert_eq!(keychain.load("token.a").await, Err(KeychainError::Missing));
    }

    #[tokio::test]
    async fn a_bus_of_another_user_is_not_called() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("bus");
        let bus = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        bus.set_nonblocking(true).unwrap();
        let address = format!("unix:path={}", socket.display()).parse().unwrap();
        let me = rustix::process::geteuid().as_raw();
        assert!(matches!(bus_of(me + 1, &address).await, Err(Error::Unavailable)));
        assert_eq!(bus.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        assert!(bus_of(me, &address).await.is_ok());
        assert!(bus.accept().is_ok());
        for other in ["unix:abstract=/tmp/dbus-1", "tcp:host=127.0.0.1,port=1", "unixexec:path=/bin/true"] {
            let refused = bus_of(me, &other.parse().unwrap()).await;
            assert!(matches!(refused, Err(Error::Unavailable)), "{other}");
        }
    }

    #[tokio::test]
    async fn bad_names_and_values_do_not_reach_the_bus() {
        let keychain = SecretService::at(Some("disabled:".to_owned()), None);
        let big = Secret::new(vec![0; MAX_VALUE + 1]);
        assert!(matches!(keychain.load("a#1").await, Err(KeychainError::Failed(_))));
        assert!(matches!(keychain.remove("").await, Err(KeychainError::Failed(_))));
        assert!(matches!(keychain.store("a", &big).await, Err(KeychainError::Failed(_))));
    }
}
