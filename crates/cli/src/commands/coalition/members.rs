//! `watchfire coalition members`: who is in it, how much of each is here, and what each has used of its quotas.

use clap::Args;
use watchfire_api::wire::{MemberView, Members as View, QuotaView};

use crate::{
    exit::{Answer, Ended},
    node_api::{NodeApi, answered},
    output::Output,
};

/// The members as a running node sees them.
#[derive(Debug, Args)]
pub(crate) struct Members {
    #[command(flatten)]
    node: NodeApi,
}

pub(super) async fn run(members: &Members, output: &Output) -> Ended {
    let view = answered(members.node.client()?.members().await)?;
    output.answer(&view, || text(&view))?;
    Ok(Answer::Yes)
}

fn text(view: &View) -> String {
    let first = format!(
        "{:<16} {:>9} {:>9} {:>15} {:>15} {:>15}  link",
        "member", "held", "effective", "records today", "KiB today", "live alerts"
    );
    let of = |member| line(member, member.name == view.me);
    let lines: Vec<_> = std::iter::once(first).chain(view.members.iter().map(of)).collect();
    lines.join("\n")
}

fn line(member: &MemberView, is_self: bool) -> String {
    let used = |of: fn(&MemberView) -> Option<QuotaView>, unit: u64| {
        of(member).map_or("-".to_owned(), |quota| {
            format!("{}/{}", quota.used.div_ceil(unit), quota.allowed / unit)
        })
    };
    let records = used(|member| member.quotas.map(|quotas| quotas.records_a_day), 1);
    let kib = used(|member| member.quotas.map(|quotas| quotas.bytes_a_day), 1_024);
    let live = used(|member| member.quotas.map(|quotas| quotas.live_alerts), 1);
    let stopped = [
        (member.forked, "FORKED"),
        (member.halted, "halted"),
        (member.suspended_at.is_some(), "suspended"),
    ];
    let link = match member.link_up {
        _ if is_self => "this node",
        Some(true) => "up",
        Some(false) => "down",
        None => "-",
    };
    let words: Vec<_> = std::iter::once(link)
        .chain(stopped.into_iter().filter(|(is, _)| *is).map(|(_, word)| word))
        .collect();
    format!(
        "{:<16} {:>9} {:>9} {records:>15} {kib:>15} {live:>15}  {}",
        member.name.to_string(),
        member.held,
        member.effective_here,
        words.join(", ")
    )
}
