//! Who takes part in a run: members, organisations, groups, keys, and what they say.

use std::collections::BTreeSet;

use watchfire_node::{charter::approve, raise::NewAlert};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Group, Member, Quorums, Quotas, Role, SignedCharter},
    header::{Provenance, Review},
    label::TAXONOMY_VERSION,
    name::{GroupName, MemberName},
};
use watchfire_tlog::OwnKey;

use crate::{Broken, chance::Chance, pictures::picture};

/// Names of members.
const NAMES: [&str; 6] = ["ant", "bee", "cat", "dog", "elk", "fox"];
/// The name of the one that lies.
const LIAR: &str = "wolf";

/// What a member is that is no platform.
pub const OTHER_ROLES: [Role; 4] =
    [Role::Contributor, Role::Convenor, Role::Auditor, Role::Witness];

/// KiB that a member may say a day: some have that in a busy day, by their anchors and answers.
const BYTES_A_DAY: u64 = 10 * 1_024;
/// Alerts that a member may have live: most report as many in a run, and the one that lies more.
const LIVE_ALERTS: u64 = 4;

/// The cast of a run.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The charter, approved by all.
    pub charter: SignedCharter,
    /// The honest members, by place.
    pub honest: Vec<MemberName>,
    /// The one that lies, whose place is the last.
    pub liar: Option<MemberName>,
    /// The member that has no address.
    pub behind_nat: Option<MemberName>,
    /// The sharing group beside `all`.
    pub group: GroupName,
    /// One that is no member yet and may become one, whose place is after all others.
    pub joiner: Option<MemberName>,
    /// Whether members change the charter.
    pub changes: bool,
    /// Whether members stop each other.
    pub stops: bool,
    /// Whether disks are lost and old backups put in their place.
    pub restores: bool,
    /// Whether people declare incidents.
    pub incidents: bool,
}

impl Cast {
    /// A cast by chance.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn of(seed: u64) -> Result<Self, Broken> {
        let chance = Chance::new(seed, "cast");
        let count = 3 + chance.index(3);
        let honest = names(&NAMES[..count])?;
        let liar = if chance.one_in(2) { names(&[LIAR])?.pop() } else { None };
        let changes = chance.one_in(4);
        let (restores, stops) = (chance.one_in(3), chance.one_in(3));
        let joiner = if changes { names(&NAMES[count..=count])?.pop() } else { None };
        let behind_nat = honest.last().filter(|_| chance.one_in(4)).cloned();
        let all: Vec<_> = honest.iter().chain(&liar).cloned().collect();
        // Two members of one owner have one voice.
        let siblings = count > 3 && chance.one_in(3);
        let group: GroupName = "some".parse().map_err(|_| Broken("a group".to_owned()))?;
        let mut insiders: Vec<_> = honest.iter().skip(1).cloned().collect();
        insiders.sort();
        let other = another_role(seed, all.len());
        let mut members = Vec::new();
        for (place, name) in all.iter().enumerate() {
            let owner = if siblings && place == 1 { all[0].as_str() } else { name.as_str() };
            members.push(Member {
                name: name.clone(),
                organisation: owner.parse().map_err(|_| Broken("an owner".to_owned()))?,
                role: other.filter(|(at, _)| *at == place).map_or(Role::Platform, |(_, role)| role),
                key: key(name, 1).public().to_bytes(),
                epoch: 1,
                address: (behind_nat.as_ref() != Some(name)).then(|| address(name)),
            });
        }
        let charter = charter(members, vec![Group { name: group.clone(), members: insiders }])?;
        let charter = approved(charter, &all)?;
        let incidents = chance.one_in(2);
        Ok(Self {
            charter,
            honest,
            liar,
            behind_nat,
            group,
            joiner,
            changes,
            stops,
            restores,
            incidents,
        })
    }

    /// Everybody, by place: the honest members, the one that lies, the one that may join.
    pub fn all(&self) -> impl Iterator<Item = &MemberName> {
        self.honest.iter().chain(&self.liar).chain(&self.joiner)
    }

    /// The honest ones with their places, whether they are members yet or not.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &MemberName)> {
        self.all().enumerate().filter(|(_, name)| self.liar.as_ref() != Some(*name))
    }

    /// Whom a member trusts.
    #[must_use]
    pub fn trust(&self, seed: u64, member: &MemberName) -> BTreeSet<MemberName> {
        let chance = Chance::new(seed, member.as_str());
        let others = self.honest.iter().filter(|other| *other != member && chance.one_in(3));
        others.cloned().collect()
    }
}

/// The place of a member that is no platform, if one is not. The first member is one, for what goes wrong there is to be
/// seen at its platform.
fn another_role(seed: u64, members: usize) -> Option<(usize, Role)> {
    let chance = Chance::new(seed, "roles");
    let place = 1 + chance.index(members - 1);
    chance.pick(&OTHER_ROLES).filter(|_| chance.one_in(3)).map(|role| (place, *role))
}

fn names(texts: &[&str]) -> Result<Vec<MemberName>, Broken> {
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(|_| Broken("a name".to_owned()))
}

fn charter(members: Vec<Member>, groups: Vec<Group>) -> Result<Charter, Broken> {
    let majority = u32::try_from(members.len() / 2 + 1).unwrap_or(u32::MAX);
    let coalition = "sim".parse().map_err(|_| Broken("a coalition".to_owned()))?;
    let quotas = Quotas {
        records_a_day: 100_000,
        severity4_acts_a_day: 20,
        retractions_an_hour: 1_000,
        disputes_a_day: 1_000,
        bytes_a_day: BYTES_A_DAY,
        live_alerts: LIVE_ALERTS,
    };
    let mut charter = Charter {
        quorums: Quorums { confirm: 2, dispute: 2, charter: majority, halt: majority },
        quotas,
        groups,
        ..Charter::founding(coalition, members)
    };
    charter.sort();
    Ok(charter)
}

fn approved(charter: Charter, by: &[MemberName]) -> Result<SignedCharter, Broken> {
    let hash = charter.hash();
    let mut by = by.to_vec();
    by.sort();
    let approval = |member: &MemberName| {
        let signature = approve(&hash, &key(member, 1));
        Approval { member: member.clone(), signature }
    };
    let approvals = by.iter().map(approval).collect();
    SignedCharter::new(charter, approvals).map_err(|error| Broken(error.to_string()))
}

/// Where a member is reached.
#[must_use]
pub fn address(member: &MemberName) -> String {
    format!("http://{member}.test")
}

/// The key of a member in an epoch, the same in every run.
#[must_use]
pub fn key(member: &MemberName, epoch: u32) -> OwnKey {
    let mut seed = [7; 32];
    seed.iter_mut().rev().zip(epoch.to_le_bytes()).for_each(|(byte, more)| *byte ^= more);
    seed.iter_mut().zip(member.as_str().bytes()).for_each(|(byte, letter)| *byte = letter);
    OwnKey::from_seed(&seed)
}

/// An alert about a picture.
#[must_use]
pub fn alert(number: u64, (human, of_victim): (bool, bool), valid_until: u64) -> NewAlert {
    let labels = ["self_harm.suicide_depiction"].iter().filter_map(|label| label.parse().ok());
    NewAlert {
        alert: Alert {
            kind: ContentKind::Image,
            signals: vec![picture(number)],
            labels: labels.collect(),
            taxonomy: TAXONOMY_VERSION,
            confidence: 90,
            suggestion: Suggestion::Remove,
            exceptions: vec![],
            valid_until,
            family: None,
            incident: None,
            evidence_hold: false,
            authority: None,
            tlp: None,
        },
        severity: 3,
        review: if human { Review::OneHuman } else { Review::Unreviewed },
        provenance: if of_victim { Provenance::Victim } else { Provenance::OwnDetection },
        group: GroupName::all(),
        test: false,
    }
}
