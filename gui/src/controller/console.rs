//! The console of AWS, on a connection of its own: the agent hands out an address of this machine, and waits for the browser.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, limits};

use super::owed::Owed;
use super::reach::{Way, is_web_address};
use super::threads::Said;
use super::{Back, Input, Running};
use crate::page::PageReply;
use crate::shell::Shell;
use crate::view::short;

/// The agent keeps the address for a minute, and says how it ended; before that it asks AWS twice.
const PATIENCE: Duration = Duration::from_secs(120);

impl<S: Shell> Running<S> {
    pub(super) fn open_console(&self, entry: String, owed: Owed) {
        let (way, sender) = (Arc::clone(&self.way), self.sender.clone());
        self.work_for(owed, move || {
            let open = |url: String| {
                let (opened, answer) = channel();
                // Where the program ends, nothing is opened.
                let _ = sender.send(Input::Back(Back(Said::Console(url, opened))));
                answer.recv().unwrap_or(false)
            };
            drive(&way, entry, open).map(|say| PageReply::Done { say })
        });
    }

    /// Opens the address that leads to the console, and says whether that went.
    pub(super) fn console_address(&mut self, url: &str, opened: &Sender<bool>) {
        // Whoever asked may have given up.
        let _ = opened.send(self.shell.open_address(url));
    }
}

fn drive(way: &Way, entry: String, open: impl Fn(String) -> bool) -> Result<String, Refusal> {
    let mut client = way.control(false)?;
    let command = format!("keyfob aws console {}", keyfob_ipc::text::escape(short(&entry)));
    client.send(ControlAsk::AwsConsole { name: entry, destination: None }, limits::CONTROL_PATIENCE)?;
    loop {
        match client.receive(PATIENCE)? {
            Reply::Step(Step::OpenBrowser { url }) => {
                // What leads to the console is on this machine, whoever says something else.
                if !url.starts_with("http://127.0.0.1:") || !is_web_address(&url) {
                    return Err(way.unexpected());
                }
                if !open(url) {
                    return Err(way.refuse(Code::Internal, "say.no-browser").hint(&command));
                }
            }
            Reply::Step(_) => return Err(way.unexpected()),
            reply => return way.said(reply),
        }
    }
}
