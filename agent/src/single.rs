//! One agent per user: a lock held for life, and beside it a record of where the live doors are.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyfob_ipc::place::Record;
use keyfob_ipc::{Code, Places, Refusal};

/// Between two looks at a lock that is about to come free.
const PAUSE: Duration = Duration::from_millis(10);

/// The lock. The system lets go of it when the process ends, however that comes.
pub struct Single {
    #[cfg_attr(windows, expect(dead_code, reason = "held, and handed over to nobody"))]
    lock: File,
    #[cfg(unix)]
    place: PathBuf,
    record: PathBuf,
    is_inherited: bool,
}

/// What there is instead of a lock.
pub enum Taken {
    /// Another agent lives; its record, unless it has just begun or is about to end.
    Running(Option<Record>),
    /// The lock cannot be had.
    Refused(Refusal),
}

impl Single {
    /// Takes the lock, and waits for an agent that is about to end: it has no doors any more, and stores what its last
    /// renewals bought.
    ///
    /// # Errors
    /// [`Taken`].
    pub fn wait(places: &Places, patience: Duration) -> Result<Self, Taken> {
        let end = Instant::now() + patience;
        loop {
            match Self::take(places) {
                Err(Taken::Running(None)) if Instant::now() < end => std::thread::sleep(PAUSE),
                other => return other,
            }
        }
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// [`Taken`].
    fn take(places: &Places) -> Result<Self, Taken> {
        keyfob_ipc::start::create_private(&places.state).map_err(Taken::Refused)?;
        // On Windows the profile's own access list keeps others out of what is made below it.
        #[cfg(unix)]
        keyfob_ipc::peer::check_folder(&places.state).map_err(Taken::Refused)?;
        let refused = |error: &io::Error| Taken::Refused(unwritable(&places.lock(), error));
        let lock = open(&places.lock(), false).map_err(|error| refused(&error))?;
        match lock.try_lock() {
            Ok(()) => {
                let mut single = Self::of(places, lock, false);
                // The last agent may have left one when it was killed.
                single.forget();
                Ok(single)
            }
            Err(TryLockError::WouldBlock) => Err(Taken::Running(places.record())),
            Err(TryLockError::Error(error)) => Err(refused(&error)),
        }
    }

    fn of(places: &Places, lock: File, is_inherited: bool) -> Self {
        Self {
            lock,
            #[cfg(unix)]
            place: places.lock(),
            record: places.record_file(),
            is_inherited,
        }
    }

    /// Takes on the lock of the program that this process ran before ([`crate::upgrade`]): it was never free.
    ///
    /// # Errors
    /// [`Taken`] where this is not the lock, nobody held it, or somebody else has it.
    #[cfg(unix)]
    pub fn inherit(places: &Places, lock: File) -> Result<Self, Taken> {
        let refused = |error: &io::Error| {
            let place = places.lock();
            let say = format!("what was handed over is not the agent's lock `{}` ({error})", place.display());
            Taken::Refused(Refusal::new(Code::PlaceUnsafe, say).hint("keyfob agent start"))
        };
        check_held(&lock, &places.lock()).map_err(|error| refused(&error))?;
        // Held it is; this succeeds where it is by this very descriptor.
        match lock.try_lock() {
            Ok(()) => Ok(Self::of(places, lock, true)),
            Err(TryLockError::WouldBlock) => Err(Taken::Running(places.record())),
            Err(TryLockError::Error(error)) => Err(refused(&error)),
        }
    }

    /// Whether it came from the program that this process ran before.
    pub fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// Whether the next program in this process can take it on, and can say where the doors are.
    ///
    /// # Errors
    /// What is in its way.
    #[cfg(unix)]
    pub fn check_inheritable(&mut self, record: &Record) -> Result<(), String> {
        check_held(&self.lock, &self.place).map_err(|error| {
            format!("the agent's lock `{}` is not at its place ({error})", self.place.display())
        })?;
        self.record(record).map_err(|refusal| refusal.say)
    }

    /// The lock itself, to be handed over.
    #[cfg(unix)]
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// Where the record is.
    pub fn record_file(&self) -> &Path {
        &self.record
    }

    /// Whether the record says this.
    pub fn says(&self, record: &Record) -> bool {
        let bytes = fs::read(&self.record).unwrap_or_default();
        serde_json::from_slice::<Record>(&bytes).is_ok_and(|said| said == *record)
    }

    /// Says where the doors are. A reader sees all of it or nothing.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where the file cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<(), Refusal> {
        let mut bytes = serde_json::to_vec(record).unwrap_or_default();
        bytes.push(b'\n');
        let fresh = self.record.with_extension("json.new");
        if let Some(folder) = self.record.parent() {
            keyfob_ipc::start::create_private(folder)?;
        }
        open(&fresh, true)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&fresh, &self.record))
            .map_err(|error| {
                // On a full disk it would keep the room that somebody else needs.
                let _ = fs::remove_file(&fresh);
                unwritable(&self.record, &error)
            })
    }

    /// Takes the word back: the doors are gone.
    pub fn forget(&mut self) {
        // An old record is found out by whoever follows it: nobody answers there.
        let _ = fs::remove_file(&self.record);
    }
}

/// Whether this is the lock that is at its place, and somebody holds it.
#[cfg(unix)]
fn check_held(lock: &File, place: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let file = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    // Where the disk takes nothing, it can be opened like this all the same.
    let named = File::open(place)?;
    if file(&lock.metadata()?) != file(&named.metadata()?) {
        return Err(io::Error::other("another file is there"));
    }
    match named.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Ok(()) => Err(io::Error::other("nobody holds it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a file of this user's alone.
fn open(path: &Path, empty: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(empty);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unwritable(path: &Path, error: &io::Error) -> Refusal {
    let say = format!("the file `{}` cannot be written ({error})", path.display());
    let folder = path.parent().unwrap_or(path);
    Refusal::new(Code::PlaceUnsafe, say).hint(keyfob_ipc::start::way_to_write(folder, error))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use keyfob_ipc::Surroundings;

    use super::*;

    fn places(folder: &Path) -> Places {
        let at = |name: &str| Some(folder.join(name));
        let own_runtime = at("run");
        Places::of(&Surroundings {
            own_state: at("state"),
            own_runtime,
            home: at("home"),
            ..Surroundings::default()
        })
        .unwrap()
    }

    #[test]
    fn only_the_lock_that_is_held_is_inherited() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        keyfob_ipc::start::create_private(&places.state).unwrap();
        let again = || open(&places.lock(), false).unwrap();
        let refused = |lock: File| match Single::inherit(&places, lock) {
            Err(Taken::Refused(refusal)) => refusal.say,
            Err(Taken::Running(_)) => "it runs".to_owned(),
            Ok(_) => "it is taken".to_owned(),
        };
        assert!(refused(again()).contains("nobody holds it"));
        let lock = again();
        lock.lock().unwrap();
        let other = open(&places.state.join("other"), false).unwrap();
        other.lock().unwrap();
        assert!(refused(other).contains("another file is there"));
        assert_eq!(refused(again()), "it runs", "whoever holds it is another one");
        let single = Single::inherit(&places, lock.try_clone().unwrap());
        assert!(single.is_ok_and(|single| single.is_inherited()));
        fs::remove_file(places.lock()).unwrap();
        assert!(refused(lock).contains("No such file"));
    }
}
