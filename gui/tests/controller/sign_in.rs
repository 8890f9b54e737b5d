//! Signing in, by a browser or by a code.

use std::time::Instant;

use keyfob_gui::page::{PageAsk, SignInStep};
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, Refusal, Reply};

use crate::fake_agent::{Act, DEADLINE, FakeAgent};
use crate::story::{Scene, Story};

const PAGE: &str = "https://acme.okta.com/authorize?state=CD5F";

fn sign_in(device: bool) -> PageAsk {
    PageAsk::SignIn { entry: "sso.okta".to_owned(), device }
}

/// The agent sends this step, and waits.
fn steps_to(agent: &FakeAgent, step: Step) {
    agent.on("login", move |_| vec![Act::Say(Reply::Step(step.clone()))]);
}

fn browser(url: &str) -> Step {
    Step::OpenBrowser { url: url.to_owned() }
}

fn await_step(story: &Story, what: &str, is_so: impl Fn(&SignInStep) -> bool) -> SignInStep {
    let page = story.await_page(what, |page| page.sign_in.as_ref().is_some_and(|shown| is_so(&shown.step)));
    let shown = page.sign_in.unwrap();
    assert_eq!(shown.entry, "sso.okta");
    shown.step
}

#[test]
fn a_browser_is_opened_and_the_end_is_shown_until_it_is_put_away() {
    let scene = Scene::new();
    let agent = scene.agent();
    steps_to(&agent, browser(PAGE));
    let story = Story::with_window(&scene);
    story.done(sign_in(false));
    let step = await_step(&story, "the browser", |step| matches!(step, SignInStep::Browser { .. }));
    assert_eq!(step, SignInStep::Browser { opened: true });
    story.done(PageAsk::OpenSignInPage);
    assert_eq!(story.shell.seen().addresses, [PAGE, PAGE]);
    let login = agent.await_asked("login", 1);
    assert_eq!((&login.body["name"], &login.body["flow"]), (&"sso.okta".into(), &"browser".into()));
    assert_ne!(login.connection, agent.await_window());
    agent.say(login.connection, Reply::Done { say: "signed in to `sso.okta`".to_owned() });
    let step = await_step(&story, "the end", |step| matches!(step, SignInStep::Done { .. }));
    assert_eq!(step, SignInStep::Done { say: "signed in to `sso.okta`".to_owned() });
    let trouble = story.ask(PageAsk::OpenSignInPage).unwrap_err();
    assert_eq!((&*trouble.code, trouble.hint.is_empty()), ("bad_request", false));
    story.done(PageAsk::PutSignInAway);
    story.await_page("nothing of it", |page| page.sign_in.is_none());
}

#[test]
fn a_code_is_shown_with_its_place_and_its_end() {
    let scene = Scene::new();
    let agent = scene.agent();
    steps_to(
        &agent,
        Step::DeviceCode {
            user_code: "THPS-DFJC\u{202e}".to_owned(),
            verification_uri: "https://acme.okta.com/activate".to_owned(),
            verification_uri_complete: Some("https://acme.okta.com/activate?user_code=THPS-DFJC".to_owned()),
            expires_in: 600,
        },
    );
    let story = Story::with_window(&scene);
    story.done(sign_in(true));
    let step = await_step(&story, "the code", |step| matches!(step, SignInStep::Code { .. }));
    let SignInStep::Code { code, address, until } = step else { unreachable!() };
    assert_eq!(code, "THPS-DFJC\\u{202e}", "text from outside is made safe");
    assert_eq!((&*address, &*until), ("https://acme.okta.com/activate", "2026-11-21T08:10:00Z"));
    assert!(story.shell.seen().addresses.is_empty(), "a code is for any device");
    story.done(PageAsk::OpenSignInPage);
    assert_eq!(story.shell.seen().addresses, ["https://acme.okta.com/activate?user_code=THPS-DFJC"]);
    assert_eq!(agent.await_asked("login", 1).body["flow"], "device");
}

#[test]
fn only_the_site_that_is_shown_is_opened() {
    for complete in [
        "https://acme.okta.com.evil.example/activate?user_code=A",
        "http://acme.okta.com/activate?user_code=A",
        "https://acme.okta.com:8443/activate?user_code=A",
        "https://acme.okta.com@evil.example/",
        "no address",
    ] {
        let scene = Scene::new();
        let agent = scene.agent();
        let shown = "https://acme.okta.com/activate".to_owned();
        let (user_code, verification_uri_complete) = ("A".to_owned(), Some(complete.to_owned()));
        let step = Step::DeviceCode {
            user_code,
            verification_uri: shown.clone(),
            verification_uri_complete,
            expires_in: 600,
        };
        steps_to(&agent, step);
        let story = Story::with_window(&scene);
        story.done(sign_in(true));
        await_step(&story, "the code", |step| matches!(step, SignInStep::Code { .. }));
        story.done(PageAsk::OpenSignInPage);
        assert_eq!(story.shell.seen().addresses, [shown], "{complete}");
    }
}

#[test]
fn sign_ins_that_an_agent_does_not_let_go_are_few() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("login", |_| Vec::new());
    // The word that calls one off is taken, and nothing comes of it.
    agent.on("about", |_| Vec::new());
    let story = Story::with_window(&scene);
    for number in 1..=4 {
        story.done(sign_in(false));
        agent.await_asked("login", number);
        story.done(PageAsk::PutSignInAway);
    }
    assert_eq!(story.ask(sign_in(false)).unwrap_err().code, "busy");
    story.await_page("no sign-in that was never begun", |page| page.sign_in.is_none());
    // The control: once they are over, there is room.
    agent.close_connections();
    let deadline = Instant::now() + DEADLINE;
    while story.ask(sign_in(false)).is_err() {
        assert!(Instant::now() < deadline, "their places are never free again");
        std::thread::yield_now();
    }
}

#[test]
fn putting_it_away_calls_it_off() {
    let scene = Scene::new();
    let agent = scene.agent();
    steps_to(&agent, browser(PAGE));
    let story = Story::with_window(&scene);
    story.done(sign_in(false));
    await_step(&story, "the browser", |step| matches!(step, SignInStep::Browser { .. }));
    let login = agent.await_asked("login", 1).connection;
    story.done(PageAsk::PutSignInAway);
    agent.await_closed(login);
    story.await_page("nothing of it", |page| page.sign_in.is_none());
    // And the next one begins anew; what the first still brings is nobody's business.
    story.done(sign_in(false));
    await_step(&story, "the browser again", |step| matches!(step, SignInStep::Browser { .. }));
}

#[test]
fn one_that_fails_says_why() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("login", |_| {
        let refusal =
            Refusal::new(Code::ProviderRefused, "the provider says no").hint("ask your administrator");
        vec![Act::Say(Reply::Step(browser(PAGE))), Act::Say(Reply::Refused(refusal))]
    });
    let story = Story::with_window(&scene);
    story.done(sign_in(false));
    let step = await_step(&story, "the failure", |step| matches!(step, SignInStep::Failed { .. }));
    let SignInStep::Failed { trouble } = step else { unreachable!() };
    assert_eq!((&*trouble.code, &*trouble.say), ("provider_refused", "the provider says no"));
    // A connection that breaks is a failure, too.
    agent.on("login", |_| vec![Act::Close]);
    story.done(sign_in(false));
    await_step(
        &story,
        "the other failure",
        |step| matches!(step, SignInStep::Failed { trouble } if trouble.code == "agent_unreachable"),
    );
}

#[test]
fn there_is_one_at_a_time() {
    let scene = Scene::new();
    let agent = scene.agent();
    steps_to(&agent, browser(PAGE));
    let story = Story::with_window(&scene);
    story.done(sign_in(false));
    assert_eq!(story.ask(sign_in(true)).unwrap_err().code, "busy");
    await_step(&story, "the first", |step| matches!(step, SignInStep::Browser { .. }));
    assert_eq!(agent.asked("login").len(), 1);
}

#[test]
fn only_the_web_is_opened() {
    for address in ["file:///etc/passwd", "javascript:alert(1)", "https://a.example/ -x", "-h"] {
        let scene = Scene::new();
        let agent = scene.agent();
        steps_to(&agent, browser(address));
        let story = Story::with_window(&scene);
        story.done(sign_in(false));
        let step = await_step(&story, "the refusal", |step| matches!(step, SignInStep::Failed { .. }));
        let SignInStep::Failed { trouble } = step else { unreachable!() };
        assert_eq!((&*trouble.code, trouble.hint.is_empty()), ("provider_untrusted", false));
        assert!(story.shell.seen().addresses.is_empty(), "{address}");
        agent.await_closed(agent.await_asked("login", 1).connection);
    }
}

#[test]
fn where_no_browser_opens_the_page_says_so() {
    let scene = Scene::new();
    let agent = scene.agent();
    steps_to(&agent, browser(PAGE));
    let story = Story::with_window(&scene);
    story.shell.seen().has_no_browser = true;
    story.done(sign_in(false));
    let step = await_step(&story, "the browser", |step| matches!(step, SignInStep::Browser { .. }));
    assert_eq!(step, SignInStep::Browser { opened: false });
    let trouble = story.ask(PageAsk::OpenSignInPage).unwrap_err();
    assert!(trouble.hint.contains(PAGE), "{}", trouble.hint);
}
