//! What every part shares: the clock, the faults, the counts, randomness.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use crate::counts::Counter;
use crate::faults::Faults;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// Handles that are cheap to clone and the same everywhere.
#[derive(Clone)]
pub(crate) struct Common {
    clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) counts: Counter,
}

impl Common {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, faults: Faults::default(), counts: Counter::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Now, in whole seconds since 1970.
    pub(crate) fn second(&self) -> i64 {
        self.now().as_second()
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Common").finish_non_exhaustive()
    }
}

/// A lock that a panicking test elsewhere does not poison.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `length` characters, each drawn evenly from `alphabet` (at most 256 ASCII bytes).
pub(crate) fn random_text(alphabet: &[u8], length: usize) -> String {
    let random = SystemRandom::new();
    let even = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        random.fill(&mut bytes).expect("the system's random source answers");
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < even);
        text.extend(fair.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    text
}

/// A name that cannot be guessed: 43 characters, 256 bits.
pub(crate) fn random_name() -> String {
    random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 43)
}

/// A version 4 UUID, the form of AWS request ids.
pub(crate) fn random_uuid() -> String {
    let hex = random_text(b"0123456789abcdef", 31);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}
