//! The prompt of the Secret Service (`org.freedesktop.Secret.Prompt`), with an end.

use keyfob_ipc::limits;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, MessageStream};

use super::super::super::KeychainError;
use crate::signals;

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";

/// Asks the service to unlock an object, and waits for the person if it has to ask one.
pub(super) async fn unlock(bus: &Connection, object: &ObjectPath<'_>) -> Result<(), KeychainError> {
    let interface = Some("org.freedesktop.Secret.Service");
    let asked = bus.call_method(Some(SERVICE), SERVICE_PATH, interface, "Unlock", &(vec![object],)).await;
    let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
        asked.and_then(|reply| reply.body().deserialize()).map_err(|error| refused(&error))?;
    // No prompt is written as the root of all paths.
    if prompt.as_str() == "/" { Ok(()) } else { ask(bus, &prompt).await }
}

async fn ask(bus: &Connection, prompt: &ObjectPath<'_>) -> Result<(), KeychainError> {
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface(PROMPT)
        .and_then(|rule| rule.member("Completed")?.path(prompt));
    let rule = rule.map_err(|error| refused(&error))?.build();
    let mut completed =
        MessageStream::for_match_rule(rule, bus, None).await.map_err(|error| refused(&error))?;
    // No window of ours is in front of the person's terminal.
    let asked = bus.call_method(Some(SERVICE), prompt, Some(PROMPT), "Prompt", &"").await;
    asked.map_err(|error| refused(&error))?;
    match tokio::time::timeout(limits::PROMPT, signals::next(&mut completed)).await {
        Ok(Some(Ok(signal))) => match signal.body().deserialize::<(bool, OwnedValue)>() {
            Ok((false, _)) => Ok(()),
            Ok((true, _)) => Err(KeychainError::Denied),
            Err(error) => Err(refused(&error)),
        },
        Ok(Some(Err(error))) => Err(refused(&error)),
        Ok(None) => Err(KeychainError::Missing),
        Err(_) => {
            // Nobody is there; a prompt that stayed would be answered for nobody.
            let dismissed = bus.call_method(Some(SERVICE), prompt, Some(PROMPT), "Dismiss", &()).await;
            drop(dismissed);
            Err(KeychainError::Slow)
        }
    }
}

fn refused(error: &zbus::Error) -> KeychainError {
    KeychainError::Failed(format!("its prompt failed ({error})"))
}
