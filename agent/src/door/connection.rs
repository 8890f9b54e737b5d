//! One connection: the caller's user checked, frames in and out, deadlines on both.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use keyfob_ipc::ask::Request;
use keyfob_ipc::frame::{self, FrameError};
use keyfob_ipc::reply::{Answer, Reply, Step};
use keyfob_ipc::{Caller, Code, Door, OLDEST_PROTOCOL, PROTOCOL, Refusal, limits};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use zeroize::{Zeroize as _, Zeroizing};

use super::Conversation;
use super::room::Place;
use crate::asker::Asker;
use crate::keychain::Pending;

/// Reads in a row on one connection, of at most 8 KiB each.
const TURN: u32 = 8;

/// An accepted connection of this user's.
pub(super) struct Connection {
    stream: Stream,
    reader: frame::Reader,
    limit: usize,
    place: Place,
    /// Bytes of requests that have come and were not taken yet.
    buffered: usize,
    reads: u32,
    /// Who asks.
    pub(super) asker: Asker,
}

/// What a peer sent.
pub(super) enum Incoming<A> {
    /// A request, and whether its caller waited for our start.
    Ask(A, bool),
    /// Something that is answered with a refusal, after which the connection ends.
    Bad(Refusal),
    /// Nothing more.
    Closed,
}

impl Connection {
    /// Takes a connection in; `None` where the caller is another user, who gets no byte.
    pub(super) fn of(stream: Stream, door: Door, place: Place) -> Option<Self> {
        let caller = caller(&stream).ok()?;
        if caller.user != keyfob_ipc::peer::this_user() {
            tracing::warn!(user = %caller.user, "another user's connection was closed");
            return None;
        }
        let asker = Asker::of(Arc::new(caller));
        let reader = frame::Reader::default();
        Some(Self { stream, reader, limit: door.frame_limit(), place, buffered: 0, reads: 0, asker })
    }

    /// The next request.
    pub(super) async fn next<A: DeserializeOwned>(&mut self) -> Incoming<A> {
        self.place.wait();
        if self.buffered > 0 {
            // Whoever has sent several requests at once has one of them answered in each turn.
            tokio::task::yield_now().await;
        }
        let incoming = self.next_within(limits::IDLE).await;
        if let Incoming::Ask(..) = incoming {
            self.place.work();
        }
        incoming
    }

    /// The next request of somebody who may be silent for as long as it likes. Nothing is lost where the wait is given up.
    pub(super) async fn next_at_leisure<A: DeserializeOwned>(&mut self) -> Incoming<A> {
        if !self.place.watch() {
            return Incoming::Closed;
        }
        self.next_within(Duration::MAX).await
    }

    async fn next_within<A: DeserializeOwned>(&mut self, idle: Duration) -> Incoming<A> {
        match self.frame(idle).await {
            Ok(Some(frame)) => parse(&frame),
            Ok(None) => Incoming::Closed,
            Err(FrameError::TooLarge { announced, limit }) => {
                let say = format!("the request has {announced} bytes, and this door takes {limit}");
                Incoming::Bad(Refusal::new(Code::TooLarge, say))
            }
            // Half a frame, a broken or a silent peer: nobody is there to be told.
            Err(_) => Incoming::Closed,
        }
    }

    /// Answers, in one write.
    pub(super) async fn answer(&mut self, reply: Reply) -> bool {
        let bytes = match frame::encode(&Answer::new(reply), self.limit) {
            Ok(bytes) => bytes,
            Err(_) => {
                let refusal = Refusal::new(Code::TooLarge, "the answer is too large for this door");
                match frame::encode(&Answer::new(Reply::Refused(refusal)), self.limit) {
                    Ok(bytes) => bytes,
                    Err(_) => return false,
                }
            }
        };
        // What the request held is gone, and from here on it is the peer that takes its time.
        self.place.release();
        if !self.place.is_conversation() {
            self.place.wait();
        }
        let go = self.place.told_to_go();
        tokio::select! {
            biased;
            written = timeout(limits::FRAME_READ, self.stream.write_all(&bytes)) => matches!(written, Ok(Ok(()))),
            () = go.notified() => false,
        }
    }

    async fn frame(&mut self, idle: Duration) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let mut began: Option<tokio::time::Instant> = None;
        let go = self.place.told_to_go();
        loop {
            if let Some(frame) = self.reader.take(self.limit)? {
                self.buffered -= frame::PREFIX + frame.len();
                return Ok(Some(frame));
            }
            if !self.reader.is_empty() {
                began.get_or_insert_with(tokio::time::Instant::now);
            }
            // The deadline is for the whole frame: a byte now and then does not extend it.
            let left = began.map_or(idle, |began| limits::FRAME_READ.saturating_sub(began.elapsed()));
            let read = tokio::select! {
                biased;
                read = timeout(left, self.fill()) => read.map_err(|_| FrameError::Half)??,
                () = go.notified() => return Err(FrameError::Half),
            };
            if read == 0 {
                return if self.reader.is_empty() { Ok(None) } else { Err(FrameError::Half) };
            }
        }
    }

    /// Reads once. The bytes pass through the stack: a connection that says nothing costs no buffer.
    async fn fill(&mut self) -> std::io::Result<usize> {
        let read = poll_fn(|context| {
            let mut chunk = [const { MaybeUninit::uninit() }; 8 * 1024];
            let mut bytes = ReadBuf::uninit(&mut chunk);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut bytes))?;
            self.reader.push(bytes.filled());
            let read = bytes.filled().len();
            bytes.filled_mut().zeroize();
            self.buffered += read;
            Poll::Ready(Ok::<_, std::io::Error>(read))
        })
        .await?;
        self.place.hold(self.buffered).await;
        self.reads = self.reads.wrapping_add(1);
        if self.reads.is_multiple_of(TURN) {
            // Whoever sends much does not keep the others from their turn.
            tokio::task::yield_now().await;
        }
        Ok(read)
    }
}

impl Conversation for Connection {
    fn step(&mut self, step: Step) -> Pending<'_, bool> {
        Box::pin(async move { self.place.sign_in() && self.answer(Reply::Step(step)).await })
    }

    fn gone(&mut self) -> Pending<'_, ()> {
        Box::pin(async {
            // A client in a conversation says nothing: a byte ends it as the end does.
            let mut byte = [0u8; 1];
            let _ = self.stream.read(&mut byte).await;
        })
    }
}

#[cfg(unix)]
fn caller(stream: &Stream) -> std::io::Result<Caller> {
    use std::os::fd::AsFd;
    let Stream::UdSocket(socket) = stream;
    keyfob_ipc::peer::caller_of(socket.inner().as_fd())
}

#[cfg(windows)]
fn caller(stream: &Stream) -> std::io::Result<Caller> {
    use std::os::windows::io::AsHandle;
    let Stream::NamedPipe(pipe) = stream;
    keyfob_ipc::peer::caller_of(pipe.inner().as_handle())
}

/// The version is read first: a request of another version may have any shape.
fn parse<A: DeserializeOwned>(frame: &[u8]) -> Incoming<A> {
    #[derive(Deserialize)]
    struct Version {
        v: u16,
    }
    match frame::decode::<Request<A>>(frame) {
        Ok(Request { v: OLDEST_PROTOCOL..=PROTOCOL, first, ask }) => Incoming::Ask(ask, first),
        Ok(_) => Incoming::Bad(other_version()),
        Err(_) => match frame::decode::<Version>(frame) {
            Ok(Version { v: OLDEST_PROTOCOL..=PROTOCOL }) => {
                Incoming::Bad(Refusal::new(Code::BadRequest, "this door knows no such request"))
            }
            Ok(_) => Incoming::Bad(other_version()),
            Err(_) => {
                Incoming::Bad(Refusal::new(Code::BadRequest, "the request is no message of this protocol"))
            }
        },
    }
}

fn other_version() -> Refusal {
    Refusal::new(Code::VersionMismatch, "the running agent speaks another protocol version")
        .hint("keyfob agent restart")
}
