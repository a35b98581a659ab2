//! The marks of the Traffic Light Protocol 2.0 (FIRST, <https://www.first.org/tlp/>): to whom those who
//! got a record may hand on what it says.
//!
//! **Invariant:** a mark never widens who gets a record: that is its sharing group.

use crate::{code::codes, name::GroupName};

codes! {
    /// A mark, from the widest to the narrowest.
    Tlp, "TLP mark";
    /// To anybody.
    Clear = 0 "TLP:CLEAR",
    /// To the community, not in public.
    Green = 1 "TLP:GREEN",
    /// To one's own organisation and its clients, where they need it.
    Amber = 2 "TLP:AMBER",
    /// To one's own organisation.
    AmberStrict = 3 "TLP:AMBER+STRICT",
    /// To nobody: for those alone who got it.
    Red = 4 "TLP:RED",
}

codes! {
    /// Whom something leaves the node for, from the nearest to the farthest.
    Audience, "audience";
    /// The member's own organisation, beyond its node.
    Organisation = 0 "organisation",
    /// Those that the organisation works for.
    Clients = 1 "clients",
    /// Others who work against the same harm, such as members of other groups, hotlines, regulators.
    Community = 2 "community",
    /// Everybody.
    Public = 3 "public",
}

impl Tlp {
    /// The mark of a record that has none: GREEN for the whole coalition, AMBER for a group of it.
    #[must_use]
    pub fn implied_by(group: &GroupName) -> Self {
        if group.is_all() { Self::Green } else { Self::Amber }
    }

    /// Whether what is marked so may leave the node for an audience.
    #[must_use]
    pub fn allows(self, audience: Audience) -> bool {
        let farthest = match self {
            Self::Clear => Audience::Public,
            Self::Green => Audience::Community,
            Self::Amber => Audience::Clients,
            Self::AmberStrict => Audience::Organisation,
            Self::Red => return false,
        };
        audience <= farthest
    }
}
