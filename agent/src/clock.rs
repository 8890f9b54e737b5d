//! Time, by parameter.
//!
//! Ends are judged by wall time at each request: a laptop that slept through the night wakes with the right idea of what
//! has ended. Waiting is for a moment on the wall clock, too, because timers of the runtime stand still while it sleeps.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};

use crate::keychain::Pending;

/// Tells the time and waits for a moment.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn now(&self) -> Timestamp;

    /// Returns when the wall clock shows `moment` or later; at once where it does already. A clock that is set is noticed.
    fn wait_until(&self, moment: Timestamp) -> Pending<'_, ()>;
}

/// A clock to share.
pub type SharedClock = Arc<dyn Clock>;

/// `2026-11-21T08:00:00Z`: whole seconds and `Z`, the one form that Bazel and every AWS SDK read.
pub fn rfc3339(moment: Timestamp) -> String {
    // Cutting, not rounding: an end must never be announced later than it is.
    let fraction =
        Duration::from_nanos(moment.as_nanosecond().rem_euclid(1_000_000_000).unsigned_abs() as u64);
    before(moment, fraction).to_string()
}

/// `moment + seconds`, at the end of time where that is out of range.
pub fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| moment.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `moment - seconds`, at the beginning of time where that is out of range.
pub fn before(moment: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| moment.checked_sub(duration).ok())
        .unwrap_or(Timestamp::MIN)
}

/// Whole seconds from `now` to `end`; negative once it has passed.
pub fn seconds_left(now: Timestamp, end: Timestamp) -> i64 {
    end.since((Unit::Second, now)).map(|span| span.get_seconds()).unwrap_or(i64::MAX)
}

/// The system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn wait_until(&self, moment: Timestamp) -> Pending<'_, ()> {
        Box::pin(platform::wait_until(moment))
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::os::fd::OwnedFd;

    use jiff::Timestamp;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// A timer on the wall clock (timerfd_create(2)): it fires after a suspend, and is cancelled when the clock is set.
    pub(super) async fn wait_until(moment: Timestamp) {
        while Timestamp::now() < moment {
            let fired = match timer(moment) {
                Ok(timer) => timer.readable().await.map(|_| ()),
                Err(error) => Err(error),
            };
            if fired.is_err() {
                super::slices::wait_until(moment).await;
            }
        }
    }

    fn timer(moment: Timestamp) -> std::io::Result<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let at = Timespec { tv_sec: moment.as_second().saturating_add(1), tv_nsec: 0 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
        #[expect(
            deprecated,
            reason = "an OwnedFd keeps its descriptor for life, which is what the unsafe successor asks for"
        )]
        AsyncFd::new(timer)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) use super::slices::wait_until;
}

/// Waiting in slices of a minute, where the system offers no timer on the wall clock.
mod slices {
    use std::time::Duration;

    use jiff::Timestamp;

    const SLICE: Duration = Duration::from_secs(60);

    pub(super) async fn wait_until(moment: Timestamp) {
        loop {
            let left = moment.duration_since(Timestamp::now());
            let Ok(left) = Duration::try_from(left) else { return };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }
}

/// A clock that a test sets.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct FakeClock {
    now: tokio::sync::watch::Sender<Timestamp>,
}

#[cfg(any(test, feature = "testing"))]
impl FakeClock {
    /// Stands at `now` until it is moved.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { now: tokio::sync::watch::Sender::new(now) })
    }

    /// Moves by a duration, waking whoever waits for a moment that has come.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = after(*now, by));
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn wait_until(&self, moment: Timestamp) -> Pending<'_, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // The sender is `self`, which the returned future borrows.
            let _ = now.wait_for(|now| *now >= moment).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_whole_seconds_and_cut() {
        let moment: Timestamp = "2026-11-21T08:00:00.999Z".parse().unwrap();
        assert_eq!(rfc3339(moment), "2026-11-21T08:00:00Z");
        let moment: Timestamp = "1969-12-31T23:59:59.5Z".parse().unwrap();
        assert_eq!(rfc3339(moment), "1969-12-31T23:59:59Z");
    }

    #[tokio::test]
    async fn the_system_clock_reaches_a_moment() {
        let clock = SystemClock;
        let moment = after(clock.now(), Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(10), clock.wait_until(moment)).await.unwrap();
        assert!(clock.now() >= moment);
    }

    #[test]
    fn arithmetic_at_the_edges_does_not_panic() {
        assert_eq!(after(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
        assert_eq!(before(Timestamp::MIN, Duration::MAX), Timestamp::MIN);
        assert!(seconds_left(Timestamp::MIN, Timestamp::MAX) > 0);
    }
}
