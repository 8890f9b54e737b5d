//! What the agent's process keeps to itself: its memory, its files, its environment, and what it runs.
//!
//! Every test has its twin: the same look at, or the same attack on, a program without the defence.
#![cfg(target_os = "linux")]

mod attach;
mod code;
mod environment;
mod examiner;
mod memory;
mod rogue;
mod story;
