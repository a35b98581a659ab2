//! Reads an answer's body up to a limit, whatever length it declares.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use thiserror::Error;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
    /// Longer than the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

/// Reads all of a body that has at most `limit` bytes.
///
/// # Errors
/// [`BodyError`]; no more than `limit` bytes and one piece are held.
pub async fn read_body(mut response: Response, limit: usize) -> Result<Bytes, BodyError> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge(limit));
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|e| BodyError::Broken(reason(&e)))? {
        if body.len() + piece.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// An error of the HTTP client with all its causes: the outermost alone says "error sending request".
pub fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
