//! What holds for every input of the parts that decide: each against a second, naive way to the same answer.

#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "properties/ends.rs"]
mod ends;
#[path = "properties/hosts.rs"]
mod hosts;
#[path = "properties/policy.rs"]
mod policy;
#[path = "properties/reminders.rs"]
mod reminders;
#[path = "properties/roles.rs"]
mod roles;
