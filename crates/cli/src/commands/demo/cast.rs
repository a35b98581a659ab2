//! Who plays in the demo: ten platforms, the organisations that own them, what each does, and its policy.

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

/// What a platform's policy makes of things that the others act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    /// The same as all others.
    Usual,
    /// Hatred is looked at by a person before anything is done.
    ReviewsHate,
    /// What a government asks for is not done.
    RefusesGovernments,
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
    /// How its policy differs.
    pub stance: Stance,
}

/// The ten; the policies of two differ. Facebook and Instagram are one organisation, Google and YouTube are one; those who
/// confirm are of two others than the reporter's.
pub(super) const CAST: [Player; 10] = [
    player("tiktok", "tiktok", Part::Reports, false),
    player("facebook", "meta", Part::Follows, false),
    player("instagram", "meta", Part::Follows, false),
    player("google", "google", Part::Follows, false),
    player("youtube", "google", Part::Confirms, true),
    player("twitter", "twitter", Part::Follows, false).with(Stance::RefusesGovernments),
    player("twitch", "twitch", Part::Trusts, true),
    player("snapchat", "snapchat", Part::Follows, false).with(Stance::ReviewsHate),
    player("pinterest", "pinterest", Part::Confirms, true),
    player("reddit", "reddit", Part::Trusts, false),
];

const fn player(
    name: &'static str,
    organisation: &'static str,
    part: Part,
    holds_copy: bool,
) -> Player {
    Player { name, organisation, part, holds_copy, stance: Stance::Usual }
}

impl Player {
    const fn with(self, stance: Stance) -> Self {
        Self { stance, ..self }
    }

    /// The policy file of this platform; some trust the reporter.
    pub(super) fn policy(&self, trusts: bool) -> String {
        let trust = if trusts { format!("\"{REPORTER}\"") } else { String::new() };
        let (labels, when, more) = match self.stance {
            Stance::Usual => (EVERYTHING, "", ""),
            Stance::ReviewsHate => (NOT_HATE, "", LOOK_FIRST),
            Stance::RefusesGovernments => (EVERYTHING, NOT_ASKED, REFUSAL),
        };
        format!(
            "version = 2\ntrust = [{trust}]\n\n\
             [[rule]]\nid = \"confirmed\"\nlabel = [{labels}]\nstate = [\"CONFIRMED\"]\n\
             when = '{when}!(has(item.context) && item.context in case.exceptions)'\n\
             then = [\"remove\", \"block_upload\", \"preserve\"]\n\n\
             [[rule]]\nid = \"misinformation\"\nlabel = [\"info.*\"]\nthen = [\"label\"]\n{more}"
        )
    }
}

/// Every label.
const EVERYTHING: &str = r#""*""#;
/// Every family but hatred.
const NOT_HATE: &str = r#""self_harm.*", "violence.*", "tvec.*", "ncii.*", "animal.*", "info.*""#;
/// A rule for hatred.
const LOOK_FIRST: &str =
    "\n[[rule]]\nid = \"hate-first-looked-at\"\nlabel = [\"hate.*\"]\nthen = [\"review:hate\"]\n";
/// What the rule that acts asks for besides.
const NOT_ASKED: &str = "case.provenance != \"government_request\" && ";
/// A rule for what is asked for.
const REFUSAL: &str = "\n[[rule]]\nid = \"no-government\"\n\
     when = 'case.provenance == \"government_request\"'\nthen = [\"ignore\"]\n";

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

    use watchfire_node::policy::Policy;

    use super::*;

    #[test]
    fn those_who_confirm_complete_the_quorum_and_no_less() {
        let say = CAST.iter().filter(|one| matches!(one.part, Part::Reports | Part::Confirms));
        let organisations: BTreeSet<_> = say.map(|one| one.organisation).collect();
        assert_eq!(organisations.len(), CONFIRM_QUORUM as usize);
    }

    #[test]
    fn every_policy_file_is_one_and_two_differ_from_the_others() {
        let files: Vec<String> = CAST.iter().map(|player| player.policy(false)).collect();
        assert!(files.iter().all(|file| Policy::read(file).is_ok()), "{files:?}");
        assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), 3);
        let usual = CAST.iter().filter(|player| player.stance == Stance::Usual).count();
        assert_eq!(usual, 8);
        assert!(Policy::read(&CAST[0].policy(true)).is_ok_and(|policy| policy.trust.len() == 1));
    }

    #[test]
    fn three_platforms_hold_a_copy_and_everyone_who_confirms_is_one_of_them() {
        let holders = CAST.iter().filter(|one| one.holds_copy).count();
        assert_eq!(holders, 3);
        assert!(CAST.iter().filter(|one| one.part == Part::Confirms).all(|one| one.holds_copy));
    }
}
