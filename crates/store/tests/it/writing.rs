//! What the writer process writes, so that its judge knows what to look for.

use watchfire_store::conformance::Author;
use watchfire_store::{Batch, Effect, EffectState, Row, Table};

/// A row for every commit: log and size it led to.
pub(crate) const COMMITS: Table = Table::Ledger("commits");

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// How long the record at an index is: most are short, some take many pages.
pub(crate) fn record_bytes(index: u64) -> usize {
    if index % 13 == 12 { 120_000 } else { 200 }
}

/// The key of a commit's row.
pub(crate) fn key(author: &Author, size: u64) -> Vec<u8> {
    format!("{} {size:020}", author.log()).into_bytes()
}

/// One to four entries with a row and an effect.
#[allow(dead_code, reason = "the judge does not write")]
pub(crate) fn batch(author: &mut Author, random: &mut Random) -> Batch {
    let entries = author.size()..author.size() + 1 + random.below(4);
    let entries = entries.map(|index| author.entry(index, record_bytes(index))).collect();
    let append = Some(author.append_entries(entries));
    let key = key(author, author.size());
    let effect = Effect {
        name: watchfire_tlog::leaf_hash(&key).0,
        connector: "webhook".to_owned(),
        item: author.log().to_string(),
        action: "remove".to_owned(),
        subject: [1; 32],
        record: [1; 32],
        round: 0,
        priority: 1,
        reversible: true,
        detail: Vec::new(),
        created_ms: author.size(),
        due_ms: 0,
        attempts: 0,
        state: EffectState::Pending,
        note: String::new(),
    };
    let rows = vec![Row { table: COMMITS, key, value: Some(vec![1]) }];
    Batch { append, rows, effects: vec![effect], ..Batch::default() }
}
