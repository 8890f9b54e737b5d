//! `cargo xtask demo`: signs in at a company in a box, shows what Bazel and AWS then receive, what a token may do, and what
//! its rotation changes. Needs Rust alone.

mod story;
mod window;

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::failure::{Doing as _, Failure};
use crate::processes::{adopt_orphans, check_interrupted, end_orphans, is_interrupted};
use crate::scene::{LONG, Programs, ROLE, SESSION_URI, Scene, Setting, TOKEN, TOKEN_URI};
use crate::{Checkout, say, tray};

/// Between two looks whether it is time to leave.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Args)]
pub struct Arguments {
    /// End as soon as the answers are shown
    #[arg(long)]
    once: bool,
    /// Print one JSON object with the answers, unshortened: all of it is the sandbox's and worthless elsewhere
    #[arg(long)]
    json: bool,
    /// Open the tray and the window on the company instead, to play with
    #[arg(long, conflicts_with_all = ["once", "json"])]
    tray: bool,
}

/// What the real programs answered, to the letter.
pub struct Answers {
    /// `keyfob get` for the personal access token.
    pub bazel: String,
    /// `keyfob get` for the SSO session.
    pub bazel_sso: String,
    /// `keyfob credential-process`.
    pub aws: String,
    /// `keyfob permissions --json`.
    pub permissions: String,
    /// `keyfob permissions` for the token, as people see it.
    pub table: String,
    /// `keyfob token rotate --json`.
    pub rotation: String,
    /// `keyfob get` for the token, once it is rotated.
    pub bazel_rotated: String,
    /// Whether that is another value.
    pub rotated: bool,
    /// `keyfob status --json`, at last.
    pub status: String,
}

/// Builds, plays, and leaves nothing behind.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.tray && !checkout.has_display {
        return Err(Failure::wrong_use(
            "there is no display to show a window on; run this on a desktop, or try: cargo xtask demo",
        ));
    }
    let programs = Programs::build(checkout)?;
    let tray = arguments.tray.then(|| tray::build(checkout, false)).transpose()?;
    adopt_orphans()?;
    let outcome = match tray {
        Some(tray) => window::play(&programs, &tray, checkout.display_key.as_deref()),
        None => play(&programs, arguments),
    };
    end_orphans(None);
    if outcome.is_err() {
        // What a signal ended did not fail by itself.
        check_interrupted()?;
    }
    outcome
}

fn play(programs: &Programs, arguments: &Arguments) -> Result<(), Failure> {
    let mut scene = Scene::start(programs, &Setting::default())?;
    let signed_in = scene.sign_in("okta")?;
    let added = scene.add_token(LONG)?;
    let answers = Answers::collect(&scene)?;
    if arguments.json {
        show(&answers.to_json())?;
    } else {
        show(&story::tell(&signed_in, &added, &answers, Timestamp::now())?)?;
    }
    if arguments.once {
        return Ok(());
    }
    let next = story::what_next(&scene);
    // With --json, standard output is the object's alone.
    if arguments.json {
        say(&next);
    } else {
        show(&next)?;
    }
    stay(&mut scene)?;
    if arguments.json {
        say(story::FAREWELL.trim());
        Ok(())
    } else {
        show(story::FAREWELL)
    }
}

/// Until Ctrl-C, which is how the demo is meant to end.
fn stay(scene: &mut Scene) -> Result<(), Failure> {
    stay_until(scene, || Ok(false))
}

/// Until Ctrl-C, or until something else is over.
fn stay_until(scene: &mut Scene, mut is_over: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    while !is_interrupted() {
        if let Some(status) = scene.company().ended()? {
            // The terminal's Ctrl-C reaches the company too, and perhaps first.
            thread::sleep(LOOK);
            return if is_interrupted() {
                Ok(())
            } else {
                Err(Failure::new(format!("the sandbox company ended by itself: {status}")))
            };
        }
        if is_over()? {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

impl Answers {
    fn collect(scene: &Scene) -> Result<Self, Failure> {
        let bazel = scene.get(TOKEN_URI)?;
        let bazel_sso = scene.get(SESSION_URI)?;
        let aws = scene.ask(&["credential-process", ROLE], "")?;
        let permissions = scene.ask(&["permissions", "--json"], "")?;
        let table = scene.ask(&["permissions", TOKEN], "")?;
        let rotation = scene.ask(&["token", "rotate", TOKEN, "--json"], "")?;
        let bazel_rotated = scene.get(TOKEN_URI)?;
        let status = scene.ask(&["status", "--json"], "")?;
        let headers = |answer: &str| -> Result<Value, Failure> { Ok(parse(answer)?["headers"].clone()) };
        let rotated = headers(&bazel)? != headers(&bazel_rotated)?;
        for answer in [&bazel_sso, &aws, &permissions, &rotation, &status] {
            parse(answer)?;
        }
        Ok(Self { bazel, bazel_sso, aws, permissions, table, rotation, bazel_rotated, rotated, status })
    }

    /// The answers as they are: parsing and writing them again could hide what tools see.
    fn to_json(&self) -> String {
        let [bazel, bazel_sso, aws, permissions, status] =
            [&self.bazel, &self.bazel_sso, &self.aws, &self.permissions, &self.status]
                .map(|answer| answer.trim());
        let rotated = self.rotated;
        format!(
            "{{\"bazel\":{bazel},\"bazel_sso\":{bazel_sso},\"aws\":{aws},\"permissions\":{permissions},\
             \"rotated\":{rotated},\"status\":{status}}}\n"
        )
    }
}

fn parse(answer: &str) -> Result<Value, Failure> {
    serde_json::from_str(answer).doing("read an answer as JSON")
}

fn show(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).doing("write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_passed_on_to_the_letter() {
        let answers = Answers {
            bazel: "{\"headers\": {\"X\": [\"\\u0061\"]}}\n".into(),
            bazel_sso: "{}".into(),
            aws: "{\"Version\":1}\n".into(),
            permissions: "[ ]\n".into(),
            table: String::new(),
            rotation: "{}".into(),
            bazel_rotated: "{}".into(),
            rotated: true,
            status: "{}\n".into(),
        };
        let json = answers.to_json();
        let expected = r#"{"bazel":{"headers": {"X": ["\u0061"]}},"bazel_sso":{},"aws":{"Version":1},"permissions":[ ],"rotated":true,"status":{}}"#;
        assert_eq!(json.trim_end(), expected);
        assert!(serde_json::from_str::<Value>(&json).is_ok());
    }
}
