//! The process itself and what it stands on: its file, its protection, its limits, its folder and doors.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use keyfob_ipc::reply::Check;
use keyfob_ipc::{Code, Refusal, limits};

use super::{attention, bad, good};
use crate::agent::Agent;
use crate::door::room::sizes;
use crate::harden::{self, Measure};

impl Agent {
    pub(super) fn look_at_process(&self) -> Vec<Check> {
        let mut checks = vec![own_file()];
        checks.extend(self.hardening.iter().map(hardened));
        checks.push(room(harden::descriptors()));
        checks.extend(self.look_at_doors());
        checks.push(match self.ledger.trouble() {
            None => good("ledger", "is written".to_owned()),
            Some(error) => {
                let say = format!("lines are being lost, because it cannot be written ({error})");
                bad(
                    "ledger",
                    &Refusal::new(Code::PlaceUnsafe, say).hint("make room, or mend the state folder"),
                )
            }
        });
        checks
    }

    /// Writes and removes a file, for a folder that looks writable may be full or gone.
    pub(super) async fn look_at_state(&self) -> Check {
        let folder = self.places().state.clone();
        let shown = folder.display().to_string();
        let tried = tokio::task::spawn_blocking(move || write_and_remove(&folder)).await;
        match tried.unwrap_or_else(|_| Err(io::Error::other("the check itself failed"))) {
            Ok(()) => good("disk", format!("`{shown}` can be written")),
            Err(error) => {
                let say = format!("`{shown}` cannot be written ({error})");
                bad(
                    "disk",
                    &Refusal::new(Code::PlaceUnsafe, say).hint("make room there, or mend its owner and mode"),
                )
            }
        }
    }

    /// What the guard of the doors has seen: whoever cleans a folder may take their names away.
    fn look_at_doors(&self) -> Vec<Check> {
        let troubles = self.doors.troubles();
        if !troubles.is_empty() {
            let refused = troubles.into_iter().map(|trouble| Refusal::new(Code::PlaceUnsafe, trouble));
            return refused.map(|refusal| bad("doors", &refusal.hint("keyfob agent restart"))).collect();
        }
        vec![match self.doors.mended() {
            0 => good("doors", "they are open".to_owned()),
            times => {
                let plural = if times == 1 { "once" } else { "again and again" };
                let say = format!(
                    "they are open; their files were removed or changed {plural} ({times}), and made anew"
                );
                attention("doors", say, "find out what cleans their folder")
            }
        }]
    }
}

/// A measure that did not take hold leaves the agent at work, and a person should know.
fn hardened(measure: &Measure) -> Check {
    match &measure.held {
        Ok(()) => good("protection", measure.name.to_owned()),
        Err(reason) => {
            attention("protection", format!("this did not take hold: {} ({reason})", measure.name), "")
        }
    }
}

/// Where the system allows few open files, the doors have fewer places.
fn room(files: usize) -> Check {
    let [tool, _] = sizes(files);
    if tool.places >= limits::CONNECTIONS {
        return good("open files", format!("enough for {} connections at each door", limits::CONNECTIONS));
    }
    let say = format!("{files} at most, which is enough for {} tools at once", tool.places);
    attention("open files", say, "raise the hard limit of open files (ulimit -Hn), then keyfob agent restart")
}

/// Whether another file is at its own place by now.
fn own_file() -> Check {
    let path = std::env::current_exe();
    let Ok(path) = path else {
        return attention("agent's file", "the system does not tell it".to_owned(), "");
    };
    #[cfg(target_os = "linux")]
    if is_replaced(&path) {
        let shown = path.display().to_string();
        let shown = shown.strip_suffix(" (deleted)").unwrap_or(&shown);
        let say = format!("`{shown}` was replaced or removed, and the old one still runs");
        return attention("agent's file", say, "keyfob agent restart");
    }
    good("agent's file", format!("`{}` runs", path.display()))
}

#[cfg(target_os = "linux")]
fn is_replaced(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(runs) = fs::metadata("/proc/self/exe") else { return false };
    fs::metadata(path).map_or(true, |there| (there.dev(), there.ino()) != (runs.dev(), runs.ino()))
}

fn write_and_remove(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!("doctor-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    // One that was left behind is ours and empty of meaning.
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600),
        rustix::fs::OFlags::NOFOLLOW.bits().cast_signed(),
    );
    let written = options.open(&path).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Health;

    use super::*;

    #[test]
    fn a_measure_that_did_not_take_hold_is_named_with_its_reason() {
        let measure = Measure { name: "no core dumps", held: Err("not permitted".to_owned()) };
        let check = hardened(&measure);
        assert_eq!(check.health, Health::Attention);
        assert_eq!(check.say, "this did not take hold: no core dumps (not permitted)");
        assert_eq!(hardened(&Measure { held: Ok(()), ..measure }).health, Health::Good);
    }

    #[test]
    fn too_few_open_files_are_worth_a_look() {
        assert_eq!(room(1024).health, Health::Attention);
        assert_eq!(room(usize::MAX).health, Health::Good);
    }

    #[test]
    fn a_folder_is_written_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        write_and_remove(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(write_and_remove(&folder.path().join("gone")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("precious");
        fs::write(&other, "kept").unwrap();
        let name = format!("doctor-{}", std::process::id());
        std::os::unix::fs::symlink(&other, folder.path().join(name)).unwrap();
        assert!(write_and_remove(folder.path()).is_err());
        assert_eq!(fs::read_to_string(other).unwrap(), "kept");
    }
}
