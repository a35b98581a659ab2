//! What members said of a set, in the order of their logs, and what of it was erased.
//!
//! **Invariant:** what is kept, and what it comes to, depends on the words, not on their order of arrival; what was
//! erased is read by its leaf alone, so that who never had its record reads the same.

use std::collections::BTreeMap;

use watchfire_signal::{commitment::Commitment, name::MemberName};

use super::pack::{Pack, packed};
use crate::{
    place::Turn,
    standing::{Opinion, Stance},
};

/// Words of one log about one set that count; of those after them only the first retraction does. A person changes
/// their mind a few times, and each word costs every receiver a copy of the set.
pub(super) const MAX_WORDS: usize = 32;

/// An opinion as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// [`Stance::Nothing`] of a confirmation or dispute that does not count, is not here, or was erased.
    pub(super) stance: Stance,
    /// Whether it stands by the set, by its leaf alone.
    pub(super) confirms: bool,
    /// Whether its author takes the set back for the victim who had reported it.
    pub(super) by_victim: bool,
    pub(super) verified_ms: u64,
    /// The hour, since 1970, that a retraction is counted in.
    pub(super) hour: u64,
    /// The record's commitment.
    pub(super) name: Commitment,
}

/// How a word was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Erased {
    /// By its author, for the first time.
    pub(super) own: Option<OwnErasure>,
    /// By as many organisations as that takes.
    pub(super) by_many: bool,
}

/// An erasure by the author of what it erases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnErasure {
    /// Its place.
    pub(super) turn: Turn,
    /// The hour, since 1970, that it is counted in.
    pub(super) hour: u64,
    /// The record's commitment.
    pub(super) name: Commitment,
}

/// What was erased, by whose word it was and where that stands.
pub(super) type ErasedWords = BTreeMap<(MemberName, Turn), Erased>;

/// Who said what, and when: of one member in the order of its turns. A list, for there are few in most sets, and a
/// million sets: a map of maps takes two kilobytes for one opinion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sayings(Vec<Saying>);

/// An opinion with the member that said it and its turn.
pub(super) type Saying = (MemberName, Turn, Said);

impl Pack for Sayings {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Pack::unpack(from).map(Self)
    }
}

packed!(Said { stance, confirms, by_victim, verified_ms, hour, name });
packed!(OwnErasure { turn, hour, name });
packed!(Erased { own, by_many });

impl Said {
    fn withdraws(&self) -> bool {
        matches!(self.stance, Stance::Withdrawn { .. })
    }

    /// What it had said before it was erased, by its leaf: a confirmation is taken for one by a person.
    fn by_leaf(&self) -> Stance {
        match self.stance {
            Stance::Nothing if self.confirms => Stance::Positive { human: true },
            stance => stance,
        }
    }
}

impl Sayings {
    /// All, by member and turn.
    pub(super) fn all(&self) -> impl Iterator<Item = &Saying> {
        self.0.iter()
    }

    /// What one member said.
    pub(super) fn of(&self, member: &MemberName) -> &[Saying] {
        let from = self.0.partition_point(|(by, ..)| by < member);
        let count = self.0[from..].partition_point(|(by, ..)| by == member);
        &self.0[from..from + count]
    }

    fn find(&self, member: &MemberName, turn: Turn) -> Result<usize, usize> {
        self.0.binary_search_by(|(by, at, _)| (by, *at).cmp(&(member, turn)))
    }

    pub(super) fn one(&self, member: &MemberName, turn: Turn) -> Option<&Said> {
        self.find(member, turn).ok().map(|place| &self.0[place].2)
    }

    pub(super) fn one_mut(&mut self, member: &MemberName, turn: Turn) -> Option<&mut Said> {
        self.find(member, turn).ok().map(|place| &mut self.0[place].2)
    }

    /// Where the words of a log begin and end.
    fn log(&self, member: &MemberName, epoch: u32) -> (usize, usize) {
        let before = |by: &MemberName, at: u32| (by, at) < (member, epoch);
        let from = self.0.partition_point(|(by, turn, _)| before(by, turn.epoch));
        let same = |(by, turn, _): &Saying| by == member && turn.epoch == epoch;
        (from, from + self.0[from..].partition_point(same))
    }

    /// Whether a word that is not here would be kept.
    pub(super) fn has_room(&self, member: &MemberName, turn: Turn, said: &Said) -> bool {
        let (from, to) = self.log(member, turn.epoch);
        let Some((_, last, _)) = self.0[from..to].get(MAX_WORDS - 1) else { return true };
        let mut beyond = self.0[from + MAX_WORDS..to].iter();
        turn <= *last || said.withdraws() && beyond.all(|(_, at, _)| turn <= *at)
    }

    /// Takes a word in; answers the places of those that count no more because of it.
    pub(super) fn insert(&mut self, member: &MemberName, turn: Turn, said: Said) -> Vec<Turn> {
        match self.find(member, turn) {
            Ok(place) => self.0[place].2 = said,
            Err(place) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (member.clone(), turn, said));
            }
        }
        let (from, to) = self.log(member, turn.epoch);
        let counted = (from + MAX_WORDS).min(to);
        let beyond = &self.0[counted..to];
        let kept = beyond.iter().position(|(.., said)| said.withdraws());
        let gone: Vec<_> = (0..beyond.len()).filter(|at| Some(*at) != kept).collect();
        let gone = gone.into_iter().rev().map(|at| self.0.remove(counted + at).1);
        gone.collect()
    }
}

/// Whether a person stood by the set with a word, erased since or not.
pub(super) fn by_a_person(erased: &ErasedWords, (member, turn, said): &Saying) -> bool {
    let stance = match said.stance {
        // A million sets have nothing erased.
        Stance::Nothing if erased.contains_key(&(member.clone(), *turn)) => said.by_leaf(),
        stance => stance,
    };
    stance == Stance::Positive { human: true }
}

/// What one member said comes to.
pub(super) struct Hearing<'a> {
    /// What it said.
    pub(super) said: &'a [Saying],
    /// What was erased.
    pub(super) erased: &'a ErasedWords,
    /// Where what is accepted of it ends.
    pub(super) until: Turn,
    /// Which of its retractions and erasures do not count yet.
    pub(super) waits: &'a dyn Fn(Turn) -> bool,
}

/// After everything that anybody says.
pub(super) const NO_END: Turn = Turn { epoch: u32::MAX, index: u64::MAX };

impl Hearing<'_> {
    /// The last word that counts, and since when a person has stood by the set.
    pub(super) fn opinion(&self) -> Option<Opinion> {
        let said = &self.said[..self.said.partition_point(|(_, turn, _)| *turn < self.until)];
        let stood = said.iter().filter(|saying| by_a_person(self.erased, saying));
        let stood_since_ms = stood.map(|(.., said)| said.verified_ms).min();
        let speaking = said.iter().rev().find_map(|saying| Some((saying, self.stance(saying)?)));
        let silent = || Some((said.last()?, Stance::Nothing));
        let silent = || silent().filter(|_| stood_since_ms.is_some());
        let ((_, turn, latest), stance) = speaking.or_else(silent)?;
        Some(Opinion { turn: *turn, verified_ms: latest.verified_ms, stance, stood_since_ms })
    }

    /// What a word says; `None`: nothing that counts.
    fn stance(&self, (member, turn, said): &Saying) -> Option<Stance> {
        match said.stance {
            Stance::Withdrawn { .. } if (self.waits)(*turn) => None,
            Stance::Withdrawn { .. } | Stance::Disputes => Some(said.stance),
            Stance::Positive { .. } | Stance::Nothing => {
                let erased = match self.erased.is_empty() {
                    true => None,
                    false => self.erased.get(&(member.clone(), *turn)),
                };
                let Some(erased) = erased else {
                    return Some(said.stance).filter(|stance| *stance != Stance::Nothing);
                };
                let stays = |own: OwnErasure| {
                    let waits = own.turn >= self.until || (self.waits)(own.turn);
                    // What was taken back before stands and falls with that.
                    waits || is_withdrawn_between(self.said, *turn, own.turn)
                };
                let stays = !erased.by_many && erased.own.is_some_and(stays);
                Some(said.by_leaf()).filter(|stance| stays && *stance != Stance::Nothing)
            }
        }
    }
}

/// Whether a member takes something back between two places.
fn is_withdrawn_between(said: &[Saying], from: Turn, to: Turn) -> bool {
    said.iter().any(|(_, at, said)| said.withdraws() && (from..to).contains(at))
}

/// Retractions and erasures by a member of what it had stood by, with the hour that each is counted in; one for a
/// victim undoes what others stand by too, whatever its author said before.
pub(super) fn undone(said: &[Saying], erased: &ErasedWords) -> Vec<(Turn, u64, Commitment)> {
    let mut undone = Vec::new();
    let mut stood_by = false;
    for (member, turn, word) in said {
        match word.stance {
            Stance::Withdrawn { .. } if stood_by || word.by_victim => {
                undone.push((*turn, word.hour, word.name))
            }
            Stance::Withdrawn { .. } => {}
            Stance::Disputes => stood_by = false,
            Stance::Positive { .. } | Stance::Nothing => {
                let erased = (!erased.is_empty()).then(|| erased.get(&(member.clone(), *turn)));
                let stance = match erased.flatten() {
                    Some(erased) if erased.by_many => Stance::Nothing,
                    Some(erased) => {
                        let own = erased.own.filter(|own| {
                            let stood = word.by_leaf() != Stance::Nothing;
                            stood && !is_withdrawn_between(said, *turn, own.turn)
                        });
                        undone.extend(own.map(|own| (own.turn, own.hour, own.name)));
                        word.by_leaf()
                    }
                    None => word.stance,
                };
                stood_by |= matches!(stance, Stance::Positive { .. });
            }
        }
    }
    undone
}
