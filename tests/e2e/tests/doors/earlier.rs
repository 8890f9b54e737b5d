//! What an earlier version of the client says, in its own words, is understood; and what a later one may say is refused
//! politely.

use keyfob_e2e::{Profile, wait_for};
use serde_json::{Value, json};

use crate::{ASPECT, SOON, VALUE, config};

/// As the first version wrote them, before questions, locks and the ledger.
#[test]
fn requests_of_the_first_version_are_answered() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.add_token("aspect", VALUE);
    let raw = |text: &str| -> Value { serde_json::from_str(text).expect("a request") };
    let mut tool = profile.tool_door();
    tool.send(&raw(r#"{"v":1,"ask":{"get":{"uri":"https://aw.acme.dev/ac/1"}}}"#));
    let answer = tool.receive().expect("an answer");
    assert_eq!(
        (&answer["v"], &answer["reply"]["headers"]["headers"]["X-Aspect"][0]),
        (&json!(1), &json!(VALUE))
    );
    // The first call of a client that has started the agent.
    tool.send(&raw(r#"{"v":1,"first":true,"ask":"about"}"#));
    assert_eq!(tool.receive().expect("an answer")["reply"]["about"]["pid"], agent);

    let mut control = profile.control_door();
    for ask in [r#""status""#, r#"{"entry":{"name":"aspect"}}"#, r#""config-check""#] {
        control.send(&raw(&format!(r#"{{"v":1,"ask":{ask}}}"#)));
        let answer = control.receive().expect("an answer");
        assert!(answer["reply"]["refused"].is_null(), "{ask}: {answer}");
    }
    control.send(&raw(r#"{"v":1,"ask":{"unlock":{"passphrase":"correct horse"}}}"#));
    let answer = control.receive().expect("an answer");
    assert_eq!(
        answer["reply"]["refused"]["code"], "keychain_failed",
        "a memory keychain has no passphrase: {answer}"
    );

    // A watch without any of the later members: it is sent what changes, and neither questions nor the ledger.
    let mut watch = profile.control_door();
    watch.send(&raw(r#"{"v":1,"ask":{"watch":{"notices":false}}}"#));
    assert_eq!(watch.receive().expect("an answer")["reply"]["event"], "watching");
    profile.add_token("aspect", VALUE);
    let event = watch.receive().expect("an event");
    assert!(event["reply"]["event"]["changed"].is_object(), "{event}");
}

#[test]
fn members_that_a_later_version_may_add_are_passed_over_and_later_requests_refused() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.add_token("aspect", VALUE);
    let mut tool = profile.tool_door();
    tool.send(&json!({"v": 1, "later": {"a": [1]}, "ask": {"get": {"uri": ASPECT, "later": true}}}));
    let answer = tool.receive().expect("an answer");
    assert_eq!(answer["reply"]["headers"]["headers"]["X-Aspect"][0], VALUE);
    tool.send(&json!({"v": 1, "ask": {"later": {}}}));
    assert_eq!(tool.receive().expect("a refusal")["reply"]["refused"]["code"], "bad_request");
    let mut tool = profile.tool_door();
    tool.send(&json!({"v": keyfob_ipc::PROTOCOL + 1, "later": {}}));
    let refusal = tool.receive().expect("a refusal");
    assert_eq!(refusal["reply"]["refused"]["code"], "version_mismatch");
    assert_eq!(refusal["reply"]["refused"]["hint"], "keyfob agent restart");
    wait_for("the same agent", SOON, || profile.running_agent() == Some(agent));
}
