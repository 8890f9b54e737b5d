//! Signing in: a conversation between the person, the provider and the agent.
//!
//! The agent never opens a browser: it hands the address to the client that asked. A client that goes away before the
//! person has returned calls the sign-in off; after that it runs to its end, because the provider has spent the code.

pub(crate) mod loopback;

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{Reply, Step};
use keyfob_ipc::{Code, Flow, Refusal, limits};

use crate::agent::Agent;
use crate::config::Entry;
use crate::door::Conversation;
use crate::footing::Footing;
use crate::kind::SsoSession;
use crate::upstream::oidc::{DeviceAttempt, Grant, OidcError, Poll, Provider};
use loopback::Loopback;

/// Polling where the provider names no interval (RFC 8628, section 3.2), and what `slow_down` adds (section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Shortest pause between two polls, whatever the provider says.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two polls while the network is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Agent {
    /// Signs a person in.
    ///
    /// # Errors
    /// The refusal.
    pub async fn sign_in(
        self: &Arc<Self>,
        name: Option<&str>,
        flow: Flow,
        conversation: &mut dyn Conversation,
    ) -> Result<Reply, Refusal> {
        if self.job.get().is_some() {
            return Err(crate::job::no_sign_in());
        }
        self.check_lock()?;
        let footing = self.footing()?;
        let entry = crate::door::control::session_entry(&footing.config, name, "keyfob login")?;
        let Some(session) = entry.source.as_sso() else {
            return Err(Refusal::new(Code::UnknownEntry, format!("`{}` is no SSO session", entry.name)));
        };
        // Nobody is sent to a provider for a session that could not be kept.
        footing.holdings.prove().await?;
        let command = format!("keyfob login {}", entry.name.name);
        let provider = self.provider(&session.registration, self.http(&footing)?, &command).await?;
        let signing_in = tokio::time::timeout(limits::SIGN_IN, async {
            match flow {
                Flow::Browser => self.by_browser(session, provider, conversation, &entry, &footing).await,
                Flow::Device => self.by_device(provider, conversation, &entry, &footing).await,
            }
        });
        // Whoever locks it may not be who signs in.
        let signed_in = tokio::select! {
            signed_in = signing_in => signed_in,
            locked = self.latch.shuts() => return Err(locked),
        };
        let signed_in = signed_in.unwrap_or_else(|_| {
            let say = "nobody came back from the sign-in page in time";
            Err(Refusal::new(Code::CalledOff, say).hint(&command))
        });
        signed_in.map(|say| Reply::Done { say })
    }

    async fn by_browser(
        self: &Arc<Self>,
        session: &SsoSession,
        provider: Provider,
        conversation: &mut dyn Conversation,
        entry: &Arc<Entry>,
        footing: &Footing,
    ) -> Result<String, Refusal> {
        let command = format!("keyfob login {}", entry.name.name);
        let mut loopback = Loopback::open(&session.redirect_ports).await?;
        let attempt = provider.begin(&loopback.address()).map_err(|error| error.refusal(&command))?;
        loopback.expect(attempt.state.clone(), provider.issuer().to_owned(), provider.promises_issuer());
        if !conversation.step(Step::OpenBrowser { url: attempt.url.clone() }).await {
            return Err(called_off(&command));
        }
        let arrival = tokio::select! {
            arrival = loopback.arrival() => arrival.map_err(|refusal| refusal.hint(&command))?,
            () = conversation.gone() => return Err(called_off(&command)),
        };
        // From here on the code is spent: the rest runs to its end, whoever goes away.
        let (agent, entry, footing, mut provider) = (self.clone(), entry.clone(), footing.clone(), provider);
        let finish = tokio::spawn(async move {
            let kept = match agent.begin_spending() {
                None => Err(called_off(&command)),
                Some(_spending) => match provider.redeem(attempt, &arrival.code, agent.clock.now()).await {
                    Ok(grant) => agent.keep(&entry, &footing, grant).await,
                    Err(error) => Err(error.refusal(&command)),
                },
            };
            arrival.tell(kept.as_ref().map(String::as_str)).await;
            kept
        });
        finish
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "the sign-in failed within the agent")))
    }

    async fn by_device(
        self: &Arc<Self>,
        mut provider: Provider,
        conversation: &mut dyn Conversation,
        entry: &Arc<Entry>,
        footing: &Footing,
    ) -> Result<String, Refusal> {
        let command = &format!("keyfob login {}", entry.name.name);
        let attempt = provider.begin_device().await.map_err(|error| error.refusal(command))?;
        if !conversation.step(device_step(&attempt)).await {
            return Err(called_off(command));
        }
        // Numbers of somebody else's: bounded before they are added to anything.
        let ends = tokio::time::Instant::now() + attempt.details.expires_in().min(limits::SIGN_IN);
        let mut interval = attempt.details.interval().clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = tokio::time::sleep_until(ends) => {
                    return Err(Refusal::new(Code::CalledOff, "the code was not entered in time").hint(command));
                }
                () = conversation.gone() => return Err(called_off(command)),
            }
            // An answer with tokens ends the code: they are kept, whoever goes away.
            let Some(_spending) = self.begin_spending() else { return Err(called_off(command)) };
            match provider.poll_device(&attempt, self.clock.now()).await {
                Ok(Poll::Pending) => {}
                Ok(Poll::SlowDown) => interval += SLOW_DOWN,
                Ok(Poll::Granted(grant)) => return self.keep(entry, footing, *grant).await,
                // The network may come back while the code lives (RFC 8628, section 3.5).
                Err(error) if error.refusal(command).code == Code::Offline => {
                    interval = (interval * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(device_refusal(&error, command)),
            }
        }
    }

    /// Keeps a new session, and uses what came with it.
    ///
    /// # Errors
    /// The keychain's; the session is kept in memory then, and stored when it is used.
    pub async fn keep(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        footing: &Footing,
        grant: Grant,
    ) -> Result<String, Refusal> {
        self.check_lock()?;
        let Some(session) = entry.source.as_sso() else {
            return Err(Refusal::new(Code::Internal, "the entry is no SSO session"));
        };
        let (mut holding, lease) =
            session.signed_in(&entry.name, &footing.config, grant, self.clock.now())?;
        let waiting = self.inherit_destination(footing, entry, &mut holding).await;
        let owner = holding.facts.owner.clone().unwrap_or_default();
        let ends = holding.facts.ends;
        let stored = footing.holdings.put(&entry.name, holding).await;
        // Stored or not, it is the session from here on: nothing that was bought with another one, and no word about that.
        self.drop_bought_with(&entry.name);
        stored?;
        if waiting.is_empty() {
            self.leases.put(entry.name.clone(), Arc::new(lease));
        }
        self.states.held(&entry.name, ends);
        Ok(format!("signed in to `{}` as {owner}{waiting}", entry.name))
    }
}

fn called_off(command: &str) -> Refusal {
    Refusal::new(Code::CalledOff, "the sign-in was called off").hint(command)
}

fn device_refusal(error: &OidcError, command: &str) -> Refusal {
    match error {
        OidcError::Refused { code, .. } if code == "expired_token" => {
            Refusal::new(Code::CalledOff, "the code was not entered in time").hint(command)
        }
        OidcError::Refused { code, .. } if code == "access_denied" => {
            Refusal::new(Code::CalledOff, "the sign-in was denied").hint(command)
        }
        other => other.refusal(command),
    }
}

fn device_step(attempt: &DeviceAttempt) -> Step {
    let details = &attempt.details;
    Step::DeviceCode {
        user_code: keyfob_ipc::text::escape(details.user_code().secret()),
        verification_uri: keyfob_ipc::text::escape(details.verification_uri()),
        verification_uri_complete: details
            .verification_uri_complete()
            .map(|uri| keyfob_ipc::text::escape(uri.secret())),
        expires_in: details.expires_in().as_secs(),
    }
}
