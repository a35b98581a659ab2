//! How far a file was brought, kept beside it until it is done.
//!
//! **Invariant:** what is noted here was acknowledged by the node before.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes at the beginning of a file by which it is known again.
const HEAD_BYTES: u64 = 4_096;

/// Where an import goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// Bytes brought.
    pub(super) bytes: u64,
    /// Lines brought.
    pub(super) lines: u64,
    /// SHA-256 of the first bytes of the file, in hexadecimal: another file begins anew.
    head: String,
    #[serde(skip)]
    note: PathBuf,
}

impl Resume {
    /// Where to go on with a file: where an earlier run ended, or at its beginning.
    pub(super) fn of(path: &Path, file: &mut File) -> io::Result<Self> {
        let note = path.with_added_extension("progress");
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        let head: String = Sha256::digest(&head).iter().map(|byte| format!("{byte:02x}")).collect();
        let length = file.metadata()?.len();
        let kept = fs::read(&note).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let kept = kept.filter(|kept| kept.head == head && kept.bytes <= length);
        let begin = Self { bytes: 0, lines: 0, head, note: PathBuf::new() };
        Ok(Self { note, ..kept.unwrap_or(begin) })
    }

    /// Notes that more was brought.
    pub(super) fn advance(&mut self, bytes: u64, lines: u64) -> io::Result<()> {
        self.bytes += bytes;
        self.lines += lines;
        let being_written = self.note.with_added_extension("tmp");
        fs::write(&being_written, serde_json::to_vec(self)?)?;
        fs::rename(&being_written, &self.note)
    }

    /// The file is done.
    pub(super) fn finish(self) -> io::Result<()> {
        match fs::remove_file(&self.note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_where_it_ended_and_another_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("items.ndjson");
        let open = |text: &str| {
            fs::write(&path, text).unwrap();
            Resume::of(&path, &mut File::open(&path).unwrap()).unwrap()
        };
        let long = "a\n".repeat(3_000);
        let mut resume = open(&long);
        assert_eq!((resume.bytes, resume.lines), (0, 0));
        resume.advance(5_000, 2_500).unwrap();
        let again = open(&long);
        assert_eq!((again.bytes, again.lines), (5_000, 2_500));
        // It has grown at its end meanwhile.
        assert_eq!(open(&format!("{long}b\n")).lines, 2_500);
        assert_eq!(open(&"b\n".repeat(3_000)).lines, 0);
        assert_eq!(open(&long[..4_500]).lines, 0);
        open(&long).finish().unwrap();
        assert_eq!(open(&long).lines, 0);
        open(&long).finish().unwrap();
    }
}
