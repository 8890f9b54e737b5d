//! Folders, sockets and the configuration file: who owns them, and who else can enter.

use std::path::Path;

use keyfob_ipc::reply::{Check, ConfigReport, Health, Status};
use keyfob_ipc::{Places, peer};

use super::{attention, bad, good};
use crate::world::World;

pub fn look(status: Option<&Status>, world: &World) -> Vec<Check> {
    let places = match world.reach.places() {
        Ok(places) => places,
        Err(refusal) => return vec![bad("state folder", &refusal)],
    };
    let mut checks = vec![folder("state folder", &places.state)];
    if cfg!(unix) {
        checks.extend(doors(status, &places));
    }
    checks.push(match status {
        Some(status) => configuration(&status.config),
        None => configuration_alone(&places.config),
    });
    checks
}

fn folder(name: &str, path: &Path) -> Check {
    match peer::check_folder(path) {
        Ok(()) => good(name, format!("`{}` is yours alone", path.display())),
        Err(_) if !path.exists() => {
            let say = format!("`{}` is not there yet; the agent makes it", path.display());
            attention(name, say, "keyfob agent start")
        }
        Err(refusal) => bad(name, &refusal),
    }
}

/// Where the live agent's doors are by its own word, else where they would be.
fn doors(status: Option<&Status>, places: &Places) -> Vec<Check> {
    let tool = status.map_or_else(|| places.agent_socket(), |status| status.agent.socket.clone().into());
    let folder_of_sockets = tool.parent().unwrap_or(&places.runtime);
    let mut checks = vec![folder("socket folder", folder_of_sockets)];
    if status.is_some() {
        let control = tool.with_file_name("control.sock");
        checks.extend(
            [("tool door", &tool), ("control door", &control)].map(|(name, path)| socket(name, path)),
        );
    }
    checks
}

#[cfg(unix)]
fn socket(name: &str, path: &Path) -> Check {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    use keyfob_ipc::{Code, Refusal};

    use crate::printer::pasteable;

    let shown = path.display();
    let wrong = |say: String, hint: String| bad(name, &Refusal::new(Code::PlaceUnsafe, say).hint(hint));
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let say = format!("the socket `{shown}` cannot be looked at ({error})");
            return wrong(say, "keyfob agent restart".to_owned());
        }
    };
    let me = rustix::process::geteuid().as_raw();
    let mode = metadata.mode() & 0o777;
    if !metadata.file_type().is_socket() {
        wrong(
            format!("`{shown}` is no socket"),
            pasteable("look at it, then rm", path).unwrap_or("look at it, then remove it".to_owned()),
        )
    } else if metadata.uid() != me {
        let say = format!("the socket `{shown}` belongs to user {}, not to {me}", metadata.uid());
        wrong(say, "keyfob agent restart".to_owned())
    } else if mode & 0o077 != 0 {
        let say = format!("the socket `{shown}` can be used by others (mode {mode:o})");
        wrong(say, pasteable("chmod 600", path).unwrap_or("take that right away".to_owned()))
    } else {
        good(name, format!("`{shown}` is yours alone"))
    }
}

#[cfg(windows)]
fn socket(name: &str, path: &Path) -> Check {
    good(name, path.display().to_string())
}

fn configuration(report: &ConfigReport) -> Check {
    let name = "configuration";
    match (report.errors.split_first(), report.exists) {
        (Some((first, more)), _) => {
            let count = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
            let now = if report.in_force { "; the last good version stays in force" } else { "" };
            let say = format!("`{}` does not load: {first}{count}{now}", report.path);
            let health = if report.in_force { Health::Attention } else { Health::Bad };
            Check { name: name.to_owned(), health, say, hint: "keyfob config check".to_owned() }
        }
        (None, true) => good(name, format!("`{}` has no errors", report.path)),
        (None, false) => attention(
            name,
            format!("`{}` is not there", report.path),
            "write it (`keyfob --help` has a first one)",
        ),
    }
}

/// What can be said of it without the agent, which alone knows how to read it.
fn configuration_alone(path: &Path) -> Check {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            good("configuration", format!("`{}` is there; the agent was not asked about it", path.display()))
        }
        Ok(_) => attention("configuration", format!("`{}` is no file", path.display()), "write it anew"),
        Err(error) => {
            let say = format!("`{}` cannot be read ({error})", path.display());
            attention("configuration", say, "write it (`keyfob --help` has a first one)")
        }
    }
}
