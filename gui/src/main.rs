//! The tray.
fn main() {}
