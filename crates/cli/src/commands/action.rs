//! `watchfire action`: shows what was done on the platform, and takes a person's word about it.

use clap::{Args, Subcommand, ValueEnum};
use watchfire_api::{
    client::Client,
    wire::{ActionQuery, EffectState, EffectView, RuleRequest},
};
use watchfire_signal::{effect::EffectName, name::ItemId};

use crate::{
    exit::{Answer, Ended},
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Show what was done on the platform, try again what was given up, rule about items.
///
/// Example:
///   export WATCHFIRE_KEY=wf_…
///   watchfire action list --state dead
///   watchfire action list --late
///   watchfire action list --item post:1
///   watchfire action retry NAME
///   watchfire action drop NAME
///   watchfire action restore post:1 --note "news footage"
///   watchfire action keep post:1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Action {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what was done about an item, everything in a state, or what comes too late; what was given
    /// up if nothing is named.
    List {
        /// The platform's own id of the item.
        #[arg(long, conflicts_with_all = ["state", "late"])]
        item: Option<ItemId>,
        /// The state.
        #[arg(long)]
        state: Option<Stands>,
        /// What waits and cannot be begun within the `within_s` of its connector.
        #[arg(long, conflicts_with = "state")]
        late: bool,
    },
    /// Try again what was given up.
    Retry {
        /// The name of the action.
        name: EffectName,
    },
    /// Give up for good what is pending or was given up.
    Drop {
        /// The name of the action.
        name: EffectName,
    },
    /// Show an item again, whatever cases say from now on.
    Restore(Rule),
    /// Keep an item down, whatever becomes of its cases.
    Keep(Rule),
}

#[derive(Debug, Args)]
struct Rule {
    /// The platform's own id of the item.
    item: ItemId,
    /// Why; stays in the desk log of the node.
    #[arg(long)]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stands {
    Pending,
    Done,
    Dead,
    Cancelled,
    Dropped,
}

impl From<Stands> for EffectState {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Pending => Self::Pending,
            Stands::Done => Self::Done,
            Stands::Dead => Self::Dead,
            Stands::Cancelled => Self::Cancelled,
            Stands::Dropped => Self::Dropped,
        }
    }
}

/// Runs the command.
pub(crate) fn run(action: &Action, output: &Output) -> Ended {
    runtime::block_on(ask(action, output))?
}

async fn ask(action: &Action, output: &Output) -> Ended {
    let client = action.node.client()?;
    match &action.what {
        What::List { item: Some(item), .. } => {
            let query = ActionQuery { item: Some(item.clone()), ..ActionQuery::default() };
            for action in answered(client.actions(&query).await)?.actions {
                output.answer(&action, || line(&action))?;
            }
        }
        What::List { item: None, late: true, .. } => {
            return list(&client, ActionQuery { late: true, ..ActionQuery::default() }, output)
                .await;
        }
        What::List { item: None, state, .. } => {
            let state = Some(state.unwrap_or(Stands::Dead).into());
            return list(&client, ActionQuery { state, ..ActionQuery::default() }, output).await;
        }
        What::Retry { name } => {
            let retried = answered(client.retry_action(name).await)?;
            output.answer(&retried, || line(&retried))?;
        }
        What::Drop { name } => {
            let dropped = answered(client.drop_action(name).await)?;
            output.answer(&dropped, || line(&dropped))?;
        }
        What::Restore(Rule { item, note }) => {
            let why = RuleRequest { note: note.clone() };
            answered(client.restore_item(item, &why).await)?;
            ruled(item, "restore", output)?;
        }
        What::Keep(Rule { item, note }) => {
            let why = RuleRequest { note: note.clone() };
            answered(client.keep_item(item, &why).await)?;
            ruled(item, "keep", output)?;
        }
    }
    Ok(Answer::Yes)
}

async fn list(client: &Client, mut query: ActionQuery, output: &Output) -> Ended {
    loop {
        let page = answered(client.actions(&query).await)?;
        for action in &page.actions {
            output.answer(action, || line(action))?;
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(Answer::Yes);
        }
    }
}

fn ruled(item: &ItemId, ruling: &str, output: &Output) -> Result<(), crate::exit::Failure> {
    let told = serde_json::json!({ "item": item, "ruling": ruling });
    output.answer(&told, || format!("{item}: {ruling}"))
}

fn line(action: &EffectView) -> String {
    let EffectView { name, item, action, state, attempts, note, .. } = action;
    format!("{name} {} {action} {item} attempts {attempts}: {note}", word(state))
}
