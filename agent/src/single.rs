//! One agent per user: a lock held for life, and a record of where the live doors are.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};

use keyfob_ipc::place::Record;
use keyfob_ipc::{Code, Places, Refusal};

/// The lock. The system lets go of it when the process ends, however that comes.
pub struct Single {
    file: File,
}

/// What there is instead of a lock.
pub enum Taken {
    /// Another agent lives; its record, if it has written one already.
    Running(Option<Record>),
    /// The lock cannot be had.
    Refused(Refusal),
}

impl Single {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Taken`].
    pub fn take(places: &Places) -> Result<Self, Taken> {
        keyfob_ipc::start::create_private(&places.state).map_err(Taken::Refused)?;
        #[cfg(unix)]
        keyfob_ipc::peer::check_folder(&places.state).map_err(Taken::Refused)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let unwritable = |error: &std::io::Error| {
            let say = format!("the file `{}` cannot be written ({error})", places.lock().display());
            Taken::Refused(Refusal::new(Code::PlaceUnsafe, say))
        };
        let file = options.open(places.lock()).map_err(|error| unwritable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Taken::Running(places.record())),
            Err(TryLockError::Error(error)) => Err(unwritable(&error)),
        }
    }

    /// Says where the doors are. In one write: a reader sees all of it or nothing that it could read.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where the file cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<(), Refusal> {
        let mut bytes = serde_json::to_vec(record).unwrap_or_default();
        bytes.push(b'\n');
        self.write(&bytes).map_err(|error| {
            Refusal::new(Code::PlaceUnsafe, format!("the lock file cannot be written ({error})"))
        })
    }

    /// Takes the word back: the doors are gone.
    pub fn forget(&mut self) {
        // An old record is found out by whoever follows it: nobody answers there.
        let _ = self.file.set_len(0);
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytes)
    }
}
