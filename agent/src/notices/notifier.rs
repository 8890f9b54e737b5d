//! How the agent itself shows a notice: by the desktop's own notifications, without buttons. What a person could press
//! there proves nothing: any program of the session can send such an answer.

use keyfob_ipc::reply::Notice;
#[cfg(not(target_os = "macos"))]
use keyfob_ipc::reply::Weight;
use notify_rust::Notification;
#[cfg(not(target_os = "macos"))]
use notify_rust::Urgency;

use crate::keychain::Pending;

/// Shows notices.
pub trait Notifier: Send + Sync {
    /// Shows one. The caller has a deadline for it.
    ///
    /// # Errors
    /// [`NotShown`]; where it may be on the screen all the same, that is no error.
    fn show<'a>(&'a self, notice: &'a Notice) -> Pending<'a, Result<(), NotShown>>;
}

/// Nobody has seen it: there is no desktop, or nothing on it shows notifications.
#[derive(Debug, thiserror::Error)]
#[error("nothing on this desktop shows notifications")]
pub struct NotShown;

/// The desktop that the agent was started from.
#[derive(Debug, Clone, Copy)]
pub struct Desktop;

impl Notifier for Desktop {
    fn show<'a>(&'a self, notice: &'a Notice) -> Pending<'a, Result<(), NotShown>> {
        let mut notification = Notification::new();
        notification.appname("Keyfob").summary(&notice.title).body(&body(&notice.body));
        #[cfg(not(target_os = "macos"))]
        notification.urgency(match notice.weight {
            Weight::Urgent => Urgency::Critical,
            Weight::Due | Weight::Known => Urgency::Normal,
        });
        Box::pin(send(notification))
    }
}

/// The connection is for this one notification, and closed with the handle.
#[cfg(target_os = "linux")]
async fn send(notification: Notification) -> Result<(), NotShown> {
    notification.show_async().await.map(drop).map_err(|_| NotShown)
}

#[cfg(not(target_os = "linux"))]
async fn send(notification: Notification) -> Result<(), NotShown> {
    let shown = tokio::task::spawn_blocking(move || notification.show().map(drop).map_err(|_| NotShown));
    shown.await.unwrap_or(Err(NotShown))
}

/// Servers of the Desktop Notifications Specification may read markup in a body.
#[cfg(target_os = "linux")]
fn body(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(not(target_os = "linux"))]
fn body(text: &str) -> String {
    text.to_owned()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::body;

    #[test]
    fn nothing_in_a_body_is_markup() {
        assert_eq!(body("a <b>&amp; \"b\"</b>"), "a &lt;b&gt;&amp;amp; \"b\"&lt;/b&gt;");
    }
}
