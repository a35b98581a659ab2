//! What the words of a record say of a case, and who may say them.
//!
//! **Invariant:** what a role may not say is refused by its leaf alone, whatever its body says.

use watchfire_signal::{
    charter::Role,
    commitment::Commitment,
    record::Leaf,
    statement::{Basis, Statement},
    verb::Verb,
};

use super::{Ignored, Place};
use crate::standing::Stance;

/// The opinion that a record expresses about `set`, if it speaks of a set; `None`: none that counts.
pub(super) fn stance_of(
    place: &Place,
    leaf: &Leaf,
    statement: Option<Statement>,
    set: Option<Commitment>,
) -> Result<Option<Stance>, Ignored> {
    match (leaf.header.verb, statement) {
        (Verb::Confirm, Some(Statement::Confirm { commitment, basis }))
            if set == Some(commitment) =>
        {
            // Nobody can honestly confirm what nobody there has seen: it counts as nothing.
            let seen = basis == Basis::OwnCopySeenByHuman;
            Ok(seen.then_some(Stance::Positive { human: true }))
        }
        (Verb::Dispute, Some(Statement::Dispute { commitment, .. })) if set == Some(commitment) => {
            Ok(Some(Stance::Disputes))
        }
        (Verb::Retract, statement) => {
            let own = leaf
                .header
                .target
                .as_ref()
                .is_some_and(|target| target.log.member == place.log.member);
            // The leaf alone retracts, so that a withheld body cannot keep an alert alive.
            let restore = !matches!(statement, Some(Statement::Retract { restore: false, .. }));
            if own { Ok(Some(Stance::Withdrawn { restore })) } else { Err(Ignored::NotAllowed) }
        }
        // The body is a hole or says something else than the header: no opinion.
        _ => Err(Ignored::Senseless),
    }
}

/// Which verbs about cases a role may say (`docs/states.md`, roles).
pub(super) fn may_say(role: Role, verb: Verb) -> bool {
    let founds = matches!(verb, Verb::Assert | Verb::Amend | Verb::Variant);
    may_speak_of_cases(role) && !(role == Role::Convenor && founds)
}

/// Whether a role has a say about cases at all, in whatever version of the format.
pub(super) fn may_speak_of_cases(role: Role) -> bool {
    match role {
        Role::Platform | Role::Contributor | Role::Convenor => true,
        Role::Auditor | Role::Witness => false,
    }
}
