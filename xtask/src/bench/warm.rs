//! A warm `keyfob get`, as whole-process time, in turns with a C program that does the same on the same socket.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::floor::{self, Linked};
use super::{is_answer, median};
use crate::Checkout;
use crate::failure::{Doing as _, Failure};
use crate::processes::check_interrupted;
use crate::scene::{LONG, Programs, Scene, Setting, TOKEN_URI, request};

/// The name of the row that the others are compared with.
pub const FLOOR: &str = "C floor";
/// The name of the row that this is all about.
pub const GET: &str = "keyfob get";

/// What was measured.
pub struct Warm {
    /// Rounds.
    pub rounds: u32,
    /// Starts of every program in each round.
    pub spawns: u32,
    /// Programs in the order of their turns.
    pub rows: Vec<Row>,
}

/// One program.
pub struct Row {
    /// Its name in the report.
    pub name: &'static str,
    /// Median of each round, in microseconds.
    pub medians: Vec<f64>,
    /// Median over the rounds of this median divided by the floor's of the same round.
    pub ratio: f64,
}

impl Row {
    /// Median over the rounds, in microseconds.
    pub fn median(&self) -> f64 {
        median(self.medians.clone())
    }
}

/// A program that takes its turn.
struct Contender {
    name: &'static str,
    command: Command,
    /// What it reads from standard input.
    input: Option<PathBuf>,
    /// Where its answers go; they are checked after each round.
    answers: Option<File>,
    /// What it exits with when all is well.
    code: i32,
}

/// Measures in an agent that has answered before.
pub fn measure(checkout: &Checkout, programs: &Programs, rounds: u32, spawns: u32) -> Result<Warm, Failure> {
    let scene = Scene::start(programs, &Setting::default())?;
    scene.add_token(LONG)?;
    let helper = SshAgent::start(scene.folder());
    let mut contenders = contenders(checkout, &scene, helper.as_ref())?;
    for contender in &mut contenders {
        contender.spawn()?;
        contender.check(1)?;
    }
    let mut rows: Vec<Row> =
        contenders.iter().map(|one| Row { name: one.name, medians: Vec::new(), ratio: f64::NAN }).collect();
    for _ in 0..rounds {
        check_interrupted()?;
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..spawns {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                times.push(contender.spawn()?);
            }
        }
        for ((contender, times), row) in contenders.iter_mut().zip(times).zip(&mut rows) {
            contender.check(spawns)?;
            row.medians.push(median(times));
        }
    }
    let floor = rows.iter().find(|row| row.name == FLOOR).map(|row| row.medians.clone()).unwrap_or_default();
    for row in &mut rows {
        row.ratio = median(row.medians.iter().zip(&floor).map(|(own, floor)| own / floor).collect());
    }
    Ok(Warm { rounds, spawns, rows })
}

fn contenders(
    checkout: &Checkout,
    scene: &Scene,
    helper: Option<&SshAgent>,
) -> Result<Vec<Contender>, Failure> {
    let folder = scene.folder();
    let input = folder.join("request");
    fs::write(&input, request(TOKEN_URI)).doing("write a request")?;
    let answers = |name: &str| {
        let mut options = File::options();
        options
            .read(true)
            .append(true)
            .create_new(true)
            .open(folder.join(name))
            .doing("make a file for answers")
    };
    let floor = |program: &Path| {
        let mut command = Command::new(program);
        command.arg(scene.tool_door()).arg(TOKEN_URI).envs(scene.environment());
        command
    };
    let plain = |name, command| Contender { name, command, input: None, answers: None, code: 0 };

    let mut all = vec![plain("/bin/true", Command::new("/bin/true"))];
    let dynamic = floor::compile(checkout, folder, Linked::Dynamically)?;
    all.push(Contender { answers: Some(answers("of-floor")?), ..plain(FLOOR, floor(&dynamic)) });
    if let Ok(program) = floor::compile(checkout, folder, Linked::Statically) {
        let answers = Some(answers("of-static-floor")?);
        all.push(Contender { answers, ..plain("C floor, linked statically", floor(&program)) });
    }
    let (input, answers) = (Some(input), Some(answers("of-get")?));
    all.push(Contender { input, answers, ..plain(GET, scene.keyfob(&["get"])) });
    if let Some(helper) = helper {
        let mut command = Command::new("ssh-add");
        command.arg("-l").env("SSH_AUTH_SOCK", &helper.socket);
        // The code for an agent without identities.
        all.push(Contender { code: 1, ..plain("ssh-add -l", command) });
    }
    Ok(all)
}

impl Contender {
    /// Starts it, waits for its end, and gives the time between in microseconds.
    fn spawn(&mut self) -> Result<f64, Failure> {
        let name = self.name;
        let stdin = match &self.input {
            Some(input) => File::open(input).doing("open the request")?.into(),
            None => Stdio::null(),
        };
        let stdout = match &self.answers {
            Some(answers) => answers.try_clone().doing("share the file for answers")?.into(),
            None => Stdio::null(),
        };
        self.command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
        let start = Instant::now();
        let status = self.command.spawn().and_then(|mut child| child.wait());
        let time = start.elapsed();
        let status = status.doing(format_args!("run {name}"))?;
        if status.code() != Some(self.code) {
            return Err(Failure::new(format!("{name} failed: {status}")));
        }
        Ok(time.as_secs_f64() * 1e6)
    }

    /// Every start must have given one right answer. Forgets them.
    fn check(&mut self, expected: u32) -> Result<(), Failure> {
        let Some(file) = &mut self.answers else { return Ok(()) };
        let mut answers = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut answers)).doing("read the answers")?;
        file.set_len(0).doing("forget the answers")?;
        let right = answers.lines().filter(|line| is_answer(line, "X-Aspect", "aw_")).count();
        if right != expected as usize || answers.lines().count() != right {
            return Err(Failure::new(format!("{} gave {right} right answers of {expected}", self.name)));
        }
        Ok(())
    }
}

/// An empty `ssh-agent`, for `ssh-add -l` to ask: the nearest thing that everybody has.
struct SshAgent {
    process: Child,
    socket: PathBuf,
}

impl SshAgent {
    /// Nothing where OpenSSH is not installed.
    fn start(folder: &Path) -> Option<Self> {
        let socket = folder.join("ssh-agent.sock");
        let mut command = Command::new("ssh-agent");
        command
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut agent = Self { process: command.spawn().ok()?, socket };
        while !agent.socket.exists() {
            if agent.process.try_wait().ok()?.is_some() {
                return None;
            }
            std::thread::yield_now();
        }
        let mut probe = Command::new("ssh-add");
        probe.arg("-l").env("SSH_AUTH_SOCK", &agent.socket);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        (probe.status().ok()?.code() == Some(1)).then_some(agent)
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        // It keeps nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
