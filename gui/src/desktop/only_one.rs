//! One tray per profile. A second start leaves word for the first, which then shows its window ([`crate::beacon`]): with files in
//! our own folder, so that it works the same on every system, and where there is no session bus.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use keyfob_ipc::{Code, Places, Refusal};

use super::refusal;
use crate::beacon::word_of_another_start;

/// What this start is.
#[derive(Debug)]
pub enum Standing {
    /// The only one, as long as this is kept.
    First(OnlyOne),
    /// Another one runs already, and has been told to show itself where that was asked for.
    Second,
}

/// Held as long as this program runs.
#[derive(Debug)]
pub struct OnlyOne(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// Takes the lock, or leaves word that the window is wanted. Word that is there already stays: it may be of a start just now,
/// which saw the lock taken. What one that was killed has not taken shows the window once where it need not be shown.
///
/// # Errors
/// [`Code::PlaceUnsafe`] where the state folder takes no files.
pub fn stand(places: &Places, is_hidden: bool) -> Result<Standing, Refusal> {
    keyfob_ipc::start::create_private(&places.state)?;
    let path = places.state.join("tray.lock");
    let file = open(&path).map_err(|error| refuse(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Standing::First(OnlyOne(file))),
        Err(TryLockError::WouldBlock) => {
            if !is_hidden {
                let word = word_of_another_start(places);
                open(&word).map_err(|error| refuse(&word, &error))?;
            }
            Ok(Standing::Second)
        }
        Err(TryLockError::Error(error)) => Err(refuse(&path, &error)),
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn refuse(path: &Path, error: &std::io::Error) -> Refusal {
    let values = [("path", &*path.display().to_string()), ("error", &*error.to_string())];
    refusal(Code::PlaceUnsafe, "say.file-unusable", &values, "say.file-unusable-hint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places {
            state: folder.join("state"),
            config: folder.join("config.toml"),
            runtime: folder.to_owned(),
            own_profile: true,
            user: String::new(),
        }
    }

    #[test]
    fn there_is_one_and_a_second_leaves_word_unless_it_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        let word = word_of_another_start(&places);
        let first = stand(&places, false).unwrap();
        assert!(matches!(first, Standing::First(_)) && !word.exists());
        assert!(matches!(stand(&places, true).unwrap(), Standing::Second));
        assert!(!word.exists(), "a hidden start asks for no window");
        assert!(matches!(stand(&places, false).unwrap(), Standing::Second));
        assert!(word.exists());
    }

    #[test]
    fn word_that_came_before_the_first_looks_is_kept_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        std::fs::create_dir(&places.state).unwrap();
        std::fs::write(word_of_another_start(&places), "").unwrap();
        assert!(matches!(stand(&places, true).unwrap(), Standing::First(_)));
        assert!(word_of_another_start(&places).exists());
    }
}
