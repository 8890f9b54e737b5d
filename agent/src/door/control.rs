//! The control door: everything that a person does.

use std::sync::Arc;

use keyfob_ipc::reply::{Change, LockedBy, Reply};
use keyfob_ipc::{AdminAct, Code, ControlAsk, Flow, Refusal, Secret};

use super::connection::{Connection, Incoming};
use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::{Ask, Config, Entry, EntryName, KeychainKind};
use crate::consent::Seat;
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::SsoSession;
use crate::ledger::{Deed, Ending};
use crate::policy::Rules;
use crate::watch::Wants;

pub(super) async fn converse(agent: &Arc<Agent>, mut connection: Connection) {
    let seat = agent.watchers.number();
    loop {
        let reply = match connection.next::<ControlAsk>().await {
            Incoming::Ask(ControlAsk::Login { name, flow }, _) => {
                Box::pin(signing_in(agent, name, flow, &mut connection)).await
            }
            Incoming::Ask(ControlAsk::AwsConsole { name, destination }, _) => {
                Box::pin(opening_console(agent, name, destination, &mut connection)).await
            }
            Incoming::Ask(ControlAsk::Watch { notices, questions, ledger }, _) => {
                let wants = Wants { notices, questions, ledger };
                Box::pin(super::watch::converse(agent, connection, wants)).await;
                break;
            }
            Incoming::Ask(ask, _) => {
                // On the heap: what a connection is made of must not hold the room that an answer needs.
                Box::pin(agent.control_of(ask, seat, &connection.asker, false)).await
            }
            Incoming::Bad(refusal) => {
                connection.answer(Reply::Refused(refusal)).await;
                break;
            }
            Incoming::Closed => break,
        };
        if !connection.answer(reply.unwrap_or_else(Reply::Refused)).await {
            break;
        }
    }
    agent.leave(seat);
}

async fn signing_in(
    agent: &Arc<Agent>,
    name: Option<String>,
    flow: Flow,
    connection: &mut Connection,
) -> Result<Reply, Refusal> {
    let reply = agent.sign_in(name.as_deref(), flow, connection).await;
    let deed = Deed { entry: agent.named(name.as_deref()), ..Deed::new("login") };
    agent.ledger.note(&connection.asker, deed, Ending::of_control(&reply)).await;
    reply
}

async fn opening_console(
    agent: &Arc<Agent>,
    name: String,
    destination: Option<String>,
    connection: &mut Connection,
) -> Result<Reply, Refusal> {
    let mut deed = Deed { entry: agent.named(Some(&name)), ..Deed::new("aws-console") };
    let asker = connection.asker.clone();
    let reply = agent.aws_console(&name, destination.as_deref(), &asker, connection, &mut deed).await;
    // Whoever gets the console has got what the keys can do.
    agent.ledger.note(&asker, deed, Ending::of_tool(&reply)).await;
    reply
}

/// What the ledger calls it, and the entry that it names; `None` for what only looks, and for what writes its own lines.
fn act(ask: &ControlAsk) -> Option<(&'static str, Option<&str>)> {
    Some(match ask {
        ControlAsk::Logout { name } => ("logout", name.as_deref()),
        ControlAsk::TokenAdd { name, .. } => ("token-add", Some(name)),
        ControlAsk::TokenRotate { name, .. } => ("token-rotate", Some(name)),
        ControlAsk::TokenRemove { name, .. } => ("token-remove", Some(name)),
        ControlAsk::TokenEnds { name, .. } => ("token-ends", Some(name)),
        ControlAsk::TokenRescue { name } => ("token-rescue", Some(name)),
        ControlAsk::Admin { name, act } => {
            let act = match act {
                AdminAct::List { .. } => return None,
                AdminAct::SetPermissions { .. } => "admin-set-permissions",
                AdminAct::Rotate { .. } => "admin-rotate",
                AdminAct::Delete { .. } => "admin-delete",
                AdminAct::CreateMachine { .. } => "admin-create-machine",
            };
            (act, name.as_deref())
        }
        ControlAsk::ConfigConfirm { name, accept: Some(_) } => ("config-confirm", name.as_deref()),
        ControlAsk::OutscaleBootstrap { name, accept: Some(_), .. } => ("outscale-bootstrap", Some(name)),
        ControlAsk::SecretSet { name, .. } => ("secret-set", Some(name)),
        ControlAsk::SecretRemove { name, .. } => ("secret-remove", Some(name)),
        ControlAsk::Lock => ("lock", None),
        ControlAsk::Unlock { .. } => ("unlock", None),
        ControlAsk::Purge => ("purge", None),
        ControlAsk::Stop => ("stop", None),
        ControlAsk::Status
        | ControlAsk::About
        | ControlAsk::Entry { .. }
        | ControlAsk::TokenEntry { .. }
        | ControlAsk::OutscaleEntry { .. }
        | ControlAsk::Login { .. }
        | ControlAsk::TokenSnooze { .. }
        | ControlAsk::Permissions { .. }
        | ControlAsk::Watch { .. }
        | ControlAsk::Questions
        | ControlAsk::Answer { .. }
        | ControlAsk::Grants
        | ControlAsk::Revoke { .. }
        | ControlAsk::Log { .. }
        | ControlAsk::Doctor
        | ControlAsk::ClaimNotice { .. }
        | ControlAsk::ConfigCheck
        | ControlAsk::AwsConsole { .. }
        | ControlAsk::MachineClaims { .. }
        | ControlAsk::OutscaleBootstrap { accept: None, .. }
        | ControlAsk::ConfigConfirm { accept: None, .. } => return None,
    })
}

/// Whether it neither reads nor gives nor changes what is held: the rest waits until it is unlocked.
fn works_locked(ask: &ControlAsk) -> bool {
    match ask {
        ControlAsk::Status
        | ControlAsk::About
        | ControlAsk::Entry { .. }
        | ControlAsk::TokenEntry { .. }
        | ControlAsk::OutscaleEntry { .. }
        | ControlAsk::TokenSnooze { .. }
        | ControlAsk::Watch { .. }
        | ControlAsk::Questions
        | ControlAsk::Grants
        | ControlAsk::Revoke { .. }
        | ControlAsk::Log { .. }
        | ControlAsk::Doctor
        | ControlAsk::Lock
        | ControlAsk::Unlock { .. }
        | ControlAsk::ClaimNotice { .. }
        | ControlAsk::ConfigCheck
        | ControlAsk::Stop => true,
        ControlAsk::Login { .. }
        | ControlAsk::Logout { .. }
        | ControlAsk::TokenAdd { .. }
        | ControlAsk::TokenRotate { .. }
        | ControlAsk::TokenRemove { .. }
        | ControlAsk::TokenEnds { .. }
        | ControlAsk::TokenRescue { .. }
        | ControlAsk::Permissions { .. }
        | ControlAsk::Admin { .. }
        | ControlAsk::Answer { .. }
        | ControlAsk::AwsConsole { .. }
        | ControlAsk::MachineClaims { .. }
        | ControlAsk::OutscaleBootstrap { .. }
        | ControlAsk::SecretSet { .. }
        | ControlAsk::SecretRemove { .. }
        | ControlAsk::Purge
        | ControlAsk::ConfigConfirm { .. } => false,
    }
}

impl Agent {
    /// Answers a person, but for signing in ([`Agent::sign_in`]), which is a conversation.
    ///
    /// # Errors
    /// The refusal.
    pub async fn control(self: &Arc<Self>, ask: ControlAsk) -> Result<Reply, Refusal> {
        self.control_of(ask, Seat(0), &Asker::unknown(), false).await
    }

    /// The same for somebody who is known, on a connection with a number; `is_window` where it watches and shows questions.
    ///
    /// # Errors
    /// The refusal.
    pub async fn control_of(
        self: &Arc<Self>,
        ask: ControlAsk,
        seat: Seat,
        asker: &Asker,
        is_window: bool,
    ) -> Result<Reply, Refusal> {
        let mut deed = act(&ask).map(|(act, name)| Deed { entry: self.named(name), ..Deed::new(act) });
        let is_unlock = matches!(ask, ControlAsk::Unlock { .. });
        let is_lasting = is_unlock || matches!(ask, ControlAsk::Lock | ControlAsk::TokenRescue { .. });
        let is_approval = matches!(ask, ControlAsk::Answer { .. });
        let works_locked = works_locked(&ask);
        let may = || if works_locked { Ok(()) } else { self.check_lock() };
        let reply = match may().and_then(|()| self.check_person(&ask, asker, is_window)) {
            Ok(()) => self.answer_control(ask, seat, asker, is_window).await,
            Err(refusal) => Err(refusal),
        };
        // This may wait, so what must hold when a value leaves is looked at below.
        let reply = self.covered(reply).await;
        // What failed because it was locked meanwhile says so.
        let reply = reply.or_else(|refusal| may().and(Err(refusal)));
        if let Some(deed) = deed.as_mut().filter(|_| is_unlock && reply.is_ok()) {
            deed.note = Some(if is_window { "in a window" } else { "on a terminal" }.to_owned())
                .filter(|_| is_window || asker.has_terminal());
        }
        if is_approval && reply.is_err() {
            // What succeeds has its line already, and must have it.
            deed = Some(Deed::new("approve"));
        }
        let Some(deed) = deed else { return reply };
        if is_lasting {
            self.ledger.note_now(asker, deed.clone(), Ending::of_control(&reply)).await;
        } else {
            self.ledger.note(asker, deed.clone(), Ending::of_control(&reply)).await;
        }
        if carries_value(&reply)
            && let Err(locked) = self.check_lock()
        {
            let hint = "keyfob unlock, and do it again";
            let refused =
                Err(Refusal::new(locked.code, "keyfob was locked meanwhile, and no value is given")
                    .hint(hint));
            self.ledger.note(asker, deed, Ending::of_control(&refused)).await;
            return refused;
        }
        reply
    }

    /// What answers with a value is for a person, where a policy says who may have what the entry gives.
    fn check_person(&self, ask: &ControlAsk, asker: &Asker, is_window: bool) -> Result<(), Refusal> {
        let (names, command) = match ask {
            ControlAsk::TokenRescue { name } => ([Some(name), None], "keyfob token rescue"),
            ControlAsk::Admin { name, act } => match act {
                AdminAct::Rotate { into, .. } | AdminAct::CreateMachine { into, .. } => {
                    ([name.as_ref(), into.as_ref()], "keyfob admin tokens")
                }
                AdminAct::List { .. } | AdminAct::SetPermissions { .. } | AdminAct::Delete { .. } => {
                    return Ok(());
                }
            },
            _ => return Ok(()),
        };
        if is_window || asker.has_terminal() {
            return Ok(());
        }
        let config = self.config()?;
        let is_meant = |entry: &EntryName| {
            names.iter().flatten().any(|name| entry.to_string() == **name || entry.name == **name)
        };
        // An administrator that is not named is any.
        let is_any = names[0].is_none();
        let guarded = config.entries.iter().find(|entry| {
            let is_administrator =
                || entry.source.as_token().is_some_and(|token| token.service.administration().is_some());
            (is_meant(&entry.name) || is_any && is_administrator())
                && !Rules::texts(&config, entry).is_empty()
        });
        let Some(entry) = guarded else { return Ok(()) };
        let say = format!("`{}` has a policy, so what it gives is shown on a terminal alone", entry.name);
        Err(Refusal::new(Code::NotAllowed, say).hint(format!("run `{command}` on a terminal")))
    }

    /// The entry that a person means, for the ledger: only one that is there.
    fn named(&self, name: Option<&str>) -> Option<EntryName> {
        let config = self.config().ok()?;
        config.find(name?, Ask::Anything).ok().map(|entry| entry.name.clone())
    }

    async fn answer_control(
        self: &Arc<Self>,
        ask: ControlAsk,
        seat: Seat,
        asker: &Asker,
        is_window: bool,
    ) -> Result<Reply, Refusal> {
        match ask {
            ControlAsk::Status => Ok(Reply::Status(Box::new(self.status().await))),
            ControlAsk::About => Ok(Reply::About(self.about())),
            ControlAsk::Entry { name } => self.entry_report(&name, Ask::Anything).await,
            ControlAsk::TokenEntry { name } => self.entry_report(&name, Ask::Value).await,
            ControlAsk::OutscaleEntry { name } => self.entry_report(&name, Ask::Keys).await,
            ControlAsk::Login { .. } => {
                Err(Refusal::new(Code::Internal, "a sign-in needs a connection of its own"))
            }
            ControlAsk::Logout { name } => self.sign_out(name.as_deref()).await.map(done),
            ControlAsk::TokenAdd { name, value, ends } => self
                .token_add(&name, value, ends.as_deref())
                .await
                .map(|report| Reply::Token(Box::new(report))),
            ControlAsk::TokenRotate { name, value, ends } => {
                let report = self.token_rotate(&name, value, ends.as_deref()).await?;
                Ok(Reply::Token(Box::new(report)))
            }
            ControlAsk::TokenRemove { name, keep_at_service } => {
                self.token_remove(&name, keep_at_service).await.map(done)
            }
            ControlAsk::TokenEnds { name, ends } => {
                self.token_ends(&name, &ends).await.map(|report| Reply::Token(Box::new(report)))
            }
            ControlAsk::TokenSnooze { name, days } => self.snooze(&name, days).map(done),
            ControlAsk::TokenRescue { name } => self.token_rescue(&name).map(|value| Reply::Value { value }),
            ControlAsk::Permissions { name, again } => {
                self.permissions(name.as_deref(), again).await.map(Reply::Permissions)
            }
            ControlAsk::SecretSet { name, values, replace } => self.secret_set(&name, values, replace).await,
            ControlAsk::SecretRemove { name, key } => self.secret_remove(&name, key.as_deref()).await,
            ControlAsk::Admin { name, act } => self.administrate(name.as_deref(), act).await,
            ControlAsk::AwsConsole { .. } => {
                Err(Refusal::new(Code::Internal, "a console needs a connection of its own"))
            }
            ControlAsk::MachineClaims { name } => {
                self.machine_claims(&name).await.map(|report| Reply::Claims(Box::new(report)))
            }
            ControlAsk::OutscaleBootstrap { name, actions, access_key, secret_key, accept } => self
                .outscale_bootstrap(&name, &actions, (&access_key, &secret_key), accept.as_deref())
                .await
                .map(Reply::Bootstrap),
            ControlAsk::Watch { .. } => {
                Err(Refusal::new(Code::Internal, "a watch needs a connection of its own"))
            }
            ControlAsk::ClaimNotice { id } => self.notices.claim(id).map(done),
            ControlAsk::ConfigCheck => Ok(Reply::Config(self.store().check())),
            ControlAsk::ConfigConfirm { name, accept } => {
                self.confirm(name.as_deref(), accept.as_deref()).await.map(Reply::Changes)
            }
            ControlAsk::Questions => Ok(Reply::Questions(self.questions(seat))),
            ControlAsk::Answer { id, approval, typed } => {
                self.answer(seat, asker, is_window, &id, approval, typed.as_deref()).await.map(done)
            }
            ControlAsk::Grants => Ok(Reply::Grants(self.grants().await)),
            ControlAsk::Revoke { which } => self.take_back(asker, which.as_deref()).await.map(done),
            ControlAsk::Log { last, name } => self.log(last, name.as_deref()).await.map(Reply::Ledger),
            ControlAsk::Doctor => Ok(Reply::Checks(self.doctor().await)),
            ControlAsk::Lock => self.lock(LockedBy::Person).await.map(done),
            ControlAsk::Unlock { passphrase } => self.unlock(asker, is_window, passphrase).await.map(done),
            ControlAsk::Purge => self.purge().await.map(done),
            ControlAsk::Stop => {
                self.save_before_the_end().await?;
                self.stop.notify_one();
                Ok(done("the agent ends".to_owned()))
            }
        }
    }

    async fn entry_report(self: &Arc<Self>, name: &str, ask: Ask) -> Result<Reply, Refusal> {
        let config = self.config()?;
        let entry = config.find(name, ask)?;
        Ok(Reply::Entry(Box::new(self.report(entry).await)))
    }

    /// Lists what waits for a confirmation, and binds it where the person accepted that very list.
    async fn confirm(&self, name: Option<&str>, accepted: Option<&[Change]>) -> Result<Vec<Change>, Refusal> {
        let config = self.config()?;
        let entries = match name {
            Some(name) => vec![config.find(name, Ask::Anything)?.clone()],
            None => config.entries.clone(),
        };
        let mut changes = Vec::new();
        let mut waiting = Vec::new();
        for entry in entries {
            let places = self.widened(&config, &entry).await;
            if !places.is_empty() {
                let places = places.iter().map(|place| keyfob_ipc::text::escape(place)).collect();
                changes.push(Change { entry: entry.name.to_string(), places });
                waiting.push(entry);
            }
        }
        let Some(accepted) = accepted else { return Ok(changes) };
        if changes.iter().any(|change| !accepted.contains(change)) {
            let say = "the configuration changed since it was shown, and nothing was confirmed";
            return Err(Refusal::new(Code::DestinationChanged, say).hint("keyfob config confirm"));
        }
        for entry in waiting {
            self.bind(&config, &entry).await?;
        }
        Ok(changes)
    }

    /// Lets a holding go where the configuration points it.
    async fn bind(&self, config: &Config, entry: &Entry) -> Result<(), Refusal> {
        let holdings = self.holdings();
        let Some(holding) = holdings.get(&entry.name).await? else { return Ok(()) };
        let destination = entry.source.destination(&entry.name, config);
        holdings
            .change(&entry.name, &holding.value, |bound| crate::permissions::confirmed(bound, destination))
            .await?;
        self.drop_bought_with(&entry.name);
        Ok(())
    }

    /// Forgets a session, and tells the provider. Returns what the person is told.
    ///
    /// # Errors
    /// The keychain's; the session is still held then.
    pub async fn sign_out(self: &Arc<Self>, name: Option<&str>) -> Result<String, Refusal> {
        let footing = self.footing()?;
        let entry = session_entry(&footing.config, name, "keyfob logout")?;
        let holding = footing.holdings.get(&entry.name).await?;
        footing.holdings.remove(&entry.name).await?;
        self.drop_bought_with(&entry.name);
        let Some(holding) = holding else { return Ok(format!("`{}` was not signed in", entry.name)) };
        // Forgotten here whatever the provider says; revoking it there is a courtesy that may fail.
        let revoked = match SsoSession::refresh_token(&holding, &entry.name) {
            Some(token) => self.revoke(&footing, &entry, &holding, &token).await.is_some(),
            None => true,
        };
        Ok(if revoked {
            format!("signed out of `{}`", entry.name)
        } else {
            format!("signed out of `{}` here; the provider could not be told", entry.name)
        })
    }

    /// Forgets everything that is held: in the keychain that is configured, and in the desktop's, which may have been it before. That one
    /// first: where it is locked, nothing has happened yet.
    async fn purge(self: &Arc<Self>) -> Result<String, Refusal> {
        let is_missing = match self.holdings_in(KeychainKind::System).clear().await {
            Err(refusal) if refusal.code == Code::KeychainMissing => true,
            other => other.map(|()| false)?,
        };
        self.holdings().clear().await?;
        Ok(if is_missing {
            "nothing of keyfob's is held any more; the desktop's keychain is not here, and was not looked into".to_owned()
        } else {
            "the keychain has nothing of keyfob's any more".to_owned()
        })
    }

    /// Tells the provider, unless the configuration names another one than the session is from.
    async fn revoke(
        &self,
        footing: &Footing,
        entry: &Entry,
        holding: &Holding,
        token: &Secret<String>,
    ) -> Option<()> {
        let now = entry.source.destination(&entry.name, &footing.config);
        if !holding.destination.widened_by(&now).is_empty() {
            return None;
        }
        let session = entry.source.as_sso()?;
        let provider = self.provider(&session.registration, self.http(footing).ok()?, "").await.ok()?;
        provider.revoke(token).await.ok()
    }
}

/// The session that a person means.
pub(crate) fn session_entry(
    config: &Config,
    name: Option<&str>,
    command: &str,
) -> Result<Arc<Entry>, Refusal> {
    match name {
        Some(name) => config.find(name, Ask::SignIn).cloned(),
        None => config.only(Ask::SignIn, command).cloned(),
    }
}

fn carries_value(reply: &Result<Reply, Refusal>) -> bool {
    match reply {
        Ok(Reply::Value { .. }) => true,
        Ok(Reply::Issued(issued)) => issued.value.is_some(),
        _ => false,
    }
}

fn done(say: String) -> Reply {
    Reply::Done { say }
}
