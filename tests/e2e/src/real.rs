//! Handles on the real third-party parts: an OpenID provider, an AWS, a token service, a desktop session with a
//! keyring, a notification server, a window manager and a panel, a window driven by WebDriver; and Bazel, as far as it meets a credential helper, after its own source.
//!
//! Each handle of a program owns its process, which ends when the handle is dropped, halted or not. `tests/real/README.md` says
//! where the programs come from.

mod accessibility;
mod aws_sdk;
pub mod bazel;
mod desktop;
pub mod http;
mod jupyterhub;
mod metaflow;
mod moto;
mod notifications;
mod oidc_provider;
mod panel;
mod part;
mod session_bus;
mod tray_menu;
mod turn;
mod web_driver;

pub use accessibility::{Accessibility, Button};
pub use aws_sdk::{Sdk, SdkClient};
pub use desktop::{Area, Desktop, Family, Picture, Window};
pub use jupyterhub::JupyterHub;
pub use metaflow::Flow;
pub use moto::Moto;
pub use notifications::{Notification, NotificationServer, Screen, Urgency};
pub use oidc_provider::{CLIENT_ID, OidcProvider, Refreshes};
pub use panel::Panel;
pub use part::{Lines, Part};
pub use session_bus::SessionBus;
pub use tray_menu::{Line, TrayMenu};
pub use turn::{alone, together};
pub use web_driver::WebDriver;
