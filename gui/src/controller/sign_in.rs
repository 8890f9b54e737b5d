//! Signing in: one at a time, on a connection of its own. Closing that calls it off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, ControlAsk, Flow, Refusal, Reply, Speaking, limits, text};

use super::Running;
use super::owed::Owed;
use super::reach::{Way, is_same_site, is_web_address};
use super::threads::Said;
use super::{Back, Input};
use crate::page::{SignIn, SignInStep};
use crate::shell::Shell;
use crate::view::trouble;

/// The agent ends a sign-in at its limit and says so; it is given the time to.
const GRACE: Duration = Duration::from_secs(15);

/// How long the agent may take to take the word that calls a sign-in off.
const WORD: Duration = Duration::from_secs(1);

/// What the thread of a sign-in brings.
pub(super) enum SignInNews {
    /// Something is to be done or shown.
    Step(Step),
    /// It is over; the sentence of a good end.
    Over(Result<String, Refusal>),
}

/// The sign-in of now, and how the last one ended.
#[derive(Default)]
pub(super) struct SigningIn {
    /// What the page shows.
    pub(super) shown: Option<SignIn>,
    /// What earlier ones still bring is nobody's business.
    number: u64,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    line: Arc<Line>,
    /// What the browser is to show.
    address: Option<String>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.line.call_off();
    }
}

/// What ends a sign-in from another thread than the one that waits for the agent.
#[derive(Default)]
struct Line(Mutex<End>);

#[derive(Default)]
enum End {
    /// Not connected yet, or over.
    #[default]
    Nothing,
    /// Any word on this connection ends it.
    Speaking(Speaking),
    CalledOff,
}

impl Line {
    /// Takes the connection in; `false` where it was called off before there was one.
    fn connected(&self, speaking: Speaking) -> bool {
        let mut end = self.end();
        let goes_on = !matches!(*end, End::CalledOff);
        if goes_on {
            *end = End::Speaking(speaking);
        }
        goes_on
    }

    fn call_off(&self) {
        if let End::Speaking(mut speaking) = std::mem::replace(&mut *self.end(), End::CalledOff) {
            // An agent that takes no word has gone, or gives the sign-in up by itself.
            let _ = speaking.send(ControlAsk::About, WORD);
        }
    }

    /// Whatever comes now comes too late to be called off, and nothing holds the connection open.
    fn over(&self) {
        let mut end = self.end();
        if matches!(*end, End::Speaking(_)) {
            *end = End::Nothing;
        }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Shell> Running<S> {
    pub(super) fn sign_in(&mut self, entry: String, device: bool, owed: Owed) {
        if self.signing_in.under_way.is_some() {
            let refusal = self.refuse(Code::Busy, "say.sign-in-under-way", &[]);
            return owed.answer(Err(refusal.hint(self.say("say.sign-in-under-way-hint"))));
        }
        let Some(seat) = self.sign_ins.take() else { return owed.answer(Err(self.way.busy())) };
        self.signing_in.number += 1;
        let number = self.signing_in.number;
        let line = Arc::new(Line::default());
        self.signing_in.under_way = Some(UnderWay { line: Arc::clone(&line), address: None });
        self.signing_in.shown = Some(SignIn { entry: entry.clone(), step: SignInStep::Begun });
        self.window.is_stale = true;
        let flow = if device { Flow::Device } else { Flow::Browser };
        let (way, sender) = (Arc::clone(&self.way), self.sender.clone());
        let tell = move |news| {
            // Nobody listens any more where the program ends.
            let _ = sender.send(Input::Back(Back(Said::SignIn(number, news))));
        };
        let failed = move |refusal| Said::SignIn(number, SignInNews::Over(Err(refusal)));
        self.bring_back("sign-in", "say.fault-sign-in", failed, move || {
            let _seat = seat;
            let end = drive(&way, ControlAsk::Login { name: Some(entry), flow }, &line, tell);
            line.over();
            Said::SignIn(number, SignInNews::Over(end))
        });
        owed.done();
    }

    pub(super) fn sign_in_goes_on(&mut self, number: u64, news: SignInNews) {
        if number != self.signing_in.number || self.signing_in.under_way.is_none() {
            return;
        }
        match news {
            SignInNews::Step(Step::OpenBrowser { url }) => self.browse(url),
            SignInNews::Step(Step::DeviceCode {
                user_code,
                verification_uri,
                verification_uri_complete,
                expires_in,
            }) => {
                // The person is shown where they go, so nothing else is opened.
                let complete = verification_uri_complete.filter(|it| is_same_site(it, &verification_uri));
                let address = complete.unwrap_or_else(|| verification_uri.clone());
                self.keep_address(Some(address).filter(|address| is_web_address(address)));
                let lasts = SignedDuration::from_secs(i64::try_from(expires_in).unwrap_or(i64::MAX));
                let until = (self.clock)().checked_add(lasts).unwrap_or(jiff::Timestamp::MAX);
                self.sign_in_step(SignInStep::Code {
                    code: text::escape(&user_code),
                    address: text::escape(&verification_uri),
                    until: until.to_string(),
                });
            }
            SignInNews::Over(end) => self.sign_in_over(end),
        }
    }

    fn browse(&mut self, url: String) {
        if !is_web_address(&url) {
            let refusal = self.refuse(Code::ProviderUntrusted, "say.no-web-address", &[]);
            return self.sign_in_over(Err(refusal.hint(self.say("say.no-web-address-hint"))));
        }
        let opened = self.shell.open_address(&url);
        self.keep_address(Some(url));
        self.sign_in_step(SignInStep::Browser { opened });
    }

    /// The page of the sign-in is to be opened again.
    pub(super) fn open_sign_in_page(&mut self, owed: Owed) {
        let address = self.signing_in.under_way.as_ref().and_then(|under_way| under_way.address.clone());
        match address {
            Some(address) => self.open(&address, owed),
            None => {
                let refusal = self.refuse(Code::BadRequest, "say.no-sign-in", &[]);
                owed.answer(Err(refusal.hint(self.say("say.no-sign-in-hint"))));
            }
        }
    }

    /// Opens an address that the agent has given.
    pub(super) fn open(&mut self, address: &str, owed: Owed) {
        if self.shell.open_address(address) {
            owed.done();
        } else {
            let hint = self.texts.say("say.no-browser-hint", &[("address", address)]);
            owed.answer(Err(self.refuse(Code::Internal, "say.no-browser", &[]).hint(hint)));
        }
    }

    /// Calls the sign-in under way off, or puts away how it ended.
    pub(super) fn put_sign_in_away(&mut self, owed: Owed) {
        (self.signing_in.under_way, self.signing_in.shown) = (None, None);
        self.window.is_stale = true;
        owed.done();
    }

    fn sign_in_over(&mut self, end: Result<String, Refusal>) {
        self.signing_in.under_way = None;
        self.sign_in_step(match end {
            Ok(say) => SignInStep::Done { say },
            Err(refusal) => SignInStep::Failed { trouble: trouble(&refusal) },
        });
        self.want_status();
    }

    fn sign_in_step(&mut self, step: SignInStep) {
        if let Some(shown) = &mut self.signing_in.shown {
            shown.step = step;
        }
        self.window.is_stale = true;
    }

    fn keep_address(&mut self, address: Option<String>) {
        if let Some(under_way) = &mut self.signing_in.under_way {
            under_way.address = address;
        }
    }
}

/// One sign-in, from the ask to its end.
fn drive(way: &Way, ask: ControlAsk, line: &Line, tell: impl Fn(SignInNews)) -> Result<String, Refusal> {
    let mut client = way.control(false)?;
    if !line.connected(client.speaking()?) {
        return Err(way.refuse(Code::CalledOff, "say.called-off"));
    }
    client.send(ask, limits::CONTROL_PATIENCE)?;
    loop {
        match client.receive(limits::SIGN_IN + GRACE)? {
            Reply::Step(step) => tell(SignInNews::Step(step)),
            reply => return way.said(reply),
        }
    }
}
