//! An agent in the foreground of a job (`keyfob run`): nothing at rest, nobody to ask, and values masked in the job's log.
//!
//! GitHub prints `***` for a value that a job has named by `::add-mask::` on its output before. The line must be there first,
//! so it is written before an answer leaves, once for each value. Where it cannot be written, nothing leaves.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

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

/// A write to a pipe of at most so many bytes is never torn by somebody else's (PIPE_BUF: 4096 on Linux, 512 on macOS).
const LONGEST: usize = if cfg!(target_os = "macos") { 500 } else { 4000 };

/// How long all masks of one answer may take. The program behind it gives up a little later.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Before a line is written again that somebody else's took the room of.
const AGAIN: Duration = Duration::from_millis(2);

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

/// Where masks are written.
pub trait Output: Write + Send {
    /// Returns when it takes more, or never will.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after this time; the system's own.
    fn ready(&self, patience: Duration) -> io::Result<()>;
}

struct Log {
    /// Held while a line is written.
    output: Arc<Mutex<dyn Output>>,
    /// What was told, without the values. Never held while anybody waits.
    told: std::sync::Mutex<HashSet<u64>>,
    state: RandomState,
    /// [`PATIENCE`], but for tests.
    patience: Duration,
}

impl Masks {
    /// Written to this.
    pub fn into(output: impl Output + 'static) -> Self {
        Self::patiently(output, PATIENCE)
    }

    fn patiently(output: impl Output + 'static, patience: Duration) -> Self {
        let output = Arc::new(Mutex::new(output));
        Self(Some(Log { output, told: std::sync::Mutex::default(), state: RandomState::new(), patience }))
    }

    /// Returns when every secret in this reply is masked, or nobody reads the log.
    ///
    /// # Errors
    /// [`Code::Busy`] where the log takes no line in time, [`Code::Internal`] where it cannot be written: the reply must not
    /// leave.
    pub async fn cover(&self, reply: &Result<Reply, Refusal>) -> Result<(), Refusal> {
        let (Some(log), Ok(reply)) = (&self.0, reply) else { return Ok(()) };
        let deadline = Instant::now() + log.patience;
        let values = secrets_of(reply);
        for line in values.iter().flat_map(|value| value.split(['\r', '\n'])) {
            if line.trim().len() >= SHORTEST {
                log.mask(line, deadline).await.map_err(|error| unmasked(&error))?;
            }
        }
        Ok(())
    }
}

fn unmasked(error: &io::Error) -> Refusal {
    tracing::warn!(%error, "a value could not be masked in the job's log");
    if error.kind() == io::ErrorKind::TimedOut {
        let say = "the job's log takes no lines, so the value could not be masked there and is not given";
        return Refusal::new(Code::Busy, say).hint("try again in a moment");
    }
    let say = format!("the value could not be masked in the job's log ({error}), and is not given");
    Refusal::new(Code::Internal, say)
}

impl Log {
    async fn mask(&self, value: &str, deadline: Instant) -> io::Result<()> {
        let mark = self.state.hash_one(value);
        if self.is_told(mark) {
            return Ok(());
        }
        let written = tokio::time::timeout_at(deadline.into(), async {
            let mut output = self.output.clone().lock_owned().await;
            // Somebody else may have told it meanwhile.
            if self.is_told(mark) {
                return Ok(());
            }
            let lines = lines_of(value);
            let write =
                move || lines.iter().try_for_each(|line| write(&mut *output, line.as_bytes(), deadline));
            // Where it cannot be known whether a line is taken, this waits beyond the deadline, and we do not.
            tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)))
        });
        match written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
                Ok(())
            }
        }
    }

    fn is_told(&self, mark: u64) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark)
    }
}

/// Writes all of it, in one piece where the output takes that.
fn write(output: &mut dyn Output, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match output.ready(patience).and_then(|()| output.write(bytes)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            // Another step was faster than we.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

/// The commands that mask a line. Each begins with a line end, for a step may have written half a line, and has at most
/// [`LONGEST`] bytes: of a long line each piece is masked.
fn lines_of(value: &str) -> Vec<Zeroizing<String>> {
    const COMMAND: &str = "\n::add-mask::";
    let value = escaped(value);
    let room = LONGEST - COMMAND.len() - 1;
    // Pieces of one length: a short last one would hide every such piece of the log. A cut may come three bytes early.
    let count = value.len().div_ceil(room - 3);
    let piece = value.len().div_ceil(count.max(1)) + 3;
    let mut lines = Vec::with_capacity(count);
    let mut rest = value.as_str();
    while !rest.is_empty() {
        let (first, others) = rest.split_at(cut(rest, piece));
        rest = others;
        let mut line = Zeroizing::new(String::with_capacity(COMMAND.len() + first.len() + 1));
        line.extend([COMMAND, first, "\n"]);
        lines.push(line);
    }
    lines
}

/// At most so many bytes, and no letter cut in two, written as it is or as `%25`.
fn cut(text: &str, most: usize) -> usize {
    let end = text.floor_char_boundary(most);
    if end == text.len() {
        return end;
    }
    // Each `%` begins an escape of three letters.
    text[..end].rfind('%').filter(|at| end - at < 3).unwrap_or(end)
}

impl Agent {
    /// The answer, once its secrets are masked where this is a job whose log hides values; else the refusal.
    pub(crate) async fn covered(&self, answer: Result<Reply, Refusal>) -> Result<Reply, Refusal> {
        if let Some(masks) = self.job.get() {
            masks.cover(&answer).await?;
        }
        answer
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
        Reply::Secret(secret) => secret.values.values().map(copy).collect(),
        Reply::Metaflow(metaflow) => crate::metaflow::secrets_in(&metaflow.config),
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
    let Ok(stat) = rustix::fs::fstat(&output) else { return Masks::default() };
    // Not through the standard library's buffer: each line is one write.
    let shared = || output.as_fd().try_clone_to_owned().map(OwnedFd::into);
    let opened = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => opened_again().or_else(|_| shared()),
        FileType::Socket => shared(),
        _ => return Masks::default(),
    };
    opened.map_or_else(|_: io::Error| Masks::default(), |log: std::fs::File| Masks::into(log))
}

/// The pipe at standard output, opened for us alone: what is set there, that a write never waits, is not set for the steps of
/// the job, too. Only Linux opens a pipe again.
#[cfg(unix)]
fn opened_again() -> io::Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags};
    if cfg!(not(target_os = "linux")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self/fd/1", flags, Mode::empty())?.into())
}

#[cfg(unix)]
impl Output for std::fs::File {
    fn ready(&self, patience: Duration) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self, PollFlags::OUT)], Some(&patience)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where a job's log is: standard output, unless it is a console.
#[cfg(windows)]
pub fn log_of_this_process() -> Masks {
    use std::io::IsTerminal as _;
    if io::stdout().is_terminal() { Masks::default() } else { Masks::into(io::stdout()) }
}

/// There a write waits.
#[cfg(windows)]
impl Output for io::Stdout {
    fn ready(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }
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

    impl Output for Kept {
        fn ready(&self, _: Duration) -> io::Result<()> {
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
            assert_eq!(masks.cover(reply).await, Ok(()));
        }
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn a_configuration_of_metaflow_is_hidden_by_its_key() {
        let config = keyfob_ipc::reply::MetaflowConfig {
            entry: "outerbounds.prod".to_owned(),
            config: Secret::from(r#"{"METAFLOW_SERVICE_AUTH_KEY":"obk_marked","OBP_PERIMETER":"default"}"#),
            perimeter: "default".to_owned(),
            url: None,
        };
        let hidden = secrets_of(&Reply::Metaflow(Box::new(config)));
        assert_eq!(hidden.iter().map(|value| value.as_str()).collect::<Vec<_>>(), ["obk_marked"]);
    }

    #[tokio::test]
    async fn each_value_is_told_once_in_a_write_of_its_own() {
        let lines = told(&[keys("one"), keys("secret"), keys("secret")]).await;
        assert_eq!(lines, ["\n::add-mask::ASIAONE\n", "\n::add-mask::session\n", "\n::add-mask::secret\n"]);
    }

    #[tokio::test]
    async fn of_a_header_what_is_secret_and_of_many_lines_each() {
        let basic = STANDARD.encode("ada:pass:word");
        let replies = [headers("Bearer ey.J.x"), headers(&format!("Basic {basic}")), headers("aw_100%")];
        let lines = told(&replies).await;
        let basic = format!("\n::add-mask::{basic}\n");
        assert_eq!(
            lines,
            ["\n::add-mask::ey.J.x\n", &basic, "\n::add-mask::pass:word\n", "\n::add-mask::aw_100%25\n"]
        );
        let value = Ok(Reply::Value { value: Secret::from("{\r\n\"key\": 1,\r\n\"more\": 2\n}\n") });
        assert_eq!(told(&[value]).await, ["\n::add-mask::\"key\": 1,\n", "\n::add-mask::\"more\": 2\n"]);
        assert!(told(&[Err(no_starter())]).await.is_empty());
    }

    #[tokio::test]
    async fn a_long_value_is_told_in_pieces_that_nobody_can_tear() {
        for value in ["x".repeat(10_000), "%é".repeat(6000), "x".repeat(LONGEST - 1), "%".repeat(LONGEST)] {
            let lines = told(&[Ok(Reply::Value { value: Secret::new(value.clone()) })]).await;
            assert!(lines.iter().all(|line| line.len() <= LONGEST), "{}", value.len());
            let pieces = lines.iter().map(|line| {
                let piece = line.strip_prefix("\n::add-mask::").and_then(|line| line.strip_suffix('\n'));
                piece.unwrap_or_else(|| panic!("{line}")).replace("%25", "%")
            });
            let pieces: Vec<String> = pieces.collect();
            assert_eq!(pieces.concat(), value);
            assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() > LONGEST / 8), "{pieces:?}");
        }
    }

    /// Gives this answer to each write.
    struct Answers(fn(usize) -> io::Result<usize>);

    impl Write for Answers {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (self.0)(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Answers {
        fn ready(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_value_leaves_only_where_its_mask_is_written_or_nobody_reads() {
        let covered = async |answer| Masks::into(Answers(answer)).cover(&keys("secret")).await;
        let code = |covered: Result<(), Refusal>| covered.map_err(|refusal| refusal.code);
        assert_eq!(covered(Ok).await, Ok(()));
        assert_eq!(covered(|_| Err(io::ErrorKind::BrokenPipe.into())).await, Ok(()));
        assert_eq!(code(covered(|_| Err(io::ErrorKind::StorageFull.into())).await), Err(Code::Internal));
        assert_eq!(code(covered(|_| Ok(0)).await), Err(Code::Internal));
        assert_eq!(code(covered(|_| Err(io::ErrorKind::WouldBlock.into())).await), Err(Code::Busy));
        assert_eq!(Masks::default().cover(&keys("secret")).await, Ok(()));
    }

    /// A log that is a pipe, and both of its ends.
    #[cfg(unix)]
    fn pipe(patience: Duration) -> (std::fs::File, std::fs::File, Masks) {
        use std::os::fd::OwnedFd;
        let (reader, writer) = io::pipe().unwrap();
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        for end in [&reader, &writer] {
            rustix::io::ioctl_fionbio(end, true).unwrap();
        }
        let neighbour = std::fs::File::from(writer);
        let masks = Masks::patiently(neighbour.try_clone().unwrap(), patience);
        (std::fs::File::from(reader), neighbour, masks)
    }

    #[cfg(unix)]
    fn fill(mut neighbour: &std::fs::File) {
        while neighbour.write(&[b'x'; 4096]).is_ok() {}
    }

    #[cfg(unix)]
    fn drain(mut reader: &std::fs::File) -> String {
        use std::io::Read as _;
        let mut all = Vec::new();
        assert_eq!(reader.read_to_end(&mut all).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        String::from_utf8(all).unwrap()
    }

    /// Far more than any of it takes on a machine that has much else to do.
    #[cfg(unix)]
    const AT_MOST: Duration = Duration::from_secs(60);

    #[cfg(unix)]
    #[tokio::test]
    async fn a_full_log_is_waited_for_and_holds_up_only_what_is_new_to_it() {
        let patience = Duration::from_millis(300);
        let (reader, neighbour, masks) = pipe(patience);
        // It has room, and is as slow as the machine is.
        let known = keys("known");
        tokio::time::timeout(AT_MOST, async { while masks.cover(&known).await.is_err() {} }).await.unwrap();
        fill(&neighbour);
        let unknown = keys("unknown");
        let begun = Instant::now();
        let mut new = std::pin::pin!(masks.cover(&unknown));
        tokio::select! {
            biased;
            new = &mut new => panic!("it waits for nothing: {new:?}"),
            known = masks.cover(&known) => known.unwrap(),
            () = std::future::ready(()) => panic!("what is known waits behind another"),
        }
        let new = tokio::time::timeout(AT_MOST, new).await.expect("it is given up");
        assert_eq!(new.unwrap_err().code, Code::Busy);
        assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
        // Whoever writes for it has let go then, or will at once.
        let log = masks.0.as_ref().unwrap();
        drop(tokio::time::timeout(AT_MOST, log.output.lock()).await.unwrap());
        assert!(!drain(&reader).contains("unknown"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_log_that_has_room_again_takes_what_waits_for_it() {
        let (reader, neighbour, masks) = pipe(AT_MOST);
        fill(&neighbour);
        let unknown = keys("unknown");
        let (new, earlier) = tokio::join!(masks.cover(&unknown), async { drain(&reader) });
        new.unwrap();
        let all = earlier + &drain(&reader);
        let lines = ["ASIAONE", "unknown", "session"].map(|value| format!("\n::add-mask::{value}\n"));
        assert!(all.starts_with("xxx") && all.ends_with(&lines.concat()), "{}", all.len());
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
