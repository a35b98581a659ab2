//! Reads, checks and writes C2SP signed notes, the envelope of checkpoints.
//!
//! Source: C2SP `signed-note`. Only Ed25519 (type `0x01`) is checked; every other signature, for
//! example a witness's cosignature, is kept as it came.
//!
//! **Invariant:** a note that parses prints as exactly the bytes it was parsed from.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::key::{OwnKey, PeerKey, Signature};

/// The longest note. Sixteen post-quantum signatures of 5 kB, which the specification asks for, fit
/// twice.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;
/// The most signatures in a note; the specification asks for at least 16.
pub const MAX_NOTE_SIGNATURES: usize = 64;
/// The longest name of a key, as long as the longest origin and then some for foreign witnesses.
pub const MAX_KEY_NAME_BYTES: usize = 255;

const ED25519: u8 = 0x01;
const SIGNATURE_LINE: &str = "\u{2014} ";

/// A signed text as received. Parsing checks the form only; [`Note::verify`] checks a key's
/// signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that is said to have signed.
    pub name: String,
    /// The key's short id; together with the name it says which key and which algorithm.
    pub key_id: u32,
    /// The signature itself, without the key id: 64 bytes for Ed25519, else whatever the algorithm
    /// has.
    pub bytes: Vec<u8>,
}

/// A key by the name under which it signs notes. Its text is the `vkey` that other tools of the
/// C2SP family use: `name+key id in hex+base64(0x01 ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NoteKey {
    name: String,
    key: PeerKey,
}

/// Why bytes are not a note, or not one signed by the key asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`] or with more signatures than [`MAX_NOTE_SIGNATURES`].
    #[error("the note is too large")]
    TooLarge,
    /// Not a text, an empty line and signature lines, or with control characters.
    #[error("the note is malformed")]
    Malformed,
    /// A key name that is empty, too long, or has a space or a plus.
    #[error("the name of the key is not allowed in a note")]
    Name,
    /// A verifier key that is not `name+id+base64` of an Ed25519 key with its own id.
    #[error("the verifier key is malformed")]
    Key,
    /// No signature of the key asked for.
    #[error("the note is not signed by this key")]
    Unsigned,
    /// A signature that says it is the key's, and is not.
    #[error("the note has a wrong signature of this key")]
    Signature,
}

/// The short id of an Ed25519 key: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), its first four bytes.
pub fn key_id(name: &str, key: &PeerKey) -> u32 {
    id_of(name, ED25519, key)
}

/// The short id of a key that signs in the way that `kind` stands for.
pub(crate) fn id_of(name: &str, kind: u8, key: &PeerKey) -> u32 {
    let digest = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind])
        .chain_update(key.to_bytes())
        .finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

impl Note {
    /// Makes a note of `text` with one signature. `text` ends in a newline and has no other control
    /// characters.
    pub fn sign(text: impl Into<String>, name: &str, key: &OwnKey) -> Result<Self, NoteError> {
        let mut note = Note { text: text.into(), signatures: Vec::new() };
        if !is_text(&note.text) {
            return Err(NoteError::Malformed);
        }
        let signature = key.sign(note.text.as_bytes());
        note.add(NoteSignature {
            name: name.to_owned(),
            key_id: key_id(name, &key.public()),
            bytes: signature.to_bytes().to_vec(),
        })?;
        Ok(note)
    }

    /// Reads a note; its signatures are not checked.
    pub fn parse(bytes: &str) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let end = bytes.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
        let text = &bytes[..end];
        let lines = bytes[end + 1..].strip_suffix('\n').ok_or(NoteError::Malformed)?;
        if !is_text(text) {
            return Err(NoteError::Malformed);
        }
        let mut note = Note { text: text.to_owned(), signatures: Vec::new() };
        for line in lines.split('\n') {
            note.add(NoteSignature::parse(line)?)?;
        }
        Ok(note)
    }

    /// The signed text, with its final newline. Not to be believed before [`Note::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, in order, known or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, for example a witness's, behind the others.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if !is_key_name(&signature.name) {
            return Err(NoteError::Name);
        }
        if self.signatures.len() == MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Puts other signatures in place of those that are there.
    pub(crate) fn replace(&mut self, signatures: Vec<NoteSignature>) {
        self.signatures = signatures;
    }

    /// Checks that `key`, under `name`, signed the text. Every signature that claims to be this
    /// key's must be good; signatures of other keys are ignored, as the specification demands.
    pub fn verify(&self, name: &str, key: &PeerKey) -> Result<(), NoteError> {
        let id = key_id(name, key);
        let mut checked: Option<&[u8]> = None;
        for signature in self.signatures.iter().filter(|s| s.key_id == id && s.name == name) {
            if checked == Some(&signature.bytes) {
                continue;
            }
            let bytes = signature.bytes.as_slice().try_into().map_err(|_| NoteError::Signature)?;
            if !key.verify(self.text.as_bytes(), &Signature(bytes)) {
                return Err(NoteError::Signature);
            }
            checked = Some(&signature.bytes);
        }
        checked.map(|_| ()).ok_or(NoteError::Unsigned)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// Its line in a note, without the newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{SIGNATURE_LINE}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix(SIGNATURE_LINE).ok_or(NoteError::Malformed)?;
        let (name, encoded) = rest.split_once(' ').ok_or(NoteError::Malformed)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Malformed)?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        if bytes.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(NoteSignature {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*id),
            bytes: bytes.to_vec(),
        })
    }
}

impl NoteKey {
    /// Names a key.
    pub fn new(name: impl Into<String>, key: PeerKey) -> Result<Self, NoteError> {
        let name = name.into();
        if !is_key_name(&name) {
            return Err(NoteError::Name);
        }
        Ok(NoteKey { name, key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> &PeerKey {
        &self.key
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(&self.key.to_bytes());
        write!(f, "{}+{:08x}+{}", self.name, key_id(&self.name, &self.key), STANDARD.encode(bytes))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Key);
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Key)?;
        let [ED25519, key @ ..] = bytes.as_slice() else {
            return Err(NoteError::Key);
        };
        let key = key.try_into().map_err(|_| NoteError::Key)?;
        let key = PeerKey::from_bytes(key).map_err(|_| NoteError::Key)?;
        if id != format!("{:08x}", key_id(name, &key)) {
            return Err(NoteError::Key);
        }
        NoteKey::new(name, key)
    }
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && text.bytes().all(|byte| byte >= 0x20 || byte == b'\n')
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_KEY_NAME_BYTES
        && !name.chars().any(|c| c.is_whitespace() || c < ' ' || c == '+')
}
