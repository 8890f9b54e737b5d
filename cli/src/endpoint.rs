//! The container-credentials endpoint of one run: how SDKs of AWS ask again, for as long as a program runs.
//!
//! It is in the process of `keyfob exec` and asks the agent for each answer, so it survives the agent and ends with the
//! program. Other users of the machine and pages in a browser can reach the port: what opens it is a token of this run, and
//! a request that came by way of a browser or a proxy is refused even with it.
//!
//! Nothing here waits but an ask: who runs the program calls [`Endpoint::turn`] whenever something has come.

mod connection;
mod request;
mod response;
mod table;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::Instant;

use keyfob_ipc::reply::ExecKeys;
use keyfob_ipc::{Code, Refusal, Secret};

use request::Gate;
pub use response::NO_TOKEN;
use response::{of_keys, of_refusal};
use table::Table;

/// The path of the keys.
const PATH: &str = "/credentials";

/// Who gives the keys, now.
pub type Source = dyn Fn() -> Result<ExecKeys, Refusal> + Send;

/// An open endpoint. It ends with the process.
pub struct Endpoint {
    address: SocketAddrV4,
    token: Secret<String>,
    #[cfg(unix)]
    room: Room,
}

/// Where clients come, and what they come for.
struct Room {
    listener: TcpListener,
    gate: Gate,
    source: Box<Source>,
    table: Table,
}

impl Endpoint {
    /// Opens one on a port of the system's choice.
    ///
    /// # Errors
    /// [`Code::Internal`] where the system gives no port or no randomness.
    pub fn open(source: Box<Source>) -> Result<Self, Refusal> {
        Self::try_open(source)
            .map_err(|error| Refusal::new(Code::Internal, format!("no endpoint can be opened ({error})")))
    }

    fn try_open(source: Box<Source>) -> io::Result<Self> {
        let (address, token, room) = Room::open(source)?;
        #[cfg(windows)]
        std::thread::Builder::new().name("endpoint".to_owned()).spawn(move || room.serve())?;
        Ok(Self {
            address,
            token,
            #[cfg(unix)]
            room,
        })
    }

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// Adds what is to be waited for, and tells until when: [`Endpoint::turn`] has something to do then.
    #[cfg(unix)]
    pub fn watch<'a>(&'a self, watched: &mut Vec<rustix::event::PollFd<'a>>) -> Option<Instant> {
        self.room.table.watch(&self.room.listener, watched)
    }

    /// Does what can be done now. It takes as long as one ask at most.
    #[cfg(unix)]
    pub fn turn(&mut self) {
        self.room.turn();
    }
}

impl Room {
    fn open(source: Box<Source>) -> io::Result<(SocketAddrV4, Secret<String>, Self)> {
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
        listener.set_nonblocking(true)?;
        // Those who come while the agent is asked are kept by the system, ours behind all others.
        #[cfg(unix)]
        rustix::net::listen(&listener, 4096)?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
        let gate = Gate { host: address.to_string(), path: PATH, token: token.clone() };
        Ok((address, token, Self { listener, gate, source, table: Table::new() }))
    }

    fn turn(&mut self) {
        let now = Instant::now();
        // Who has said something is heard before anybody makes room for others.
        self.table.go_on(&self.gate, now);
        self.table.admit(&self.listener, now);
        self.table.go_on(&self.gate, now);
        if self.table.has_waiting() {
            // One ask for all who wait: SDKs come in bursts.
            let response = match (self.source)() {
                Ok(keys) => of_keys(&keys.credentials),
                Err(refusal) => of_refusal(&refusal),
            };
            self.table.answer(&response, Instant::now());
        }
    }

    /// Goes on for ever, where nothing tells of all that comes: the system waits for the first client, and the others are
    /// looked after as long as somebody is there.
    #[cfg(any(windows, test))]
    fn serve(mut self) {
        const LOOK: std::time::Duration = std::time::Duration::from_millis(5);
        loop {
            // Where it fails, it is looked after as well.
            let came = self.listener.set_nonblocking(false).and_then(|()| self.listener.accept());
            let _ = self.listener.set_nonblocking(true);
            if let Ok((stream, _)) = came {
                self.table.enter(stream, Instant::now());
            }
            self.turn();
            while !self.table.is_empty() {
                std::thread::sleep(LOOK);
                self.turn();
            }
        }
    }
}

#[cfg(test)]
mod tests;
