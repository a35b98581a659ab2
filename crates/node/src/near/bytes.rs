//! How much memory what is looked up in takes, by what it is.

use std::{hash::Hash, ops::Add};

use super::{Edits, Near};

/// Bytes of memory of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryBytes {
    /// Hashes of pictures and frames.
    pub hashes: usize,
    /// Local features.
    pub features: usize,
    /// Fingerprints of sounds.
    pub sounds: usize,
    /// K-grams of texts, and digests of short ones.
    pub texts: usize,
    /// Links, and the places that they lie under.
    pub links: usize,
    /// SHA-256 and MD5.
    pub digests: usize,
}

impl Add for MemoryBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hashes: self.hashes + other.hashes,
            features: self.features + other.features,
            sounds: self.sounds + other.sounds,
            texts: self.texts + other.texts,
            links: self.links + other.links,
            digests: self.digests + other.digests,
        }
    }
}

impl<K: Copy + Eq + Hash + Send + Sync + 'static> Near<K> {
    /// Bytes of memory that its indexes take.
    #[must_use]
    pub fn memory_bytes(&self) -> MemoryBytes {
        MemoryBytes {
            hashes: self.pictures.memory_bytes() + self.videos.memory_bytes(),
            features: self.edits.as_ref().map_or(0, Edits::memory_bytes),
            sounds: self.sounds.memory_bytes(),
            texts: self.texts.memory_bytes() + self.short_texts.memory_bytes(),
            links: self.links.memory_bytes() + self.link_places.memory_bytes(),
            digests: self.sha256.memory_bytes() + self.md5.memory_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use watchfire_signal::{
        digest::Sha256Digest,
        link::{LinkPrint, LinkScope},
        sound_print::SoundPrint,
        text_print::TextPrint,
        value::Signal,
    };

    use super::*;

    #[test]
    fn each_kind_adds_to_its_own_memory_alone() {
        let text = (0..600_u32).map(|at| format!("{at} ")).collect::<String>();
        let text = TextPrint::of(&text).unwrap().remove(0);
        let items: Vec<u32> = (0..400_u32).map(|at| at.wrapping_mul(0x9e37_79b9)).collect();
        let sound = SoundPrint::new(100, items).unwrap();
        let link = LinkPrint::named("https://example.com/a/b", LinkScope::Exact).unwrap();
        let short = TextPrint::of("just a few words here").unwrap().remove(0);
        let none = Near::<u8>::new([1; 32], 0).memory_bytes();
        let with = |signal| {
            let near = Near::<u8>::new([1; 32], 0);
            near.insert(1, &signal);
            near.memory_bytes()
        };
        let fields = |one: MemoryBytes| {
            [one.hashes, one.features, one.sounds, one.texts, one.links, one.digests]
        };
        let more = |signal| {
            let grown = fields(with(signal)).into_iter().zip(fields(none));
            grown.map(|(with, none)| with > none).collect::<Vec<_>>()
        };
        let only = |field: usize| (0..6).map(|of| of == field).collect::<Vec<_>>();
        assert_eq!(more(Signal::new(sound)), only(2));
        assert_eq!(more(Signal::new(text)), only(3));
        assert_eq!(more(Signal::new(short)), only(3));
        assert_eq!(more(Signal::new(link)), only(4));
        assert_eq!(more(Signal::new(Sha256Digest([7; 32]))), only(5));
        let both = with(Signal::new(Sha256Digest([7; 32]))) + none;
        assert_eq!(both.digests, with(Signal::new(Sha256Digest([7; 32]))).digests + none.digests);
    }
}
