//! Signing in: a conversation between the person, the provider and the agent.
//!
//! The agent never opens a browser: it hands the address to the client that asked. A client that goes away before the
//! person has returned calls the sign-in off; after that it runs to its end, because the provider has spent the code.

mod loopback;

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{Reply, Step};
use keyfob_ipc::{Code, Flow, Refusal, limits};

use crate::agent::Agent;
use crate::config::Entry;
use crate::door::Conversation;
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
        let config = self.config()?;
        let entry = crate::door::control::session_entry(&config, name, "keyfob login")?;
        let Some(session) = entry.source.as_sso() else {
            return Err(Refusal::new(Code::UnknownEntry, format!("`{}` is no SSO session", entry.name)));
        };
        // Nobody is sent to a provider for a session that could not be kept.
        self.holdings().prove().await?;
        let command = format!("keyfob login {}", entry.name.name);
        let provider = self.provider(&session.registration, &command).await?;
        let granted = tokio::time::timeout(limits::SIGN_IN, async {
            match flow {
                Flow::Browser => self.by_browser(session, provider, conversation, &entry).await,
                Flow::Device => self.by_device(provider, conversation, &command).await,
            }
        })
        .await;
        let grant = granted.unwrap_or_else(|_| {
            Err(Refusal::new(Code::CalledOff, "nobody came back from the sign-in page in time")
                .hint(&command))
        });
        match grant {
            Ok(Signed::Kept(say)) => Ok(Reply::Done { say }),
            Ok(Signed::Granted(grant)) => self.keep(&entry, *grant).await.map(|say| Reply::Done { say }),
            Err(refusal) => Err(refusal),
        }
    }

    async fn by_browser(
        self: &Arc<Self>,
        session: &SsoSession,
        provider: Provider,
        conversation: &mut dyn Conversation,
        entry: &Arc<Entry>,
    ) -> Result<Signed, Refusal> {
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
        let (agent, entry, mut provider) = (self.clone(), entry.clone(), provider);
        let finish = tokio::spawn(async move {
            let now = agent.clock.now();
            let kept = match provider.redeem(attempt, &arrival.code, now).await {
                Ok(grant) => agent.keep(&entry, grant).await,
                Err(error) => Err(error.refusal(&command)),
            };
            arrival.tell(kept.as_ref().map(String::as_str)).await;
            kept
        });
        finish
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "the sign-in failed within the agent")))
            .map(Signed::Kept)
    }

    async fn by_device(
        self: &Arc<Self>,
        mut provider: Provider,
        conversation: &mut dyn Conversation,
        command: &str,
    ) -> Result<Signed, Refusal> {
        let attempt = provider.begin_device().await.map_err(|error| error.refusal(command))?;
        if !conversation.step(device_step(&attempt)).await {
            return Err(called_off(command));
        }
        let ends = tokio::time::Instant::now() + attempt.details.expires_in();
        let mut interval = attempt.details.interval().max(SHORTEST_PAUSE);
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = tokio::time::sleep_until(ends) => {
                    return Err(Refusal::new(Code::CalledOff, "the code was not entered in time").hint(command));
                }
                () = conversation.gone() => return Err(called_off(command)),
            }
            match provider.poll_device(&attempt, self.clock.now()).await {
                Ok(Poll::Pending) => {}
                Ok(Poll::SlowDown) => interval += SLOW_DOWN,
                Ok(Poll::Granted(grant)) => return Ok(Signed::Granted(grant)),
                // The network may come back while the code lives (RFC 8628, section 3.5).
                Err(error) if error.refusal(command).code == Code::Offline => {
                    interval = (interval * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(device_refusal(&error, command)),
            }
        }
    }

    /// Keeps a new session, and uses what came with it.
    async fn keep(self: &Arc<Self>, entry: &Arc<Entry>, grant: Grant) -> Result<String, Refusal> {
        let config = self.config()?;
        let Some(session) = entry.source.as_sso() else {
            return Err(Refusal::new(Code::Internal, "the entry is no SSO session"));
        };
        let (holding, lease) = session.signed_in(&entry.name, &config, grant, self.clock.now())?;
        let owner = holding.facts.owner.clone().unwrap_or_default();
        let ends = holding.facts.ends;
        self.holdings().put(&entry.name, holding).await?;
        self.drop_bought_with(&entry.name);
        self.leases.put(entry.name.clone(), Arc::new(lease));
        self.states.held(&entry.name, ends);
        Ok(format!("signed in to `{}` as {owner}", entry.name))
    }
}

enum Signed {
    /// Tokens that are not kept yet.
    Granted(Box<Grant>),
    /// Kept, with a sentence about it.
    Kept(String),
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
