//! The blocks of a snapshot: the rule of each, and the numbers of its members.
//!
//! **Invariant:** a member that its rule does not admit is damage.

use std::io::{self, Read, Write};

use super::{
    super::{
        HashIndex, Near, Writer,
        blocks::{self, Block},
        permutation::Words,
        rule::{Rule, ones},
        slots::HALF_BITS,
    },
    SnapshotError,
    stream::{Input, Output},
};

/// Writes every block.
pub(super) fn write<W: Write>(
    near: &Near,
    output: &mut Output<W>,
    numbers: &[u32],
) -> io::Result<()> {
    output.put(&(near.blocks.len() as u32).to_le_bytes())?;
    for block in near.blocks.iter().flatten() {
        let Rule { centre, still, most, loose } = &block.rule;
        for word in [centre, still, loose].into_iter().flatten() {
            output.put(&word.to_le_bytes())?;
        }
        output.put(&most.to_le_bytes())?;
        let slots = block.slots(&near.buckets.arena);
        output.put(&(slots.len() as u32).to_le_bytes())?;
        for slot in slots {
            output.put(&numbers[slot as usize].to_le_bytes())?;
        }
    }
    Ok(())
}

impl HashIndex {
    /// Reads what `write` wrote.
    pub(super) fn read_blocks<R: Read>(
        &self,
        writer: &mut Writer,
        input: &mut Input<R>,
        count: u32,
    ) -> Result<(), SnapshotError> {
        let Some(near) = self.near.get() else { return Ok(()) };
        let blocks = u32::from_le_bytes(input.array()?) as usize;
        if blocks > blocks::MOST {
            return Err(SnapshotError::Damaged("it counts too many blocks"));
        }
        for number in 0..blocks {
            let mut words = || -> Result<Words, SnapshotError> {
                let (words, _) = input.take(32)?.as_chunks::<8>();
                Ok(std::array::from_fn(|word| u64::from_le_bytes(words[word])))
            };
            let (centre, still, loose) = (words()?, words()?, words()?);
            let rule = Rule { centre, still, loose, most: u32::from_le_bytes(input.array()?) };
            if ones(&rule.loose) as usize != HALF_BITS || rule.most > ones(&rule.still) {
                return Err(SnapshotError::Damaged("a block has a rule that cannot be"));
            }
            let members = u32::from_le_bytes(input.array()?);
            near.blocks.publish(Block::new(rule.clone()));
            writer.free_places.push(Vec::new());
            writer.by_hash.reserve(members.min(count) as usize);
            for _ in 0..members {
                let slot = u32::from_le_bytes(input.array()?);
                let words = self.slots.words(slot).filter(|_| slot < count);
                let Some(words) = words.filter(|words| rule.admits(words)) else {
                    return Err(SnapshotError::Damaged("a block names a hash that is not its own"));
                };
                self.put_into_block(writer, number, &words, slot);
            }
        }
        Ok(())
    }
}
