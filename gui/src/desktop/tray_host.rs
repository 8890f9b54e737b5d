//! Whether a panel shows icons (`org.kde.StatusNotifierWatcher`). GNOME has none without an extension, and a panel can come and
//! go. Nothing is asked again and again: the bus tells when the watcher changes hands, and the watcher tells of its hosts.

use std::pin::{Pin, pin};
use std::sync::mpsc::Sender;

use futures_core::Stream;
use zbus::fdo::DBusProxy;
use zbus::proxy::MethodFlags;
use zbus::zvariant::Value;
use zbus::{Connection, Proxy};

use super::send;
use crate::controller::Input;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const PATH: &str = "/StatusNotifierWatcher";

/// Tells the controller now and whenever it changes, as long as there is a session bus.
pub async fn follow(inputs: Sender<Input>) {
    if let Err(error) = tell(&inputs).await {
        tracing::info!("the session bus does not tell whether a panel shows icons ({error})");
    }
    send(&inputs, Input::TrayHost(false));
}

async fn tell(inputs: &Sender<Input>) -> zbus::Result<()> {
    let connection = Connection::session().await?;
    let bus = DBusProxy::new(&connection).await?;
    let mut owners = pin!(bus.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?);
    let properties = Proxy::new(&connection, WATCHER, PATH, "org.freedesktop.DBus.Properties").await?;
    let watcher = Proxy::new(&connection, WATCHER, PATH, WATCHER).await?;
    let mut came = pin!(watcher.receive_signal("StatusNotifierHostRegistered").await?);
    let mut went = pin!(watcher.receive_signal("StatusNotifierHostUnregistered").await?);
    let mut told = None;
    loop {
        let shows = Some(has_host(&properties).await);
        if told != shows {
            told = shows;
            tracing::info!("a panel shows icons: {}", shows == Some(true));
            send(inputs, Input::TrayHost(shows == Some(true)));
        }
        let is_connected = tokio::select! {
            change = next(owners.as_mut()) => change.is_some(),
            signal = next(came.as_mut()) => signal.is_some(),
            signal = next(went.as_mut()) => signal.is_some(),
        };
        if !is_connected {
            return Ok(());
        }
    }
}

/// Asked without starting one.
async fn has_host(properties: &Proxy<'_>) -> bool {
    let asked = (WATCHER, "IsStatusNotifierHostRegistered");
    let answer = properties
        .call_with_flags::<_, _, zbus::zvariant::OwnedValue>("Get", MethodFlags::NoAutoStart.into(), &asked)
        .await;
    matches!(answer.ok().flatten().as_deref(), Some(Value::Bool(true)))
}

async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
}
