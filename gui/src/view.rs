//! From what the agent says to what a person sees: pure functions of its replies and the time.

pub mod tray;
