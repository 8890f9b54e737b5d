//! The tool door: ask for credentials, and why one is refused. It stores nothing and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{AwsCredentials, ExecKeys, Headers, Outcome, Reply, Why};
use keyfob_ipc::{Code, Refusal, ToolAsk, limits};
use tokio::time::timeout;

use super::connection::{Connection, Incoming};
use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::{Ask, Entry, EntryName, Host, UnknownHost};
use crate::ledger::{Deed, Ending};
use crate::policy::Permit;
use crate::target::Target;

pub(super) async fn converse(agent: &Arc<Agent>, mut connection: Connection) {
    loop {
        match connection.next::<ToolAsk>().await {
            Incoming::Ask(ask, first) => {
                let limit = if first { limits::FIRST_TOOL_ANSWER } else { limits::TOOL_ANSWER };
                let is_noted = !matches!(ask, ToolAsk::Why { .. } | ToolAsk::About);
                let mut deed = Deed::default();
                if is_noted {
                    connection.asker.look_meanwhile();
                }
                let answer = agent.tool_within(ask, &connection.asker, &mut deed, limit).await;
                // First, for it may wait; the checks are of the moment in which the answer leaves.
                let answer = Box::pin(agent.covered(answer)).await;
                // Who asked must still be there: what it left behind may be anybody's.
                let is_unchanged = connection.asker.is_unchanged().await;
                let answer = agent.unless_locked(answer);
                let mut ending = Ending::of_tool(&answer);
                let is_there = is_unchanged && connection.answer(answer.unwrap_or_else(Reply::Refused)).await;
                if is_noted {
                    if !is_there && ending.outcome == Outcome::Given {
                        ending.outcome = Outcome::Gone;
                    }
                    agent.ledger.note(&connection.asker, deed, ending).await;
                }
                if !is_there {
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
        self.tool_of(ask, &Asker::unknown()).await
    }

    /// The same for somebody who is known.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tool_of(self: &Arc<Self>, ask: ToolAsk, asker: &Asker) -> Result<Reply, Refusal> {
        self.tool_within(ask, asker, &mut Deed::default(), limits::TOOL_ANSWER).await
    }

    async fn tool_within(
        self: &Arc<Self>,
        ask: ToolAsk,
        asker: &Asker,
        deed: &mut Deed,
        limit: Duration,
    ) -> Result<Reply, Refusal> {
        // On the heap: what a connection is made of must not hold the room that an answer needs.
        let answer = timeout(limit, Box::pin(self.answer_tool(ask, asker, deed))).await;
        let answer = self.unless_locked(answer.unwrap_or_else(|_| Err(pending())));
        if answer.is_ok() {
            self.count_use(asker);
        }
        answer
    }

    /// Nothing is given that was on its way when it was locked.
    fn unless_locked(&self, answer: Result<Reply, Refusal>) -> Result<Reply, Refusal> {
        if Ending::of_tool(&answer).outcome == Outcome::Given
            && matches!(
                answer,
                Ok(Reply::Headers(_)
                    | Reply::AwsCredentials(_)
                    | Reply::Exec(_)
                    | Reply::Secret(_)
                    | Reply::Metaflow(_))
            )
        {
            self.check_lock()?;
        }
        answer
    }

    async fn answer_tool(
        self: &Arc<Self>,
        ask: ToolAsk,
        asker: &Asker,
        deed: &mut Deed,
    ) -> Result<Reply, Refusal> {
        match ask {
            ToolAsk::Get { uri } => {
                deed.act = "get";
                self.get(&uri, asker, deed).await.map(Reply::Headers)
            }
            ToolAsk::CredentialProcess { name, role_arn, task_role } => {
                deed.act = "credential-process";
                let role = match (task_role, role_arn.as_deref()) {
                    (true, None) => Some(crate::kind::TASK_ROLE),
                    (_, role_arn) => role_arn,
                };
                let (_, keys) = self.keys(&name, role, asker, deed).await?;
                Ok(Reply::AwsCredentials(keys))
            }
            ToolAsk::Exec { name } => {
                deed.act = "exec";
                let found = self.config()?.find(&name, Ask::Exec)?.clone();
                if found.source.as_secret().is_some() {
                    return self.secret_values(&found.name.to_string(), None, asker, deed).await;
                }
                if found.source.as_outerbounds().is_some() {
                    return self.metaflow_config(&name, asker, deed).await;
                }
                let name = found.name.to_string();
                let (entry, credentials) = self.keys(&name, None, asker, deed).await?;
                let region =
                    entry.source.facts().remove("region").or_else(|| self.chosen_region(&entry.name));
                let entry = entry.name.to_string();
                Ok(Reply::Exec(Box::new(ExecKeys { entry, region, credentials })))
            }
            ToolAsk::Secret { name, role_arn } => {
                deed.act = "secret";
                self.secret_values(&name, role_arn.as_deref(), asker, deed).await
            }
            ToolAsk::Metaflow { name } => {
                deed.act = "metaflow";
                self.metaflow_config(&name, asker, deed).await
            }
            ToolAsk::Why { subject } => self.why(&subject, asker).await.map(|why| Reply::Why(Box::new(why))),
            ToolAsk::About => Ok(Reply::About(self.about())),
        }
    }

    /// The region that somebody else than the configuration chose for keys.
    pub(crate) fn chosen_region(&self, name: &EntryName) -> Option<String> {
        Some(self.leases.get(name)?.about.chosen.as_ref()?.region.clone())
    }

    /// Keys of an entry, or of another role that is reached through it.
    async fn keys(
        self: &Arc<Self>,
        name: &str,
        role_arn: Option<&str>,
        asker: &Asker,
        deed: &mut Deed,
    ) -> Result<(Arc<Entry>, AwsCredentials), Refusal> {
        self.check_lock()?;
        let config = self.config()?;
        let entry = config.find(name, Ask::AwsCredentials)?.clone();
        let entry = match role_arn {
            Some(role_arn) => config.role_through(&entry, role_arn)?,
            None => entry,
        };
        deed.entry = Some(entry.name.clone());
        let _waiting = crate::kind::refuse_own_command(self, &config, &entry, asker).await?;
        let permit = self.permit(&config, &entry, asker, deed).await?;
        let keys = entry.source.aws_credentials(self, &entry, &permit).await?;
        Ok((entry, keys))
    }

    async fn get(self: &Arc<Self>, uri: &str, asker: &Asker, deed: &mut Deed) -> Result<Headers, Refusal> {
        let config = self.config()?;
        let target = match Target::parse(uri) {
            Ok(target) => target,
            // A wildcard is no host; some tools ask for one (siso's `https://*.googleapis.com/`).
            Err(refusal) => return Err(refusal),
        };
        deed.target = Some(target.to_string());
        let Some(entry) = config.route(&target.host) else {
            return match config.agent.unknown_host {
                UnknownHost::Empty => Ok(Headers::default()),
                UnknownHost::Error => Err(unknown_host(&target)),
            };
        };
        deed.entry = Some(entry.name.clone());
        self.check_lock()?;
        let permit = self.permit(&config, entry, asker, deed).await?;
        let mut headers = entry.source.headers(self, entry, &permit).await?;
        if !config.agent.bazel_expires {
            headers.expires = None;
        }
        Ok(headers)
    }

    async fn why(self: &Arc<Self>, subject: &str, asker: &Asker) -> Result<Why, Refusal> {
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
        let policy = self.would_permit(&config, &entry, asker).await;
        let is_allowed = matches!(policy, Some(Ok(())));
        // What stands in everybody's way is said first.
        let refusal = match self.check_lock() {
            Err(locked) => Some(locked),
            Ok(()) => self.try_out(&entry).await.err().or_else(|| policy?.err()),
        };
        let report = self.report(&entry).await;
        let say = match &refusal {
            None if is_allowed => format!("`{}` answers, and its policy allows this program", entry.name),
            None if entry.source.as_machine().is_some() => {
                format!("this job has an identity, which is what `{}` stands for", entry.name)
            }
            None => format!("`{}` answers", entry.name),
            Some(refusal) => format!("`{}` would answer, but {}", entry.name, refusal.say),
        };
        Ok(Why { subject, entry: Some(report), refusal, say })
    }

    /// Whether an entry would answer now.
    pub(crate) async fn try_out(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Refusal> {
        if entry.source.gives_aws_credentials() {
            entry.source.aws_credentials(self, entry, &Permit::to_look()).await.map(|_| ())
        } else if let Some(secret) = entry.source.as_secret() {
            secret.values(self, entry, &Permit::to_look()).await.map(drop)
        } else if entry.source.as_machine().is_some() {
            // It gives nothing to tools itself: what is obtained through it does.
            entry.source.ready(self, &entry.name)
        } else {
            entry.source.headers(self, entry, &Permit::to_look()).await.map(|_| ())
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
