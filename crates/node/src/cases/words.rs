//! What the words of a record say of a case, and who may say them.
//!
//! **Invariant:** what a role may not say is refused by its leaf alone, whatever its body says.

use watchfire_signal::{
    charter::{Charter, Role},
    commitment::Commitment,
    name::MemberName,
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

/// Which verbs a role may say (`docs/states.md`, roles).
pub(super) fn may_say(role: Role, verb: Verb) -> bool {
    match verb {
        // Every log has an end and a desk, whoever writes it.
        Verb::Key | Verb::Desk => true,
        // Nobody says this who has not looked at content, or done something with it.
        Verb::Assert
        | Verb::Amend
        | Verb::Renew
        | Verb::Confirm
        | Verb::Variant
        | Verb::Join
        | Verb::Sighting
        | Verb::Outcome
        | Verb::Appeal => matches!(role, Role::Platform | Role::Contributor),
        Verb::Dispute
        | Verb::Resolve
        | Verb::Retract
        | Verb::Incident
        | Verb::Member
        | Verb::Halt
        | Verb::Erase
        | Verb::Charter => may_speak_of_cases(role),
    }
}

/// The role of a member of a charter, if that does not let it say so: nobody would hear it.
pub(crate) fn kept_from(charter: &Charter, member: &MemberName, verb: Verb) -> Option<Role> {
    charter.member(member).map(|member| member.role).filter(|role| !may_say(*role, verb))
}

/// Whether a role has a say about cases at all, in whatever version of the format.
pub(super) fn may_speak_of_cases(role: Role) -> bool {
    match role {
        Role::Platform | Role::Contributor | Role::Convenor => true,
        Role::Auditor | Role::Witness => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docs/states.md` says, once more: a column each for platform, contributor, convenor, auditor, witness.
    const TABLE: [(Verb, &str); 19] = [
        (Verb::Assert, "yy..."),
        (Verb::Amend, "yy..."),
        (Verb::Renew, "yy..."),
        (Verb::Confirm, "yy..."),
        (Verb::Dispute, "yyy.."),
        (Verb::Resolve, "yyy.."),
        (Verb::Retract, "yyy.."),
        (Verb::Variant, "yy..."),
        (Verb::Join, "yy..."),
        (Verb::Sighting, "yy..."),
        (Verb::Outcome, "yy..."),
        (Verb::Appeal, "yy..."),
        (Verb::Incident, "yyy.."),
        (Verb::Member, "yyy.."),
        (Verb::Key, "yyyyy"),
        (Verb::Halt, "yyy.."),
        (Verb::Erase, "yyy.."),
        (Verb::Charter, "yyy.."),
        (Verb::Desk, "yyyyy"),
    ];
    const ROLES: [Role; 5] =
        [Role::Platform, Role::Contributor, Role::Convenor, Role::Auditor, Role::Witness];

    #[test]
    fn each_role_says_its_verbs_and_no_other() {
        for (verb, row) in TABLE {
            for (role, may) in ROLES.into_iter().zip(row.chars()) {
                assert_eq!(may_say(role, verb), may == 'y', "{role:?} says {verb:?}");
            }
        }
    }

    /// A role that may say all that another may keeps its log when it changes to that.
    #[test]
    fn who_may_all_that_another_role_may_is_known_to_the_charter() {
        for (role, other) in ROLES.into_iter().flat_map(|role| ROLES.map(|other| (role, other))) {
            let all = TABLE.iter().all(|(verb, _)| may_say(role, *verb) || !may_say(other, *verb));
            assert_eq!(role.may_all_that(other), all, "{role:?} and {other:?}");
        }
        let speaks = ROLES.map(may_speak_of_cases);
        assert_eq!(speaks, [true, true, true, false, false]);
    }
}
