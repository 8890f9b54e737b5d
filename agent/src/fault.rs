//! Fault points: places in the rotation of a token at which a test ends the agent as a power cut would.
//!
//! They do something only under the feature `testing`; without it a point is nothing, and neither its name nor the
//! variable that arms it is in the binary.

/// Declares the points once, so that the list that tests walk is complete.
macro_rules! points {
    ($($(#[$about:meta])* $point:ident = $name:literal,)*) => {
        /// A place between two steps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$about])* $point,)*
        }

        #[cfg(feature = "testing")]
        impl Point {
            /// Every point, in the order of the steps.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// As the variable names it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// Native: the intent is stored, the service is not asked yet.
    NativeNoted = "native-noted",
    /// Native: the service has acted and answered, nothing is stored.
    NativeAnswered = "native-answered",
    /// Native: the new value is stored, not proven.
    NativeStored = "native-stored",
    /// Native: it is proven, too.
    NativeProven = "native-proven",
    /// Refresh grant: the intent is stored, the service is not asked yet.
    GrantNoted = "grant-noted",
    /// Refresh grant: the service has acted and answered, nothing is stored.
    GrantAnswered = "grant-answered",
    /// Refresh grant: the new values are stored, not proven.
    GrantStored = "grant-stored",
    /// Refresh grant: they are proven, too.
    GrantProven = "grant-proven",
    /// Create then delete: the intent is stored, the service is not asked yet.
    CreateNoted = "create-noted",
    /// Create then delete: the second token exists, nothing of it is stored.
    CreateAnswered = "create-answered",
    /// Create then delete: the second token is stored beside the first.
    CreateStored = "create-stored",
    /// Create then delete: the second token is proven, the first one serves.
    CreateProven = "create-proven",
    /// Create then delete: the second token serves, the first one is not deleted.
    CreateSwapped = "create-swapped",
    /// Create then delete: the first token is deleted, which is not noted.
    CreateDeleted = "create-deleted",
    /// Create then delete: all is done.
    CreateDone = "create-done",
    /// OUTSCALE: the intent is stored, nobody is asked yet.
    OutscaleNoted = "outscale-noted",
    /// OUTSCALE: there is a new key, nothing of it is stored.
    OutscaleAnswered = "outscale-answered",
    /// OUTSCALE: the new key is stored, not proven.
    OutscaleStored = "outscale-stored",
    /// OUTSCALE: it is proven, the one before serves.
    OutscaleProven = "outscale-proven",
    /// OUTSCALE: the new key serves.
    OutscaleSwapped = "outscale-swapped",
    /// OUTSCALE: a key that is not needed any more is off, and not deleted.
    OutscaleInactive = "outscale-inactive",
    /// OUTSCALE: it is deleted, which is not noted.
    OutscaleDeleted = "outscale-deleted",
    /// OUTSCALE: what was left is put away.
    OutscaleTidied = "outscale-tidied",
}

/// Ends the process here, if a test wants that.
#[cfg(feature = "testing")]
pub fn point(point: Point) {
    if armed::at(point) {
        armed::end();
    }
}

/// Nothing.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub fn point(_: Point) {}

#[cfg(feature = "testing")]
pub use armed::{VARIABLE, arm};

/// What a program with the feature `testing` carries: `cargo xtask dist` ships none that does.
#[cfg(feature = "testing")]
pub const MARK: &str = "KEYFOB-TESTING-ONLY";

#[cfg(feature = "testing")]
mod armed {
    use std::sync::OnceLock;

    use super::Point;

    /// The variable that `main` reads; also the marker that no shipped binary contains.
    pub const VARIABLE: &str = "KEYFOB_FAULT";

    static ARMED: OnceLock<String> = OnceLock::new();

    /// Ends the process at the point of this name. The first call counts.
    pub fn arm(name: String) {
        let _ = ARMED.set(name);
    }

    pub(super) fn at(point: Point) -> bool {
        ARMED.get().is_some_and(|name| name == point.name())
    }

    /// As by kill -9: nothing is written, closed or told any more.
    pub(super) fn end() {
        #[cfg(unix)]
        {
            use rustix::process::{Signal, getpid, kill_process};
            let _ = kill_process(getpid(), Signal::KILL);
        }
        std::process::abort();
    }
}
