//! `keyfob aws console`: the AWS console in the person's browser, by federation sign-in.
//!
//! AWS makes a sign-in token of a role's keys, and a link of that token opens the console: whoever has the link is the role. So
//! it goes from here to a browser in one answer of a listener on this machine ([`handover`]), and nowhere else: no argument of
//! a program, no line of the ledger, no frame. The keys go to AWS in the body of a `POST`, which the federation endpoint takes
//! beside the usual `GET` (IAM User Guide, "Enable custom identity broker access to the AWS console"): an address ends up in
//! logs. `SessionDuration` is not sent. Without it the console ends with the keys, and with it AWS refuses those of a chain.

mod handover;
mod page;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, header};
use keyfob_ipc::reply::{AwsCredentials, Reply, Step};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::asker::Asker;
use crate::clock::after;
use crate::config::{Ask, Entry};
use crate::door::Conversation;
use crate::footing::Footing;
use crate::ledger::Deed;
use handover::Handover;
use page::Place;

/// How long the address on this machine is there.
const OPEN: Duration = Duration::from_secs(60);

/// Most of a sign-in token, in bytes. They have about 800.
const TOKEN: usize = 16 * 1024;

/// A role whose console can be opened.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleRole<'a> {
    /// `aws`, `aws-cn` or another one.
    pub partition: &'a str,
    /// The region that the console shows.
    pub region: &'a str,
    /// `signin_url`: another federation endpoint than the partition's own.
    pub endpoint: Option<&'a str>,
}

impl Agent {
    /// Opens the console with an entry's keys: hands the client an address on this machine, and whoever opens that first the
    /// console.
    ///
    /// # Errors
    /// The refusal; none has the link in it.
    pub async fn aws_console(
        self: &Arc<Self>,
        name: &str,
        destination: Option<&str>,
        asker: &Asker,
        conversation: &mut dyn Conversation,
        deed: &mut Deed,
    ) -> Result<Reply, Refusal> {
        self.check_lock()?;
        let opening = Box::pin(self.open_console(name, destination, asker, conversation, deed));
        // What is under way when Keyfob is locked is dropped, and the listener with it.
        let say = tokio::select! {
            opened = opening => opened?,
            locked = self.latch.shuts() => return Err(locked),
        };
        Ok(Reply::Done { say })
    }

    async fn open_console(
        self: &Arc<Self>,
        name: &str,
        destination: Option<&str>,
        asker: &Asker,
        conversation: &mut dyn Conversation,
        deed: &mut Deed,
    ) -> Result<String, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::AwsCredentials)?.clone();
        deed.entry = Some(entry.name.clone());
        let role = entry.source.console().ok_or_else(|| no_console(&entry))?;
        let place = Place::of(&role, &entry.name)?;
        let destination = place.destination(destination)?;
        let permit = self.permit(&footing.config, &entry, asker, deed).await?;
        let getting = async {
            let keys = entry.source.aws_credentials(self, &entry, &permit).await?;
            self.sign_in_token(&footing, &entry, &place, &keys).await
        };
        let token = tokio::select! {
            token = getting => token?,
            () = conversation.gone() => return Err(called_off(&entry)),
        };
        // Whoever was permitted must still be there.
        if !asker.is_unchanged().await {
            return Err(called_off(&entry));
        }
        let until = after(self.clock.now(), OPEN);
        let mut handover = Handover::open(self.clone(), place.link(&destination, &token)).await?;
        if !conversation.step(Step::OpenBrowser { url: handover.address() }).await {
            return Err(called_off(&entry));
        }
        let over = self.minute_passes(until);
        tokio::pin!(over);
        tokio::select! {
            () = handover.taken() => {}
            () = conversation.gone() => return Err(called_off(&entry)),
            () = &mut over => return Err(nobody_came(&entry)),
        }
        self.count_use(asker);
        // Whoever comes second is told so: that may be the person, after another program.
        let agent = self.clone();
        tokio::spawn(async move {
            agent.minute_passes(until).await;
            drop(handover);
        });
        Ok(format!("the browser was sent to the AWS console as `{}`", entry.name))
    }

    /// By the wall clock, or by the runtime's where that one was set back.
    async fn minute_passes(&self, until: jiff::Timestamp) {
        tokio::select! {
            () = self.clock.wait_until(until) => {}
            () = tokio::time::sleep(OPEN) => {}
        }
    }

    async fn sign_in_token(
        &self,
        footing: &Footing,
        entry: &Entry,
        place: &Place,
        keys: &AwsCredentials,
    ) -> Result<Secret<String>, Refusal> {
        let request = Request::post(place.endpoint.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form(entry, keys)?)
            .map_err(|_| Refusal::new(Code::Internal, "the question for AWS cannot be written"))?;
        let answer = self.http(footing)?.send(request).await.map_err(|error| error.refusal())?;
        let (status, body) = (answer.status(), Zeroizing::new(answer.into_body()));
        if status != StatusCode::OK {
            return Err(turned_away(entry, status));
        }
        token_of(&body).ok_or_else(|| {
            let say = format!("{} answers something else than a sign-in token", place.host());
            Refusal::new(Code::ProviderUntrusted, say).hint("check the network or the VPN, then try again")
        })
    }
}

/// The keys, for the body of a request.
fn form(entry: &Entry, keys: &AwsCredentials) -> Result<Vec<u8>, Refusal> {
    let session_token = keys.session_token.as_ref().ok_or_else(|| no_console(entry))?;
    let session = serde_json::json!({
        "sessionId": keys.access_key_id,
        "sessionKey": keys.secret_access_key.expose(),
        "sessionToken": session_token.expose(),
    });
    let session = Zeroizing::new(session.to_string());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "getSigninToken").append_pair("Session", &session);
    Ok(form.finish().into_bytes())
}

fn token_of(body: &[u8]) -> Option<Secret<String>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "SigninToken")]
        token: Secret<String>,
    }
    let Answer { token } = serde_json::from_slice(body).ok()?;
    let text = token.expose();
    let is_token =
        !text.is_empty() && text.len() <= TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then_some(token)
}

fn turned_away(entry: &Entry, status: StatusCode) -> Refusal {
    let name = &entry.name;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let say = format!("the sign-in of the AWS console is out of order ({})", status.as_u16());
        return Refusal::new(Code::Offline, say).hint("try again in a moment");
    }
    let say =
        format!("AWS does not take the keys of `{name}` for a sign-in to its console ({})", status.as_u16());
    Refusal::new(Code::RoleRefused, say).hint(format!("keyfob why {name}"))
}

fn no_console(entry: &Entry) -> Refusal {
    if entry.source.gives_aws_credentials() && entry.source.through().is_some() {
        // Whoever chooses the role chooses its region, too, unless the configuration does.
        let say = format!("`{}` names no region, so it is not known which console is meant", entry.name);
        return Refusal::new(Code::UnknownEntry, say).hint(format!("set `region` under [{}]", entry.name));
    }
    let say = format!("`{}` is no role of AWS whose console Keyfob could open", entry.name);
    Refusal::new(Code::UnknownEntry, say)
        .hint("name an `[aws.*]` entry with a `role_arn`, and no `command`: `keyfob status` shows them")
}

fn command(entry: &Entry) -> String {
    format!("keyfob aws console {}", entry.name.name)
}

fn called_off(entry: &Entry) -> Refusal {
    Refusal::new(Code::CalledOff, "the way to the AWS console was called off").hint(command(entry))
}

fn nobody_came(entry: &Entry) -> Refusal {
    Refusal::new(Code::CalledOff, "no browser came for the AWS console within a minute").hint(command(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_in_token_is_one() {
        let token = |body: &str| token_of(body.as_bytes()).map(|token| token.expose().clone());
        assert_eq!(token(r#"{"SigninToken":"abc-_"}"#).as_deref(), Some("abc-_"));
        let long = format!(r#"{{"SigninToken":"{}"}}"#, "x".repeat(TOKEN + 1));
        for bad in [r#"{"SigninToken":""}"#, r#"{"SigninToken":"a\nb"}"#, "{}", "<html>", "", &long] {
            assert_eq!(token(bad), None, "{bad}");
        }
    }
}
