//! What happens at a fault of ours: a sentence and exit code 101, in every build. What ships has no unwinding, and the
//! usual end without it is a signal that leaves a core dump, with a pasted token in it.

use std::io::Write as _;
use std::panic::PanicHookInfo;

/// As programs of Rust end.
const EXIT: i32 = 101;

/// To be called first thing in `main`.
pub fn install() {
    std::panic::set_hook(Box::new(|fault| {
        crate::prompt::give_back_terminal();
        let text = told(fault);
        // There is no third stream to complain to.
        let _ = std::io::stderr().write_all(text.as_bytes());
        std::process::exit(EXIT);
    }));
}

/// A text that the program was built with is shown, one that it made up is not: it may hold a value.
fn told(fault: &PanicHookInfo<'_>) -> String {
    let place = fault.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    let why = fault.payload().downcast_ref::<&'static str>().map(|why| format!(" ({why})"));
    format!(
        "keyfob: this is a fault of keyfob itself{}{}; please report it\n",
        place.unwrap_or_default(),
        why.unwrap_or_default()
    )
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use crate::prompt;

    const VICTIM: &str = "KEYFOB_TEST_VICTIM";

    fn echoes(terminal: impl std::os::fd::AsFd) -> bool {
        tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    fn wait_for(condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < end);
            std::thread::yield_now();
        }
    }

    /// In a process of its own: asks for a value, and panics meanwhile.
    fn fail(has_hook: bool) -> ! {
        if has_hook {
            super::install();
        } else {
            std::panic::set_hook(Box::new(|_| std::process::exit(super::EXIT)));
        }
        std::thread::spawn(|| prompt::hidden("Value: ", prompt::Ends::WithLine).map(drop));
        let terminal = File::open("/dev/tty").unwrap();
        wait_for(|| !echoes(&terminal));
        let value = std::env::var(VICTIM).unwrap();
        panic!("this holds {value}");
    }

    #[test]
    fn a_fault_shows_no_value_and_gives_the_terminal_back() {
        if let Ok(value) = std::env::var(VICTIM) {
            fail(value.starts_with("hook"));
        }
        for (value, is_given_back) in [("hook-s3cret", true), ("none-s3cret", false)] {
            let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&controller).unwrap();
            unlockpt(&controller).unwrap();
            let path = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
            let terminal = || File::options().read(true).write(true).open(&path).unwrap();
            // Its settings last as long as somebody has it open.
            let kept = terminal();
            let mut victim = Command::new("setsid");
            victim.args(["--ctty", "--wait"]).arg(std::env::current_exe().unwrap());
            victim.args([
                "--exact",
                "panics::tests::a_fault_shows_no_value_and_gives_the_terminal_back",
                "--nocapture",
            ]);
            victim.env(VICTIM, value).stdin(Stdio::from(terminal()));
            let output = victim.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(101), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
            assert_eq!(
                text.starts_with("keyfob: this is a fault of keyfob itself at "),
                is_given_back,
                "{text}"
            );
            assert_eq!(echoes(&kept), is_given_back, "{value}");
        }
    }
}
