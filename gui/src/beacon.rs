//! Word from outside, left as files in the state folder: an agent leaves its record once it can be reached, and a second start
//! of this program leaves a file where it wants the window. The system tells when that happens; nothing here looks again and
//! again. A folder that goes takes the watch with it, so that is told as well.

use std::ffi::OsStr;
use std::fs::{canonicalize, remove_file};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use keyfob_ipc::{Code, Places, Refusal};
use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::controller::Input;

/// The file by which a second start asks the first for its window.
pub fn word_of_another_start(places: &Places) -> PathBuf {
    places.state.join("raise-tray")
}

/// Watches as long as it is kept.
pub struct Beacon(#[expect(dead_code, reason = "watches until it is dropped")] RecommendedWatcher);

impl Beacon {
    /// Sends [`Input::AgentMayRun`] whenever an agent leaves its record, [`Input::Raised`] for each word of another start, and
    /// [`Input::FolderGone`] where the folder itself goes: then another one has to be lit. A state folder that is not there yet
    /// is made as the agent would make it.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where there can be no such folder, [`Code::Internal`] where the system does not watch it.
    pub fn light(places: &Places, sender: Sender<Input>) -> Result<Self, Refusal> {
        keyfob_ipc::start::create_private(&places.state)?;
        let (record, word) = (places.record_file(), word_of_another_start(places));
        let to_raise = sender.clone();
        let tell = {
            let word = word.clone();
            // Some systems name it with its links resolved.
            let folders = [Some(places.state.clone()), canonicalize(&places.state).ok()];
            move |event: Result<Event, notify::Error>| match event {
                Ok(event) => {
                    if folders.iter().flatten().any(|folder| is_end_of(&event, folder)) {
                        send(&sender, Input::FolderGone);
                    }
                    if is_about(&event, &record) {
                        send(&sender, Input::AgentMayRun);
                    }
                    if is_about(&event, &word) {
                        take(&word, &sender);
                    }
                }
                Err(error) => tracing::warn!("the state folder is watched badly: {error}"),
            }
        };
        let mut watcher = notify::recommended_watcher(tell).map_err(|error| refuse(places, &error))?;
        watcher.watch(&places.state, RecursiveMode::NonRecursive).map_err(|error| refuse(places, &error))?;
        // What was left before anybody watched.
        take(&word, &to_raise);
        Ok(Self(watcher))
    }
}

/// Takes the word of another start, once.
fn take(word: &Path, sender: &Sender<Input>) {
    if remove_file(word).is_ok() {
        send(sender, Input::Raised);
    }
}

/// Nobody listens any more where the program ends.
fn send(sender: &Sender<Input>, input: Input) {
    let _ = sender.send(input);
}

fn refuse(places: &Places, error: &notify::Error) -> Refusal {
    Refusal::new(
        Code::Internal,
        format!("the folder `{}` cannot be watched ({error})", places.state.display()),
    )
}

/// Whether a file was written. That somebody reads it, as we do, is no word; nor is its end.
fn is_about(event: &Event, file: &Path) -> bool {
    let is_written = match event.kind {
        EventKind::Access(_) | EventKind::Remove(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => true,
    };
    let name: Option<&OsStr> = file.file_name();
    // Where the system has lost count, anything may have happened.
    event.need_rescan() || is_written && event.paths.iter().any(|path| path.file_name() == name)
}

/// Whether a folder was removed, or moved away.
fn is_end_of(event: &Event, folder: &Path) -> bool {
    let is_end = match event.kind {
        EventKind::Remove(_) => true,
        EventKind::Modify(ModifyKind::Name(mode)) => mode != RenameMode::To,
        _ => false,
    };
    is_end && event.paths.iter().any(|path| path == folder)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn places_with_state(state: &Path) -> Places {
        Places {
            state: state.to_owned(),
            config: state.join("config.toml"),
            runtime: state.to_owned(),
            own_profile: true,
            user: String::new(),
        }
    }

    #[test]
    fn each_word_of_another_start_is_taken_once_also_one_left_before() {
        let folder = tempfile::tempdir().unwrap();
        let places = places_with_state(folder.path());
        let word = word_of_another_start(&places);
        std::fs::write(&word, "").unwrap();
        let (sender, inputs) = channel();
        let _beacon = Beacon::light(&places, sender).unwrap();
        for _ in 0..2 {
            assert!(matches!(inputs.recv_timeout(PATIENCE), Ok(Input::Raised)));
            assert!(!word.exists());
            std::fs::write(&word, "").unwrap();
        }
        assert!(matches!(inputs.recv_timeout(PATIENCE), Ok(Input::Raised)));
        std::fs::write(places.record_file(), "{}").unwrap();
        assert!(matches!(inputs.recv_timeout(PATIENCE), Ok(Input::AgentMayRun)));
    }

    #[test]
    fn a_folder_that_goes_is_told_and_what_only_looks_like_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        for is_moved in [false, true] {
            let places = places_with_state(&folder.path().join("state"));
            let (sender, inputs) = channel();
            let _beacon = Beacon::light(&places, sender).unwrap();
            // A folder of the same name within goes first, and nobody hears of it.
            let within = places.state.join("state");
            std::fs::create_dir(&within).unwrap();
            std::fs::remove_dir(&within).unwrap();
            std::fs::write(places.record_file(), "{}").unwrap();
            assert!(matches!(inputs.recv_timeout(PATIENCE), Ok(Input::AgentMayRun)));
            if is_moved {
                std::fs::rename(&places.state, folder.path().join("elsewhere")).unwrap();
            } else {
                std::fs::remove_dir_all(&places.state).unwrap();
            }
            let mut told = std::iter::from_fn(|| inputs.recv_timeout(PATIENCE).ok());
            assert!(told.any(|input| matches!(input, Input::FolderGone)), "moved: {is_moved}");
        }
    }
}
