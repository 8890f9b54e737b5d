//! Every limit of the doors, with its reason. Both sides read them from here.

use std::time::Duration;

/// Largest frame on the tool door, in bytes without the length prefix. Bazel sends full download URLs, AWS session
/// tokens reach a few kilobytes; 64 KiB is far above both and far below what could hurt.
pub const TOOL_FRAME: usize = 64 * 1024;

/// Largest frame on the control door, in bytes: a status of ten thousand entries must fit.
pub const CONTROL_FRAME: usize = 8 * 1024 * 1024;

/// Largest input of a Bazel credential helper, in bytes: the frame must carry it, escaped.
pub const HELPER_INPUT: usize = 60 * 1024;

/// How long a peer may take to deliver a frame that it has begun. A slow writer holds a place that a build needs.
pub const FRAME_READ: Duration = Duration::from_secs(5);

/// How long a connection may stay open between two requests.
pub const IDLE: Duration = Duration::from_secs(60);

/// Open connections per door. A Bazel burst is 150 processes and more, a Terraform run multiplies it. Where the system
/// allows fewer open files, there are fewer (`agent/src/door/room.rs`).
pub const CONNECTIONS: usize = 1024;

/// Newcomers per door that are taken in before those have gone who were told to go for them: many at once must not wait for
/// one after the other.
pub const SPARE: usize = 64;

/// Connections on which a person signs in or a window watches, beside those: they last, and are never let go for others.
pub const CONVERSATIONS: usize = 48;

/// Descriptors of one connection on Linux: the socket, and the process at its other end, held by its folder in `/proc` and
/// by a handle (pidfd).
pub const DESCRIPTORS: usize = 3;

/// Bytes of requests that have come and are not answered yet, per door: two of the largest of the control door, and far
/// more than a burst of ordinary ones.
pub const BUFFERED: usize = 16 * 1024 * 1024;

/// Within this time the agent answers or refuses a tool (Bazel gives up after 10 s, older AWS SDKs after 5 s).
pub const TOOL_ANSWER: Duration = Duration::from_millis(1800);

/// The same for a call that waited for the agent's start: it has five seconds in all, and everything is read and fetched
/// for the first time.
pub const FIRST_TOOL_ANSWER: Duration = Duration::from_millis(3000);

/// How long the client waits for such an answer before it calls the agent unreachable.
pub const TOOL_PATIENCE: Duration = Duration::from_millis(3500);

/// How long the client waits for an agent that it has just started.
pub const START: Duration = Duration::from_secs(4);

/// How long the client waits for one frame on the control door where no person is involved.
pub const CONTROL_PATIENCE: Duration = Duration::from_secs(30);

/// How long a keychain's own prompt stays open for the person.
pub const PROMPT: Duration = Duration::from_secs(90);

/// How long a sign-in may take, from the address handed out to the person's return.
pub const SIGN_IN: Duration = Duration::from_secs(10 * 60);

/// Watchers of the control door at once: a tray, a window, a terminal or two.
pub const WATCHERS: usize = 16;

/// How long watchers have to claim a notice before the agent shows it itself. A tray answers at once; a person should not
/// wait for one that hangs.
pub const CLAIM: Duration = Duration::from_secs(5);
