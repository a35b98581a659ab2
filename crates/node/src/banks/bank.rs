//! What a bank is: its name, and what its matches mean here.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::{
    label::Label,
    name::BankName,
    pdq,
    value::{Kind, Signal},
};
use watchfire_store::{Row, StoreError};

use super::BANKS;
use crate::{
    content::{BankNumber, ContentId, ContentPlace},
    desk::{Deed, DeskKind},
};

/// The longest note, in characters; that of the field's own tool (HMA).
pub const MAX_NOTE_CHARS: usize = 255;
/// The greatest severity.
const MAX_SEVERITY: u8 = 4;
/// The most labels; as many as an alert has.
const MAX_LABELS: usize = watchfire_signal::alert::MAX_LABELS;

/// What a bank's matches mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether it matches at all.
    pub enabled: bool,
    /// The share of its contents that match, 0 to 1: by a hash of the content, so that it is the same
    /// share at each lookup, and a greater one holds all of a smaller one.
    pub ratio: f64,
    /// Whether its matches speak for the item: policy lets them suppress others.
    pub negative: bool,
    /// Labels that its matches carry.
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// The greatest distance of a match, 0 to 31: bits, of two videos the mean of aligned frames; of
    /// texts the estimated percentage of characters that differ.
    pub max_distance: u16,
    /// What people should know of it.
    pub note: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            ratio: 1.0,
            negative: false,
            labels: Vec::new(),
            severity: 0,
            max_distance: pdq::MAX_DISTANCE as u16,
            note: String::new(),
        }
    }
}

/// Why settings cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A share outside 0 to 1.
    #[error("the ratio of a bank is 0 to 1")]
    Ratio,
    /// Too many labels, or one of them twice.
    #[error("a bank has at most {MAX_LABELS} labels, none twice")]
    Labels,
    /// A severity above 4.
    #[error("a severity is 0 to {MAX_SEVERITY}")]
    Severity,
    /// A distance that nothing is searched at.
    #[error("the greatest distance of a match is {}", pdq::MAX_DISTANCE)]
    Distance,
    /// A note that is too long.
    #[error("a note has at most {MAX_NOTE_CHARS} characters")]
    Note,
}

impl Settings {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`SettingsError`].
    pub fn validate(&self) -> Result<(), SettingsError> {
        let repeated = |(place, label)| self.labels[..place].contains(label);
        if !(0.0..=1.0).contains(&self.ratio) {
            Err(SettingsError::Ratio)
        } else if self.labels.len() > MAX_LABELS || self.labels.iter().enumerate().any(repeated) {
            Err(SettingsError::Labels)
        } else if self.severity > MAX_SEVERITY {
            Err(SettingsError::Severity)
        } else if u32::from(self.max_distance) > pdq::MAX_DISTANCE {
            Err(SettingsError::Distance)
        } else if self.note.chars().count() > MAX_NOTE_CHARS {
            Err(SettingsError::Note)
        } else {
            Ok(())
        }
    }
}

/// A bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bank {
    /// Its number.
    pub number: BankNumber,
    /// Its name, unique at a node.
    pub name: BankName,
    /// What its matches mean.
    pub settings: Settings,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its name or settings were last changed, in milliseconds since 1970.
    pub changed_ms: u64,
}

impl Bank {
    /// Where a content of this bank is.
    #[must_use]
    pub fn place(&self, content: ContentId) -> ContentPlace {
        ContentPlace { bank: self.number, content }
    }

    /// Whether the roll-out reaches a content.
    #[must_use]
    pub fn reaches(&self, content: ContentId) -> bool {
        if self.settings.ratio >= 1.0 {
            return true;
        }
        let [a, b, c, d, ..] = self.place(content).subject();
        let place = f64::from(u32::from_be_bytes([a, b, c, d])) / 2f64.powi(32);
        place < self.settings.ratio
    }

    /// The row of the ledger.
    pub(super) fn row(&self) -> Result<Row, StoreError> {
        let value = serde_json::to_vec(self);
        let value = value.map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Row { table: BANKS, key: self.number.0.to_be_bytes().to_vec(), value: Some(value) })
    }
}

/// How much is in a bank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Contents.
    pub contents: u64,
    /// Signals by kind: SHA-256.
    pub sha256: u64,
    /// MD5.
    pub md5: u64,
    /// PDQ.
    pub pdq: u64,
    /// vPDQ.
    pub vpdq: u64,
    /// Fingerprints of sound.
    pub audio: u64,
    /// Texts.
    pub text: u64,
    /// Links.
    pub url: u64,
}

impl Counts {
    /// Counts a content that is new.
    pub(super) fn add(&mut self, signals: &[Signal]) {
        self.contents += 1;
        self.each(signals, |count| *count += 1);
    }

    /// Counts a content that is gone.
    pub(super) fn take(&mut self, signals: &[Signal]) {
        self.contents = self.contents.saturating_sub(1);
        self.each(signals, |count| *count = count.saturating_sub(1));
    }

    fn each(&mut self, signals: &[Signal], change: impl Fn(&mut u64)) {
        for signal in signals {
            match signal.kind() {
                Kind::Sha256 => change(&mut self.sha256),
                Kind::Md5 => change(&mut self.md5),
                Kind::Pdq => change(&mut self.pdq),
                Kind::Vpdq => change(&mut self.vpdq),
                Kind::Text => change(&mut self.text),
                Kind::Url => change(&mut self.url),
                Kind::Audio => change(&mut self.audio),
                Kind::Features => {}
            }
        }
    }
}

/// What was done with a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BankWhat {
    /// It was made.
    Create,
    /// Its name or settings were changed.
    Change,
    /// It was deleted with its contents.
    Delete,
}

/// A line of the desk log about a bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BankDeed {
    /// What was done.
    pub what: BankWhat,
    /// The bank afterwards; of one that was deleted, before.
    pub bank: Bank,
}

impl Deed for BankDeed {
    const KIND: DeskKind = DeskKind::Bank;
}
