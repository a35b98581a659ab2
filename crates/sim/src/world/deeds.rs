//! What members do, a deed a step: people report, answer and upload.

use std::{sync::Arc, time::Duration};

use watchfire_node::{
    Node,
    cases::SignalSet,
    policy::{ItemFacts, Verdict},
    publish::Published,
    raise::{Answer, NewAlert, RaiseError},
    seen::Item,
    standing::Stance,
};
use watchfire_signal::{
    header::{Provenance, Review},
    name::GroupName,
    reason::Reason,
    statement::{Basis, Resolution},
};

use super::{PICTURES, World};
use crate::{Broken, cast, fault::Fault, member::Member, oracle::Acked, pictures::picture};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(40);
const HOUR_MS: u64 = 3_600_000;

impl World {
    /// Somebody does something.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn deed(&self) -> Result<(), Broken> {
        self.approve().await;
        if self.around.cast.changes && self.chance.one_in(self.until_a_change().await?) {
            return self.change_charter().await;
        }
        if self.around.cast.stops && self.chance.one_in(20) {
            self.stop_somebody();
            return Ok(());
        }
        if self.around.cast.incidents {
            self.answer_incidents();
            if self.chance.one_in(5) {
                self.of_incidents();
                return Ok(());
            }
        }
        let Some(member) = self.chance.pick(&self.members).cloned() else { return Ok(()) };
        let Some(node) = member.node() else { return Ok(()) };
        match self.chance.below(100) {
            0..22 => self.report(&member, node),
            22..74 => self.answer(&member, node),
            74..78 => self.widen(&member, node),
            78..92 => self.upload(&member, node).await?,
            _ => self.import(&member, node)?,
        }
        Ok(())
    }

    fn report(&self, member: &Member, node: Arc<Node>) {
        let mut new = self.new_alert();
        let named = self.name_incident(&node, &mut new);
        self.trace.note(member.name.as_str(), format_args!("reports to {}{named}", new.group));
        let (faults, named) = (self.faults.clone(), new.alert.incident.is_some());
        self.say(member, async move {
            let said = node.raise(new, None).await?;
            if named {
                faults.fired(Fault::IncidentNamed);
            }
            Ok((node, said))
        });
    }

    fn new_alert(&self) -> NewAlert {
        let hours = if self.chance.one_in(5) { self.chance.within(1..12) } else { 90 * 24 };
        let until_ms = self.time.now_ms() + hours * HOUR_MS;
        let number = self.chance.below(PICTURES);
        let seen_and_of_victim = (self.chance.below(4) > 0, self.chance.one_in(3));
        let new = cast::alert(number, seen_and_of_victim, until_ms);
        let group =
            if self.chance.one_in(5) { self.around.cast.group.clone() } else { GroupName::all() };
        NewAlert { group, test: self.chance.one_in(20), ..new }
    }

    fn known(&self, node: &Node) -> Option<Arc<SignalSet>> {
        let mut known = node.alerts(None, 400);
        // What the liar floods with is rarely spoken of.
        let liar = self.around.cast.liar.as_ref();
        if !self.chance.one_in(4) {
            known.retain(|set| Some(set.author()) != liar);
        }
        self.chance.pick(&known).cloned()
    }

    fn answer(&self, member: &Member, node: Arc<Node>) {
        let Some(set) = self.known(&node) else { return };
        let own = set.author() == &member.name;
        let Some(answer) = self.words(own, &set, member) else { return };
        self.trace.note(member.name.as_str(), format_args!("says {answer:?} of {}", set.name));
        let name = set.name;
        self.say(
            member,
            async move { node.answer(&name, answer, None).await.map(|said| (node, said)) },
        );
    }

    fn words(&self, own: bool, set: &SignalSet, member: &Member) -> Option<Answer> {
        let until_ms = self.time.now_ms() + self.chance.within(1..100 * 24) * HOUR_MS;
        let opinion = set.opinions.get(&member.name).map(|opinion| opinion.stance);
        let restore = self.chance.below(4) > 0;
        let reason = Reason::WrongMatch;
        let of_victim = set.header.provenance == Provenance::Victim;
        if own && of_victim && self.chance.one_in(4) {
            // Whatever else is said of it: the person it shows has changed their mind.
            let reason = Reason::VictimWithdrew;
            return Some(Answer::Retract { reason, restore, note: None });
        }
        Some(match (self.chance.below(20), opinion) {
            (0..5, Some(Stance::Positive { .. })) => {
                Answer::Retract { reason, restore, note: None }
            }
            (5..7, _) => Answer::Renew { valid_until: until_ms },
            (7..9, _) => Answer::Halt { reason },
            (9, _) if set.halted_by().contains_key(&member.name) => Answer::Unhalt { reason },
            (10..12, _) if own => Answer::Erase { reason: None },
            (10..16, Some(Stance::Disputes)) => Answer::Resolve {
                member: member.name.clone(),
                outcome: Resolution::Stands,
                note: None,
            },
            (12..14, _) if !own => Answer::Dispute { reason, note: None },
            _ if !own => Answer::Confirm { basis: self.basis() },
            _ => return None,
        })
    }

    fn basis(&self) -> Basis {
        if self.chance.one_in(10) { Basis::AutomaticMatch } else { Basis::OwnCopySeenByHuman }
    }

    fn widen(&self, member: &Member, node: Arc<Node>) {
        // An edited copy of what anybody has reported, or more signals of an alert of one's own.
        let transform = self.chance.one_in(2).then(|| "mirrored".to_owned());
        let fits = |set: &SignalSet| transform.is_some() || set.author() == &member.name;
        let mut known = node.alerts(None, 400);
        known.retain(|set| set.name == set.subject && fits(set));
        let Some(set) = self.chance.pick(&known).cloned() else { return };
        let review = if self.chance.one_in(2) { Review::OneHuman } else { Review::Unreviewed };
        let mut new = NewAlert { review, group: set.header.group.clone(), ..self.new_alert() };
        let named = self.name_incident(&node, &mut new);
        let how = transform.as_deref().unwrap_or("more");
        self.trace.note(member.name.as_str(), format_args!("adds {how} to {}{named}", set.name));
        let (name, faults) = (set.name, self.faults.clone());
        self.say(member, async move {
            let edited = transform.is_some();
            let said = node.widen(&name, (new, transform), None).await?;
            if edited {
                faults.fired(Fault::VariantAdded);
            }
            Ok((node, said))
        });
    }

    /// Has a caller wait for a statement; the oracle hears of it when the caller does.
    pub(super) fn say(
        &self,
        member: &Member,
        statement: impl Future<Output = Result<(Arc<Node>, Published), RaiseError>> + Send + 'static,
    ) {
        let (oracle, trace, name) = (self.oracle.clone(), self.trace.clone(), member.name.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, statement).await {
                Ok(Ok((node, said))) => {
                    trace.note(
                        name.as_str(),
                        format_args!("said {} at {}", said.commitment, said.index),
                    );
                    oracle.hears(Acked {
                        at: (node.log().clone(), said.index),
                        commitment: said.commitment,
                    });
                }
                Ok(Err(error)) => {
                    trace.note(name.as_str(), format_args!("could not say it: {error}"))
                }
                Err(_) => trace.note(name.as_str(), "was not answered"),
            }
        });
    }

    /// A user uploads something, or something that is held is scanned again.
    async fn upload(&self, member: &Member, node: Arc<Node>) -> Result<(), Broken> {
        let number = self.chance.below(PICTURES);
        let item = format!("i{}", self.number());
        member.platform.post(&item, number);
        let id = item.parse().map_err(|_| Broken("an item".to_owned()))?;
        let (oracle, trace) = (self.oracle.clone(), self.trace.clone());
        let (platform, name) = (member.platform.clone(), member.name.clone());
        let began_ms = oracle.now_ms(name.as_str());
        tokio::spawn(async move {
            let scan = node.scan(id, vec![picture(number)]);
            let Ok(scanned) = tokio::time::timeout(PATIENCE, scan).await else { return };
            trace.note(
                name.as_str(),
                format_args!("scans {item} ({number}): {:?}", scanned.verdict),
            );
            if scanned.verdict == Verdict::Block {
                oracle.hears_refusal(name.as_str(), &item, number, began_ms).await;
                platform.refuse(&item);
            }
        });
        Ok(())
    }

    fn import(&self, member: &Member, node: Arc<Node>) -> Result<(), Broken> {
        let mut items = Vec::new();
        for _ in 0..self.chance.within(1..5) {
            let number = self.chance.below(PICTURES);
            let item = format!("i{}", self.number());
            member.platform.post(&item, number);
            items.push(Item {
                id: item.parse().map_err(|_| Broken("an item".to_owned()))?,
                seen_ms: self.time.now_ms().saturating_sub(HOUR_MS),
                signals: vec![picture(number)],
                parts: Vec::new(),
                facts: ItemFacts::default(),
            });
        }
        self.trace.note(member.name.as_str(), format_args!("imports {} items", items.len()));
        tokio::spawn(async move {
            // What is not taken in stays unknown to the node, which the disk shows.
            let _taken = tokio::time::timeout(PATIENCE, node.import(items)).await;
        });
        Ok(())
    }
}
