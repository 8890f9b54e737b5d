//! The person at the other end of a sign-in.

use keyfob_agent::door::Conversation;
use keyfob_agent::keychain::Pending;
use keyfob_ipc::reply::Step;
use keyfob_sandbox::browser::{self, Visit};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Does what the agent asks for, or only takes note of it.
pub struct Person {
    steps: mpsc::UnboundedSender<Step>,
    leaves: watch::Receiver<bool>,
    opens: Option<mpsc::UnboundedSender<JoinHandle<Visit>>>,
}

/// What the person was shown, and where they went.
pub struct Seen {
    steps: mpsc::UnboundedReceiver<Step>,
    visits: mpsc::UnboundedReceiver<JoinHandle<Visit>>,
    leave: watch::Sender<bool>,
}

impl Person {
    /// Opens the browser where the agent asks for it, and stays.
    pub fn who_opens_the_browser() -> (Self, Seen) {
        Self::new(true)
    }

    /// Does nothing unless the test does.
    pub fn who_waits() -> (Self, Seen) {
        Self::new(false)
    }

    fn new(opens: bool) -> (Self, Seen) {
        let (steps, seen) = mpsc::unbounded_channel();
        let (visit, visits) = mpsc::unbounded_channel();
        let leave = watch::Sender::new(false);
        let person = Self { steps, leaves: leave.subscribe(), opens: opens.then_some(visit) };
        (person, Seen { steps: seen, visits, leave })
    }
}

impl Seen {
    /// The next thing that the agent asks for.
    pub async fn step(&mut self) -> Step {
        self.steps.recv().await.unwrap()
    }

    /// The address that the browser is sent to.
    pub async fn address(&mut self) -> String {
        match self.step().await {
            Step::OpenBrowser { url } => url,
            other @ Step::DeviceCode { .. } => panic!("not an address: {other:?}"),
        }
    }

    /// The code that is to be typed.
    pub async fn user_code(&mut self) -> String {
        match self.step().await {
            Step::DeviceCode { user_code, .. } => user_code,
            other @ Step::OpenBrowser { .. } => panic!("not a code: {other:?}"),
        }
    }

    /// Whether nothing was asked for.
    pub fn was_left_alone(&mut self) -> bool {
        self.steps.try_recv().is_err()
    }

    /// The page that the browser ended on.
    pub async fn page(&mut self) -> Visit {
        self.visits.recv().await.unwrap().await.unwrap()
    }

    /// The client goes away.
    pub fn leave(&self) {
        self.leave.send_replace(true);
    }
}

impl Conversation for Person {
    fn step(&mut self, step: Step) -> Pending<'_, bool> {
        if let (Some(visits), Step::OpenBrowser { url }) = (&self.opens, &step) {
            let url = url.clone();
            // A test that is not interested has dropped the other end.
            let _ = visits.send(tokio::spawn(async move { browser::visit(&url).await.unwrap() }));
        }
        let _ = self.steps.send(step);
        Box::pin(std::future::ready(!*self.leaves.borrow()))
    }

    fn gone(&mut self) -> Pending<'_, ()> {
        let mut leaves = self.leaves.clone();
        Box::pin(async move {
            if leaves.wait_for(|leave| *leave).await.is_err() {
                // Nobody can leave any more.
                std::future::pending::<()>().await;
            }
        })
    }
}
