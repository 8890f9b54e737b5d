//! The way to the agent, for threads that may wait.

use std::time::{Duration, Instant};

use keyfob_ipc::start::Launch;
use keyfob_ipc::{Client, Code, ControlAsk, Door, Places, Refusal, Reply, limits};

/// Before each further try where the connection breaks: the listening socket of an agent that was killed may outlive its
/// connections by some milliseconds, and take another one.
const ENDING: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40)];

/// How long an answer may take for which the agent asks services and clusters, one after the other, or for which a person
/// is asked by the keychain.
pub(super) const SERVICE: Duration = Duration::from_secs(180);

/// Where the agent is, and how it is started.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Its places.
    pub places: Places,
    /// Finds the agent's binary; called only where an agent has to be started.
    pub launch: fn() -> Result<Launch, Refusal>,
}

impl Reach {
    /// A connection to the control door; the agent is started only where `starts` says so.
    pub(super) fn control(&self, starts: bool) -> Result<Client, Refusal> {
        if starts {
            Client::connect_or_start(&self.places, Door::Control, self.launch)
        } else {
            Client::connect(&self.places, Door::Control)
        }
    }

    /// Asks the running agent for something that changes nothing. One that was just ending closes the connection
    /// unanswered: then the next one is asked.
    pub(super) fn look(&self, ask: impl Fn() -> ControlAsk) -> Result<Reply, Refusal> {
        self.again_where_it_broke(false, |mut client| client.ask(ask(), limits::CONTROL_PATIENCE))
    }

    /// Asks on a connection, and on another one where that breaks. One that cannot be made, or on which nothing comes, is not
    /// made again.
    pub(super) fn again_where_it_broke<T>(
        &self,
        starts: bool,
        ask: impl Fn(Client) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut pauses = ENDING.iter();
        loop {
            let client = self.control(starts)?;
            let asked = Instant::now();
            let answer = ask(client);
            let is_broken = answer.as_ref().is_err_and(|refusal| refusal.code == Code::AgentUnreachable)
                && asked.elapsed() < limits::CONTROL_PATIENCE;
            match pauses.next() {
                Some(pause) if is_broken => std::thread::sleep(*pause),
                _ => return answer,
            }
        }
    }

    /// Asks the running agent.
    pub(super) fn ask(&self, ask: ControlAsk) -> Result<Reply, Refusal> {
        self.ask_within(ask, limits::CONTROL_PATIENCE)
    }

    /// Asks the running agent for something that it asks services and clusters about.
    pub(super) fn ask_service(&self, ask: ControlAsk) -> Result<Reply, Refusal> {
        self.ask_within(ask, SERVICE)
    }

    fn ask_within(&self, ask: ControlAsk, patience: Duration) -> Result<Reply, Refusal> {
        let mut client = self.control(false)?;
        client.send(ask, limits::CONTROL_PATIENCE)?;
        // The agent finishes what it has begun, so neither a second try nor a restart is the next step.
        client.receive(patience).map_err(|refusal| match refusal.code {
            Code::AgentUnreachable => Refusal::new(
                refusal.code,
                format!("{}, so it is not known whether this was done", refusal.say),
            )
            .hint("keyfob status"),
            _ => refusal,
        })
    }
}

/// For a reply of another kind than was asked for.
pub(super) fn unexpected() -> Refusal {
    Refusal::new(Code::VersionMismatch, "the running agent answers another question than was asked")
        .hint("keyfob agent restart")
}

/// The sentence of a reply that is one.
pub(super) fn said(reply: Reply) -> Result<String, Refusal> {
    match reply {
        Reply::Done { say } => Ok(say),
        Reply::Token(report) => Ok(report.say),
        _ => Err(unexpected()),
    }
}

/// Whether a text is an address that may be opened in a browser.
pub(super) fn is_web_address(url: &str) -> bool {
    let lower = url.get(..8).unwrap_or_default().to_ascii_lowercase();
    (lower.starts_with("http://") || lower.starts_with("https://"))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}
