//! Values as bytes, for what is put away and read again by the same process.
//!
//! **Invariant:** what `unpack` reads is what was packed; nothing of this leaves the process.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_signal::{
    alert::Alert,
    commitment::Commitment,
    header::Header,
    name::{LogName, MemberName},
    statement::{AppealResult, AppealStage, Done, Resolution},
};

use crate::{
    few::Few,
    place::{Place, Turn},
    standing::{Level, Opinion, Renewal, Stance, Standing, Term},
};

/// Something that is put away as bytes.
pub(super) trait Pack: Sized {
    /// Writes it at the end.
    fn pack(&self, to: &mut Vec<u8>);

    /// Reads it from the beginning; `None`: that was never written.
    fn unpack(from: &mut &[u8]) -> Option<Self>;
}

/// Packs a struct field by field.
macro_rules! packed {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::cases::pack::Pack for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                $($crate::cases::pack::Pack::pack(&self.$field, to);)+
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::cases::pack::Pack::unpack(from)?),+ })
            }
        }
    };
}

pub(super) use packed;

impl<const N: usize> Pack for [u8; N] {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk::<N>()?;
        *from = rest;
        Some(*bytes)
    }
}

impl Pack for u8 {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(*self);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        Some(*byte)
    }
}

/// Bits of a number in each of its bytes; the highest says that more follow.
const BITS_A_BYTE: u32 = 7;

impl Pack for u64 {
    fn pack(&self, to: &mut Vec<u8>) {
        let mut left = *self;
        while left >> BITS_A_BYTE > 0 {
            to.push(left as u8 | 0x80);
            left >>= BITS_A_BYTE;
        }
        to.push(left as u8);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let mut number = 0;
        for place in 0..=u64::BITS / BITS_A_BYTE {
            let byte = u8::unpack(from)?;
            number |= u64::from(byte & 0x7f) << (place * BITS_A_BYTE);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl Pack for u32 {
    fn pack(&self, to: &mut Vec<u8>) {
        u64::from(*self).pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        u32::try_from(u64::unpack(from)?).ok()
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        u8::from(*self).pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        u8::unpack(from).map(|byte| byte == 1)
    }
}

impl Pack for usize {
    fn pack(&self, to: &mut Vec<u8>) {
        (*self as u64).pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        usize::try_from(u64::unpack(from)?).ok()
    }
}

/// Writes a byte string with its length.
fn pack_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    bytes.len().pack(to);
    to.extend_from_slice(bytes);
}

fn unpack_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::unpack(from)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

macro_rules! texts {
    ($($text:ty),+) => {$(
        impl Pack for $text {
            fn pack(&self, to: &mut Vec<u8>) {
                pack_bytes(self.to_string().as_bytes(), to);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                std::str::from_utf8(unpack_bytes(from)?).ok()?.parse().ok()
            }
        }
    )+};
}

texts!(MemberName, LogName);

macro_rules! bodies {
    ($($body:ty),+) => {$(
        impl Pack for $body {
            fn pack(&self, to: &mut Vec<u8>) {
                pack_bytes(&self.to_bytes(), to);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Self::from_bytes(unpack_bytes(from)?).ok()
            }
        }
    )+};
}

bodies!(Header, Alert);

macro_rules! numbered {
    ($($code:ty),+) => {$(
        impl Pack for $code {
            fn pack(&self, to: &mut Vec<u8>) {
                self.code().pack(to);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Self::from_code(u8::unpack(from)?.into())
            }
        }
    )+};
}

numbered!(Resolution, Done, AppealStage, AppealResult);

impl Pack for Commitment {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Pack::unpack(from).map(Self)
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        self.iter().for_each(|value| value.pack(to));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Some(None) }
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        (**self).pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        T::unpack(from).map(Box::new)
    }
}

/// Reads a list with its length.
fn unpack_all<T: Pack, C: FromIterator<T>>(from: &mut &[u8]) -> Option<C> {
    (0..usize::unpack(from)?).map(|_| T::unpack(from)).collect()
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.len().pack(to);
        self.iter().for_each(|value| value.pack(to));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all(from)
    }
}

impl<T: Pack + Ord> Pack for BTreeSet<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.len().pack(to);
        self.iter().for_each(|value| value.pack(to));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all(from)
    }
}

macro_rules! maps {
    ($($map:ident),+) => {$(
        impl<K: Pack + Ord, V: Pack> Pack for $map<K, V> {
            fn pack(&self, to: &mut Vec<u8>) {
                self.len().pack(to);
                for (key, value) in self {
                    key.pack(to);
                    value.pack(to);
                }
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                unpack_all::<(K, V), Self>(from)
            }
        }
    )+};
}

maps!(BTreeMap, Few);

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<A: Pack, B: Pack, C: Pack> Pack for (A, B, C) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
        self.2.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?, C::unpack(from)?))
    }
}

impl Pack for Stance {
    fn pack(&self, to: &mut Vec<u8>) {
        let code: u8 = match self {
            Self::Positive { human: false } => 0,
            Self::Positive { human: true } => 1,
            Self::Disputes => 2,
            Self::Withdrawn { restore: false } => 3,
            Self::Withdrawn { restore: true } => 4,
            Self::Nothing => 5,
        };
        code.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::unpack(from)? {
            0 => Self::Positive { human: false },
            1 => Self::Positive { human: true },
            2 => Self::Disputes,
            3 => Self::Withdrawn { restore: false },
            4 => Self::Withdrawn { restore: true },
            5 => Self::Nothing,
            _ => return None,
        })
    }
}

impl Pack for Level {
    fn pack(&self, to: &mut Vec<u8>) {
        let code: u8 = match self {
            Self::Proposed => 0,
            Self::Provisional => 1,
            Self::Confirmed => 2,
        };
        code.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let all = [Self::Proposed, Self::Provisional, Self::Confirmed];
        all.get(usize::from(u8::unpack(from)?)).copied()
    }
}

packed!(Place { log, index });
packed!(Turn { epoch, index });
packed!(Opinion { turn, verified_ms, stance, stood_since_ms });
packed!(Renewal { turn, verified_ms, valid_until });
packed!(Term { since_ms, until_ms });
packed!(Standing {
    level,
    term,
    disputed,
    confirmations,
    disputes,
    was_confirmed,
    restores,
    suspended,
    silenced,
    lifts,
    asked_until_ms,
});
