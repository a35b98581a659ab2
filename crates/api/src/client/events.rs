//! Reads server-sent events as they arrive.
//!
//! Source: HTML Living Standard, section 9.2 (event stream interpretation), as far as a node writes it.

use futures_util::stream::{self, BoxStream, StreamExt};

use super::{ClientError, lines::Lines, unreadable};
use crate::wire::EventView;

type Item = Result<EventView, ClientError>;

/// The events of an answer. Lines other than `data:` carry nothing that the data does not.
pub(super) fn read(response: reqwest::Response) -> BoxStream<'static, Item> {
    stream::unfold(Some(Lines::of(response)), |state| async move {
        let mut lines = state?;
        match next(&mut lines).await.transpose()? {
            Ok(event) => Some((Ok(event), Some(lines))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

async fn next(lines: &mut Lines) -> Result<Option<EventView>, ClientError> {
    while let Some(line) = lines.next().await? {
        if let Some(data) = line.strip_prefix(b"data:") {
            return serde_json::from_slice(data).map(Some).map_err(|error| unreadable(&error));
        }
    }
    Ok(None)
}
