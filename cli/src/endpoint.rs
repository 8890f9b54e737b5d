//! The container-credentials endpoint of one run: how SDKs of AWS ask again, for as long as a program runs.
//!
//! It is in the process of `keyfob exec` and asks the agent for each answer, so it survives the agent and ends with the
//! program. Other users of the machine and pages in a browser can reach the port: what opens it is a token of this run, and
//! a request that came by way of a browser or a proxy is refused even with it.

mod request;
mod response;

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keyfob_ipc::reply::ExecKeys;
use keyfob_ipc::{Code, Refusal, Secret};

use request::Gate;
pub use response::NO_TOKEN;
use response::{Response, of_keys, of_refusal};

/// The path of the keys.
const PATH: &str = "/credentials";

/// How long a client may take for the whole head of its request. The most patient SDK gives up after five seconds, and sends
/// at once.
const HEAD: Duration = Duration::from_secs(2);

/// How long a client may take to take the answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Clients that have sent no whole head yet. Whoever has waited longest makes room for the next: they may be anybody's.
const WAITING: usize = 64;

/// Clients with the token that are being answered. A burst of one program's SDKs is below that.
const AT_WORK: usize = 64;

/// Of each thread, in bytes: a head, and a frame of the agent's.
const STACK: usize = 512 * 1024;

/// Who gives the keys, now.
pub type Source = dyn Fn() -> Result<ExecKeys, Refusal> + Send + Sync;

/// A running endpoint. It ends with the process.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddrV4,
    token: Secret<String>,
}

impl Endpoint {
    /// Opens one on a port of the system's choice.
    ///
    /// # Errors
    /// [`Code::Internal`] where the system gives no port, no randomness or no thread.
    pub fn open(source: Box<Source>) -> Result<Self, Refusal> {
        Self::try_open(source)
            .map_err(|error| Refusal::new(Code::Internal, format!("no endpoint can be opened ({error})")))
    }

    fn try_open(source: Box<Source>) -> io::Result<Self> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
        let mut token = String::with_capacity(2 * bytes.len());
        for byte in bytes.iter() {
            for digit in [byte >> 4, byte & 0xf] {
                token.push(char::from_digit(digit.into(), 16).unwrap_or_default());
            }
        }
        let token = Secret::new(token);
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
        let room = Arc::new(Room {
            gate: Gate { host: address.to_string(), path: PATH, token: token.clone() },
            source,
            places: Mutex::default(),
        });
        spawn(move || serve(&listener, &room))?;
        Ok(Self { address, token })
    }

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }
}

/// What every connection shares.
struct Room {
    gate: Gate,
    source: Box<Source>,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    last: u64,
    /// Those whose head has not come yet, the oldest first.
    waiting: VecDeque<(u64, TcpStream)>,
    at_work: usize,
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("endpoint".to_owned()).stack_size(STACK).spawn(work).map(drop)
}

fn serve(listener: &TcpListener, room: &Arc<Room>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No descriptors, say; those who are here give theirs back.
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let room = Arc::clone(room);
        let Ok(number) = room.enter(&stream) else { continue };
        // Without a thread the connection closes.
        let _ = spawn(move || room.converse(stream, number));
    }
}

impl Room {
    /// Takes somebody in, who has not said anything yet.
    fn enter(&self, stream: &TcpStream) -> io::Result<u64> {
        let copy = stream.try_clone()?;
        let mut places = self.places();
        while places.waiting.len() >= WAITING
            && let Some((_, oldest)) = places.waiting.pop_front()
        {
            // Gone already is as good.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        places.last += 1;
        let number = places.last;
        places.waiting.push_back((number, copy));
        Ok(number)
    }

    fn converse(&self, mut stream: TcpStream, number: u64) {
        let head = request::read(&mut stream, HEAD);
        self.places().waiting.retain(|(known, _)| *known != number);
        let response = match head.and_then(|head| self.gate.judge(&head)) {
            Ok(()) => self.answer(),
            Err(Some(response)) => response,
            // Nobody is there, or too slow to be told.
            Err(None) => return,
        };
        let bytes = response.to_bytes();
        // Whoever does not take it goes without.
        let _ = stream
            .set_write_timeout(Some(ANSWER))
            .and_then(|()| stream.write_all(&bytes))
            .and_then(|()| stream.shutdown(Shutdown::Write));
        request::drain(&mut stream);
    }

    fn answer(&self) -> Response {
        {
            let mut places = self.places();
            if places.at_work >= AT_WORK {
                return of_refusal(&Refusal::new(Code::Busy, "too many requests at once; try again"));
            }
            places.at_work += 1;
        }
        let response = match (self.source)() {
            Ok(keys) => of_keys(&keys.credentials),
            Err(refusal) => of_refusal(&refusal),
        };
        self.places().at_work -= 1;
        response
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
