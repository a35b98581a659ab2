//! How members stop another: they halt or suspend it, and take that back.

use std::sync::Arc;

use watchfire_node::{Node, StopMember};
use watchfire_signal::{name::MemberName, reason::Reason};

use super::World;
use crate::{fault::Fault, member::Member};

impl World {
    /// Somebody wants a member stopped, or not any more, and some of the others agree.
    pub(super) fn stop_somebody(&self) {
        let named = |name: &&MemberName| self.oracle.is_member(name);
        let all: Vec<_> = self.around.cast.all().filter(named).collect();
        let Some(target) = self.chance.pick(&all).copied() else { return };
        let stop = if self.chance.one_in(2) { StopMember::Halt } else { StopMember::Suspend };
        let withdraw = self.chance.one_in(3);
        for member in self.members.iter().filter(|member| member.name != *target) {
            let Some(node) = member.ready() else { continue };
            if self.chance.one_in(4) {
                continue;
            }
            self.vote(member, node, target, (stop, withdraw));
        }
    }

    fn vote(
        &self,
        member: &Member,
        node: Arc<Node>,
        target: &MemberName,
        (stop, withdraw): (StopMember, bool),
    ) {
        let stops = node.stops_of(target);
        let votes = match stop {
            StopMember::Halt => stops.halted_by,
            StopMember::Suspend => stops.suspended_by,
        };
        let withdraw = withdraw && votes.contains_key(&member.name);
        let (fault, target, reason) =
            (said(stop, withdraw), target.clone(), Reason::CompromisedIssuer);
        self.trace.note(member.name.as_str(), format_args!("{fault}: {target}"));
        let faults = self.faults.clone();
        self.say(member, async move {
            let said = node.stop_member(&target, (stop, withdraw), reason, None).await?;
            faults.fired(fault);
            Ok((node, said))
        });
    }
}

fn said(stop: StopMember, withdraw: bool) -> Fault {
    match (stop, withdraw) {
        (_, true) => Fault::StopWithdrawn,
        (StopMember::Halt, false) => Fault::MemberHalted,
        (StopMember::Suspend, false) => Fault::MemberSuspended,
    }
}
