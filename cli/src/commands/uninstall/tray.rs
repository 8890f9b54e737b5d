//! The tray, which has no door of its own: its start at sign-in, and its process.

use std::path::PathBuf;

use keyfob_ipc::Refusal;

use crate::world::World;

/// The person's own file that starts it; also where that file keeps it from being started.
pub fn autostart(world: &World) -> Result<PathBuf, Refusal> {
    let home = world.home()?;
    if cfg!(target_os = "macos") {
        return Ok(home.join("Library/LaunchAgents/dev.keyfob.tray.plist"));
    }
    Ok(world
        .environment
        .config_home
        .clone()
        .unwrap_or_else(|| home.join(".config"))
        .join("autostart/dev.keyfob.tray.desktop"))
}

/// Asks the one beside this program to end: it would start the agent again.
#[cfg(target_os = "linux")]
pub fn end(world: &World) {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(tray) = world.program.as_ref().map(|program| program.with_file_name("keyfob-tray")) else {
        return;
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let number = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // Of other people's processes nobody can read this.
        let is_tray = std::fs::read_link(process.path().join("exe")).is_ok_and(|program| program == tray);
        if let (true, Some(number)) = (is_tray, number) {
            // It may have ended by itself.
            let _ = kill_process(number, Signal::TERM);
        }
    }
}

/// There the person quits it in its menu.
#[cfg(not(target_os = "linux"))]
pub fn end(_: &World) {}
