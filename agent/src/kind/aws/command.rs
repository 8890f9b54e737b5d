//! `command = ["…"]`: another program that gives keys by the rules of `credential_process`, behind the agent's memory and its single
//! flight.

mod output;
mod run;
mod running;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{AwsCredentials, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal};
use toml::Spanned;

use super::{Table, read_region, role};
use crate::agent::Agent;
use crate::asker::Asker;
use crate::clock::after;
use crate::config::{Config, Entry, EntryName, Problem, Reading};
use crate::footing::Footing;
use crate::holding::Facts;
use crate::keychain::Pending;
use crate::kind::{Proof, Source, told as fact};
use crate::lease::{About, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use output::Keys;

pub use running::{Commands, Waiting};

/// Keys without an end are asked for again after this long: that is what the AWS SDK for Rust does, too.
const ENDLESS: Duration = Duration::from_secs(15 * 60);

/// Words of one command, the program included.
const WORDS: usize = 64;
/// Bytes of all of them.
const BYTES: usize = 8 * 1024;

/// Names of Keyfob's own programs, which would ask the agent that runs them.
const OWN: [&str; 5] =
    ["keyfob", "keyfobd", "bazel-credential-keyfob", "docker-credential-keyfob", "git-credential-keyfob"];

/// A command as configured.
#[derive(Debug)]
struct Command {
    /// The program first, by an absolute path.
    words: Vec<String>,
    region: Option<String>,
}

/// Reads an entry with `command`.
pub(super) fn read(
    words: &Spanned<Vec<Spanned<String>>>,
    table: &Table,
    reading: &mut Reading<'_>,
) -> Option<Box<dyn Source>> {
    let place = reading.place;
    refuse_misplaced(table, reading);
    let region = table.region.as_ref().map(|text| reading.check(read_region(place, text)));
    let size: usize = words.get_ref().iter().map(|word| word.get_ref().len()).sum();
    let Some(program) = words.get_ref().first() else {
        let say =
            format!("{place}: `command` is a list, the program first: [\"/opt/legacy/creds\", \"--json\"]");
        reading.problems.push(Problem::at(words, say));
        return None;
    };
    if words.get_ref().len() > WORDS || size > BYTES {
        let say = format!("{place}: `command` has at most {WORDS} words and {BYTES} bytes");
        reading.problems.push(Problem::at(words, say));
    }
    if let Some(word) = words.get_ref().iter().find(|word| word.get_ref().contains('\0')) {
        reading.problems.push(Problem::at(word, format!("{place}: a word of `command` has no zero byte")));
    }
    let path = Path::new(program.get_ref());
    if !path.is_absolute() {
        let say =
            format!("{place}: `command` begins with the absolute path of a program; no shell looks for it");
        reading.problems.push(Problem::at(program, say));
    } else if is_own(path) {
        let say = format!(
            "{place}: `command` is Keyfob itself, which would ask for this entry without end; write `source`"
        );
        reading.problems.push(Problem::at(program, say));
    }
    let words = words.get_ref().iter().map(|word| word.get_ref().clone()).collect();
    Some(Box::new(Command {
        words,
        region: region.unwrap_or(Some(String::new())).filter(|text| !text.is_empty()),
    }))
}

fn is_own(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let name = if cfg!(windows) { name.to_ascii_lowercase() } else { name.into_owned() };
    OWN.contains(&name.strip_suffix(".exe").unwrap_or(&name))
}

/// What belongs to roles.
fn refuse_misplaced(table: &Table, reading: &mut Reading<'_>) {
    let spans = [
        ("role_arn", table.role_arn.as_ref().map(Spanned::span)),
        ("duration", table.duration.as_ref().map(Spanned::span)),
        ("session_name", table.session_name.as_ref().map(Spanned::span)),
        ("session_tags", table.session_tags.as_ref().map(Spanned::span)),
        ("external_id", table.external_id.as_ref().map(Spanned::span)),
        ("policy_arns", table.policy_arns.as_ref().map(Spanned::span)),
        ("may_assume", table.may_assume.as_ref().map(Spanned::span)),
        ("endpoint_url", table.endpoint_url.as_ref().map(Spanned::span)),
        ("signin_url", table.signin_url.as_ref().map(Spanned::span)),
        ("use_fips", table.use_fips.as_ref().map(Spanned::span)),
    ];
    for (key, span) in spans {
        if span.is_some() {
            let say = format!(
                "{}: `{key}` does not go with `command`; for a role, write an entry of its own with `source`",
                reading.place
            );
            reading.problems.push(Problem { span, say });
        }
    }
}

/// Refuses a program that an entry's command has started, and whose answer would wait for that very command: it asks for that entry, for
/// one that is obtained through it, or for one whose own command waits for it in turn. What comes back is kept as long as the
/// program waits.
///
/// # Errors
/// [`Code::NotAllowed`].
pub async fn refuse_own_command(
    agent: &Agent,
    config: &Config,
    entry: &Entry,
    asker: &Asker,
) -> Result<Option<Waiting>, Refusal> {
    if agent.commands.is_idle() {
        return Ok(None);
    }
    let next = |name: &EntryName| config.entry(name)?.source.through().cloned();
    let behind = std::iter::successors(Some(entry.name.clone()), next).collect();
    let chain = asker.chain().await;
    let processes = chain.links.iter().map(|link| link.process);
    agent.commands.wait(processes, behind).map_err(|name| {
        let say = format!("the command of `{name}` asks for `{}`, which waits for that command", entry.name);
        Refusal::new(Code::NotAllowed, say)
            .hint(format!("give [{name}] a command that does not lead back to it"))
    })
}

impl Source for Command {
    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn holds(&self) -> bool {
        false
    }

    fn ends_with_lease(&self) -> bool {
        true
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let region = self.region.clone().map(|region| ("region".to_owned(), region));
        std::iter::once(("command".to_owned(), self.program().to_owned())).chain(region).collect()
    }

    fn no_role(&self, name: &EntryName, role_arn: &str) -> Refusal {
        let shown = keyfob_ipc::text::escape(role_arn);
        let say = format!("no entry that is obtained through `{name}` has the role `{shown}`");
        let bare = &name.name;
        Refusal::new(Code::NotAllowed, say)
            .hint(format!("add an entry [aws.NAME] with source = \"{bare}\" and role_arn = \"{shown}\""))
    }

    fn told(&self, agent: &Agent, entry: &Entry, _held: &Facts) -> Vec<ToldFact> {
        let program = fact("command", &[self.program().to_owned()], Teller::Configuration, None);
        let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > agent.clock.now());
        let account = lease.and_then(|lease| {
            // The program says so, and nobody else: it is of the configuration.
            fact("account", &[lease.about.account.clone()?], Teller::Configuration, Some(lease.since))
        });
        program.into_iter().chain(account).collect()
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(async move {
            let lease = agent.lease(entry, Need::Tool).await?;
            role::answer(entry, &lease, lease.about.account.as_deref())
        })
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move { agent.lease(entry, need).await.map(Proof::Keys) })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            let output = run::output(&agent.commands, &self.words, &entry.name).await;
            let written = output.map_err(|fault| fault.refusal(self, entry))?;
            let Keys { keys, until, account } =
                output::read(&written).map_err(|odd| untrusted(self, entry, &odd.to_string()))?;
            let now = agent.clock.now();
            if until.is_some_and(|until| until <= now) {
                return Err(untrusted(self, entry, "gave keys that have ended already"));
            }
            let about = About { is_endless: until.is_none(), account, ..About::default() };
            let until = until.unwrap_or_else(|| after(now, ENDLESS));
            Ok(Lease::aws(keys, now, until, Duration::ZERO).with(about))
        })
    }
}

impl Command {
    fn program(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// What a person does about it; what it writes to standard error is for them alone.
    fn look(&self) -> String {
        format!("run it in a terminal and see what it says: {}", self.program())
    }
}

fn untrusted(command: &Command, entry: &Entry, what: &str) -> Refusal {
    Refusal::new(Code::ProviderUntrusted, format!("the command of `{}` {what}", entry.name))
        .hint(command.look())
}

impl run::Fault {
    fn refusal(&self, command: &Command, entry: &Entry) -> Refusal {
        // What fails now may work in a minute, and keys that are left are better than none: nobody but the program knows.
        let code = match self {
            Self::Start(_) => Code::ConfigBroken,
            Self::TooMuch => Code::ProviderUntrusted,
            Self::Slow | Self::Exit(_) | Self::Read => Code::Offline,
        };
        Refusal::new(code, format!("the command of `{}` {self}", entry.name)).hint(command.look())
    }
}
