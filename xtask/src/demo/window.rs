//! `cargo xtask demo --tray`: the tray and the window on the company in a box, in the person's own desktop and browser.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::{LOOK, show, stay_until, story};
use crate::failure::{Doing as _, Failure};
use crate::processes::is_interrupted;
use crate::scene::{Programs, ROLE, Scene, Setting, TOKEN};

/// How long the token lives: it is due to be rotated.
const DAYS: u32 = 12;

/// The role is given after a question.
const POLICY: &str = "\n[policy.\"aws.dev\"]\nconfirm = \"first\"\n";

/// Shows the tray until it quits, or until Ctrl-C.
pub fn play(programs: &Programs, tray: &Path, display_key: Option<&Path>) -> Result<(), Failure> {
    let mut scene = Scene::start(programs, &Setting::default())?;
    scene.configure(POLICY)?;
    scene.add_token(DAYS)?;
    let mut command = scene.program(tray);
    at_home(&mut command, &scene.folder().join("home"), display_key)?;
    let mut tray = command.stdin(Stdio::null()).spawn().doing("start keyfob-tray")?;
    show(&what_to_try(&scene))?;
    let mut ended = None;
    let outcome = stay_until(&mut scene, || {
        ended = tray.try_wait().doing("look after keyfob-tray")?;
        Ok(ended.is_some())
    });
    if ended.is_none() {
        // A signal has reached it already, and then it may have ended.
        let _ = tray.kill();
        let _ = tray.wait();
    }
    outcome?;
    if let Some(status) = ended.filter(|status| !status.success()) {
        // The terminal's Ctrl-C reaches the tray too, and perhaps first.
        thread::sleep(LOOK);
        if !is_interrupted() {
            return Err(Failure::of_status("keyfob-tray", status));
        }
    }
    show(story::FAREWELL)
}

/// A home of the demo's own: Settings write the configuration of Bazel and AWS there.
fn at_home(command: &mut Command, home: &Path, display_key: Option<&Path>) -> Result<(), Failure> {
    std::fs::create_dir(home).doing("make a home for the tray")?;
    command.env("HOME", home).envs(display_key.map(|key| ("XAUTHORITY", key)));
    Ok(())
}

fn what_to_try(scene: &Scene) -> String {
    format!(
        "\
Keyfob is in the tray, and its window is open, on a company in a box on this machine alone. Nothing of yours is touched.

  Sign in      at `okta`: your browser shows the company's page, where everybody is Ada
  Rotate       `{TOKEN}`, whose token ends in {DAYS} days: see what it may do before and after
  Approve      a program that asks. In another terminal:

                 {}
                 keyfob credential-process {ROLE}

               It is refused once, and the window asks you. Then run it again.
  Look         at the timeline, and at the activity while you do that

Quit in the tray's menu, or Ctrl-C here, ends all of it and leaves nothing behind.
",
        story::environment_line(scene)
    )
}
