//! The notification server of the system.

use std::path::Path;

use tokio::sync::oneshot;

use super::Shown;
use crate::desktop::markup::escaped;
use crate::shell::{NotShown, Notification};

#[cfg(target_os = "linux")]
mod platform {
    use std::time::Duration;

    use notify_rust::{Hint, NotificationHandle, NotificationResponse, Timeout, Urgency};
    use tokio::time::timeout;

    use super::*;

    /// A server that takes longer hangs.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Shows it, in the place of the server's number `before`, and calls `opened` when it is clicked.
    pub fn show(
        notification: &Notification,
        before: Option<u32>,
        icon: Option<&Path>,
        opened: impl FnOnce() + Send + 'static,
    ) -> Result<Shown, NotShown> {
        let (notification, icon) = (notification.clone(), icon.map(Path::to_owned));
        let shown = async move {
            // It may be another server than the last time.
            let says = tokio::task::spawn_blocking(notify_rust::get_capabilities).await;
            let says = says.map_err(|_| NotShown)?.map_err(|error| not_shown(&error))?;
            let reads_markup = says.iter().any(|capability| capability == "body-markup");
            let made = make(&notification, before, icon.as_deref(), reads_markup);
            let handle = made.show_async().await.map_err(|error| not_shown(&error))?;
            let (close, closed) = oneshot::channel();
            let id = handle.id();
            tokio::spawn(listen(handle, closed, opened));
            Ok(Shown { id, close })
        };
        // The timer needs the runtime that it is awaited in.
        let shown = async move { timeout(PATIENCE, shown).await };
        tauri::async_runtime::block_on(shown).unwrap_or(Err(NotShown))
    }

    /// Until it is gone, by whomever.
    async fn listen(handle: NotificationHandle, closed: oneshot::Receiver<()>, opened: impl FnOnce()) {
        let waiting = handle.wait_for_action_async(|response| {
            if matches!(response, NotificationResponse::Default | NotificationResponse::Action(_)) {
                opened();
            }
        });
        tokio::select! {
            () = waiting => {}
            closed = closed => {
                if closed.is_ok() {
                    handle.close_async().await;
                }
            }
        }
    }

    fn make(
        notification: &Notification,
        before: Option<u32>,
        icon: Option<&Path>,
        reads_markup: bool,
    ) -> notify_rust::Notification {
        let body = &notification.body;
        let mut made = notify_rust::Notification::new();
        made.appname("Keyfob")
            .summary(&notification.title)
            .body(&if reads_markup { escaped(body) } else { body.clone() })
            .action("default", "Keyfob")
            .hint(Hint::DesktopEntry("keyfob-tray".to_owned()))
            .urgency(if notification.is_urgent { Urgency::Critical } else { Urgency::Normal });
        if notification.is_urgent {
            made.timeout(Timeout::Never);
        }
        if let Some(icon) = icon.and_then(Path::to_str) {
            made.icon(icon);
        }
        if let Some(before) = before {
            made.id(before);
        }
        made
    }

    fn not_shown(error: &notify_rust::error::Error) -> NotShown {
        tracing::info!("a notification was not shown ({error})");
        NotShown
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use notify_rust::NotificationResponse;

    use super::*;

    /// Shows it, and calls `opened` when it is clicked. The systems take none back, and replace none.
    pub fn show(
        notification: &Notification,
        _before: Option<u32>,
        _icon: Option<&Path>,
        opened: impl FnOnce() + Send + 'static,
    ) -> Result<Shown, NotShown> {
        let mut made = notify_rust::Notification::new();
        made.appname("Keyfob").summary(&notification.title).body(&notification.body);
        let handle = made.show().map_err(|error| {
            tracing::info!("a notification was not shown ({error})");
            NotShown
        })?;
        let (close, closed) = oneshot::channel();
        let waiting = std::thread::Builder::new().name("notification".to_owned()).spawn(move || {
            // It is gone either way.
            let _ = handle.wait_for_response(move |response: &NotificationResponse| {
                if matches!(response, NotificationResponse::Default | NotificationResponse::Action(_)) {
                    opened();
                }
            });
            drop(closed);
        });
        waiting.map_err(|_| NotShown)?;
        Ok(Shown { id: 0, close })
    }
}

pub use platform::show;
