//! `keyfob agent enable|disable`: launchd opens the agent's doors, and the first caller starts it.
//!
//! The agent is then nobody's child: macOS judges a program that asks for the keychain, or shows a notification, by who is
//! responsible for it, and that is whoever started it first.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use keyfob_ipc::{Code, Places, Refusal, Reply, Surroundings, start};

use crate::commands::{Outcome, done};
use crate::world::World;

/// What launchd is told, with words in capitals in place of paths.
const TEMPLATE: &str = include_str!("../../../../installers/macos/dev.keyfob.agent.plist");
const LABEL: &str = "dev.keyfob.agent";
const LAUNCHCTL: &str = "/bin/launchctl";

/// How long launchd may take to let go of what it had: the agent stores what is being renewed.
const LET_GO: Duration = Duration::from_secs(95);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);

/// Let macOS start the agent by its sockets.
///
/// Writes a LaunchAgent for this user, so that launchd opens the agent's sockets from now on and at each sign-in, and starts
/// the agent at the first call. Without it the first caller starts the agent itself. The installer has done this already.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent enable\n\nEXIT CODES\n  0 done, 1 refused by launchd, 4 no place for it"
)]
pub struct Enable {}

/// Let macOS start the agent no more.
///
/// Takes the LaunchAgent away, which also stops the agent. The next command or tool call starts it again, by itself.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent disable\n\nEXIT CODES\n  0 done, 4 the file cannot be removed"
)]
pub struct Disable {}

pub fn enable(world: &mut World) -> Outcome {
    let places = world.reach.places()?;
    if places.own_profile {
        let say = "only the person's own agent is started by launchd, and this is a profile of its own";
        return Err(Refusal::new(Code::PlaceUnsafe, say).hint("unset the KEYFOB_ variables and HOME"));
    }
    let file = property_list(&world.reach.surroundings)?;
    let text = filled(&lasting(&(world.reach.launch)()?.program), &places)?;
    start::create_private(&places.runtime)?;
    keyfob_ipc::peer::check_folder(&places.runtime)?;
    let domain = domain(&places);
    let is_at_the_screen = launchctl(&["print", &domain]).is_ok();
    let _ = launchctl(&["bootout", &format!("{domain}/{LABEL}")]);
    // One that `keyfob` started by itself has the lock: it stores what it renews and ends before these doors open.
    super::stop(world)?;
    write(&file, &text)?;
    if !is_at_the_screen {
        let say = "launchd opens the agent's sockets from the next sign-in at the screen on".to_owned();
        return done(Reply::Done { say }, world);
    }
    bootstrap(&domain, &file)?;
    let say = "launchd opens the agent's sockets, and starts the agent at the first call".to_owned();
    done(Reply::Done { say }, world)
}

pub fn disable(world: &mut World) -> Outcome {
    let was = take_away(&world.reach.surroundings)?;
    let say = if was { "launchd starts the agent no more" } else { "launchd does not start the agent" };
    done(Reply::Done { say: say.to_owned() }, world)
}

/// Takes the LaunchAgent away and ends the agent that it has started. `false` where there is none.
pub fn take_away(surroundings: &Surroundings) -> Result<bool, Refusal> {
    let places = Places::of(surroundings)?;
    if places.own_profile {
        return Ok(false);
    }
    let file = property_list(surroundings)?;
    let service = format!("{}/{LABEL}", domain(&places));
    let was_loaded = launchctl(&["bootout", &service]).is_ok();
    let deadline = Instant::now() + LET_GO;
    while was_loaded && launchctl(&["print", &service]).is_ok() && Instant::now() < deadline {
        std::thread::sleep(AGAIN);
    }
    match fs::remove_file(&file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(was_loaded),
        Err(error) => Err(cannot_be(&file, "removed", &error)),
    }
}

/// Of a person who has signed in at the screen.
fn domain(places: &Places) -> String {
    format!("gui/{}", places.user)
}

/// What launchd is told about this person's agent, at each of their sign-ins.
fn property_list(surroundings: &Surroundings) -> Result<PathBuf, Refusal> {
    let home = surroundings.passwd_home.as_deref();
    let home = home.ok_or_else(|| Refusal::new(Code::PlaceUnsafe, "the system tells no home folder"))?;
    Ok(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// Where a program stays through upgrades: Homebrew keeps each version in a folder of its own (`Cellar/keyfob/0.1.0`), and a link to
/// the newest (`opt/keyfob`).
fn lasting(program: &Path) -> PathBuf {
    let parts: Vec<_> = program.components().collect();
    let Some(cellar) = parts.iter().position(|part| part.as_os_str() == "Cellar") else {
        return program.to_owned();
    };
    let (Some(name), Some(rest)) = (parts.get(cellar + 1), parts.get(cellar + 3..)) else {
        return program.to_owned();
    };
    let before = parts.iter().take(cellar).collect::<PathBuf>();
    let linked = before.join("opt").join(name).join(rest.iter().collect::<PathBuf>());
    if linked.is_file() { linked } else { program.to_owned() }
}

fn filled(program: &Path, places: &Places) -> Result<String, Refusal> {
    let paths = [
        ("KEYFOBD", program),
        ("AGENT_SOCKET", &places.agent_socket()),
        ("CONTROL_SOCKET", &places.control_socket()),
    ];
    let mut text = TEMPLATE.to_owned();
    for (word, path) in paths {
        let path = path.to_str().ok_or_else(|| {
            let say =
                format!("the path `{}` is no UTF-8, and a property list has nothing else", path.display());
            Refusal::new(Code::PlaceUnsafe, say)
        })?;
        // What has no place in XML at all is in no name that the system gives.
        let path = path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text = text.replace(&format!("<string>{word}</string>"), &format!("<string>{path}</string>"));
    }
    Ok(text)
}

/// By another name first: launchd never finds half of it.
fn write(file: &Path, text: &str) -> Result<(), Refusal> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let fresh = file.with_extension("fresh");
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(&fresh)?.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&fresh, file));
    written.map_err(|error| cannot_be(file, "written", &error))
}

fn cannot_be(file: &Path, what: &str, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::PlaceUnsafe, format!("the file `{}` cannot be {what} ({error})", file.display()))
}

/// Gives it to launchd, which may still be letting go of what it had before.
fn bootstrap(domain: &str, file: &Path) -> Result<(), Refusal> {
    let path = file.to_string_lossy();
    let deadline = Instant::now() + LET_GO;
    loop {
        match launchctl(&["bootstrap", domain, &path]) {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < deadline && is_loaded(domain) => std::thread::sleep(AGAIN),
            Err(why) => {
                let say = format!("launchd does not take `{}` ({why})", file.display());
                return Err(Refusal::new(Code::Internal, say)
                    .hint(format!("launchctl bootstrap {domain} '{}'", file.display())));
            }
        }
    }
}

fn is_loaded(domain: &str) -> bool {
    launchctl(&["print", &format!("{domain}/{LABEL}")]).is_ok()
}

/// Runs launchctl(1). An error is what it said.
fn launchctl(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(LAUNCHCTL);
    command.args(arguments).env_clear().stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(keyfob_ipc::text::escape(&format!("{said} {}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(state: &str) -> Places {
        Places {
            state: state.into(),
            config: Path::new(state).join("config.toml"),
            runtime: Path::new(state).join("run"),
            own_profile: false,
            user: "501".to_owned(),
        }
    }

    #[test]
    fn each_path_stands_where_launchd_looks_for_it_and_ends_no_tag() {
        let state = "/Users/ada & <bob>/Library/Application Support/Keyfob";
        let text =
            filled(Path::new("/Applications/Keyfob.app/Contents/MacOS/keyfobd"), &places(state)).unwrap();
        for line in [
            "<string>/Applications/Keyfob.app/Contents/MacOS/keyfobd</string>",
            "<string>/Users/ada &amp; &lt;bob&gt;/Library/Application Support/Keyfob/run/agent.sock</string>",
            "<string>/Users/ada &amp; &lt;bob&gt;/Library/Application Support/Keyfob/run/control.sock</string>",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
        for word in ["KEYFOBD<", "AGENT_SOCKET", "CONTROL_SOCKET"] {
            assert!(!text.contains(word), "{word} is left");
        }
    }

    #[test]
    fn the_link_of_homebrew_is_written_and_not_the_folder_of_one_version() {
        let prefix = tempfile::tempdir().unwrap();
        let bin = prefix.path().join("Cellar/keyfob/0.1.0/bin");
        fs::create_dir_all(&bin).unwrap();
        let program = bin.join("keyfobd");
        fs::write(&program, "").unwrap();
        assert_eq!(lasting(&program), program, "no link, so that is where it is");
        fs::create_dir(prefix.path().join("opt")).unwrap();
        let link = prefix.path().join("opt/keyfob");
        std::os::unix::fs::symlink("../Cellar/keyfob/0.1.0", &link).unwrap();
        assert_eq!(lasting(&program), link.join("bin/keyfobd"));
        for other in ["/usr/local/bin/keyfobd", "/opt/Cellar", "/opt/Cellar/keyfob"] {
            assert_eq!(lasting(Path::new(other)), Path::new(other));
        }
    }

    #[test]
    fn a_property_list_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Library/LaunchAgents/dev.keyfob.agent.plist");
        for text in ["first", "second"] {
            write(&file, text).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
