//! The body of an incident record: what is declared, how grave, where, and which cases it ties.

use serde::Serialize;
use thiserror::Error;

use crate::{
    cbor::{CborError, Item, Reader, Writer},
    code::codes,
    commitment::Commitment,
    text::{self, MAX_LINE_BYTES, MAX_NOTE_BYTES},
};

/// The most regions: every country there is.
pub const MAX_REGIONS: usize = 256;

/// The most cases that one record ties; more go into an update.
pub const MAX_CASES: usize = 1_024;

codes! {
    /// What happens to an incident.
    IncidentStep, "step";
    /// It begins.
    Declare = 0 "declare",
    /// Another organisation agrees.
    Cosign = 1 "cosign",
    /// Its text or cases change.
    Update = 2 "update",
    /// It ends.
    Conclude = 3 "conclude",
}

impl IncidentStep {
    /// Whether this step begins an incident, and so has no target.
    #[must_use]
    pub fn is_first(self) -> bool {
        self == Self::Declare
    }
}

/// The body of an incident record (`docs/format.md`, section 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Incident {
    /// What happens.
    pub step: IncidentStep,
    /// 1 awareness, 2 content, 3 critical.
    pub level: u8,
    /// A neutral title.
    pub title: String,
    /// What belongs to it.
    pub criteria: String,
    /// Where it happens, in the author's order.
    pub regions: Vec<String>,
    /// The subjects of the cases it ties, in the author's order.
    pub cases: Vec<Commitment>,
    /// An explanation for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of text, such as a region.
struct Line(String);

impl Item for Line {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        reader.text(MAX_LINE_BYTES).map(|text| Self(text.to_owned()))
    }
}

/// What is wrong with an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncidentError {
    /// A level that is not 1, 2 or 3, too many regions or too many cases.
    #[error("an incident has a level of 1 to 3, at most 256 regions and 1024 cases")]
    Shape,
    /// A text is empty, too long, not in normalization form C, or has control characters.
    #[error("{0}: a text that is empty, too long or has characters that cannot stand there")]
    Text(&'static str),
}

impl Incident {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`IncidentError::Shape`] and [`IncidentError::Text`].
    pub fn validate(&self) -> Result<(), IncidentError> {
        if !(1..=3).contains(&self.level)
            || self.regions.len() > MAX_REGIONS
            || self.cases.len() > MAX_CASES
        {
            return Err(IncidentError::Shape);
        }
        let fields = [
            ("title", Some(&self.title), MAX_LINE_BYTES),
            ("criteria", Some(&self.criteria), MAX_NOTE_BYTES),
            ("note", self.note.as_ref(), MAX_NOTE_BYTES),
        ];
        let regions = self.regions.iter().map(|region| ("region", Some(region), MAX_LINE_BYTES));
        let mut texts = fields.into_iter().chain(regions);
        let wrong = texts.find(|(_, text, most)| text.is_some_and(|t| !text::is_fit(t, *most)));
        wrong.map_or(Ok(()), |(field, ..)| Err(IncidentError::Text(field)))
    }
}

impl Item for Incident {
    fn write(&self, writer: &mut Writer) {
        let regions: Vec<Line> = self.regions.iter().cloned().map(Line).collect();
        writer.map(|map| {
            map.put(0, &self.step);
            map.put(1, &self.level);
            map.text(2, Some(&self.title));
            map.text(3, Some(&self.criteria));
            map.list(4, &regions);
            map.list(5, &self.cases);
            map.text(6, self.note.as_deref());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let incident = Self {
            step: map.take(0)?,
            level: map.take(1)?,
            title: map.entry(2, |reader| reader.text(MAX_LINE_BYTES).map(str::to_owned))?,
            criteria: map.entry(3, |reader| reader.text(MAX_NOTE_BYTES).map(str::to_owned))?,
            regions: map
                .entry(4, |reader| reader.list::<Line>(0, MAX_REGIONS))?
                .into_iter()
                .map(|line| line.0)
                .collect(),
            cases: map.entry(5, |reader| reader.list(0, MAX_CASES))?,
            note: map.entry_if(6, |reader| reader.text(MAX_NOTE_BYTES).map(str::to_owned))?,
        };
        map.end()?;
        Ok(incident)
    }
}
