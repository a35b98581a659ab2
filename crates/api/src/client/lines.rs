//! Reads an answer line by line as it arrives.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};

use super::ClientError;
use crate::outbound;

/// The longest line: an event has some hundreds of bytes, a verdict some thousands for each reason.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The lines of an answer.
pub(super) struct Lines {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: BytesMut,
}

impl Lines {
    pub(super) fn of(response: reqwest::Response) -> Self {
        Self { bytes: response.bytes_stream().boxed(), buffer: BytesMut::new() }
    }

    /// The next whole line, without its end; what follows the last end is no line.
    pub(super) async fn next(&mut self) -> Result<Option<BytesMut>, ClientError> {
        loop {
            if let Some(line) = line(&mut self.buffer)? {
                return Ok(Some(line));
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Err(ClientError::Unreachable(outbound::reason(&error)));
                }
                None => return Ok(None),
            }
        }
    }
}

fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, ClientError> {
    match buffer.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = buffer.split_to(end);
            buffer.advance(1);
            Ok(Some(line))
        }
        None if buffer.len() > MAX_LINE_BYTES => {
            Err(ClientError::Answer("a line of the answer is too long".to_owned()))
        }
        None => Ok(None),
    }
}
