//! Sends a stream and reads the verdicts on its segments meanwhile.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::{Method, header};

use super::{Client, ClientError, lines::Lines, send, unreadable};
use crate::wire::{LiveLine, LiveQuery, LiveVerdict, VerdictKind};

type Item = Result<LiveVerdict, ClientError>;

impl Client {
    /// Has a stream judged while it is sent. The verdicts end with the stream, or with the first `block`.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn scan_live(
        &self,
        query: &LiveQuery,
        video: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<BoxStream<'static, Item>, ClientError> {
        let request = self.request(Method::POST, "/v1/scan/live")?.query(query);
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        let response = send(request.body(reqwest::Body::wrap_stream(video))).await?;
        let verdicts = stream::unfold(Some(Lines::of(response)), |state| async move {
            let mut lines = state?;
            match next(&mut lines).await.transpose()? {
                // The last one: how the connection ends, over which we may send still, says nothing any more.
                Ok(verdict) if verdict.verdict.verdict == VerdictKind::Block => {
                    Some((Ok(verdict), None))
                }
                Ok(verdict) => Some((Ok(verdict), Some(lines))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(verdicts.boxed())
    }
}

async fn next(lines: &mut Lines) -> Result<Option<LiveVerdict>, ClientError> {
    while let Some(line) = lines.next().await? {
        // Empty lines say that the node is still there.
        if line.is_empty() {
            continue;
        }
        return match serde_json::from_slice(&line).map_err(|error| unreadable(&error))? {
            LiveLine::Judged(verdict) => Ok(Some(*verdict)),
            LiveLine::Broken { problem } => Err(ClientError::Problem(Box::new(problem))),
        };
    }
    Ok(None)
}
