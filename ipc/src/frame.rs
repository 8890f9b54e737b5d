//! Frames: a little-endian `u32` length, then one JSON object.
//!
//! The length is checked before anything is allocated for it. A frame is written with one `write`, and one `read`
//! is enough for an answer of ordinary size.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// What can be wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over the limit of the door.
    #[error("a frame of {announced} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes announced by the prefix.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The connection ended within a frame.
    #[error("the connection ended in the middle of a frame")]
    Half,
    /// The bytes are no JSON object of the expected shape. The content is never repeated, it may hold a secret.
    #[error("the frame is not a message of this protocol")]
    Malformed,
    /// The connection itself failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A message with its prefix, ready for one `write`.
pub fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    // Room for an ordinary answer, so that growing does not leave copies of a secret in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    bytes.extend_from_slice(&[0; PREFIX]);
    serde_json::to_writer(&mut *bytes, message).map_err(|_| FrameError::Malformed)?;
    let length = bytes.len() - PREFIX;
    if length > limit {
        return Err(FrameError::TooLarge { announced: length, limit });
    }
    let prefix = u32::try_from(length).map_err(|_| FrameError::TooLarge { announced: length, limit })?;
    bytes[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    Ok(bytes)
}

/// The announced length, checked against the limit of the door.
pub fn length(prefix: [u8; PREFIX], limit: usize) -> Result<usize, FrameError> {
    let announced = u32::from_le_bytes(prefix) as usize;
    if announced > limit {
        return Err(FrameError::TooLarge { announced, limit });
    }
    Ok(announced)
}

/// The message in the bytes of one frame (without prefix).
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(bytes).map_err(|_| FrameError::Malformed)
}

/// Writes one message.
pub fn write<T: Serialize>(to: &mut impl Write, message: &T, limit: usize) -> Result<(), FrameError> {
    to.write_all(&encode(message, limit)?)?;
    Ok(())
}

/// Reads frames from a stream and keeps what came after the last one.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Zeroizing<Vec<u8>>,
}

impl Reader {
    /// The bytes of the next frame; `None` when the peer closed between two frames.
    pub fn next(
        &mut self,
        from: &mut impl Read,
        limit: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        loop {
            if let Some(frame) = self.take(limit)? {
                return Ok(Some(frame));
            }
            if !self.fill(from)? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Half) };
            }
        }
    }

    /// Reads once; `false` at the end of the stream.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<bool> {
        let mut chunk = Zeroizing::new([0u8; 8 * 1024]);
        let read = loop {
            match from.read(&mut chunk[..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.push(&chunk[..read]);
        Ok(read > 0)
    }

    /// Takes bytes in that were read elsewhere (the agent reads asynchronously).
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether bytes of an unfinished frame are waiting.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// A whole frame, if one has arrived.
    pub fn take(&mut self, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let end = PREFIX + length(*prefix, limit)?;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let frame = Zeroizing::new(self.buffer[PREFIX..end].to_vec());
        let rest = Zeroizing::new(self.buffer[end..].to_vec());
        self.buffer = rest;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_survives_the_trip() {
        let mut wire = Vec::new();
        write(&mut wire, &"hello", 100).unwrap();
        write(&mut wire, &"again", 100).unwrap();
        let mut reader = Reader::default();
        let mut from = &wire[..];
        let first = reader.next(&mut from, 100).unwrap().unwrap();
        let second = reader.next(&mut from, 100).unwrap().unwrap();
        assert_eq!(decode::<String>(&first).unwrap(), "hello");
        assert_eq!(decode::<String>(&second).unwrap(), "again");
        assert!(reader.next(&mut from, 100).unwrap().is_none());
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_prefix_alone() {
        let mut from: &[u8] = &u32::MAX.to_le_bytes();
        let error = Reader::default().next(&mut from, 100).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { limit: 100, .. }), "{error}");
    }

    #[test]
    fn half_a_frame_is_named() {
        let mut from: &[u8] = &[5, 0, 0, 0, b'"'];
        assert!(matches!(Reader::default().next(&mut from, 100).unwrap_err(), FrameError::Half));
    }

    #[test]
    fn errors_repeat_nothing_of_the_content() {
        let error = decode::<u8>(br#""aw_secret""#).unwrap_err();
        assert!(!error.to_string().contains("aw_secret"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut from = &bytes[..];
            let mut reader = Reader::default();
            while let Ok(Some(frame)) = reader.next(&mut from, 128) {
                prop_assert!(frame.len() <= 128);
            }
        }
    }
}
