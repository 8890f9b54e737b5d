//! Messages: whatever can be read can be written and read again, as the same; and no secret is in its `Debug`.

use std::fmt::Debug;

use keyfob_ipc::frame::{PREFIX, decode, encode};
use keyfob_ipc::{Answer, ControlAsk, Request, ToolAsk, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Checks one input.
pub fn check(data: &[u8]) {
    survives::<Request<ToolAsk>>(data, limits::TOOL_FRAME);
    survives::<Request<ControlAsk>>(data, limits::CONTROL_FRAME);
    survives::<Answer>(data, limits::CONTROL_FRAME);
    if let Ok(request) = decode::<Request<ControlAsk>>(data) {
        keeps_its_secret(&request.ask, data);
    }
}

fn survives<T: Debug + Serialize + DeserializeOwned>(data: &[u8], limit: usize) {
    let message = match decode::<T>(data) {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(error.to_string(), "the frame is not a message of this protocol");
            return;
        }
    };
    let first = encode(&message, limit).unwrap();
    let again = decode::<T>(&first[PREFIX..]).unwrap();
    assert_eq!(*encode(&again, limit).unwrap(), *first);
    // What is lost on the way is lost on both ways.
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
}

fn keeps_its_secret(ask: &ControlAsk, data: &[u8]) {
    let secret = match ask {
        ControlAsk::TokenAdd { value, .. } | ControlAsk::TokenRotate { value: Some(value), .. } => value,
        ControlAsk::Unlock { passphrase: Some(passphrase), .. } => passphrase,
        _ => return,
    };
    let secret = secret.expose().as_str();
    // A name may happen to be the same.
    let times = String::from_utf8_lossy(data).matches(secret).count();
    if secret.len() >= 8 && times == 1 {
        assert!(!format!("{ask:?}").contains(secret), "a secret is in the Debug of a message");
    }
}
