//! The real desktop: Tauri for tray and window, `notify-rust` for notifications.
