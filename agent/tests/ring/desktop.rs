//! A desktop that remembers what it was given to show.

use std::sync::Mutex;

use keyfob_agent::keychain::Pending;
use keyfob_agent::notices::{NotShown, Notifier};
use keyfob_ipc::reply::Notice;
use tokio::sync::watch;

#[derive(Default)]
pub struct Desktop {
    shown: Mutex<Vec<Notice>>,
    mood: watch::Sender<Mood>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Shows,
    /// There is no server.
    Absent,
    /// It takes a call and never answers.
    Silent,
}

impl Desktop {
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub fn shown(&self) -> Vec<Notice> {
        self.shown.lock().unwrap().clone()
    }

    pub fn titles(&self) -> Vec<String> {
        self.shown().into_iter().map(|notice| notice.title).collect()
    }
}

impl Notifier for Desktop {
    fn show<'a>(&'a self, notice: &'a Notice) -> Pending<'a, Result<(), NotShown>> {
        Box::pin(async move {
            if *self.mood.borrow() == Mood::Absent {
                return Err(NotShown);
            }
            self.shown.lock().unwrap().push(notice.clone());
            let _ = self.mood.subscribe().wait_for(|mood| *mood != Mood::Silent).await;
            Ok(())
        })
    }
}
