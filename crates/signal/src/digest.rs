//! Exact hashes of a file's bytes: SHA-256 and MD5.

use std::{fmt, str::FromStr};

use crate::hex::{self, HexError};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                hex::decode(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

digest!(
    /// The SHA-256 of a file's bytes.
    Sha256Digest,
    32
);
digest!(
    /// The MD5 of a file's bytes; kept because the lists of NCMEC and StopNCII carry it.
    Md5Digest,
    16
);
