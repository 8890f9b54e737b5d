//! Signals of a message bus, one after another.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream as _;
use zbus::{Message, MessageStream};

/// The next signal; `None` where the bus has gone. Nothing is lost where the wait is given up.
pub(crate) async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}
