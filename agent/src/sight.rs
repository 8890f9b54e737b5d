//! Seeing that something happens to certain names in certain folders, without looking again and again.
//!
//! Linux tells (inotify(7)), and nothing wakes up before. Elsewhere, and where Linux has no more of it to give, a look each
//! minute does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks where the system does not tell.
const LOOK: Duration = Duration::from_secs(60);

/// A folder, and the names in it that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The folder; what happens to itself always matters.
    pub folder: PathBuf,
    /// The names.
    pub names: Vec<OsString>,
}

impl View {
    /// The folder of a path, and the path's last name.
    pub fn of(path: &Path) -> Option<Self> {
        let names = vec![path.file_name()?.to_owned()];
        Some(Self { folder: path.parent()?.to_owned(), names })
    }
}

/// Looks at folders.
#[derive(Debug)]
pub struct Sight {
    #[cfg(target_os = "linux")]
    told: Option<linux::Told>,
}

impl Sight {
    /// Looks at nothing yet.
    pub fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            told: linux::Told::new().inspect_err(no_sight).ok(),
        }
    }

    /// Looks at these from here on, and at what else it looked at before; a folder that is not there is left out. To be
    /// called before looking what is there, so that nothing happens in between.
    pub fn look_at(&mut self, views: &[View]) {
        #[cfg(target_os = "linux")]
        if let Some(told) = &mut self.told {
            views.iter().for_each(|view| told.look_at(view));
        }
        #[cfg(not(target_os = "linux"))]
        let _ = views;
    }

    /// Returns when something may have happened. Nothing is lost where the wait is given up.
    pub async fn stirred(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(told) = &mut self.told {
            match told.stirred().await {
                Ok(()) => return,
                Err(error) => {
                    no_sight(&error);
                    self.told = None;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Default for Sight {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "linux")]
fn no_sight(error: &std::io::Error) {
    tracing::warn!(%error, "the system does not tell what happens to files: they are looked at each minute");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::ffi::{OsStr, OsString};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::Errno;
    use tokio::io::unix::AsyncFd;

    use super::View;

    /// inotify(7). What is written to a file matters only when it is closed.
    #[derive(Debug)]
    pub(super) struct Told {
        queue: AsyncFd<OwnedFd>,
        names: HashMap<i32, Vec<OsString>>,
    }

    impl Told {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that give their descriptor away; this one owns it"
        )]
        pub(super) fn new() -> std::io::Result<Self> {
            let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            Ok(Self { queue: AsyncFd::new(queue)?, names: HashMap::new() })
        }

        pub(super) fn look_at(&mut self, view: &View) {
            let what = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::ATTRIB
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            // One that is not there is seen to come in the folder above it.
            if let Ok(number) = inotify::add_watch(self.queue.get_ref(), &view.folder, what) {
                self.names.insert(number, view.names.clone());
            }
        }

        pub(super) async fn stirred(&mut self) -> std::io::Result<()> {
            loop {
                let mut ready = self.queue.readable().await?;
                let mut buffer = [MaybeUninit::uninit(); 4096];
                let mut events = inotify::Reader::new(self.queue.get_ref(), &mut buffer);
                let mut matters = false;
                loop {
                    let event = match events.next() {
                        Ok(event) => event,
                        Err(Errno::WOULDBLOCK) => break,
                        Err(error) => return Err(error.into()),
                    };
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                    matters |= match (self.names.get(&event.wd()), name) {
                        (Some(names), Some(name)) => names.contains(&name),
                        // The folder itself, or more than the queue can hold.
                        (Some(_), None) => true,
                        (None, _) => event.events().contains(ReadFlags::QUEUE_OVERFLOW),
                    };
                    if event.events().contains(ReadFlags::IGNORED) {
                        self.names.remove(&event.wd());
                    }
                }
                ready.clear_ready();
                if matters {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    async fn sees(sight: &mut Sight) -> bool {
        tokio::time::timeout(SOON, sight.stirred()).await.is_ok()
    }

    #[tokio::test]
    async fn what_happens_to_a_name_is_seen_and_what_happens_to_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut sight = Sight::new();
        sight.look_at(&[View::of(&at("door")).unwrap()]);
        for happens in [
            &|| fs::write(at("door"), "").unwrap() as (),
            &|| fs::set_permissions(at("door"), fs::Permissions::from_mode(0o600)).unwrap(),
            &|| fs::rename(at("door"), at("other")).unwrap(),
            &|| fs::rename(at("other"), at("door")).unwrap(),
            &|| fs::remove_file(at("door")).unwrap(),
        ] as [&dyn Fn(); 5]
        {
            happens();
            assert!(sees(&mut sight).await);
        }
        // Behind what does not matter comes what does: the first must not wake anybody.
        let mut waiting = Box::pin(sight.stirred());
        fs::write(at("another"), "").unwrap();
        tokio::select! {
            () = &mut waiting => panic!("another name was seen"),
            () = tokio::task::yield_now() => {}
        }
        fs::write(at("door"), "").unwrap();
        tokio::time::timeout(SOON, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_goes_is_seen() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("run");
        fs::create_dir(&folder).unwrap();
        let mut sight = Sight::new();
        sight.look_at(&[View::of(&folder.join("door")).unwrap()]);
        fs::remove_dir(&folder).unwrap();
        assert!(sees(&mut sight).await);
    }
}
