//! Reads server-sent events as they arrive.
//!
//! Source: HTML Living Standard, section 9.2 (event stream interpretation), as far as a node writes it.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};

use super::{ClientError, unreadable};
use crate::outbound;
use crate::wire::EventView;

/// The longest line; an event of ours has some hundreds of bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

type Item = Result<EventView, ClientError>;

/// The events of an answer. Lines other than `data:` carry nothing that the data does not.
pub(super) fn read(response: reqwest::Response) -> BoxStream<'static, Item> {
    let start = Reading { bytes: response.bytes_stream().boxed(), buffer: BytesMut::new() };
    stream::unfold(Some(start), |state| async move {
        let mut reading = state?;
        match reading.next().await.transpose()? {
            Ok(event) => Some((Ok(event), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Reading {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: BytesMut,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<EventView>, ClientError> {
        loop {
            while let Some(line) = line(&mut self.buffer)? {
                if let Some(data) = line.strip_prefix(b"data:") {
                    return serde_json::from_slice(data).map(Some).map_err(|e| unreadable(&e));
                }
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

/// The next whole line, without its end.
fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, ClientError> {
    match buffer.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = buffer.split_to(end);
            buffer.advance(1);
            Ok(Some(line))
        }
        None if buffer.len() > MAX_LINE_BYTES => {
            Err(ClientError::Answer("a line of the events is too long".to_owned()))
        }
        None => Ok(None),
    }
}
