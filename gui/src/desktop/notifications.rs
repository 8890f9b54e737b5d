//! Notifications that are shown, and who waits for a click on each.
//!
//! A click is a signal on the bus that anybody can forge, so all it does is to open the window. The server is another program,
//! which may hang: a thread of its own talks to it, and whoever has something to show never waits.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::send;
use crate::controller::Input;
use crate::shell::{NotShown, Notification};

mod queue;
mod server;

use queue::Queue;

/// What is shown, and what is to be.
pub struct Notifications(Arc<Board>);

/// Shared with the thread.
pub(super) struct Board {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A notification that is there, as far as is known.
pub(super) struct Shown {
    /// The server's number.
    id: u32,
    /// Closes it. Dropped, nobody listens for its click any more, and it stays. Closed from the other end once it is gone.
    close: oneshot::Sender<()>,
}

impl Notifications {
    /// None yet. `icon` is a picture file.
    pub fn new(inputs: Sender<Input>, icon: Option<PathBuf>) -> Self {
        let board = Arc::new(Board { queue: Mutex::default(), changed: Condvar::new() });
        let mut server = server::Server::new(&board, icon);
        Self::with(board, move |notification, before| {
            let (number, inputs) = (notification.number, inputs.clone());
            server.show(notification, before, move || send(&inputs, Input::NotificationOpened(number)))
        })
    }

    /// `show` asks the server to show one, in the place of the one with the server's number that it is given.
    fn with(
        board: Arc<Board>,
        show: impl FnMut(&Notification, Option<u32>) -> Result<Shown, NotShown> + Send + 'static,
    ) -> Self {
        let end = End(Arc::clone(&board));
        let begun = std::thread::Builder::new().name("notifications".to_owned()).spawn(move || {
            end.0.show_all(show);
        });
        if let Err(error) = begun {
            tracing::error!("no thread can be started ({error})");
        }
        Self(board)
    }

    /// Shows one before long, in the place of the one with its number.
    ///
    /// # Errors
    /// Where the server has not shown the last one, and nothing has changed since.
    pub fn show(&self, notification: &Notification) -> Result<(), NotShown> {
        self.0.change(|queue| queue.take(notification, Instant::now()))
    }

    /// Takes one back.
    pub fn withdraw(&self, number: u64) {
        self.0.change(|queue| queue.withdraw(number));
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.0.change(Queue::end);
    }
}

/// With the thread, whatever ends it, ends that anything is taken.
struct End(Arc<Board>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.change(Queue::end);
    }
}

impl Board {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let changed = change(&mut self.queue());
        self.changed.notify_all();
        changed
    }

    /// One after the other, until the program ends.
    fn show_all(&self, mut show: impl FnMut(&Notification, Option<u32>) -> Result<Shown, NotShown>) {
        while let Some((notification, before)) = self.next() {
            let shown = show(&notification, before);
            self.change(|queue| queue.tried(&notification, shown, Instant::now()));
        }
    }

    fn next(&self) -> Option<(Notification, Option<u32>)> {
        let mut queue = self.queue();
        while !queue.has_ended() {
            if let Some(next) = queue.next(Instant::now()) {
                return Some(next);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// The server has come, or another in its place; of one that has gone, nothing is shown any more.
    #[cfg(target_os = "linux")]
    fn server_changed(&self, one_has_gone: bool) {
        self.change(|queue| queue.server_changed(one_has_gone));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::queue::samples::notification;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn board() -> Arc<Board> {
        Arc::new(Board { queue: Mutex::default(), changed: Condvar::new() })
    }

    #[test]
    fn a_server_that_hangs_holds_nobody_up() {
        let (asked, is_asked) = channel();
        let (answer, answers) = channel::<Result<Shown, NotShown>>();
        let notifications = Notifications::with(board(), move |notification, _before| {
            asked.send(notification.number).unwrap();
            answers.recv_timeout(PATIENCE).unwrap()
        });
        notifications.show(&notification(1, false)).unwrap();
        assert_eq!(is_asked.recv_timeout(PATIENCE), Ok(1));
        // It does not answer, and all of these return.
        for number in 2..100 {
            notifications.show(&notification(number, false)).unwrap();
        }
        notifications.withdraw(1);
        let (close, mut closed) = oneshot::channel();
        answer.send(Ok(Shown { id: 7, close })).unwrap();
        let second = is_asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(second, 68, "of those that waited, the last 32 are left");
        assert!(closed.try_recv().is_ok(), "what was taken back while it was asked for is closed");
        answer.send(Err(NotShown)).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while notifications.show(&notification(200, false)).is_ok() {
            assert!(Instant::now() < deadline, "the failure is told");
            std::thread::yield_now();
        }
        assert!(is_asked.try_recv().is_err(), "it is not asked again");
    }

    #[test]
    fn without_its_thread_nothing_is_taken() {
        let board = board();
        let notifications = Notifications::with(Arc::clone(&board), |_, _| panic!("a fault of a library"));
        notifications.show(&notification(1, false)).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !board.queue().has_ended() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert!(notifications.show(&notification(2, false)).is_err());
    }
}
