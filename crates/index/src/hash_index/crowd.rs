//! Moves hashes that lie close together from buckets that are too full to a block.
//!
//! **Invariant:** a hash is in its block before it leaves its buckets, so that no reader misses it.
//! **Invariant:** buckets that stay full are looked at again only when they have doubled.

use std::sync::atomic::{Ordering, fence};

use super::{
    HashIndex, Near, Stored, Writer,
    blocks::{self, Block},
    buckets::{Buckets, CHUNKS, VALUES, chunk},
    permutation::Words,
    rule::Rule,
};

/// Postings from which on a bucket may be too full, besides twice the average.
const CROWD: usize = 128;

/// Postings of a bucket that are looked at for a rule.
const SAMPLE: usize = 512;

/// Hashes in a block at least.
const MEMBERS: usize = 256;

/// Hashes for which there may be one more block, so that asking each block stays cheap.
const HASHES_A_BLOCK: usize = 1 << 14;

/// Postings from which on a bucket of an index of so many hashes may be too full.
pub(super) fn least(used: u32) -> usize {
    CROWD + 2 * (used as usize / VALUES)
}

impl HashIndex {
    /// Looks at the buckets that became too full, and makes blocks of what lies close together in them.
    pub(super) fn relieve(&self, writer: &mut Writer) {
        while let Some(place) = writer.crowded.pop() {
            self.relieve_bucket(writer, place);
        }
    }

    fn relieve_bucket(&self, writer: &mut Writer, place: u32) {
        let Some(near) = self.near.get() else { return };
        let used = self.slots.used();
        let most = blocks::MOST.min(16 + used as usize / HASHES_A_BLOCK);
        // The bucket may have been relieved with another one.
        if near.blocks.len() >= most || near.buckets.postings_at(place) < least(used) {
            return;
        }
        let mut hidden = [0; 4];
        let at = place as usize / VALUES;
        hidden[at / 4] = 0xffff << (at % 4 * 16);
        let Some(rule) = Rule::of(&self.sample(&near.buckets, place), &hidden) else { return };
        // Hashes of all buckets show what those of one bucket hide.
        let members = self.members(near, &rule);
        let step = members.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<Words> = members.iter().step_by(step).map(|(_, words)| *words).collect();
        let Some(rule) = Rule::of(&sample, &[0; 4]) else { return };
        let members = self.members(near, &rule);
        if members.len() >= MEMBERS {
            self.move_into_block(writer, rule, &members);
        }
    }

    /// The hashes that a block of this rule would have, in the order of their slots.
    fn members(&self, near: &Near, rule: &Rule) -> Vec<(u32, Words)> {
        let slots = (0..self.slots.used()).filter(|&slot| self.slots.ids.is_live(slot));
        let with_words = slots.filter_map(|slot| Some((slot, self.slots.words(slot)?)));
        with_words
            .filter(|(_, words)| rule.admits(words) && near.blocks.home(words).is_none())
            .collect()
    }

    /// Some of the hashes in a bucket, from all of it.
    fn sample(&self, buckets: &Buckets, place: u32) -> Vec<Words> {
        let mut postings = Vec::new();
        buckets.postings(place, &mut postings);
        let step = postings.len().div_ceil(SAMPLE).max(1);
        postings.iter().step_by(step).filter_map(|(_, slot)| self.slots.words(*slot)).collect()
    }

    /// Makes a block of hashes, which are in the order of their slots, and takes them out of the buckets.
    fn move_into_block(&self, writer: &mut Writer, rule: Rule, members: &[(u32, Words)]) {
        let Some(near) = self.near.get() else { return };
        let number = near.blocks.len();
        near.blocks.publish(Block::new(rule));
        writer.free_places.push(Vec::new());
        for (slot, words) in members {
            self.put_into_block(writer, number, words, *slot);
        }
        // A reader that sees any change below sees the block and its members.
        fence(Ordering::Release);
        let mut touched = vec![false; CHUNKS * VALUES];
        for (_, words) in members {
            for at in 0..CHUNKS {
                touched[Buckets::place(at, chunk(words, at)) as usize] = true;
            }
        }
        let gone: Vec<u32> = members.iter().map(|(slot, _)| *slot).collect();
        let mut bucket_writer = self.bucket_writer(writer);
        for place in (0..touched.len()).filter(|&place| touched[place]) {
            near.buckets.evict(&mut bucket_writer, place as u32, &gone);
        }
    }

    /// Puts a hash into the block that it belongs to.
    pub(super) fn put_into_block(
        &self,
        writer: &mut Writer,
        number: usize,
        words: &Words,
        slot: u32,
    ) {
        let Some(near) = self.near.get() else { return };
        let Some(block) = near.blocks.get(number) else { return };
        let free = writer.free_places[number].pop();
        let place = block.put((&near.buckets.arena, &mut writer.arena), free, words, slot);
        writer.by_hash.insert(*words, Stored { slot, place });
    }
}
