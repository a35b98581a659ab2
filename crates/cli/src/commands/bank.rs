//! `watchfire bank`: keeps a member's own lists of signals at a running node.

mod add;
mod list_file;

use clap::{Args, Subcommand};
use watchfire_api::wire::{
    BankChangeRequest, BankContentQuery, BankContentView, BankRequest, BankView,
};
use watchfire_signal::{label::Label, name::BankName};

use crate::{
    exit::{Answer, Ended, Failure},
    node_api::{NodeApi, answered},
    output::Output,
    runtime,
};

/// Contents asked for at once.
const PAGE: usize = 1_000;

/// Keep this member's own lists of signals: what it knows to be bad, or to be harmless.
///
/// What is added matches with the next scan; a bank that is off matches nothing. What a match leads to is
/// said by the policy. Every change is a line in the desk log. A key with the scope curate is needed.
///
/// Example:
///   export WATCHFIRE_KEY=wf_…
///   watchfire bank create KNOWN_GORE --label violence.graphic_death --severity 3
///   watchfire bank add KNOWN_GORE hashes.ndjson exported.csv
///   watchfire hash memes/ | watchfire bank add HARMLESS -
///   watchfire bank change KNOWN_GORE --ratio 0.1
///   watchfire bank change KNOWN_GORE --enabled false
///   watchfire bank list
///   watchfire bank contents KNOWN_GORE --limit 20
///   watchfire bank remove KNOWN_GORE 17
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bank {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a bank.
    Create(Create),
    /// List all banks with their counts.
    List,
    /// Show a bank.
    Show {
        /// The bank.
        name: BankName,
    },
    /// Change a bank; what is not named stays.
    Change(Change),
    /// Delete a bank with its contents.
    Delete {
        /// The bank.
        name: BankName,
    },
    Add(add::Add),
    /// List what is in a bank.
    Contents(Contents),
    /// Take contents out of a bank.
    Remove {
        /// The bank.
        name: BankName,
        /// Ids of contents.
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// The bank's name, of A-Z, 0-9 and _.
    name: BankName,
    /// Its matches speak for an item: policy lets them suppress others.
    #[arg(long)]
    negative: bool,
    /// Make it without it matching yet.
    #[arg(long)]
    off: bool,
    /// The share of its contents that match, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    ratio: f64,
    /// What its matches are, such as violence.graphic_death; several if needed.
    #[arg(long = "label")]
    labels: Vec<Label>,
    /// How bad it is, 0 to 4.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=4))]
    severity: u8,
    /// The greatest distance of a match, 0 to 31: bits, of texts percent.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u16).range(0..=31))]
    max_distance: u16,
    /// What people should know of it.
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
struct Change {
    /// The bank.
    name: BankName,
    /// Another name.
    #[arg(long)]
    rename: Option<BankName>,
    /// Whether it matches: true or false.
    #[arg(long)]
    enabled: Option<bool>,
    /// The share of its contents that match, 0 to 1.
    #[arg(long)]
    ratio: Option<f64>,
    /// Whether its matches speak for an item: true or false.
    #[arg(long)]
    negative: Option<bool>,
    /// Labels in place of those that it has; several if needed.
    #[arg(long = "label")]
    labels: Option<Vec<Label>>,
    /// How bad it is, 0 to 4.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    severity: Option<u8>,
    /// The greatest distance of a match, 0 to 31: bits, of texts percent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=31))]
    max_distance: Option<u16>,
    /// What people should know of it.
    #[arg(long)]
    note: Option<String>,
}

#[derive(Debug, Args)]
struct Contents {
    /// The bank.
    name: BankName,
    /// Only contents with ids above this.
    #[arg(long)]
    after: Option<u64>,
    /// How many at most; all without.
    #[arg(long)]
    limit: Option<usize>,
}

/// Runs the command.
pub(crate) fn run(bank: &Bank, output: &Output) -> Ended {
    runtime::block_on(ask(bank, output))?
}

async fn ask(bank: &Bank, output: &Output) -> Ended {
    let client = bank.node.client()?;
    match &bank.what {
        What::Create(create) => tell(output, &answered(client.create_bank(&new(create)).await)?)?,
        What::List => {
            for bank in answered(client.banks().await)?.banks {
                tell(output, &bank)?;
            }
        }
        What::Show { name } => tell(output, &answered(client.bank(name).await)?)?,
        What::Change(change) => {
            let changed = client.change_bank(&change.name, &changes(change)).await;
            tell(output, &answered(changed)?)?;
        }
        What::Delete { name } => {
            answered(client.delete_bank(name).await)?;
            let told = serde_json::json!({ "deleted": name });
            output.answer(&told, || format!("{name} deleted"))?;
        }
        What::Add(add) => return add::run(&client, add, output).await,
        What::Contents(contents) => list(&client, contents, output).await?,
        What::Remove { name, ids } => {
            for id in ids {
                answered(client.remove_from_bank(name, *id).await)?;
                let told = serde_json::json!({ "bank": name, "removed": id });
                output.answer(&told, || format!("{name} {id} removed"))?;
            }
        }
    }
    Ok(Answer::Yes)
}

fn new(create: &Create) -> BankRequest {
    BankRequest {
        name: create.name.clone(),
        enabled: !create.off,
        ratio: create.ratio,
        negative: create.negative,
        labels: create.labels.clone(),
        severity: create.severity,
        max_distance: create.max_distance,
        note: create.note.clone(),
    }
}

fn changes(change: &Change) -> BankChangeRequest {
    BankChangeRequest {
        name: change.rename.clone(),
        enabled: change.enabled,
        ratio: change.ratio,
        negative: change.negative,
        labels: change.labels.clone(),
        severity: change.severity,
        max_distance: change.max_distance,
        note: change.note.clone(),
    }
}

async fn list(
    client: &watchfire_api::client::Client,
    asked: &Contents,
    output: &Output,
) -> Result<(), Failure> {
    let (mut after, mut left) = (asked.after, asked.limit.unwrap_or(usize::MAX));
    while left > 0 {
        let query = BankContentQuery { after, limit: Some(left.min(PAGE)) };
        let page = answered(client.bank_contents(&asked.name, &query).await)?;
        for content in &page.contents {
            output.answer(content, || line(content))?;
        }
        left = left.saturating_sub(page.contents.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

fn tell(output: &Output, bank: &BankView) -> Result<(), Failure> {
    output.answer(bank, || text(bank))
}

fn text(bank: &BankView) -> String {
    let state = match (bank.enabled, bank.ratio) {
        (false, _) => "off".to_owned(),
        (true, ratio) if ratio < 1.0 => format!("on for {ratio}"),
        (true, _) => "on".to_owned(),
    };
    let kinds = bank.signals.iter().filter(|(_, count)| **count > 0);
    let kinds: Vec<_> = kinds.map(|(kind, count)| format!("{count} {kind}")).collect();
    let labels: Vec<_> = bank.labels.iter().map(ToString::to_string).collect();
    let negative = if bank.negative { ", negative" } else { "" };
    let text = format!(
        "{} {state}{negative}: {} contents ({}), severity {}, distance {} {} {}",
        bank.name,
        bank.contents,
        kinds.join(", "),
        bank.severity,
        bank.max_distance,
        labels.join(" "),
        bank.note
    );
    text.trim_end().to_owned()
}

fn line(content: &BankContentView) -> String {
    let signals = content.signals.iter().map(|signal| format!("{} {}", signal.kind, signal.value));
    let signals: Vec<_> = signals.collect();
    let off = if content.disabled_until_ms > 0 { " disabled" } else { "" };
    format!("{} {}{off} {}", content.id, signals.join(" "), content.note).trim_end().to_owned()
}
