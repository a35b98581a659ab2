//! The effects that are owed to an item, and what they say.

use serde::{Deserialize, Serialize};
use watchfire_signal::{
    commitment::Commitment,
    effect::effect_name,
    label::Label,
    name::{BankName, ItemId, MemberName},
    tlp::{Audience, Tlp},
};
use watchfire_store::{Effect, EffectState};

use super::{Consequences, PRIORITY_RESTORE, RESTORE};
use crate::{
    content::ContentPlace,
    hold::{History, Judged, Want},
    standing::State,
};

impl Consequences {
    /// The effects that are missing for what is wanted.
    pub(super) fn owed(&self, item: &ItemId, history: History<'_>, want: &Want) -> Vec<Effect> {
        if self.routes.is_empty() {
            return Vec::new();
        }
        // One that has it down already knows, so that one restore brings it back.
        let connector = match history.holder() {
            Some(holder) => self.routes.same(holder, item.as_str()),
            None => self.routes.of(item.as_str()),
        };
        let mut new = Vec::<Effect>::new();
        match want {
            Want::Down(sets) => {
                for down in sets.iter().filter(|down| !history.is_asked(&down.record)) {
                    // Several sets of one case are rounds of it.
                    let case = down.case.0;
                    let same = new.iter().filter(|effect| effect.subject == case).count();
                    let same = u32::try_from(same).unwrap_or(u32::MAX);
                    let round = history.rounds(&case, false).saturating_add(same);
                    new.extend(self.take_down(item, down, round, connector));
                }
            }
            Want::Up => new.extend(self.restore(item, history, false)),
            Want::Wait | Want::Keep => {}
        }
        new
    }

    /// The restore of an item that the platform may have taken down and not been asked to put back;
    /// `again` asks once more where the platform has refused before. Without a connector nothing.
    #[must_use]
    pub fn restore(&self, item: &ItemId, history: History<'_>, again: bool) -> Option<Effect> {
        let last = history.unrestored(again).filter(|_| !self.routes.is_empty())?;
        let connector = self.routes.same(&last.connector, item.as_str());
        let round = history.rounds(&last.subject, true);
        let subject = Commitment(last.subject);
        let record = Commitment(last.record);
        let now = self.reasons.clock.now_ms();
        let detail = Detail {
            case: subject,
            record,
            state: self.reasons.known.set(&record).map(|set| set.state(now)),
            ruled: Some(self.reasons.judge.people().ruling(item).is_some()),
            content: content_of(last),
            member: None,
            bank: None,
            tlp: self.mark(&record),
            labels: Vec::new(),
        };
        let begin = Begin { item, subject, record, round, connector, detail };
        Some(begin.effect(RESTORE, PRIORITY_RESTORE, now))
    }

    /// To whom what an alert says may be handed on; nothing of a bank's content.
    fn mark(&self, record: &Commitment) -> Option<Tlp> {
        self.reasons.known.set(record).map(|set| set.mark())
    }

    fn take_down(
        &self,
        item: &ItemId,
        down: &Judged,
        round: u32,
        connector: &str,
    ) -> Option<Effect> {
        let action = down.decision.take_down()?;
        let (subject, record) = (down.case, down.record);
        let tlp = self.mark(&record);
        // The order leaves the node for another system of this organisation.
        let shows = tlp.is_none_or(|mark| mark.allows(Audience::Organisation));
        let detail = Detail {
            case: subject,
            record,
            member: down.facts.source.clone(),
            bank: down.facts.bank.clone(),
            content: down.content,
            labels: if shows { down.facts.labels.clone() } else { Vec::new() },
            tlp,
            state: down.facts.state,
            ruled: None,
        };
        let begin = Begin { item, subject, record, round, connector, detail };
        let urgent = u8::from(down.facts.severity < 4);
        let now = self.reasons.clock.now_ms();
        let effect = begin.effect(&action.to_string(), PRIORITY_RESTORE + 1 + urgent, now);
        Some(Effect { reversible: down.decision.reversible, ..effect })
    }
}

/// The content that had an item taken down, if it was one of a bank.
pub(super) fn content_of(effect: &Effect) -> Option<ContentPlace> {
    #[derive(Deserialize)]
    struct Kept {
        content: Option<ContentPlace>,
    }
    serde_json::from_slice::<Kept>(&effect.detail).ok()?.content
}

/// What an order says of its reasons.
#[derive(Debug, Clone, Serialize)]
struct Detail {
    case: Commitment,
    record: Commitment,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank: Option<BankName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentPlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tlp: Option<Tlp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Label>,
    state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ruled: Option<bool>,
}

/// An effect that begins.
struct Begin<'a> {
    item: &'a ItemId,
    subject: Commitment,
    record: Commitment,
    round: u32,
    connector: &'a str,
    detail: Detail,
}

impl Begin<'_> {
    fn effect(self, action: &str, priority: u8, now_ms: u64) -> Effect {
        Effect {
            name: effect_name(self.item, action, &self.subject, self.round).0,
            connector: self.connector.to_owned(),
            item: self.item.to_string(),
            action: action.to_owned(),
            subject: self.subject.0,
            record: self.record.0,
            round: self.round,
            priority,
            reversible: true,
            detail: serde_json::to_vec(&self.detail).unwrap_or_default(),
            created_ms: now_ms,
            due_ms: now_ms,
            attempts: 0,
            state: EffectState::Pending,
            note: String::new(),
        }
    }
}
