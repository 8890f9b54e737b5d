//! The program itself: whoever called us should see no difference to it.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus};

use super::{Given, Variables};
use crate::printer::Printer;

/// What shells say of a program that cannot be executed, and of one that is not there.
const NOT_EXECUTABLE: u8 = 126;
const NOT_THERE: u8 = 127;

/// A program to run.
pub struct Program {
    name: String,
    command: Command,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this code.
    By(i32),
    /// By a signal.
    #[cfg(unix)]
    BySignal(i32),
}

impl Program {
    /// The first word is the program. It has our environment with these changes, our streams and our terminal.
    pub fn new(words: Vec<OsString>, variables: &Variables) -> Self {
        let mut words = words.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(words);
        variables.apply(&mut command);
        Self { name: keyfob_ipc::text::escape(&program.to_string_lossy()), command }
    }

    /// Runs it to its end, and the endpoint meanwhile. What else it was given is gone then.
    pub fn run(mut self, given: Given, printer: &mut Printer) -> Ended {
        let Given { endpoint, folder } = given;
        let status = platform::run(&mut self.command, endpoint);
        drop(folder);
        match status {
            Ok(status) => ended(status),
            Err(error) => {
                let (code, say) = match error.kind() {
                    io::ErrorKind::NotFound => (NOT_THERE, format!("there is no program `{}`", self.name)),
                    _ => (NOT_EXECUTABLE, format!("`{}` cannot be run ({error})", self.name)),
                };
                printer.note(&say);
                Ended::By(code.into())
            }
        }
    }
}

impl Ended {
    /// Ends this process in the same way; returns the exit code where that is to be done by it.
    pub fn leave(self) -> u8 {
        match self {
            Self::By(code) => u8::try_from(code).unwrap_or_else(|_| platform::leave(code)),
            #[cfg(unix)]
            Self::BySignal(signal) => platform::die_by(signal),
        }
    }
}

fn ended(status: ExitStatus) -> Ended {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Ended::BySignal(signal);
    }
    Ended::By(status.code().unwrap_or(1))
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, ExitStatus};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
    use signal_hook::consts::{
        SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
    };
    use signal_hook::iterator::backend::SignalDelivery;
    use signal_hook::iterator::exfiltrator::SignalOnly;
    use signal_hook::low_level::emulate_default_handler;

    use crate::endpoint::Endpoint;

    /// What is passed on.
    const PASSED_ON: [i32; 9] =
        [SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH];

    /// Between two looks at the program where nothing tells of its end.
    const LOOK: Duration = Duration::from_millis(20);

    /// All by one thread: a program that makes threads is thirty kilobytes larger where it is linked statically.
    pub(super) fn run(command: &mut Command, mut endpoint: Option<Endpoint>) -> io::Result<ExitStatus> {
        // Before the program runs: it may be told to end at once. One that is ignored here (nohup) stays so, here and there.
        // The end of a child is not: the system would keep its exit code from us. What we catch the program has as usual.
        let ignored = signals("SigIgn:");
        let caught = PASSED_ON.into_iter().filter(|signal| !ignored.contains(signal)).chain([SIGCHLD]);
        let is_told = !signals("SigBlk:").contains(&SIGCHLD);
        let (read, write) = UnixStream::pair()?;
        let mut signals = SignalDelivery::with_pipe(read, write, SignalOnly, caught)?;
        let mut running = command.spawn()?;
        let pid = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
        loop {
            // Nobody has waited for it yet: its number is not another's.
            for signal in signals.pending().filter(|signal| *signal != SIGCHLD) {
                pass_on(signal, pid);
            }
            if let Some(status) = running.try_wait()? {
                return Ok(status);
            }
            let look = (!is_told).then(|| Instant::now() + LOOK);
            wait(signals.get_read(), endpoint.as_ref(), look);
            if let Some(endpoint) = &mut endpoint {
                endpoint.turn();
            }
        }
    }

    /// Waits for a signal, for what makes the endpoint go on, or for a time.
    fn wait(signals: &UnixStream, endpoint: Option<&Endpoint>, look: Option<Instant>) {
        let mut watched = vec![PollFd::new(signals, PollFlags::IN)];
        let end = endpoint.and_then(|endpoint| endpoint.watch(&mut watched));
        let left = end.into_iter().chain(look).min().map(|end| end.saturating_duration_since(Instant::now()));
        // Rounded up: who comes too early only comes again. An interruption is a signal, which is in the pipe.
        let left = left.and_then(|left| Timespec::try_from(left + Duration::from_millis(1)).ok());
        let _ = poll(&mut watched, left.as_ref());
    }

    fn pass_on(signal: i32, program: Option<Pid>) {
        // Keys of a terminal go to everybody in its foreground, the program too; some count how often it was told.
        let is_key = matches!(signal, SIGINT | SIGQUIT) && is_in_foreground();
        if let (Some(program), Some(named)) = (program, Signal::from_named_raw(signal).filter(|_| !is_key)) {
            // It may have ended this moment.
            let _ = kill_process(program, named);
        }
        if signal == SIGTSTP {
            // Whoever has stopped us waits for it.
            let _ = emulate_default_handler(SIGTSTP);
        }
    }

    fn is_in_foreground() -> bool {
        let Ok(terminal) = File::open("/dev/tty") else { return false };
        rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
    }

    /// The signals of a set (`SigIgn:`, `SigBlk:`), as far as the system tells (proc(5)).
    fn signals(set: &str) -> Vec<i32> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(set));
        let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
        (1..=64).filter(|signal| set & (1 << (signal - 1)) != 0).collect()
    }

    /// Not through the standard library's own end: nothing is left to be done.
    pub(super) fn leave(_: i32) -> u8 {
        1
    }

    pub(super) fn die_by(signal: i32) -> u8 {
        // The program may have left a core dump of itself; one of this process would have what it was given.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = setrlimit(Resource::Core, none);
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        // Returns where it is none that ends a process.
        let _ = emulate_default_handler(signal);
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }
}

#[cfg(windows)]
mod platform {
    use std::io;
    use std::process::{Command, ExitStatus};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use crate::endpoint::Endpoint;

    pub(super) fn run(command: &mut Command, _: Option<Endpoint>) -> io::Result<ExitStatus> {
        // Ctrl-C goes to the whole console: the program decides, and we wait for it.
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))?;
        command.spawn()?.wait()
    }

    /// Codes of Windows have 32 bits.
    pub(super) fn leave(code: i32) -> u8 {
        std::process::exit(code)
    }
}
