//! The tray and the window of Keyfob.
//!
//! [`controller`] is the whole program: one thread that takes one [`controller::Input`] after the other. It talks to the
//! agent through `keyfob-ipc` alone, and to the desktop through one port ([`shell`]). [`view`] turns what the agent says into
//! what a person sees, [`page`] is what crosses into the web view, and [`desktop`] is Tauri and the rest of the real world.

pub mod beacon;
pub mod controller;
pub mod desktop;
pub mod page;
pub mod settings_file;
pub mod shell;
pub mod texts;
pub mod view;
