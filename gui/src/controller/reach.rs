//! The way to the agent, for threads that may wait.

use std::time::{Duration, Instant};

use keyfob_ipc::start::Launch;
use keyfob_ipc::{Client, Code, ControlAsk, Door, Places, Refusal, Reply, limits};

pub(super) use crate::view::safe::is_web_address;

use crate::texts::Texts;

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

/// The same with words of our own for where it ends.
pub(super) struct Way {
    reach: Reach,
    texts: Texts,
}

impl Way {
    pub(super) fn new(reach: Reach, texts: Texts) -> Self {
        Self { reach, texts }
    }

    pub(super) fn places(&self) -> &Places {
        &self.reach.places
    }

    /// A connection to the control door; the agent is started only where `starts` says so.
    pub(super) fn control(&self, starts: bool) -> Result<Client, Refusal> {
        let Reach { places, launch } = &self.reach;
        if starts {
            Client::connect_or_start(places, Door::Control, launch)
        } else {
            Client::connect(places, Door::Control)
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
            Code::AgentUnreachable => {
                let say = self.texts.say("say.not-known-whether-done", &[("why", &refusal.say)]);
                Refusal::new(refusal.code, say).hint("keyfob status")
            }
            _ => refusal,
        })
    }

    /// The sentence of a reply that is one.
    pub(super) fn said(&self, reply: Reply) -> Result<String, Refusal> {
        match reply {
            Reply::Done { say } => Ok(say),
            Reply::Token(report) => Ok(report.say),
            _ => Err(self.unexpected()),
        }
    }

    /// For a reply of another kind than was asked for.
    pub(super) fn unexpected(&self) -> Refusal {
        self.refuse(Code::VersionMismatch, "say.other-answer").hint("keyfob agent restart")
    }

    /// For a thread that failed; `key` says what it was for.
    pub(super) fn fault(&self, key: &str) -> Refusal {
        self.refuse(Code::Internal, key).hint(self.texts.say("say.fault-hint", &[]))
    }

    /// Where as much is under way as may be.
    pub(super) fn busy(&self) -> Refusal {
        self.refuse(Code::Busy, "say.busy").hint(self.texts.say("say.busy-hint", &[]))
    }

    /// A refusal of our own.
    pub(super) fn refuse(&self, code: Code, key: &str) -> Refusal {
        Refusal::new(code, self.texts.say(key, &[]))
    }
}

/// Whether a refusal says that nobody listens, and no more: then what mends it is to start an agent.
pub(super) fn is_absence(refusal: &Refusal) -> bool {
    refusal.code == Code::AgentUnreachable && refusal.hint == "keyfob agent start"
}

/// Whether two addresses lead to the same scheme, host and port.
pub(super) fn is_same_site(one: &str, other: &str) -> bool {
    let site = |address: &str| {
        let url = url::Url::parse(address).ok()?;
        Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    site(one).is_some_and(|one| site(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Surroundings;

    use super::*;

    #[test]
    fn that_nobody_listens_is_told_apart_from_all_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(folder.path().join(name));
        let surroundings = Surroundings {
            own_state: at("state"),
            own_runtime: at("run"),
            home: at("home"),
            ..Surroundings::default()
        };
        let reach = Reach {
            places: Places::of(&surroundings).unwrap(),
            launch: || Err(Refusal::new(Code::AgentUnreachable, "the agent is not installed")),
        };
        let way = Way::new(reach, Texts::english());
        assert!(is_absence(&way.control(false).unwrap_err()));
        assert!(!is_absence(&way.control(true).unwrap_err()), "it could not be started");
        assert!(!is_absence(&way.unexpected()) && !is_absence(&way.busy()));
    }

    #[test]
    fn a_site_is_scheme_host_and_port() {
        let shown = "https://acme.okta.com/activate";
        for (other, expected) in [
            ("https://acme.okta.com/activate?user_code=A", true),
            ("https://ACME.okta.com:443/else", true),
            ("http://acme.okta.com/activate", false),
            ("https://acme.okta.com:8443/activate", false),
            ("https://acme.okta.com.evil.example/activate", false),
            ("https://acme.okta.com@evil.example/activate", false),
            ("https://evil.example/?https://acme.okta.com/activate", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            assert_eq!(is_same_site(other, shown), expected, "{other}");
        }
        assert!(!is_same_site("", "") && !is_same_site("mailto:a@b.example", "mailto:a@b.example"));
    }
}
