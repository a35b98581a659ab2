//! What the node knows of keys, accounts and desk lines, as programs and people read it.

pub mod charter;

use std::collections::{BTreeMap, BTreeSet};

use watchfire_api::wire;
use watchfire_node::access::Scope;
use watchfire_node::access::account::{Account, Role};
use watchfire_node::access::keys::KeyView;
use watchfire_node::audit::Report;
use watchfire_node::desk::Written;
use watchfire_node::gossip::{Heads, MAX_PROOFS};
use watchfire_node::receipts::Effective;
use watchfire_signal::name::LogName;
use watchfire_tlog::SignedCheckpoint;

/// A key, as of a time.
#[must_use]
pub fn key(view: &KeyView, now_ms: u64) -> wire::KeyView {
    let key = &view.key;
    wire::KeyView {
        name: key.name.to_string(),
        scopes: key.scopes.iter().copied().map(scope).collect(),
        fingerprint: view.fingerprint.to_string(),
        created_ms: key.created_ms,
        made_ms: key.made_ms,
        expires_ms: key.expires_ms,
        used_ms: view.used_ms,
        live: key.is_live(now_ms),
    }
}

/// An account.
#[must_use]
pub fn account(account: &Account) -> wire::AccountView {
    wire::AccountView {
        name: account.name.to_string(),
        pseudonym: account.pseudonym.to_string(),
        role: role(account.role),
        created_ms: account.created_ms,
        closed_ms: account.closed_ms,
        has_passphrase: account.has_passphrase(),
        invited_until_ms: account.invited_until_ms(),
    }
}

/// A line of the desk log.
#[must_use]
pub fn line(line: &Written) -> wire::AuditLine {
    let record = line.record.as_ref();
    wire::AuditLine {
        index: line.index,
        at_ms: line.at_ms,
        kind: line.kind.name().to_owned(),
        commitment: line.commitment,
        actor: record.map(|record| record.actor.clone()),
        body: record.and_then(|record| serde_json::from_slice(&record.body).ok()),
    }
}

/// What a walk through the desk log found.
#[must_use]
pub fn report(report: Report) -> wire::DeskReport {
    wire::DeskReport {
        log: report.log,
        sound: report.problem.is_none(),
        size: report.size,
        root: report.root,
        erased: report.erased,
        problem: report.problem,
    }
}

/// What is held of all logs.
#[must_use]
pub fn heads(heads: &Heads) -> wire::HeadsExchange {
    let text = |(log, head): (&LogName, &SignedCheckpoint)| (log.clone(), head.text.clone());
    let proofs = heads.proofs.iter().map(|(log, proof)| wire::Evidence {
        log: log.clone(),
        proofs: vec![wire::ForkProof::from(proof)],
        contradictions: Vec::new(),
    });
    wire::HeadsExchange { heads: heads.heads.iter().map(text).collect(), proofs: proofs.collect() }
}

/// What another member holds of all logs; what is no proof is left out.
#[must_use]
pub fn heads_of(heads: wire::HeadsExchange) -> Heads {
    let head = |(log, text)| (log, SignedCheckpoint::new(text));
    let proofs = heads.proofs.iter().flat_map(|against| {
        let proofs = against.proofs.iter().filter_map(wire::ForkProof::proof);
        proofs.map(|proof| (against.log.clone(), proof))
    });
    Heads {
        proofs: proofs.take(MAX_PROOFS).collect(),
        heads: heads.heads.into_iter().map(head).collect(),
    }
}

/// How much of each log is effective here.
#[must_use]
pub fn receipt(effective: &BTreeMap<LogName, Effective>) -> wire::Receipt {
    let excepted = effective.iter().filter(|(_, here)| !here.except.is_empty());
    let except =
        |(log, here): (&LogName, &Effective)| (log.clone(), here.except.iter().copied().collect());
    wire::Receipt {
        effective: effective.iter().map(|(log, here)| (log.clone(), here.size)).collect(),
        except: excepted.map(except).collect(),
    }
}

/// How much of each log is effective at another member.
#[must_use]
pub fn receipt_of(mut receipt: wire::Receipt) -> BTreeMap<LogName, Effective> {
    let there = |(log, size)| {
        let except: BTreeSet<u64> =
            receipt.except.remove(&log).unwrap_or_default().into_iter().collect();
        (log, Effective::new(size, &except))
    };
    receipt.effective.into_iter().map(there).collect()
}

/// A scope.
#[must_use]
pub fn scope(scope: Scope) -> wire::Scope {
    match scope {
        Scope::Scan => wire::Scope::Scan,
        Scope::Curate => wire::Scope::Curate,
        Scope::Review => wire::Scope::Review,
        Scope::Admin => wire::Scope::Admin,
        Scope::Audit => wire::Scope::Audit,
    }
}

/// The scope that a request names.
#[must_use]
pub fn scope_of(scope: wire::Scope) -> Scope {
    match scope {
        wire::Scope::Scan => Scope::Scan,
        wire::Scope::Curate => Scope::Curate,
        wire::Scope::Review => Scope::Review,
        wire::Scope::Admin => Scope::Admin,
        wire::Scope::Audit => Scope::Audit,
    }
}

/// A role.
#[must_use]
pub fn role(role: Role) -> wire::Role {
    match role {
        Role::Moderator => wire::Role::Moderator,
        Role::Lead => wire::Role::Lead,
        Role::Admin => wire::Role::Admin,
        Role::Auditor => wire::Role::Auditor,
    }
}

/// The role that a request names.
#[must_use]
pub fn role_of(role: wire::Role) -> Role {
    match role {
        wire::Role::Moderator => Role::Moderator,
        wire::Role::Lead => Role::Lead,
        wire::Role::Admin => Role::Admin,
        wire::Role::Auditor => Role::Auditor,
    }
}
