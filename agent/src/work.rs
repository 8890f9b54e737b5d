//! Work of its own: it runs to its end, whoever started it goes away or not.
//!
//! What the model of the refresh race (`tests/refresh_model.rs`) runs by its own schedule is started here.

#[cfg(not(any(test, feature = "testing")))]
pub(crate) use tokio::spawn as start;

#[cfg(any(test, feature = "testing"))]
pub use scheduled::{Scheduler, Started, schedule_by, start};

#[cfg(any(test, feature = "testing"))]
mod scheduled {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::sync::oneshot;

    /// Takes over a piece of work.
    pub type Scheduler = fn(Pin<Box<dyn Future<Output = ()> + Send>>);

    thread_local! {
        static SCHEDULER: Cell<Option<Scheduler>> = const { Cell::new(None) };
    }

    /// From here on work that this thread starts is given to `scheduler`, and no longer to the runtime.
    pub fn schedule_by(scheduler: Scheduler) {
        SCHEDULER.set(Some(scheduler));
    }

    /// Work that was started, with what comes of it; dropping it ends nothing.
    pub struct Started<T>(Pin<Box<dyn Future<Output = Result<T, Lost>> + Send>>);

    /// The work did not reach its end.
    #[derive(Debug)]
    pub struct Lost;

    impl<T> Future for Started<T> {
        type Output = Result<T, Lost>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            self.0.as_mut().poll(context)
        }
    }

    /// Starts it.
    pub fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Started<T> {
        let Some(scheduler) = SCHEDULER.get() else {
            let task = tokio::spawn(work);
            return Started(Box::pin(async { task.await.map_err(|_| Lost) }));
        };
        let (sender, result) = oneshot::channel();
        scheduler(Box::pin(async move {
            // Nobody waits for it any more.
            let _ = sender.send(work.await);
        }));
        Started(Box::pin(async { result.await.map_err(|_| Lost) }))
    }
}
