//! Who plays in the demo: ten platforms, the organisations that own them, and what each does.

use std::fmt;

/// The coalition's name.
pub(super) const COALITION: &str = "demo";

/// Organisations that make a case CONFIRMED: the reporter's and two that hold a copy.
pub(super) const CONFIRM_QUORUM: u32 = 3;

/// What a platform does in the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its moderator reports the clip.
    Reports,
    /// Trusts the reporter in its policy, so it acts at once.
    Trusts,
    /// Its moderator looks at the copy that it holds, and confirms.
    Confirms,
    /// Acts when the case is CONFIRMED.
    Follows,
}

/// One platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Player {
    /// The member's name.
    pub name: &'static str,
    /// Who owns it.
    pub organisation: &'static str,
    /// What it does.
    pub part: Part,
    /// Whether somebody has uploaded a copy of the clip there.
    pub holds_copy: bool,
}

/// The ten. Facebook and Instagram are one organisation, Google and YouTube are one; those who
/// confirm are of two others than the reporter's.
pub(super) const CAST: [Player; 10] = [
    player("tiktok", "tiktok", Part::Reports, false),
    player("facebook", "meta", Part::Follows, false),
    player("instagram", "meta", Part::Follows, false),
    player("google", "google", Part::Follows, false),
    player("youtube", "google", Part::Confirms, true),
    player("twitter", "twitter", Part::Follows, false),
    player("twitch", "twitch", Part::Trusts, true),
    player("snapchat", "snapchat", Part::Follows, false),
    player("pinterest", "pinterest", Part::Confirms, true),
    player("reddit", "reddit", Part::Trusts, false),
];

const fn player(
    name: &'static str,
    organisation: &'static str,
    part: Part,
    holds_copy: bool,
) -> Player {
    Player { name, organisation, part, holds_copy }
}

impl fmt::Display for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// The platform whose moderator reports.
pub(super) const REPORTER: Player = CAST[0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn those_who_confirm_complete_the_quorum_and_no_less() {
        let say = CAST.iter().filter(|one| matches!(one.part, Part::Reports | Part::Confirms));
        let organisations: BTreeSet<_> = say.map(|one| one.organisation).collect();
        assert_eq!(organisations.len(), CONFIRM_QUORUM as usize);
    }

    #[test]
    fn three_platforms_hold_a_copy_and_everyone_who_confirms_is_one_of_them() {
        let holders = CAST.iter().filter(|one| one.holds_copy).count();
        assert_eq!(holders, 3);
        assert!(CAST.iter().filter(|one| one.part == Part::Confirms).all(|one| one.holds_copy));
    }
}
