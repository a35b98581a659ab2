//! A charter with the approvals of its members.

use sha2::{Digest, Sha256};

use super::{Charter, CharterError, MAX_CHARTER_BYTES, MAX_MEMBERS};
use crate::{
    cbor::{self, CborError, Item, Reader, Writer, map_item},
    name::MemberName,
};

/// Keeps what an approval signs apart from everything else that a key signs.
const APPROVAL_DOMAIN: &[u8] = b"watchfire/charter/v1\0";

/// What a member signs to approve the charter with this hash:
/// `"watchfire/charter/v1" ‖ 0x00 ‖ hash`.
#[must_use]
pub fn approval_message(hash: &[u8; 32]) -> Vec<u8> {
    [APPROVAL_DOMAIN, hash].concat()
}

/// One member's approval of a charter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The member.
    pub member: MemberName,
    /// Its Ed25519 signature over [`approval_message`]; not verified in this crate.
    pub signature: [u8; 64],
}

/// A charter with its approvals. That their signatures are valid and enough is checked by the
/// caller: this crate has no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCharter {
    /// The charter as received.
    pub bytes: Vec<u8>,
    /// The charter.
    pub charter: Charter,
    /// The approvals, ascending by member.
    pub approvals: Vec<Approval>,
}

impl SignedCharter {
    /// Puts a charter and approvals together; the approvals are sorted.
    ///
    /// # Errors
    /// [`CharterError`] of the charter, or [`CharterError::Approvals`] when a member approves twice.
    pub fn new(charter: Charter, mut approvals: Vec<Approval>) -> Result<Self, CharterError> {
        charter.validate()?;
        approvals.sort_by(|a, b| a.member.cmp(&b.member));
        let signed = Self { bytes: charter.encode(), charter, approvals };
        signed.validate_approvals()?;
        Ok(signed)
    }

    /// H(charter).
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Outer { charter: self.bytes.clone(), approvals: self.approvals.clone() })
    }

    /// Reads a signed charter.
    ///
    /// # Errors
    /// [`CharterError`] for every byte string that is not the one encoding of a valid charter with
    /// its approvals.
    pub fn decode(bytes: &[u8]) -> Result<Self, CharterError> {
        if bytes.len() > 2 * MAX_CHARTER_BYTES {
            return Err(CharterError::TooLong(bytes.len()));
        }
        let Outer { charter: bytes, approvals } = cbor::decode(bytes)?;
        let signed = Self { charter: Charter::decode(&bytes)?, bytes, approvals };
        signed.validate_approvals()?;
        Ok(signed)
    }

    fn validate_approvals(&self) -> Result<(), CharterError> {
        let ascend = self.approvals.is_sorted_by(|a, b| a.member < b.member);
        if ascend { Ok(()) } else { Err(CharterError::Approvals) }
    }
}

struct Outer {
    charter: Vec<u8>,
    approvals: Vec<Approval>,
}

impl Item for Outer {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.bytes(0, &self.charter);
            map.list(1, &self.approvals);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let charter = map.entry(0, |reader| reader.bytes(MAX_CHARTER_BYTES))?.to_vec();
        let approvals = map.entry(1, |reader| reader.list(0, MAX_MEMBERS))?;
        map.end()?;
        Ok(Self { charter, approvals })
    }
}

map_item!(Approval { 0 member, 1 signature });
