//! Reads bodies of lines as they arrive, for lists that are too long for one piece of JSON.
//!
//! **Invariant:** a list is read to its end before anything is done with it; what is wrong is named by its line.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use watchfire_api::problem::ProblemKind;

use crate::answer::Failure;
use crate::input::{cut, refuse};
use crate::limits::{LINE_BYTES, LIST_BYTES};

/// Reads each line that is not blank; the first that cannot be read ends it.
pub(crate) async fn read_lines<T>(
    mut body: Body,
    mut read: impl FnMut(&[u8]) -> Result<T, String>,
) -> Result<Vec<T>, Failure> {
    use hyper::body::Body as _;
    if body.size_hint().lower() > LIST_BYTES.value as u64 {
        return Err(refuse(body, LIST_BYTES).await);
    }
    let mut lines = Lines::default();
    let mut all = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::new(ProblemKind::Malformed, error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > LIST_BYTES.value {
            return Err(refuse(body, LIST_BYTES).await);
        }
        if let Err(failure) = lines.feed(data, &mut |line| read(line).map(|one| all.push(one))) {
            refuse(body, LIST_BYTES).await;
            return Err(failure);
        }
    }
    lines.end(&mut |line| read(line).map(|one| all.push(one)))?;
    Ok(all)
}

/// Bytes that wait for the end of their line.
#[derive(Default)]
struct Lines {
    rest: BytesMut,
    number: usize,
}

type Read<'r> = &'r mut dyn FnMut(&[u8]) -> Result<(), String>;

impl Lines {
    fn feed(&mut self, data: Bytes, read: Read<'_>) -> Result<(), Failure> {
        let mut parts = data.split(|byte| *byte == b'\n');
        // `split` always yields one part.
        let mut part = parts.next().unwrap_or_default();
        for next in parts {
            if self.rest.is_empty() {
                self.line(part, read)?;
            } else {
                self.wait(part)?;
                let line = self.rest.split();
                self.line(&line, read)?;
            }
            part = next;
        }
        self.wait(part)
    }

    fn end(&mut self, read: Read<'_>) -> Result<(), Failure> {
        let line = self.rest.split();
        self.line(&line, read)
    }

    fn wait(&mut self, part: &[u8]) -> Result<(), Failure> {
        self.rest.extend_from_slice(part);
        if self.rest.len() > LINE_BYTES.value { Err(self.too_long()) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8], read: Read<'_>) -> Result<(), Failure> {
        if line.len() > LINE_BYTES.value {
            return Err(self.too_long());
        }
        self.number += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        read(line).map_err(|error| self.wrong(self.number, &error))
    }

    fn too_long(&self) -> Failure {
        let mut failure = LINE_BYTES.exceeded();
        let detail = format!("line {} is longer than {} bytes", self.number + 1, LINE_BYTES.value);
        failure.0.detail = Some(detail);
        failure
    }

    fn wrong(&self, number: usize, error: &str) -> Failure {
        Failure::new(ProblemKind::Invalid, cut(&format!("line {number}: {error}")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_body_is_cut() {
        let text = b"one\n\ntwo two\r\n   \nthree";
        for size in 1..=text.len() {
            let (mut lines, mut read) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let piece = Bytes::copy_from_slice(piece);
                lines
                    .feed(piece, &mut |line| {
                        read.push(String::from_utf8_lossy(line.trim_ascii()).into_owned());
                        Ok(())
                    })
                    .unwrap();
            }
            let mut last = Vec::new();
            let mut keep = |line: &[u8]| {
                last.push(line.to_vec());
                Ok(())
            };
            lines.end(&mut keep).unwrap();
            assert_eq!(
                (read.as_slice(), last),
                (&["one".into(), "two two".into()][..], vec![b"three".to_vec()])
            );
            assert_eq!(lines.number, 5);
        }
    }
}
