//! `confirm`: a question, answered on a terminal, and everything that does not count as an answer.

use keyfob_e2e::raw::Raw;
use serde_json::{Value, json};

use crate::programs::{Standing, ask, get, on_a_terminal, program};
use crate::{VALUE, configure, house};

fn answer(id: &Value, typed: Option<&str>) -> Value {
    json!({"answer": {"id": id, "approval": "always", "typed": typed}})
}

fn code(reply: &Value) -> &str {
    reply["refused"]["code"].as_str().unwrap_or_default()
}

fn grants(profile: &keyfob_e2e::Profile) -> usize {
    profile.control_door().ask(&json!("grants"))["grants"].as_array().expect("a list").len()
}

#[test]
fn a_person_approves_on_a_terminal_and_the_next_call_works() {
    let profile = house("confirm = 'first'");
    let (terraform, stray) = (program(&profile, "terraform"), program(&profile, "stray"));
    let refused = get(&profile, &terraform).exits(5);
    assert!(refused.stdout.is_empty(), "{refused:?}");
    assert!(refused.stderr.contains("`terraform` needs your approval to use `token.aspect`"), "{refused:?}");
    assert!(refused.stderr.contains("keyfob approve token.aspect"), "{refused:?}");
    // Not on a pipe, and not by another name.
    let piped = profile.run(&["approve"], "aspect\n");
    assert_ne!(piped.code, 0, "{piped:?}");
    assert_eq!(grants(&profile), 0);
    let approved = on_a_terminal(&profile, &["approve"], "nothing to leave it open: ", "aspect").ok();
    assert!(approved.stdout.contains(terraform.to_str().unwrap()), "{approved:?}");
    assert!(get(&profile, &terraform).ok().stdout.contains(VALUE));
    get(&profile, &stray).exits(5);

    let shown = profile.run(&["grants", "--json"], "").ok().json();
    assert_eq!(shown[0]["program"], terraform.to_str().unwrap());
    assert_eq!(shown[0]["by"], "terminal");
    profile.run(&["grants", "revoke", shown[0]["id"].as_str().unwrap()], "").ok();
    get(&profile, &terraform).exits(5);
    let log = profile.run(&["log", "--json"], "").ok().stdout;
    assert!(log.contains("\"approve\"") && log.contains("\"revoke\"") && !log.contains(VALUE), "{log}");
}

#[test]
fn a_forged_approval_is_refused() {
    let profile = house("confirm = 'first'");
    let terraform = program(&profile, "terraform");
    get(&profile, &terraform).exits(5);

    // From another connection than the one that was sent the question.
    let mut asked = profile.control_door();
    let id = asked.ask(&json!("questions"))["questions"][0]["id"].clone();
    assert_eq!(id.as_str().unwrap().len(), 32);
    assert_eq!(code(&profile.control_door().ask(&answer(&id, Some("aspect")))), "bad_request");
    let mut watching = profile.control_door();
    watching.ask(&json!({"watch": {"questions": true}}));
    assert_eq!(code(&until_answered(&mut watching, &answer(&id, None))), "bad_request");
    // From the door of the tools, which knows no answers.
    assert_eq!(code(&profile.tool_door().ask(&answer(&id, Some("aspect")))), "bad_request");
    assert_eq!(grants(&profile), 0);

    // From a process without a terminal, that does everything else right.
    let asks = [json!("questions"), answer(&json!("ID"), Some("aspect"))];
    let forged = ask(&profile, Standing::WithoutOne, &asks);
    assert_eq!(code(&forged[1]), "not_allowed", "{forged:?}");
    // With a terminal, and without the name.
    let forged = ask(&profile, Standing::OnATerminal, &[json!("questions"), answer(&json!("ID"), None)]);
    assert_eq!(code(&forged[1]), "bad_request", "{forged:?}");
    assert_eq!(grants(&profile), 0);
    get(&profile, &terraform).exits(5);

    // The control: the same with a terminal counts; the same id once more does not.
    let revoke = json!({"revoke": {"which": null}});
    let again = answer(&json!("ID"), Some("aspect"));
    let asks = [json!("questions"), again.clone(), again, revoke];
    let answered = ask(&profile, Standing::OnATerminal, &asks);
    assert!(answered[1]["done"]["say"].is_string(), "{answered:?}");
    assert_eq!(code(&answered[2]), "bad_request", "{answered:?}");
    get(&profile, &terraform).exits(5);
}

/// What a window gets for an answer; questions that come meanwhile are passed over.
fn until_answered(window: &mut Raw, answer: &Value) -> Value {
    window.send(&keyfob_e2e::raw::request(answer));
    loop {
        let reply = window.receive().expect("an answer")["reply"].clone();
        if reply.get("event").is_none() {
            return reply;
        }
    }
}

#[test]
fn a_window_answers_what_it_was_sent() {
    let profile = house("confirm = 'always'");
    let terraform = program(&profile, "terraform");
    let mut window = profile.control_door();
    assert_eq!(window.ask(&json!({"watch": {"questions": true}})), json!({"event": "watching"}));
    get(&profile, &terraform).exits(5);
    let question = loop {
        let event = window.receive().expect("an event")["reply"]["event"].clone();
        if let Some(question) = event.get("question") {
            break question.clone();
        }
    };
    assert_eq!(question["asking"]["program"], terraform.to_str().unwrap());
    assert_eq!(question["offers"], json!(["once"]));
    let once = json!({"answer": {"id": question["id"], "approval": "once"}});
    assert!(until_answered(&mut window, &once)["done"]["say"].is_string());
    get(&profile, &terraform).ok();
    configure(&profile, "");
    get(&profile, &terraform).ok();
}
