//! The way to the agent.

use std::time::{Duration, Instant};

use keyfob_ipc::start::Launch;
use keyfob_ipc::{Client, Code, ControlAsk, Door, Places, Refusal, Reply, Surroundings, ToolAsk, limits};

/// The longest that a tool waits where its call has to start the agent, before the agent is called unreachable: the
/// shortest limit among the tools (older AWS SDKs) is five seconds for the whole process.
const FIRST_CALL: Duration = Duration::from_millis(4800);
/// What is left for the answer itself, however long the start took.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);

/// Before each further try where the connection breaks. The listening socket of an agent that was killed may outlive its
/// connections by some milliseconds, and take another one.
const ENDING: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40)];

/// After this time without an answer a person is told what is waited for.
const SILENCE: Duration = Duration::from_secs(1);
/// How long an answer may take for which the agent asks services and clusters, one after the other.
const SERVICE_PATIENCE: Duration = Duration::from_secs(180);

/// Where the agent is, and how it is started.
pub struct Reach {
    /// What decides about places.
    pub surroundings: Surroundings,
    /// Finds the agent's binary; called only where an agent has to be started.
    pub launch: fn() -> Result<Launch, Refusal>,
}

impl Reach {
    /// The agent's places.
    pub fn places(&self) -> Result<Places, Refusal> {
        Places::of(&self.surroundings)
    }

    /// Asks at the tool door and starts the agent where none runs. An agent that ends closes the connection unanswered:
    /// then it is asked once more, which starts the next one.
    pub fn ask_tool(&self, ask: impl Fn() -> ToolAsk) -> Result<Reply, Refusal> {
        ask_tool_at(&self.places()?, self.launch, ask)
    }

    /// Asks at the control door and starts the agent where none runs.
    pub fn ask_control(&self, ask: ControlAsk) -> Result<Reply, Refusal> {
        self.control()?.ask(ask, limits::CONTROL_PATIENCE)
    }

    /// Asks at the control door for something that changes nothing. An agent that was just ending, or was killed, closes the
    /// connection unanswered: then the next one is asked.
    pub fn look(&self, ask: impl Fn() -> ControlAsk) -> Result<Reply, Refusal> {
        let mut pauses = ENDING.iter();
        loop {
            let mut client = self.control()?;
            let asked = Instant::now();
            let answer = client.ask(ask(), limits::CONTROL_PATIENCE);
            let is_broken = answer
                .as_ref()
                .is_err_and(|refusal| is_broken_connection(refusal, asked, limits::CONTROL_PATIENCE));
            match pauses.next() {
                Some(pause) if is_broken => std::thread::sleep(*pause),
                _ => return answer,
            }
        }
    }

    /// Asks at the control door for something that the agent asks a service or a cluster about. `waiting` is called once where
    /// that takes over a second.
    pub fn ask_service(&self, ask: ControlAsk, waiting: impl FnOnce()) -> Result<Reply, Refusal> {
        let mut client = self.control()?;
        client.send(ask, limits::CONTROL_PATIENCE)?;
        let asked = Instant::now();
        let first = match client.receive(SILENCE) {
            // Clocks differ a little; a connection that broke just now only breaks once more.
            Err(refusal) if refusal.code == Code::AgentUnreachable && asked.elapsed() >= SILENCE / 2 => {
                waiting();
                client.receive(SERVICE_PATIENCE)
            }
            other => other,
        };
        // The agent finishes what it has begun, so neither a second try nor a restart is the next step.
        first.map_err(|refusal| match refusal.code {
            Code::AgentUnreachable => Refusal::new(
                refusal.code,
                format!("{}, so it is not known whether this was done", refusal.say),
            )
            .hint("keyfob status"),
            _ => refusal,
        })
    }

    /// A connection to the control door; the agent is started where none runs.
    pub fn control(&self) -> Result<Client, Refusal> {
        Client::connect_or_start(&self.places()?, Door::Control, self.launch)
    }

    /// A connection to the control door of an agent that runs already.
    pub fn running(&self) -> Result<Client, Refusal> {
        Client::connect(&self.places()?, Door::Control)
    }
}

/// The same for an agent at known places, which is started with what `launch` finds.
pub fn ask_tool_at(
    places: &Places,
    launch: impl Fn() -> Result<Launch, Refusal>,
    ask: impl Fn() -> ToolAsk,
) -> Result<Reply, Refusal> {
    let begun = Instant::now();
    let mut pauses = ENDING.iter();
    loop {
        let mut client = Client::connect_or_start(places, Door::Tool, &launch)?;
        let left = FIRST_CALL.saturating_sub(begun.elapsed());
        let patience = limits::TOOL_PATIENCE.min(left).max(LEAST_PATIENCE);
        let asked = Instant::now();
        let answer = client.ask(ask(), patience);
        let is_broken = answer.as_ref().is_err_and(|refusal| is_broken_connection(refusal, asked, patience));
        match pauses.next() {
            Some(pause) if is_broken => std::thread::sleep(*pause),
            _ => return answer,
        }
    }
}

/// Whether the connection broke, as against an agent that kept silent until the time was up.
fn is_broken_connection(refusal: &Refusal, asked: Instant, patience: Duration) -> bool {
    refusal.code == Code::AgentUnreachable && asked.elapsed() < patience
}

/// For a reply of another kind than was asked for.
pub fn unexpected() -> Refusal {
    Refusal::new(Code::VersionMismatch, "the running agent answers another question than was asked")
        .hint("keyfob agent restart")
}
