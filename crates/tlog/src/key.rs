//! Keeps the key that signs our logs apart, by type, from the keys that peers sign with.
//!
//! **Invariant:** a secret key is never printed and its memory is cleared when it is dropped.
//! **Invariant:** a [`PeerKey`] is a canonical point that is not of small order, so one key has one
//! form and no signature fits every message.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// Our Ed25519 key (RFC 8032). Cloning is possible on purpose only through [`OwnKey::from_seed`].
pub struct OwnKey(SigningKey);

/// A public Ed25519 key that statements are checked against. Its text is 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerKey(VerifyingKey);

/// An Ed25519 signature: 64 bytes as in RFC 8032.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

/// Why bytes or text are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("a public key is 64 lower-case hexadecimal digits")]
    Text,
    /// Not the canonical encoding of a curve point of large order.
    #[error("not a usable Ed25519 public key")]
    Point,
}

impl OwnKey {
    /// Makes the key from its 32-byte seed (the "private key" of RFC 8032); the caller owns the
    /// seed's secrecy.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        OwnKey(SigningKey::from_bytes(seed))
    }

    /// Signs `message`; deterministic.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// The half that peers know.
    pub fn public(&self) -> PeerKey {
        PeerKey(self.0.verifying_key())
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnKey(of {})", self.public())
    }
}

impl PeerKey {
    /// Reads the 32 bytes of RFC 8032 section 5.1.5; refuses non-canonical and small-order points.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() || key.to_edwards().compress().to_bytes() != *bytes {
            return Err(KeyError::Point);
        }
        Ok(PeerKey(key))
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether `signature` is this key's over `message`, by the strict rules that leave no room for
    /// malleability.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

impl PartialOrd for PeerKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PeerKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(self.0.as_bytes(), f)
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

impl FromStr for PeerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PeerKey::from_bytes(&crate::hex::read(text).ok_or(KeyError::Text)?)
    }
}

impl Signature {
    /// The 64 bytes.
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        crate::hex::write(&self.0, f)?;
        f.write_str(")")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        crate::hex::read(text).unwrap()
    }

    /// RFC 8032 section 7.1, test 2: a message of one byte.
    #[test]
    fn the_published_vector_signs_and_verifies() {
        let own = OwnKey::from_seed(&hex(
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        ));
        let peer = own.public();
        assert_eq!(
            peer.to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = own.sign(&[0x72]);
        assert_eq!(
            signature.0[..32],
            hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
        );
        assert_eq!(
            signature.0[32..],
            hex("085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        );
        assert!(peer.verify(&[0x72], &signature));
        assert!(!peer.verify(&[0x73], &signature));
    }

    #[test]
    fn a_changed_bit_anywhere_in_the_signature_is_refused() {
        let own = OwnKey::from_seed(&[7; 32]);
        let signature = own.sign(b"message");
        for bit in 0..512 {
            let mut bad = signature;
            bad.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!own.public().verify(b"message", &bad), "bit {bit}");
        }
    }

    #[test]
    fn a_point_of_small_order_or_with_a_second_encoding_is_no_key() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        assert_eq!(PeerKey::from_bytes(&identity), Err(KeyError::Point));
        // y = p + 3 encodes the same point as y = 3, which is on the curve and not of small order.
        let mut three = [0u8; 32];
        three[0] = 3;
        assert!(PeerKey::from_bytes(&three).is_ok());
        let mut three_again = [0xff; 32];
        three_again[0] = 0xf0;
        three_again[31] = 0x7f;
        assert!(VerifyingKey::from_bytes(&three_again).is_ok());
        assert_eq!(PeerKey::from_bytes(&three_again), Err(KeyError::Point));
    }

    #[test]
    fn a_secret_key_is_not_printed() {
        assert!(!format!("{:?}", OwnKey::from_seed(&[0xab; 32])).contains("abab"));
    }
}
