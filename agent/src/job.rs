//! An agent in the foreground of a job (`keyfob run`): nothing at rest, nobody to ask, and values masked in the job's log.
//!
//! GitHub prints `***` for a value that a job has named by `::add-mask::` on its output before. The line must be there first,
//! so it is written before an answer leaves, once for each value.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyfob_ipc::reply::{AwsCredentials, Notice, Reply};
use keyfob_ipc::{Code, Refusal, Secret};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::keychain::Pending;
use crate::notices::{NotShown, Notifier};

/// A line of a secret that is shorter would hide every such piece of the log, and tells nobody anything.
const SHORTEST: usize = 4;

/// Why nobody signs in here.
pub fn no_sign_in() -> Refusal {
    Refusal::new(
        Code::CalledOff,
        "this is a job of `keyfob run`, where nobody can sign in: give the entry a `machine = \"…\"` of [machine.*]",
    )
}

/// Shows nothing: nobody sits at a job.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Notifier for Nobody {
    fn show<'a>(&'a self, _: &'a Notice) -> Pending<'a, Result<(), NotShown>> {
        Box::pin(std::future::ready(Err(NotShown)))
    }
}

/// What the job's log is told to hide. Without a log it does nothing.
#[derive(Default)]
pub struct Masks(Option<Log>);

struct Log {
    output: Arc<std::sync::Mutex<dyn Write + Send>>,
    /// What was told, without the values.
    told: Mutex<HashSet<u64>>,
    state: RandomState,
}

impl Masks {
    /// Written to this.
    pub fn into(output: impl Write + Send + 'static) -> Self {
        let output = Arc::new(std::sync::Mutex::new(output));
        Self(Some(Log { output, told: Mutex::default(), state: RandomState::new() }))
    }

    /// Returns when every secret in this reply is masked, or cannot be: then nobody reads the log.
    pub async fn cover(&self, reply: &Result<Reply, Refusal>) {
        let (Some(log), Ok(reply)) = (&self.0, reply) else { return };
        let values = secrets_of(reply);
        for line in values.iter().flat_map(|value| value.split(['\r', '\n'])) {
            if line.trim().len() >= SHORTEST {
                log.mask(line).await;
            }
        }
    }
}

impl Log {
    async fn mask(&self, value: &str) {
        let mut told = self.told.lock().await;
        let mark = self.state.hash_one(value);
        if told.contains(&mark) {
            return;
        }
        let line = Zeroizing::new(format!("::add-mask::{}\n", escaped(value).as_str()));
        let output = self.output.clone();
        // A pipe that nobody empties must not stop the agent.
        let written = tokio::task::spawn_blocking(move || {
            let mut output = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            output.write_all(line.as_bytes()).and_then(|()| output.flush())
        });
        match written.await.unwrap_or_else(|_| Err(io::Error::other("it was broken off"))) {
            Ok(()) => drop(told.insert(mark)),
            Err(error) => tracing::warn!(%error, "a value could not be masked in the job's log"),
        }
    }
}

impl Agent {
    /// Masks every secret of an answer, where this is a job whose log hides values.
    pub(crate) async fn cover(&self, answer: &Result<Reply, Refusal>) {
        if let Some(masks) = self.job.get() {
            masks.cover(answer).await;
        }
    }
}

/// As workflow commands write data.
fn escaped(value: &str) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::with_capacity(3 * value.len()));
    for letter in value.chars() {
        match letter {
            '%' => escaped.push_str("%25"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn secrets_of(reply: &Reply) -> Vec<Zeroizing<String>> {
    let copy = |value: &Secret<String>| Zeroizing::new(value.expose().clone());
    match reply {
        Reply::Headers(headers) => headers.headers.values().flatten().flat_map(in_header).collect(),
        Reply::AwsCredentials(keys) => in_keys(keys),
        Reply::Exec(keys) => in_keys(&keys.credentials),
        Reply::Value { value } => vec![copy(value)],
        Reply::Issued(issued) => issued.value.iter().map(copy).collect(),
        _ => Vec::new(),
    }
}

fn in_keys(keys: &AwsCredentials) -> Vec<Zeroizing<String>> {
    let secrets = [Some(&keys.secret_access_key), keys.session_token.as_ref()];
    let secrets = secrets.into_iter().flatten().map(|value| value.expose().clone());
    [keys.access_key_id.clone()].into_iter().chain(secrets).map(Zeroizing::new).collect()
}

/// What follows the scheme; of a basic one also the password in it.
fn in_header(value: &Secret<String>) -> Vec<Zeroizing<String>> {
    let whole = value.expose();
    let (scheme, token) = whole.split_once(' ').unwrap_or(("", whole));
    let mut found = vec![Zeroizing::new(token.trim().to_owned())];
    if scheme.eq_ignore_ascii_case("basic") {
        let plain = STANDARD.decode(token.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = Zeroizing::new(plain.unwrap_or_default());
        found.extend(plain.split_once(':').map(|(_, password)| Zeroizing::new(password.to_owned())));
    }
    found
}

/// Where a job's log is: standard output where that is a pipe, as every runner has it. On a terminal the line itself would
/// show the value, in a file it would keep it.
#[cfg(unix)]
pub fn log_of_this_process() -> Masks {
    use std::os::fd::{AsFd as _, OwnedFd};

    use rustix::fs::FileType;
    let output = io::stdout();
    let is_pipe = rustix::fs::fstat(&output)
        .is_ok_and(|stat| matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket));
    // Not through the standard library's buffer: each line is one write.
    let copy: io::Result<OwnedFd> = output.as_fd().try_clone_to_owned();
    match copy {
        Ok(copy) if is_pipe => Masks::into(std::fs::File::from(copy)),
        _ => Masks::default(),
    }
}

/// Where a job's log is: standard output, unless it is a console.
#[cfg(windows)]
pub fn log_of_this_process() -> Masks {
    use std::io::IsTerminal as _;
    if io::stdout().is_terminal() { Masks::default() } else { Masks::into(io::stdout()) }
}

/// Whether standard input is held open by whoever started this job. One that was started by somebody else in it would stay.
#[cfg(unix)]
pub fn has_starter() -> bool {
    let stat = rustix::fs::fstat(io::stdin());
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo)
}

/// A pipe cannot be told from the null device here; the latter ends the agent at once.
#[cfg(windows)]
pub fn has_starter() -> bool {
    true
}

/// Why a second agent is not started in a job.
pub fn no_starter() -> Refusal {
    let say = "the agent of this job has ended, and only `keyfob run` starts one";
    Refusal::new(Code::AgentUnreachable, say).hint("start the job again: keyfob run -- COMMAND")
}

/// Returns when whoever started this job has ended: then standard input does.
pub async fn starter_ended() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    // Not one of the runtime's own, whose end it would wait for.
    let reader = std::thread::Builder::new().name("starter".to_owned()).spawn(move || {
        let mut input = io::stdin().lock();
        // What is written there means nothing.
        while io::copy(&mut input, &mut io::sink())
            .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
        {}
        drop(ended);
    });
    if let Err(error) = reader {
        tracing::warn!(%error, "the end of the job will not be seen");
        return std::future::pending().await;
    }
    // Nothing is ever sent: the other end is dropped.
    let _ = end.await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use keyfob_ipc::reply::Headers;

    use super::*;
    use crate::ambient::Ambient;

    /// Counts the writes, too.
    #[derive(Clone, Default)]
    struct Kept(Arc<std::sync::Mutex<Vec<String>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn keys(secret: &str) -> Result<Reply, Refusal> {
        Ok(Reply::AwsCredentials(AwsCredentials {
            version: 1,
            access_key_id: "ASIAONE".to_owned(),
            secret_access_key: Secret::from(secret),
            session_token: Some(Secret::from("session")),
            expiration: None,
            account_id: Some("123456789012".to_owned()),
        }))
    }

    fn headers(value: &str) -> Result<Reply, Refusal> {
        let headers = [("Authorization".to_owned(), vec![Secret::from(value)])].into();
        Ok(Reply::Headers(Headers { headers, expires: None }))
    }

    async fn told(replies: &[Result<Reply, Refusal>]) -> Vec<String> {
        let kept = Kept::default();
        let masks = Masks::into(kept.clone());
        for reply in replies {
            masks.cover(reply).await;
        }
        kept.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn each_value_is_told_once_in_a_write_of_its_own() {
        let lines = told(&[keys("one"), keys("secret"), keys("secret")]).await;
        assert_eq!(lines, ["::add-mask::ASIAONE\n", "::add-mask::session\n", "::add-mask::secret\n"]);
    }

    #[tokio::test]
    async fn of_a_header_what_is_secret_and_of_many_lines_each() {
        let basic = STANDARD.encode("ada:pass:word");
        let replies = [headers("Bearer ey.J.x"), headers(&format!("Basic {basic}")), headers("aw_100%")];
        let lines = told(&replies).await;
        let basic = format!("::add-mask::{basic}\n");
        assert_eq!(
            lines,
            ["::add-mask::ey.J.x\n", &basic, "::add-mask::pass:word\n", "::add-mask::aw_100%25\n"]
        );
        let value = Ok(Reply::Value { value: Secret::from("{\r\n\"key\": 1,\r\n\"more\": 2\n}\n") });
        assert_eq!(told(&[value]).await, ["::add-mask::\"key\": 1,\n", "::add-mask::\"more\": 2\n"]);
        assert!(told(&[Err(no_starter())]).await.is_empty());
    }

    #[tokio::test]
    async fn a_log_that_is_closed_stops_nothing() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Masks::into(Closed).cover(&keys("secret")).await;
        Masks::default().cover(&keys("secret")).await;
    }

    #[test]
    fn the_variables_that_are_read_are_those_that_are_passed_on() {
        let read = RefCell::new(BTreeSet::new());
        Ambient::read(|name| {
            read.borrow_mut().insert(name.to_owned());
            Some("x".into())
        });
        Ambient::read(|name| {
            read.borrow_mut().insert(name.to_owned());
            None
        });
        let passed_on = keyfob_ipc::start::AMBIENT.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(read.into_inner(), passed_on);
    }
}
