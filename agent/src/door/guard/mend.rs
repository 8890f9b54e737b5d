//! Looking at the names, and making them as they were.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use keyfob_ipc::{Door, Refusal};
use tokio::net::UnixStream;

use super::{Guard, Guarded, RECORD};
use crate::door::listen;
use crate::sight::View;

/// How long somebody at a door's name may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Earlier sockets of one door that are still listened at: one of them may come back under the name.
const EARLIER: usize = 4;

/// What a name led to when its door was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    file: Option<(u64, u64)>,
    mode: u32,
    /// Whether nobody else could enter the folder.
    is_private: bool,
}

impl Name {
    pub(super) fn of(address: &Path) -> Self {
        let metadata = fs::symlink_metadata(address).ok();
        Self {
            file: metadata.as_ref().map(file_of),
            mode: metadata.as_ref().map_or(0o600, mode_of),
            is_private: address.parent().is_some_and(keyfob_ipc::peer::is_ours),
        }
    }

    /// Whether it still does. The socket that we hold keeps its number from being used again.
    pub(super) fn leads_to_us(&self, address: &Path) -> bool {
        fs::symlink_metadata(address).is_ok_and(|metadata| Some(file_of(&metadata)) == self.file)
    }
}

fn file_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn mode_of(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// What is at a door's name.
enum Found {
    Ours { mode: u32 },
    Nothing,
    Other(String),
}

impl Guard {
    /// Looks at everything once; whether something had to be made again, after which it is to be looked at again.
    pub(super) async fn look(&mut self) -> bool {
        self.sight.look_at(&self.views());
        let mut mended = false;
        for number in 0..self.doors.len() {
            let what = match self.doors[number].door {
                Door::Tool => "tool door",
                Door::Control => "control door",
            };
            let looked = self.look_at_door(number).await;
            mended |= looked == Ok(true);
            self.agent.doors.say(what, looked.err());
        }
        if !self.single.says(&self.record) {
            let written = self.single.record(&self.record);
            if written.is_ok() {
                tracing::warn!("the record of the doors was gone or another, and is written again");
                mended = true;
            }
            self.agent.doors.say(RECORD, written.err().map(|refusal| refusal.say));
        }
        mended
    }

    fn views(&self) -> Vec<View> {
        let mut views: Vec<View> = Vec::new();
        let mut add = |path: &Path| {
            let Some(view) = View::of(path) else { return };
            match views.iter_mut().find(|known| known.folder == view.folder) {
                Some(known) => known.names.extend(view.names),
                None => views.push(view),
            }
        };
        let addresses = self.doors.iter().map(|door| &*door.open.address);
        for path in addresses.chain([self.single.record_file()]) {
            add(path);
            // The folder may be removed as a whole.
            path.parent().into_iter().for_each(&mut add);
        }
        views
    }

    async fn look_at_door(&mut self, number: usize) -> Result<bool, String> {
        let door = &mut self.doors[number];
        door.close_folder()?;
        match door.find().await? {
            Found::Ours { mode } if mode == door.name.mode => Ok(false),
            Found::Ours { .. } => {
                set_mode(&door.open.address, door.name.mode)
                    .map_err(|error| door.cannot("closed to others again", &error))?;
                tracing::warn!(door = %door.open.address.display(), "the socket had another mode, and has its own again");
                Ok(true)
            }
            Found::Other(who) => {
                let address = door.open.address.display();
                Err(format!("{who} at `{address}`: callers do not reach this agent there"))
            }
            Found::Nothing => {
                let opened = listen::open_one(door.open.address.clone()).map_err(|refusal: Refusal| {
                    format!("the socket `{}` is gone: {}", door.open.address.display(), refusal.say)
                })?;
                tracing::warn!(door = %opened.address.display(), "the socket was gone, and is there again");
                door.name = Name { is_private: true, ..Name::of(&opened.address) };
                door.open = opened;
                // Whoever is in the old one's queue is still taken in.
                while door.loops.len() > EARLIER {
                    door.loops.remove(0).abort();
                }
                door.accept(&self.agent, &self.rooms, &self.closing);
                Ok(true)
            }
        }
    }
}

impl Guarded {
    /// The folder must not be open to others where it was not.
    fn close_folder(&self) -> Result<(), String> {
        let Some(folder) = self.open.address.parent().filter(|_| self.name.is_private) else { return Ok(()) };
        // One that is gone is made again with the door.
        let Ok(metadata) = fs::symlink_metadata(folder) else { return Ok(()) };
        let is_ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
        if is_ours && mode_of(&metadata) & 0o077 != 0 {
            set_mode(folder, 0o700).map_err(|error| self.cannot("closed to others again", &error))?;
            tracing::warn!(folder = %folder.display(), "the folder was open to others, and is closed again");
        }
        keyfob_ipc::peer::check_folder(folder).map_err(|refusal| refusal.say)
    }

    async fn find(&self) -> Result<Found, String> {
        let address = &self.open.address;
        let metadata = match fs::symlink_metadata(address) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(self.cannot("looked at", &error)),
        };
        if Some(file_of(&metadata)) == self.name.file {
            return Ok(Found::Ours { mode: mode_of(&metadata) });
        }
        if !metadata.file_type().is_socket() {
            return Ok(Found::Other("something that is no socket lies".to_owned()));
        }
        match tokio::time::timeout(ANSWER, UnixStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
                if process.is_some_and(|process| u32::try_from(process) == Ok(std::process::id())) {
                    // An earlier socket of ours, moved back.
                    return Ok(Found::Ours { mode: self.name.mode });
                }
                let who = process.map(|process| format!(" (process {process})")).unwrap_or_default();
                Ok(Found::Other(format!("another program{who} answers")))
            }
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                // Dead: nobody will ever answer there.
                fs::remove_file(address).map_err(|error| self.cannot("removed", &error))?;
                Ok(Found::Nothing)
            }
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            // Its queue is full, so somebody listens.
            Ok(Err(_)) | Err(_) => Ok(Found::Other("another program listens".to_owned())),
        }
    }

    fn cannot(&self, what: &str, error: &io::Error) -> String {
        format!("the socket `{}` or its folder cannot be {what} ({error})", self.open.address.display())
    }
}
