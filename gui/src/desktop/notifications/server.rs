//! The notification server of the system.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Board, Shown};
use crate::shell::{NotShown, Notification};

#[cfg(target_os = "linux")]
mod platform {
    use std::path::Path;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use notify_rust::{Hint, NotificationHandle, NotificationResponse, Timeout, Urgency};
    use tokio::time::timeout;
    use zbus::Connection;
    use zbus::fdo::DBusProxy;

    use super::*;
    use crate::desktop::markup::escaped;

    /// A server that takes longer hangs. One that the bus has to start first may need seconds, and nobody waits for this.
    const PATIENCE: Duration = Duration::from_secs(5);
    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";

    /// Whatever has that name on the session bus.
    pub struct Server {
        board: Arc<Board>,
        icon: Option<PathBuf>,
        /// Whether the bus is listened to for another server.
        is_followed: Arc<AtomicBool>,
    }

    impl Server {
        pub fn new(board: &Arc<Board>, icon: Option<PathBuf>) -> Self {
            Self { board: Arc::clone(board), icon, is_followed: Arc::default() }
        }

        /// Shows it, in the place of the server's number `before`, and calls `opened` when it is clicked.
        pub fn show(
            &mut self,
            notification: &Notification,
            before: Option<u32>,
            opened: impl FnOnce() + Send + 'static,
        ) -> Result<Shown, NotShown> {
            self.follow();
            let icon = self.icon.as_deref();
            // The timer needs the runtime that it is awaited in.
            let shown = async { timeout(PATIENCE, show(notification, before, icon, opened)).await };
            tauri::async_runtime::block_on(shown).unwrap_or_else(|_| {
                tracing::info!("a notification was not shown: the server does not answer");
                Err(NotShown)
            })
        }

        fn follow(&self) {
            if self.is_followed.swap(true, Ordering::Relaxed) {
                return;
            }
            let (board, is_followed) = (Arc::clone(&self.board), Arc::clone(&self.is_followed));
            tauri::async_runtime::spawn(async move {
                if let Err(error) = follow(&board).await {
                    tracing::info!("the session bus does not tell of notification servers ({error})");
                }
                is_followed.store(false, Ordering::Relaxed);
            });
        }
    }

    /// Tells of every change of the server, as long as there is a session bus.
    async fn follow(board: &Board) -> zbus::Result<()> {
        let connection = Connection::session().await?;
        let bus = DBusProxy::new(&connection).await?;
        let mut owners = pin!(bus.receive_name_owner_changed_with_args(&[(0, NAME)]).await?);
        loop {
            let next =
                std::future::poll_fn(|context| futures_core::Stream::poll_next(owners.as_mut(), context));
            let Some(change) = next.await else { return Ok(()) };
            board.server_changed(change.args()?.old_owner().is_some());
        }
    }

    async fn show(
        notification: &Notification,
        before: Option<u32>,
        icon: Option<&Path>,
        opened: impl FnOnce() + Send + 'static,
    ) -> Result<Shown, NotShown> {
        // It may be another server than the last time.
        let reads_markup = reads_markup().await.map_err(|error| not_shown(&error))?;
        let made = make(notification, before, icon, reads_markup);
        let handle = made.show_async().await.map_err(|error| not_shown(&error))?;
        let (close, closed) = oneshot::channel();
        let id = handle.id();
        tokio::spawn(listen(handle, closed, opened));
        Ok(Shown { id, close })
    }

    async fn reads_markup() -> zbus::Result<bool> {
        let bus = Connection::session().await?;
        let says = bus.call_method(Some(NAME), PATH, Some(NAME), "GetCapabilities", &()).await?;
        let says: Vec<String> = says.body().deserialize()?;
        Ok(says.iter().any(|capability| capability == "body-markup"))
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
                    // One that hangs has been told all the same.
                    let _ = timeout(PATIENCE, handle.close_async()).await;
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
            .hint(Hint::DesktopEntry("dev.keyfob.tray".to_owned()))
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

    fn not_shown(error: &dyn std::error::Error) -> NotShown {
        tracing::info!("a notification was not shown ({error})");
        NotShown
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use notify_rust::NotificationResponse;

    use super::*;

    /// So many threads wait for a click; the system does not let go of them earlier.
    const MOST: usize = 16;

    /// The system itself.
    pub struct Server {
        /// Each thread that waits has one too.
        waiting: Arc<()>,
    }

    impl Server {
        pub fn new(_board: &Arc<Board>, _icon: Option<PathBuf>) -> Self {
            Self { waiting: Arc::default() }
        }

        /// Shows it, and calls `opened` when it is clicked. The systems take none back, and replace none.
        pub fn show(
            &mut self,
            notification: &Notification,
            _before: Option<u32>,
            opened: impl FnOnce() + Send + 'static,
        ) -> Result<Shown, NotShown> {
            let mut made = notify_rust::Notification::new();
            made.appname("Keyfob").summary(&notification.title).body(&notification.body);
            let handle = made.show().map_err(|error| {
                tracing::info!("a notification was not shown ({error})");
                NotShown
            })?;
            let (close, closed) = oneshot::channel();
            if Arc::strong_count(&self.waiting) > MOST {
                return Ok(Shown { id: 0, close });
            }
            let seat = Arc::clone(&self.waiting);
            let waiting = std::thread::Builder::new().name("notification".to_owned()).spawn(move || {
                // It is gone either way.
                let _ = handle.wait_for_response(move |response: &NotificationResponse| {
                    if matches!(response, NotificationResponse::Default | NotificationResponse::Action(_)) {
                        opened();
                    }
                });
                drop((closed, seat));
            });
            waiting.map_err(|_| NotShown)?;
            Ok(Shown { id: 0, close })
        }
    }
}

pub use platform::Server;
