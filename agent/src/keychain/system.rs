//! The keychain of the person's desktop, each platform's own.

#[cfg(any(windows, test))]
mod chunks;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", windows))]
mod native;

use std::sync::Arc;

use super::Keychain;

#[cfg(target_os = "linux")]
pub use linux::SecretService;

/// The keychain of this desktop: Secret Service on the session bus (Linux), login keychain (macOS), Credential Manager
/// (Windows). `namespace` keeps the items of a second profile apart; `None` is the person's own. Nothing is asked before the
/// first call.
pub fn system(namespace: Option<&str>) -> Arc<dyn Keychain> {
    #[cfg(target_os = "linux")]
    return Arc::new(SecretService::at(None, namespace));
    #[cfg(any(target_os = "macos", windows))]
    return Arc::new(native::Native::new(namespace));
}
