//! `keyfob doctor`: what must hold for a credential to be served, looked at from the agent's side.
//!
//! Everything is looked at at once, each check with a deadline of its own, so that one that hangs delays nobody. Nothing opens
//! a prompt, and nothing is spent that a tool's question would not spend: roles are tried as `why` tries them.

mod clock;
mod entries;
mod network;
mod process;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::Refusal;
use keyfob_ipc::reply::{Check, Health, LockedBy};
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::config::{Config, Entry};

/// How long one check may take.
const EACH: Duration = Duration::from_secs(5);
/// Roles that are tried, and issuers that are asked: more at once would be a burst at the company's servers.
const ASKED: usize = 20;

impl Agent {
    /// From the process outwards: hardening, state folder, doors, keychain, network, entries.
    pub async fn doctor(self: &Arc<Self>) -> Vec<Check> {
        let mut checks = self.look_at_process();
        let config = self.config().unwrap_or_default();
        let begun = [
            self.begin("disk", |agent| async move { vec![agent.look_at_state().await] }),
            self.begin("keychain", |agent| async move { vec![agent.look_at_keychain().await] }),
            self.begin("lock", |agent| async move { agent.look_at_lock().await }),
            self.begin("network", |agent| async move { vec![agent.look_at_network()] }),
        ];
        let issuers = self.begin_issuers(&config);
        let entries = self.begin_entries(&config);
        for (name, check) in begun {
            checks.extend(ended(&name, check).await);
        }
        // Each entry behind the issuer that it needs.
        let (mut asked, mut dates) = (Vec::new(), Vec::new());
        for (name, issuer) in issuers {
            let (check, date) = issuer.await.unwrap_or_else(|_| (bad(&name, &failed()), None));
            asked.push(check);
            dates.extend(date);
        }
        checks.extend(clock::judge(self.clock.now(), &dates));
        checks.extend(asked);
        for (name, check) in entries {
            checks.extend(ended(&name, check).await);
        }
        checks.extend(entries::left_out(&config));
        checks
    }

    /// Begins a check that has its deadline from here on.
    fn begin<F>(
        self: &Arc<Self>,
        name: &str,
        check: impl FnOnce(Arc<Self>) -> F,
    ) -> (String, JoinHandle<Vec<Check>>)
    where
        F: Future<Output = Vec<Check>> + Send + 'static,
    {
        let check = check(self.clone());
        let late = bad(name, &too_late());
        let task = async move { tokio::time::timeout(EACH, check).await.unwrap_or_else(|_| vec![late]) };
        (name.to_owned(), tokio::spawn(task))
    }

    /// The keychain, found out without a prompt.
    async fn look_at_keychain(&self) -> Check {
        let report = self.holdings().report().await;
        match report.refusal {
            None => good("keychain", format!("the {} keychain is open", report.kind)),
            Some(refusal) => bad("keychain", &refusal),
        }
    }

    async fn look_at_lock(&self) -> Vec<Check> {
        let mut checks: Vec<Check> =
            self.lock_report_now().await.map(|lock| locked(lock.by)).into_iter().collect();
        let lock_on = self.config().map(|config| config.agent.lock_on).unwrap_or_default();
        let wanted = [(lock_on.screen, "the screen is locked"), (lock_on.sleep, "the machine goes to sleep")];
        let wanted: Vec<&str> =
            wanted.into_iter().filter_map(|(is_on, when)| is_on.then_some(when)).collect();
        let wanted = wanted.join(" and when ");
        match self.lock_on_trouble() {
            Some(trouble) => {
                let say = format!("it should lock when {wanted}, and is not told: {trouble}");
                checks.push(attention("lock", say, "lock it yourself: keyfob lock"));
            }
            None if !wanted.is_empty() => checks.push(good("lock", format!("it locks when {wanted}"))),
            None if checks.is_empty() => {
                checks.push(good("lock", "not locked; `lock_on` is not set".to_owned()));
            }
            None => {}
        }
        checks
    }
}

fn locked(by: LockedBy) -> Check {
    let why = match by {
        LockedBy::Person => "you locked it",
        LockedBy::Screen => "the screen was locked",
        LockedBy::Sleep => "the machine slept",
        LockedBy::Unknown => "it was locked",
    };
    let refusal = Refusal::new(keyfob_ipc::Code::Locked, format!("nothing is given: {why}"));
    bad("lock", &refusal.hint("keyfob unlock"))
}

/// The entries that are asked about at the company's servers.
fn asked<'a>(
    config: &'a Config,
    is_meant: impl Fn(&Entry) -> bool + 'a,
) -> impl Iterator<Item = &'a Arc<Entry>> {
    config.entries.iter().filter(move |entry| is_meant(entry))
}

/// What a task has found; a check that fails is a finding, too.
async fn ended(name: &str, check: JoinHandle<Vec<Check>>) -> Vec<Check> {
    check.await.unwrap_or_else(|_| vec![bad(name, &failed())])
}

fn too_late() -> Refusal {
    let say = format!("no answer within {} seconds", EACH.as_secs());
    Refusal::new(keyfob_ipc::Code::Pending, say).hint("check the network or the VPN, then try again")
}

fn failed() -> Refusal {
    Refusal::new(keyfob_ipc::Code::Internal, "the check itself failed").hint("look at the agent's log")
}

fn good(name: &str, say: String) -> Check {
    Check { name: name.to_owned(), health: Health::Good, say, hint: String::new() }
}

fn attention(name: &str, say: String, hint: &str) -> Check {
    Check { name: name.to_owned(), health: Health::Attention, say, hint: hint.to_owned() }
}

fn bad(name: &str, refusal: &Refusal) -> Check {
    Check { name: name.to_owned(), health: Health::Bad, say: refusal.say.clone(), hint: refusal.hint.clone() }
}
