//! The agent's own log: a few lines for whoever looks for a fault. Never a secret, never a path or query of a URI.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

/// A log that is larger than this at start is put aside, in bytes.
const SIZE: u64 = 1024 * 1024;

/// Opens the log. Without one the agent works as well.
pub fn open(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > SIZE) {
        let _ = std::fs::rename(path, path.with_extension("log.1"));
    }
    let Ok(file) = append(path) else { return };
    // Our own lines alone: what a library writes about a request is not ours to vouch for.
    let ours = Targets::new().with_target("keyfob", LevelFilter::INFO);
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(Mutex::new(file));
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(ours));
    // Only a second call fails, and there is none.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // The message of a panic may repeat what it was about; where it happened is enough to look.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task of the agent failed");
    }));
}

fn append(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
