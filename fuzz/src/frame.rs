//! Frames: however a stream is cut, the same frames come out, and nothing is taken in beyond the limit of the door.
//!
//! Input: limit in fours (one byte), three sizes of pieces that take turns (three bytes, 0 is 256), the stream.

use std::io::{self, Read};

use keyfob_ipc::frame::{FrameError, PREFIX, Reader, decode, encode};
use serde_json::Value;

/// What one read takes in at most, in bytes.
const CHUNK: usize = 8 * 1024;

/// Of a stream that is longer nothing more is looked at: each read clears its chunk.
const STREAM: usize = 256;

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Half,
    TooLarge { announced: usize },
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[limit, one, two, three], stream)) = data.split_first_chunk() else { return };
    let stream = &stream[..stream.len().min(STREAM)];
    let limit = usize::from(limit) * 4;
    let expected = naive(stream, limit);
    let sizes = [one, two, three].map(|size| if size == 0 { 256 } else { usize::from(size) });
    let pieces = Pieces { stream, sizes, turn: 0 };
    assert_eq!(by_reading(pieces, stream.len(), limit), expected);
    assert_eq!(by_pushing(stream, sizes, limit), expected);
    for frame in &expected.0 {
        survives(frame, limit);
    }
}

/// As the client reads.
fn by_reading(mut pieces: Pieces<'_>, whole: usize, limit: usize) -> (Vec<Vec<u8>>, End) {
    let (mut reader, mut frames, mut framed) = (Reader::default(), Vec::new(), 0);
    loop {
        let next = reader.next(&mut pieces, limit);
        let waiting = whole - pieces.stream.len() - framed;
        assert!(
            waiting <= 2 * (PREFIX + limit) + 2 * CHUNK,
            "{waiting} bytes are held at a limit of {limit}"
        );
        match next {
            Ok(Some(frame)) => {
                assert!(frame.capacity() <= limit, "{} bytes for a frame", frame.capacity());
                framed += PREFIX + frame.len();
                frames.push(frame.to_vec());
            }
            Ok(None) => return (frames, End::Closed),
            Err(error) => return (frames, end(&error, limit)),
        }
    }
}

/// As the agent reads.
fn by_pushing(stream: &[u8], sizes: [usize; 3], limit: usize) -> (Vec<Vec<u8>>, End) {
    let (mut reader, mut frames) = (Reader::default(), Vec::new());
    let mut pieces = Pieces { stream, sizes, turn: 0 };
    let mut piece = [0; 256];
    loop {
        loop {
            match reader.take(limit) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, end(&error, limit)),
            }
        }
        match pieces.read(&mut piece) {
            Err(_) => {}
            Ok(0) => {
                return (frames, if reader.is_empty() { End::Closed } else { End::Half });
            }
            Ok(read) => reader.push(&piece[..read]),
        }
    }
}

fn end(error: &FrameError, limit: usize) -> End {
    match error {
        FrameError::TooLarge { announced, limit: named } => {
            assert_eq!(*named, limit);
            End::TooLarge { announced: *announced }
        }
        FrameError::Half => End::Half,
        other => panic!("{other}"),
    }
}

/// The format as it is written down.
fn naive(mut stream: &[u8], limit: usize) -> (Vec<Vec<u8>>, End) {
    let mut frames = Vec::new();
    loop {
        if stream.is_empty() {
            return (frames, End::Closed);
        }
        let Some((prefix, rest)) = stream.split_first_chunk::<4>() else { return (frames, End::Half) };
        let announced = prefix.iter().rev().fold(0usize, |length, byte| length * 256 + usize::from(*byte));
        if announced > limit {
            return (frames, End::TooLarge { announced });
        }
        if rest.len() < announced {
            return (frames, End::Half);
        }
        frames.push(rest[..announced].to_vec());
        stream = &rest[announced..];
    }
}

/// What can be read as a message can be sent as one.
fn survives(frame: &[u8], limit: usize) {
    let Ok(message) = decode::<Value>(frame) else { return };
    match encode(&message, limit) {
        Ok(bytes) => {
            let mut reader = Reader::default();
            reader.push(&bytes);
            let again = reader.take(limit).unwrap().unwrap();
            assert_eq!(decode::<Value>(&again).unwrap(), message);
            assert!(reader.is_empty());
        }
        // Numbers and escapes may be longer as they are written here.
        Err(FrameError::TooLarge { announced, .. }) => assert!(announced > limit),
        Err(other) => panic!("{other}"),
    }
}

/// A stream that gives its bytes in pieces, and is interrupted now and then.
struct Pieces<'a> {
    stream: &'a [u8],
    sizes: [usize; 3],
    turn: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.turn % 3].min(buffer.len()).min(self.stream.len());
        buffer[..size].copy_from_slice(&self.stream[..size]);
        self.stream = &self.stream[size..];
        Ok(size)
    }
}
