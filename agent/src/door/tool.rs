//! The tool door: ask for credentials, and why one is refused. It stores nothing and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{Headers, Reply, Why};
use keyfob_ipc::{Code, Refusal, ToolAsk, limits};
use tokio::time::timeout;

use super::connection::{Connection, Incoming};
use crate::agent::Agent;
use crate::config::{Ask, Entry, Host, UnknownHost};
use crate::target::Target;

pub(super) async fn converse(agent: &Arc<Agent>, mut connection: Connection) {
    loop {
        match connection.next::<ToolAsk>().await {
            Incoming::Ask(ask, first) => {
                let limit = if first { limits::FIRST_TOOL_ANSWER } else { limits::TOOL_ANSWER };
                let reply = agent.tool_within(ask, limit).await.unwrap_or_else(Reply::Refused);
                // Who asked must still be there: what it left behind may be anybody's.
                if !connection.caller.is_alive() || !connection.answer(reply).await {
                    return;
                }
            }
            Incoming::Bad(refusal) => {
                connection.answer(Reply::Refused(refusal)).await;
                return;
            }
            Incoming::Closed => return,
        }
    }
}

impl Agent {
    /// Answers a tool, within the time that a tool waits. What takes longer goes on without it.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tool(self: &Arc<Self>, ask: ToolAsk) -> Result<Reply, Refusal> {
        self.tool_within(ask, limits::TOOL_ANSWER).await
    }

    async fn tool_within(self: &Arc<Self>, ask: ToolAsk, limit: Duration) -> Result<Reply, Refusal> {
        timeout(limit, self.answer_tool(ask)).await.unwrap_or_else(|_| Err(pending()))
    }

    async fn answer_tool(self: &Arc<Self>, ask: ToolAsk) -> Result<Reply, Refusal> {
        match ask {
            ToolAsk::Get { uri } => self.get(&uri).await.map(Reply::Headers),
            ToolAsk::CredentialProcess { name } => {
                let config = self.config()?;
                let entry = config.find(&name, Ask::AwsCredentials)?;
                entry.source.aws_credentials(self, entry).await.map(Reply::AwsCredentials)
            }
            ToolAsk::Why { subject } => self.why(&subject).await.map(|why| Reply::Why(Box::new(why))),
            ToolAsk::About => Ok(Reply::About(self.about())),
        }
    }

    async fn get(self: &Arc<Self>, uri: &str) -> Result<Headers, Refusal> {
        let config = self.config()?;
        let target = match Target::parse(uri) {
            Ok(target) => target,
            // A wildcard is no host; some tools ask for one (siso's `https://*.googleapis.com/`).
            Err(refusal) => return Err(refusal),
        };
        let Some(entry) = config.route(&target.host) else {
            return match config.agent.unknown_host {
                UnknownHost::Empty => Ok(Headers::default()),
                UnknownHost::Error => Err(unknown_host(&target)),
            };
        };
        let mut headers = entry.source.headers(self, entry).await?;
        if !config.agent.bazel_expires {
            headers.expires = None;
        }
        Ok(headers)
    }

    async fn why(self: &Arc<Self>, subject: &str) -> Result<Why, Refusal> {
        let config = self.config()?;
        // A host as `.bazelrc` has it: with a port, or with a path.
        let is_address = subject.contains("://");
        let is_host = !is_address && (subject.contains([':', '/']) || subject.matches('.').count() > 1);
        let entry = if is_address || is_host {
            let target =
                Target::parse(&if is_address { subject.to_owned() } else { format!("https://{subject}") })?;
            match config.route(&target.host) {
                Some(entry) => (target.to_string(), entry.clone()),
                None => return Ok(nobody(target.to_string(), unknown_host(&target))),
            }
        } else {
            match config.find(subject, Ask::Anything) {
                Ok(entry) => (entry.name.to_string(), entry.clone()),
                Err(refusal) => match Host::parse(subject)
                    .ok()
                    .and_then(|host| Some((host.to_string(), config.route(&host)?.clone())))
                {
                    Some(found) => found,
                    None => return Ok(nobody(keyfob_ipc::text::escape(subject), refusal)),
                },
            }
        };
        let (subject, entry) = entry;
        let refusal = self.try_out(&entry).await.err();
        let report = self.report(&entry).await;
        let say = match &refusal {
            None => format!("`{}` answers", entry.name),
            Some(refusal) => format!("`{}` would answer, but {}", entry.name, refusal.say),
        };
        Ok(Why { subject, entry: Some(report), refusal, say })
    }

    /// Whether an entry would answer now.
    async fn try_out(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Refusal> {
        if entry.source.gives_aws_credentials() {
            entry.source.aws_credentials(self, entry).await.map(|_| ())
        } else {
            entry.source.headers(self, entry).await.map(|_| ())
        }
    }
}

fn nobody(subject: String, refusal: Refusal) -> Why {
    Why { subject, entry: None, say: format!("nothing answers: {}", refusal.say), refusal: Some(refusal) }
}

fn unknown_host(target: &Target) -> Refusal {
    Refusal::new(Code::UnknownHost, format!("no entry has the host `{}`", target.host))
        .hint("add it to `hosts` of a [token.…] or [sso.…] entry in the configuration")
}

fn pending() -> Refusal {
    Refusal::new(Code::Pending, "the credential is being renewed, and that takes longer than a tool may wait")
        .hint("try again in a moment")
}
