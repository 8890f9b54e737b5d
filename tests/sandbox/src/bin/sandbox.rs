//! `keyfob-sandbox [--json] [--options JSON]`: the company in a box, until standard input closes or a signal comes.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use keyfob_sandbox::{Options, Sandbox};

const USAGE: &str = "\
usage: keyfob-sandbox [--json] [--options JSON]

Starts an OpenID provider, an AWS STS, a token portal and cluster fronts on loopback, prints one line of JSON
that says where they are, and serves until standard input closes or SIGINT or SIGTERM comes.

  --options JSON   settings, such as {\"issuer\":{\"id_token_seconds\":20},\"sts\":{\"credential_seconds\":1200}}
  --json           the line is always JSON; this says so
";

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return said(&mut std::io::stdout(), USAGE, ExitCode::SUCCESS),
        Err(problem) => {
            let text = format!("keyfob-sandbox: {problem}\n{USAGE}");
            return said(&mut std::io::stderr(), &text, ExitCode::from(2));
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            said(&mut std::io::stderr(), &format!("keyfob-sandbox: {problem}\n"), ExitCode::FAILURE)
        }
    }
}

/// Nothing if only the usage is wanted.
fn options(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {}
            "--help" | "-h" => return Ok(None),
            "--options" => {
                let json = arguments.next().ok_or("--options needs a JSON object")?;
                options = serde_json::from_str(&json)?;
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(Some(options))
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start(options).await?;
    // Before the line: who reads it may end us at once.
    let signalled = signalled()?;
    let mut line = serde_json::to_string(sandbox.addresses())?;
    line.push('\n');
    let mut out = std::io::stdout();
    out.write_all(line.as_bytes())?;
    out.flush()?;
    tokio::select! {
        () = input_closed() => {}
        () = signalled => {}
    }
    Ok(())
}

/// On a thread of its own: standard input cannot be waited for in any other way that works everywhere.
async fn input_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut bytes = [0_u8; 1024];
        while std::io::stdin().read(&mut bytes).is_ok_and(|length| length > 0) {}
        let _ = closed.send(());
    });
    let _ = wait.await;
}

/// The handlers are there when this returns; the future waits for the first signal.
#[cfg(unix)]
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The handler is there when this returns; the future waits for the first signal.
#[cfg(windows)]
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}

fn said(to: &mut dyn std::io::Write, text: &str, code: ExitCode) -> ExitCode {
    let _ = to.write_all(text.as_bytes());
    code
}
