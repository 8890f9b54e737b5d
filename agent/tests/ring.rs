//! The agent as a whole against a company in the same process: its clock, its keychain and its person are doubles, the
//! network between it and the company is real.

#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "ring/aws.rs"]
mod aws;
#[path = "ring/aws_errors.rs"]
mod aws_errors;
#[path = "ring/bazel.rs"]
mod bazel;
#[path = "ring/company.rs"]
mod company;
#[path = "ring/config.rs"]
mod config;
#[path = "ring/consent.rs"]
mod consent;
#[path = "ring/console.rs"]
mod console;
#[path = "ring/desktop.rs"]
mod desktop;
#[path = "ring/destination.rs"]
mod destination;
#[path = "ring/device.rs"]
mod device;
#[path = "ring/doctor.rs"]
mod doctor;
#[path = "ring/doors.rs"]
mod doors;
#[path = "ring/faults.rs"]
mod faults;
#[path = "ring/flights.rs"]
mod flights;
#[path = "ring/kinds.rs"]
mod kinds;
#[path = "ring/lies.rs"]
mod lies;
#[path = "ring/lock.rs"]
mod lock;
#[path = "ring/machine.rs"]
mod machine;
#[path = "ring/news.rs"]
mod news;
#[path = "ring/outerbounds.rs"]
mod outerbounds;
#[path = "ring/outscale.rs"]
mod outscale;
#[path = "ring/permissions.rs"]
mod permissions;
#[path = "ring/person.rs"]
mod person;
#[path = "ring/plan.rs"]
mod plan;
#[path = "ring/policy.rs"]
mod policy;
#[path = "ring/policy_programs.rs"]
mod programs;
#[path = "ring/refresh.rs"]
mod refresh;
#[path = "ring/reminders.rs"]
mod reminders;
#[path = "ring/roles.rs"]
mod roles;
#[path = "ring/rotation.rs"]
mod rotation;
#[path = "ring/secrets.rs"]
mod secrets;
#[path = "ring/services.rs"]
mod services;
#[path = "ring/sign_in.rs"]
mod sign_in;
#[path = "ring/tokens.rs"]
mod tokens;
#[path = "ring/vault.rs"]
mod vault;
#[path = "ring/watch.rs"]
mod watch;
#[path = "ring/window.rs"]
mod window;
