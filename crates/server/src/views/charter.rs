//! The charter, as programs and people read it.

use watchfire_api::wire;
use watchfire_node::Node;
use watchfire_node::charter::changes::Double;
use watchfire_node::charter::draft::differences;
use watchfire_node::charter::invites::Joining;
use watchfire_node::node::Approved;
use watchfire_signal::charter::{CharterChain, SignedCharter};
use watchfire_signal::hex;

/// The charter in force, and what is proposed.
pub(crate) fn charter(node: &Node) -> wire::CharterView {
    let changes = node.changes();
    let chain = changes.chain();
    let in_force = chain.in_force();
    let proposals = changes.proposals().into_iter().map(|proposal| {
        let signed = proposal.signed;
        wire::ProposalView {
            hash: hex::encode(&signed.hash()),
            seq: signed.charter.seq,
            changes: differences(&in_force.charter, &signed.charter),
            organisations: in_force.charter.count_approving(&proposal.approved),
            needed: in_force.charter.quorum_charter(),
            approved_by: proposal.approved.into_iter().collect(),
            charter: signed.charter,
        }
    });
    wire::CharterView {
        seq: in_force.charter.seq,
        hash: hex::encode(&in_force.hash()),
        works_under: node.charter().seq,
        charter: in_force.charter.clone(),
        proposals: proposals.collect(),
        approved_twice: changes.doubled().into_iter().collect(),
        double_approvals: changes.doubles().iter().map(double).collect(),
    }
}

fn double(double: &Double) -> wire::DoubleApproval {
    let (member, seq) = (double.member.clone(), double.seq());
    wire::DoubleApproval { member, seq, evidence: hex::encode(&double.encode()) }
}

/// What became of an approval.
pub(crate) fn approved(approved: Approved) -> wire::ApproveAnswer {
    wire::ApproveAnswer { hash: hex::encode(&approved.hash), in_force: approved.in_force }
}

/// How far a joining member is.
pub(crate) fn joining(joining: Joining) -> wire::MembershipAnswer {
    let answer = |state| wire::MembershipAnswer {
        state,
        hash: None,
        approved: 0,
        needed: 0,
        charters: Vec::new(),
    };
    match joining {
        Joining::Waiting => answer(wire::MembershipState::Waiting),
        Joining::Proposed { hash, approved, needed, .. } => wire::MembershipAnswer {
            hash: Some(hex::encode(&hash)),
            approved,
            needed,
            ..answer(wire::MembershipState::Proposed)
        },
        Joining::Joined(chain) => wire::MembershipAnswer {
            charters: texts(chain.iter()),
            ..answer(wire::MembershipState::Joined)
        },
    }
}

/// Charters as members exchange them.
#[must_use]
pub fn list(in_force: u64, charters: &[SignedCharter]) -> wire::CharterList {
    wire::CharterList { in_force, charters: texts(charters) }
}

fn texts<'a>(charters: impl IntoIterator<Item = &'a SignedCharter>) -> Vec<String> {
    charters.into_iter().map(|signed| hex::encode(&signed.encode())).collect()
}

/// The charters of a list.
///
/// # Errors
/// What is wrong with it.
pub fn charters_of(list: &wire::CharterList) -> Result<Vec<SignedCharter>, String> {
    let read = |text: &String| {
        let bytes = hex::decode_all(text).map_err(|error| error.to_string())?;
        SignedCharter::decode(&bytes).map_err(|error| error.to_string())
    };
    list.charters.iter().map(read).collect()
}

/// The chain of charters of which a list has all.
///
/// # Errors
/// What is wrong with it.
pub fn chain_of(texts: &[String]) -> Result<CharterChain, String> {
    let bytes: Result<Vec<_>, _> = texts.iter().map(|text| hex::decode_all(text)).collect();
    let bytes = bytes.map_err(|error| error.to_string())?.concat();
    CharterChain::decode(&bytes).map_err(|error| error.to_string())
}
