//! The charter: who the members of a coalition are, by which keys, quorums, quotas and limits.
//!
//! **Invariant:** a charter that was decoded is valid; every quorum counts organisations, not keys.

mod chain;
mod closed;
mod signed;
mod travel;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    cbor::{self, CborError, Item, Reader, Writer, map_item},
    code::codes,
    header::RECORD_VERSION,
    hex,
    label::{Label, TAXONOMY_VERSION},
    name::{CoalitionName, GroupName, LogName, MemberName, OrganisationName},
    text::{self, MAX_LINE_BYTES},
};

pub use self::{
    chain::{ChainError, CharterChain, MAX_CHARTERS, SuccessionError, decode_sequence},
    closed::ClosedLog,
    signed::{Approval, SignedCharter, approval_message},
};

/// The version of charters that this crate writes and understands.
pub const CHARTER_VERSION: u32 = 1;

/// The most members; each holds a copy of every other's log.
pub const MAX_MEMBERS: usize = 1_024;

/// The most logs that have ended.
pub const MAX_CLOSED: usize = 4_096;

/// The most sharing groups.
pub const MAX_GROUPS: usize = 256;

/// The most labels that act at severity 4.
pub const MAX_SEVERITY4_LABELS: usize = 64;

/// Bytes of bodies that a member may have count a day, unless a charter says otherwise: 20 KiB for each of 100,000
/// records, which is more than a picture with 400 features (16 KiB), or 12,000 videos with theirs (175 KiB).
const BYTES_A_DAY: u64 = 2_048 * 1_048_576;
/// Alerts that a member may have live at a time, unless a charter says otherwise: all that ten days have room for, or
/// 11,000 new ones each day that last 90.
const LIVE_ALERTS: u64 = 1_000_000;

/// The longest charter in bytes: a full one of 1,024 members with addresses and all its groups.
pub const MAX_CHARTER_BYTES: usize = 16 * 1_048_576;

codes! {
    /// What a member is for.
    Role, "role";
    /// Asserts, confirms and enforces.
    Platform = 0 "platform",
    /// Asserts and does not enforce, such as a hotline.
    Contributor = 1 "contributor",
    /// Declares and concludes incidents and does not assert.
    Convenor = 2 "convenor",
    /// Reads the logs.
    Auditor = 3 "auditor",
    /// Cosigns checkpoints.
    Witness = 4 "witness",
}

impl Role {
    /// Whether who has it acts by itself on what the coalition says.
    #[must_use]
    pub fn enforces(self) -> bool {
        self == Self::Platform
    }

    /// Whether who has it may say all that another role may say about cases.
    #[must_use]
    pub fn may_all_that(self, other: Self) -> bool {
        match other {
            Self::Auditor | Self::Witness => true,
            Self::Convenor => !matches!(self, Self::Auditor | Self::Witness),
            Self::Platform | Self::Contributor => {
                matches!(self, Self::Platform | Self::Contributor)
            }
        }
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: MemberName,
    /// The organisation that controls it.
    pub organisation: OrganisationName,
    /// What it is for.
    pub role: Role,
    /// Its Ed25519 public key.
    #[serde(serialize_with = "hex::serialize", deserialize_with = "hex::deserialize")]
    pub key: [u8; 32],
    /// The epoch of its log, from 1.
    pub epoch: u32,
    /// Where its peers reach it; absent for a member that opens all streams itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// How many organisations decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorums {
    /// k: that assert or confirm a case before it is CONFIRMED, the asserter's included.
    pub confirm: u32,
    /// d: that dispute a CONFIRMED case before it is DISPUTED.
    pub dispute: u32,
    /// m: that approve the next charter; more than half of all.
    pub charter: u32,
    /// That halt a case or a member.
    pub halt: u32,
}

/// How much one member may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Records a day.
    pub records_a_day: u64,
    /// Acts at severity 4 a day.
    pub severity4_acts_a_day: u64,
    /// Retractions of CONFIRMED cases an hour.
    pub retractions_an_hour: u64,
    /// Disputes a day.
    pub disputes_a_day: u64,
    /// Bytes of bodies a day, each rounded up to a whole KiB.
    pub bytes_a_day: u64,
    /// Alerts that are live at a time: asserts, amendments and variants whose lease is not over.
    pub live_alerts: u64,
}

/// A sharing group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, not `all`.
    pub name: GroupName,
    /// Its members, ascending.
    pub members: Vec<MemberName>,
}

/// A charter (`docs/format.md`, section 8). Its serde form is the draft that people edit as TOML
/// or JSON; [`Charter::sort`] puts a draft in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// The coalition.
    pub coalition: CoalitionName,
    /// Its number, from 1.
    pub seq: u64,
    /// Hash of the charter before; zero bytes for the first.
    #[serde(default, serialize_with = "hex::serialize", deserialize_with = "hex::deserialize")]
    pub previous: [u8; 32],
    /// Version of the taxonomy in force.
    pub taxonomy: u32,
    /// Version of records in force.
    pub record_version: u32,
    /// The least matched time of a video, in ms, that an alert may ask for.
    pub least_min_matched_ms: u32,
    /// Labels that act at severity 4, ascending.
    #[serde(default)]
    pub severity4_labels: Vec<Label>,
    /// How many organisations decide.
    pub quorums: Quorums,
    /// How much one member may write.
    pub quotas: Quotas,
    /// The members, ascending by name.
    pub members: Vec<Member>,
    /// The sharing groups, ascending by name.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Whether local features of pictures do not travel in alerts: they show more of a picture than a hash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_features: bool,
    /// The logs that have ended, ascending by member and epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedLog>,
}

/// What is wrong with a charter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CharterError {
    /// The bytes are not the one encoding of a charter.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Longer than a charter may be.
    #[error("a charter has at most 16 MiB, found {0} bytes")]
    TooLong(usize),
    /// Another version than this crate knows.
    #[error("charter version {0} is not known here")]
    Version(u32),
    /// Numbered from 1; only the first has no charter before it.
    #[error("the first charter has the number 1 and no charter before it, every other has one")]
    Chain,
    /// No member, too many, or not strictly ascending by name.
    #[error("members: 1 to 1024, ascending by name, none twice")]
    Members,
    /// Two members with one key.
    #[error("{0} has the key of another member")]
    Key(MemberName),
    /// An epoch of 0, or an address that is not a short text without spaces.
    #[error("{0}: epochs count from 1, an address has at most 256 bytes and no space")]
    Member(MemberName),
    /// A quorum of nobody, or of more than half of the organisations not.
    #[error("quorums are at least 1; that of the charter is more than half of {0} organisations")]
    Quorums(usize),
    /// A group out of order, twice, called `all`, or with a member that there is not.
    #[error("group {0}: ascending by name, not `all`, of members of this charter, ascending")]
    Group(GroupName),
    /// Too many groups.
    #[error("at most 256 groups")]
    Groups,
    /// Labels out of order, twice, or too many.
    #[error("labels that act at severity 4: at most 64, ascending, none twice")]
    Labels,
    /// Closed logs out of order, twice, too many, with a key of another log, or not before the log that
    /// their member writes.
    #[error(
        "closed logs: at most 4,096, ascending by member and epoch, none twice, each with a key of its \
         own and an epoch below that of the log that its member writes"
    )]
    Closed,
    /// Approvals out of order, or one member's twice.
    #[error("approvals ascend by member, none twice")]
    Approvals,
}

impl Charter {
    /// A first charter of these members, with the usual quorums and quotas.
    #[must_use]
    pub fn founding(coalition: CoalitionName, members: Vec<Member>) -> Self {
        let mut charter = Self {
            coalition,
            seq: 1,
            previous: [0; 32],
            taxonomy: TAXONOMY_VERSION,
            record_version: RECORD_VERSION,
            least_min_matched_ms: 1_000,
            severity4_labels: Vec::new(),
            quorums: Quorums { confirm: 2, dispute: 2, charter: 0, halt: 2 },
            quotas: Quotas {
                records_a_day: 100_000,
                severity4_acts_a_day: 20,
                retractions_an_hour: 20,
                disputes_a_day: 100,
                bytes_a_day: BYTES_A_DAY,
                live_alerts: LIVE_ALERTS,
            },
            members,
            groups: Vec::new(),
            without_features: false,
            closed: Vec::new(),
        };
        charter.sort();
        let majority = charter.organisations() / 2 + 1;
        charter.quorums.charter = u32::try_from(majority).unwrap_or(u32::MAX);
        charter
    }

    /// The one encoding. Only that of a valid charter is read again.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads a charter and validates it.
    ///
    /// # Errors
    /// [`CharterError`] for every byte string that is not the encoding of a valid charter.
    pub fn decode(bytes: &[u8]) -> Result<Self, CharterError> {
        if bytes.len() > MAX_CHARTER_BYTES {
            return Err(CharterError::TooLong(bytes.len()));
        }
        let version = Reader::new(bytes).map().and_then(|mut map| map.take::<u32>(0))?;
        if version != CHARTER_VERSION {
            return Err(CharterError::Version(version));
        }
        let charter: Self = cbor::decode(bytes)?;
        charter.validate()?;
        Ok(charter)
    }

    /// H(charter).
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    /// Puts members, groups and labels of a draft in the order that the format needs.
    pub fn sort(&mut self) {
        self.members.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups.iter_mut().for_each(|group| group.members.sort());
        self.severity4_labels.sort();
        self.closed.sort_by(|a, b| a.name().cmp(&b.name()));
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`CharterError`].
    pub fn validate(&self) -> Result<(), CharterError> {
        if self.seq == 0 || (self.seq == 1) != (self.previous == [0; 32]) {
            return Err(CharterError::Chain);
        }
        self.validate_members()?;
        let organisations = self.organisations();
        let Quorums { confirm, dispute, charter, halt } = self.quorums;
        let charter = usize::try_from(charter).unwrap_or(usize::MAX);
        if [confirm, dispute, halt].contains(&0)
            || charter * 2 <= organisations
            || charter > organisations
        {
            return Err(CharterError::Quorums(organisations));
        }
        self.validate_groups()?;
        self.validate_closed()?;
        let labels = &self.severity4_labels;
        if labels.len() > MAX_SEVERITY4_LABELS || !labels.is_sorted_by(|a, b| a < b) {
            return Err(CharterError::Labels);
        }
        Ok(())
    }

    fn validate_members(&self) -> Result<(), CharterError> {
        if !(1..=MAX_MEMBERS).contains(&self.members.len())
            || !self.members.is_sorted_by(|a, b| a.name < b.name)
        {
            return Err(CharterError::Members);
        }
        let mut keys = BTreeSet::new();
        for member in &self.members {
            if !keys.insert(member.key) {
                return Err(CharterError::Key(member.name.clone()));
            }
            let address = member.address.as_ref();
            let fits = |address: &String| {
                text::is_fit(address, MAX_LINE_BYTES) && !address.contains(char::is_whitespace)
            };
            if member.epoch == 0 || !address.is_none_or(fits) {
                return Err(CharterError::Member(member.name.clone()));
            }
        }
        Ok(())
    }

    fn validate_closed(&self) -> Result<(), CharterError> {
        let mut keys: BTreeSet<_> = self.members.iter().map(|member| member.key).collect();
        let ascend = self.closed.is_sorted_by(|a, b| a.name() < b.name());
        let fits = |log: &ClosedLog| {
            let written = self.member(&log.member).map_or(u32::MAX, |member| member.epoch);
            log.epoch > 0 && log.epoch < written
        };
        let sound = ascend
            && self.closed.len() <= MAX_CLOSED
            && self.closed.iter().all(|log| fits(log) && keys.insert(log.key));
        if sound { Ok(()) } else { Err(CharterError::Closed) }
    }

    fn validate_groups(&self) -> Result<(), CharterError> {
        if self.groups.len() > MAX_GROUPS {
            return Err(CharterError::Groups);
        }
        for (place, group) in self.groups.iter().enumerate() {
            let ascends = place == 0 || self.groups[place - 1].name < group.name;
            let members = &group.members;
            if !ascends
                || group.name.is_all()
                || !members.is_sorted_by(|a, b| a < b)
                || !members.iter().all(|name| self.member(name).is_some())
            {
                return Err(CharterError::Group(group.name.clone()));
            }
        }
        Ok(())
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Option<&Member> {
        let place = self.members.binary_search_by(|member| member.name.cmp(name)).ok()?;
        self.members.get(place)
    }

    /// The member that writes this log now: coalition, name and epoch match.
    #[must_use]
    pub fn member_of_log(&self, log: &LogName) -> Option<&Member> {
        let member = self.member(&log.member)?;
        (log.coalition == self.coalition && log.epoch == member.epoch).then_some(member)
    }

    /// The log that the member writes now.
    #[must_use]
    pub fn log_of(&self, name: &MemberName) -> Option<LogName> {
        let member = self.member(name)?;
        Some(LogName::new(self.coalition.clone(), member.name.clone(), member.epoch))
    }

    /// The organisation that controls the member.
    #[must_use]
    pub fn organisation_of(&self, name: &MemberName) -> Option<&OrganisationName> {
        self.member(name).map(|member| &member.organisation)
    }

    /// Whether the member receives the records of this group.
    #[must_use]
    pub fn is_in_group(&self, name: &MemberName, group: &GroupName) -> bool {
        if group.is_all() {
            return self.member(name).is_some();
        }
        let group = self.groups.iter().find(|known| known.name == *group);
        group.is_some_and(|group| group.members.binary_search(name).is_ok())
    }

    /// How many organisations there are.
    #[must_use]
    pub fn organisations(&self) -> usize {
        self.members.iter().map(|member| &member.organisation).collect::<BTreeSet<_>>().len()
    }

    /// How many organisations confirm a case: min(k, organisations − 1), at least 1.
    #[must_use]
    pub fn quorum_confirm(&self) -> usize {
        self.in_reach(self.quorums.confirm)
    }

    /// How many organisations dispute a confirmed case: min(d, organisations − 1), at least 1.
    #[must_use]
    pub fn quorum_dispute(&self) -> usize {
        self.in_reach(self.quorums.dispute)
    }

    /// How many organisations halt a case or a member: min(halt, organisations − 1), at least 1.
    #[must_use]
    pub fn quorum_halt(&self) -> usize {
        self.in_reach(self.quorums.halt)
    }

    /// How many organisations suspend a member: as many as change the charter, the suspended
    /// member's own not needed; min(m, organisations − 1), at least 1.
    #[must_use]
    pub fn quorum_suspend(&self) -> usize {
        self.in_reach(self.quorums.charter)
    }

    /// A coalition must be able to act while one organisation is away.
    fn in_reach(&self, quorum: u32) -> usize {
        let reach = self.organisations().saturating_sub(1).max(1);
        usize::try_from(quorum).unwrap_or(usize::MAX).min(reach)
    }

    /// Whether these members, whose signatures the caller has verified, suffice to put the next
    /// charter in force: m organisations of this one.
    #[must_use]
    pub fn is_approved_by<'a>(&self, members: impl IntoIterator<Item = &'a MemberName>) -> bool {
        self.count_approving(members) >= self.quorum_charter()
    }

    /// How many organisations approve the next charter.
    #[must_use]
    pub fn quorum_charter(&self) -> usize {
        usize::try_from(self.quorums.charter).unwrap_or(usize::MAX)
    }

    /// How many organisations approve the next charter where these members do.
    ///
    /// An organisation does by more than half of its members, or by just half of them with the first by name
    /// among these. Of two sets that share no member one at most is that much of it: as long as no member
    /// approves twice, no organisation does, and as m is more than half of all organisations, of two charters
    /// of one number one at most can come in force.
    #[must_use]
    pub fn count_approving<'a>(&self, members: impl IntoIterator<Item = &'a MemberName>) -> usize {
        let approving: BTreeSet<_> = members.into_iter().collect();
        let mut owners = BTreeMap::<_, Vec<bool>>::new();
        // Ascending by name, so that the first of each owner comes first.
        for member in &self.members {
            owners.entry(&member.organisation).or_default().push(approving.contains(&member.name));
        }
        let approves = |votes: &Vec<bool>| {
            let twice = 2 * votes.iter().filter(|vote| **vote).count();
            twice > votes.len() || twice == votes.len() && votes.first() == Some(&true)
        };
        owners.values().filter(|votes| approves(votes)).count()
    }
}

impl Item for Charter {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &CHARTER_VERSION);
            map.put(1, &self.coalition);
            map.put(2, &self.seq);
            map.put(3, &self.previous);
            map.list(4, &self.members);
            map.put(5, &self.quorums);
            map.put(6, &self.taxonomy);
            map.put(7, &self.record_version);
            map.put(8, &self.quotas);
            map.list(9, &self.groups);
            map.list(10, &self.severity4_labels);
            map.put(11, &self.least_min_matched_ms);
            // A list that is there is not empty: one encoding for each charter.
            if !self.closed.is_empty() {
                map.list(12, &self.closed);
            }
            map.flag(13, self.without_features);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        map.take::<u32>(0)?;
        let charter = Self {
            coalition: map.take(1)?,
            seq: map.take(2)?,
            previous: map.take(3)?,
            members: map.entry(4, |reader| reader.list(1, MAX_MEMBERS))?,
            quorums: map.take(5)?,
            taxonomy: map.take(6)?,
            record_version: map.take(7)?,
            quotas: map.take(8)?,
            groups: map.entry(9, |reader| reader.list(0, MAX_GROUPS))?,
            severity4_labels: map.entry(10, |reader| reader.list(0, MAX_SEVERITY4_LABELS))?,
            least_min_matched_ms: map.take(11)?,
            closed: map.entry_if(12, |reader| reader.list(1, MAX_CLOSED))?.unwrap_or_default(),
            without_features: map.flag(13)?,
        };
        map.end()?;
        Ok(charter)
    }
}

impl Item for Member {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.name);
            map.put(1, &self.organisation);
            map.put(2, &self.role);
            map.put(3, &self.key);
            map.put(4, &self.epoch);
            map.text(5, self.address.as_deref());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let member = Self {
            name: map.take(0)?,
            organisation: map.take(1)?,
            role: map.take(2)?,
            key: map.take(3)?,
            epoch: map.take(4)?,
            address: map.entry_if(5, |reader| reader.text(MAX_LINE_BYTES).map(str::to_owned))?,
        };
        map.end()?;
        Ok(member)
    }
}

impl Item for Group {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.name);
            map.list(1, &self.members);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let name = map.take(0)?;
        let members = map.entry(1, |reader| reader.list(0, MAX_MEMBERS))?;
        map.end()?;
        Ok(Self { name, members })
    }
}

map_item!(Quorums { 0 confirm, 1 dispute, 2 charter, 3 halt });
map_item!(Quotas {
    0 records_a_day,
    1 severity4_acts_a_day,
    2 retractions_an_hour,
    3 disputes_a_day,
    4 bytes_a_day,
    5 live_alerts
});
