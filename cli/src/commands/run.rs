//! `keyfob run`: a job with an agent of its own.

pub mod log;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::path::{Path, PathBuf};

use clap::Args;
use keyfob_ipc::start::job::{JOB, JobAgent};
use keyfob_ipc::{Code, Places, Refusal, Surroundings};

use super::Outcome;
use super::exec::{Doors, Given, Program, Variables, provide, wrong_use};
use crate::world::World;

/// Sockets have short paths, so the folder must have one.
const LONGEST: usize = 60;

/// Variables that are this job's own.
const OWN: [&str; 5] =
    ["KEYFOB_STATE_DIR", "KEYFOB_RUNTIME_DIR", "KEYFOB_CONFIG", "KEYFOB_IDENTITY", "KEYFOB_PASSPHRASE_FILE"];

/// Run a job with an agent of its own, for CI.
///
/// Starts an agent in the foreground of this job, runs the command, and ends the agent with it, whatever happens. Its keychain
/// is in memory, nobody is asked anything, nothing is shown, and nothing stays on the machine: what it gives comes from the
/// identity that the job itself has ([machine.*]). Every `keyfob` below the command, Bazel's and AWS's helpers among them, asks
/// this agent. With names the command also gets their keys and values, as by `keyfob exec`. In GitHub Actions each value is masked in
/// the log before it is given.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob run -- bazel test //...
  keyfob run aws.ci --config ci/keyfob.toml -- terraform apply
  keyfob run --identity github-actions -- ./deploy.sh

EXIT CODES
  0 or any other: the command's own
  before it runs: 1 refused, 2 wrong use, 3 an identity or a token is missing,
  4 the agent does not start, 126 not executable, 127 no such program
  a signal that ended the command ends this one, too")]
pub struct Options {
    /// Entries whose keys or values the command gets: `aws.ci`. Of secrets any number, of other kinds one.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Which identity of the job counts, where it has several: github-actions, circleci, web-identity-file or aws-iam.
    #[arg(long, value_name = "IDENTITY")]
    identity: Option<String>,
    /// The configuration, instead of KEYFOB_CONFIG or the usual file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Put the keys themselves into variables, as `keyfob exec --env` does.
    #[arg(long, requires = "names")]
    env: bool,
    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(options: Options, world: &mut World) -> Outcome {
    if options.command.is_empty() {
        let command = if options.names.is_empty() { "COMMAND".to_owned() } else { options.names.join(" ") };
        return wrong_use("what to run follows `--`", format!("keyfob run -- {command}"), world);
    }
    let config = config(options.config, &world.reach.surroundings)?;
    let folder = Folder::make(&world.environment.temporary)?;
    let (state, runtime) = (folder.0.join("state"), folder.0.join("run"));
    let places = Places::of(&Surroundings {
        own_state: Some(state.clone()),
        own_runtime: Some(runtime.clone()),
        own_config: Some(config.clone()),
        ..world.reach.surroundings.clone()
    })?;
    let of_job = [
        ("KEYFOB_STATE_DIR", state.as_os_str()),
        ("KEYFOB_RUNTIME_DIR", runtime.as_os_str()),
        ("KEYFOB_CONFIG", config.as_os_str()),
        (JOB, "1".as_ref()),
    ];
    let mut launch = (world.reach.launch)()?;
    let identity = options.identity.map(OsString::from);
    let given = launch.environment.iter().find(|(name, _)| name == "KEYFOB_IDENTITY");
    let identity = identity.or_else(|| given.map(|(_, value)| value.clone()));
    // No session bus: nobody sits there.
    launch.environment.retain(|(name, _)| {
        OWN.iter().all(|own| name != own) && !name.as_encoded_bytes().starts_with(b"DBUS_")
    });
    launch.environment.extend(of_job.map(|(name, value)| (name.into(), value.to_owned())));
    launch.environment.extend(identity.map(|identity| ("KEYFOB_IDENTITY".into(), identity)));

    let log = log::output(&launch.environment, world);
    let agent = JobAgent::start(&places, &launch, log)?;
    let mut variables = Variables::default();
    for (name, value) in of_job {
        let Some(value) = value.to_str() else { return Err(no_text(value.as_ref())) };
        variables.set(name, value);
    }
    let given = if options.names.is_empty() {
        Given::default()
    } else {
        let doors = Doors { places, launch: Ok(launch) };
        world.environment.job = true;
        provide(&options.names, options.env, &doors, &mut variables, world)?
    };
    let ended = Program::new(options.command, &variables).run(given, &mut world.printer);
    drop((agent, folder));
    Ok(ended.leave())
}

fn config(given: Option<PathBuf>, surroundings: &Surroundings) -> Result<PathBuf, Refusal> {
    let Some(file) = given else { return Places::of(surroundings).map(|places| places.config) };
    let refuse = |error: std::io::Error| {
        let file = keyfob_ipc::text::escape(&file.display().to_string());
        Refusal::new(Code::BadRequest, format!("the configuration `{file}` cannot be read ({error})"))
    };
    let found = std::path::absolute(&file).and_then(|file| std::fs::metadata(&file).map(|_| file));
    found.map_err(refuse)
}

fn no_text(path: &Path) -> Refusal {
    Refusal::new(Code::PlaceUnsafe, format!("the path `{}` is no text", path.display()))
}

/// A fresh folder that only this user can enter; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make(temporary: &Path) -> Result<Self, Refusal> {
        let is_short = temporary.as_os_str().len() <= LONGEST || cfg!(windows);
        let base = if is_short && temporary.is_absolute() { temporary } else { Path::new("/tmp") };
        let refuse = |error: String| {
            let say = format!("no folder can be made below `{}` ({error})", base.display());
            Refusal::new(Code::PlaceUnsafe, say).hint(super::exec::ELSEWHERE)
        };
        let number = getrandom::u64().map_err(|error| refuse(error.to_string()))?;
        let folder = base.join(format!("keyfob-{number:016x}"));
        #[cfg_attr(windows, expect(unused_mut, reason = "a folder is as private there as the one it is in"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| refuse(error.to_string()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It holds no secret.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
