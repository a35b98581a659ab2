//! `watchfire incident`: declares incidents at a running node, agrees with them, changes and ends them.

use clap::{Args, Subcommand};
use watchfire_api::{
    client::Client,
    wire::{ConcludeRequest, IncidentAnswer, IncidentRequest, IncidentUpdateRequest, IncidentView},
};
use watchfire_signal::commitment::Commitment;

use crate::{
    exit::{Answer, Ended, Failure},
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Declare an incident at a running node, agree with it, change and end it.
///
/// One member declares; levels 2 (content) and 3 (critical) lapse after 15 minutes unless two other
/// organisations agree (one, in a coalition of two or three), and until then raise readiness only. A level 3
/// in force lifts the cases that it ties: what nobody has looked at counts as PROVISIONAL, PROVISIONAL ones
/// are acted on, reversibly, and last 72 hours. It ends by quorum, or twelve hours after its last new case or
/// variant.
///
/// Example:
///   export WATCHFIRE_KEY=wf_…
///   watchfire incident declare --level 3 --title "Attack on a market, live-streamed" \
///     --criteria "Footage of the attack by the perpetrator" --region NZ --case CASE
///   watchfire incident cosign ID
///   watchfire incident update ID --case CASE
///   watchfire incident conclude ID --note "No new copies since noon"
///   watchfire incident list
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct IncidentCommand {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Declare an incident.
    Declare(Declare),
    /// Agree with an incident: people of this member have looked at it.
    Cosign {
        /// The incident's id.
        id: Commitment,
    },
    /// Change an incident: its words as its declarer, its cases as one who stands by it.
    Update(Update),
    /// Say that an incident is over.
    Conclude {
        /// The incident's id.
        id: Commitment,
        /// Why, or the debrief that is owed within 30 days.
        #[arg(long)]
        note: Option<String>,
    },
    /// List all incidents, the latest first.
    List,
    /// Show one incident.
    Show {
        /// The incident's id.
        id: Commitment,
    },
}

#[derive(Debug, Args)]
struct Declare {
    /// 1 awareness, 2 content, 3 critical.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    level: u8,
    /// A neutral title: no name of a perpetrator, no link.
    #[arg(long)]
    title: String,
    /// What belongs to it.
    #[arg(long)]
    criteria: String,
    /// Where it happens; several times if needed.
    #[arg(long = "region")]
    regions: Vec<String>,
    /// A case that it ties; several times if needed.
    #[arg(long = "case")]
    cases: Vec<Commitment>,
    /// More words: safe messaging, evidence, references to other protocols.
    #[arg(long)]
    note: Option<String>,
    /// A drill: it travels and changes nothing.
    #[arg(long)]
    test: bool,
    /// Declare it although this organisation's last one lapsed, or waits: nothing is raised before another
    /// organisation agrees.
    #[arg(long)]
    ask_approval: bool,
}

#[derive(Debug, Args)]
struct Update {
    /// The incident's id.
    id: Commitment,
    /// Another title.
    #[arg(long)]
    title: Option<String>,
    /// Other criteria.
    #[arg(long)]
    criteria: Option<String>,
    /// Other regions; several times if needed.
    #[arg(long = "region")]
    regions: Vec<String>,
    /// A further case that it ties, once members of two organisations that stand by it have added it; several
    /// times if needed.
    #[arg(long = "case")]
    cases: Vec<Commitment>,
    /// More words.
    #[arg(long)]
    note: Option<String>,
}

/// Runs the command.
pub(crate) fn run(incident: &IncidentCommand, output: &Output) -> Ended {
    runtime::block_on(ask(incident, output))?
}

async fn ask(incident: &IncidentCommand, output: &Output) -> Ended {
    let client = incident.node.client()?;
    match &incident.what {
        What::Declare(declare) => said(&declared(declare, &client).await?, output)?,
        What::Cosign { id } => said(&answered(client.cosign(id, None).await)?, output)?,
        What::Update(update) => said(&updated(update, &client).await?, output)?,
        What::Conclude { id, note } => {
            let conclude = ConcludeRequest { note: note.clone() };
            said(&answered(client.conclude(id, &conclude, None).await)?, output)?;
        }
        What::List => {
            for incident in &answered(client.incidents().await)?.incidents {
                output.answer(incident, || line(incident))?;
            }
        }
        What::Show { id } => {
            let incident = answered(client.incident(id).await)?;
            output.answer(&incident, || text(&incident))?;
        }
    }
    Ok(Answer::Yes)
}

async fn declared(declare: &Declare, client: &Client) -> Result<IncidentAnswer, Failure> {
    let incident = IncidentRequest {
        level: declare.level,
        title: declare.title.clone(),
        criteria: declare.criteria.clone(),
        regions: declare.regions.clone(),
        cases: declare.cases.clone(),
        note: declare.note.clone(),
        test: declare.test,
        ask_approval: declare.ask_approval,
    };
    answered(client.declare(&incident, None).await)
}

async fn updated(update: &Update, client: &Client) -> Result<IncidentAnswer, Failure> {
    let regions = (!update.regions.is_empty()).then(|| update.regions.clone());
    let change = IncidentUpdateRequest {
        title: update.title.clone(),
        criteria: update.criteria.clone(),
        regions,
        cases: update.cases.clone(),
        note: update.note.clone(),
    };
    answered(client.update_incident(&update.id, &change, None).await)
}

fn said(answer: &IncidentAnswer, output: &Output) -> Result<(), Failure> {
    output.answer(answer, || format!("{} {}", answer.id, word(&answer.state)))
}

fn line(incident: &IncidentView) -> String {
    let IncidentView { id, state, level, declarer, .. } = incident;
    let drill = if incident.test { " (drill)" } else { "" };
    let title = incident.title.as_deref().unwrap_or("its record is missing");
    format!("{id} {} level {level}{drill} by {declarer}: {title}", word(state))
}

fn text(incident: &IncidentView) -> String {
    let mut lines = vec![line(incident)];
    lines.extend(incident.criteria.iter().map(|criteria| format!("  {criteria}")));
    lines.extend(incident.note.iter().map(|note| format!("  {note}")));
    let (agree, needed) = (&incident.cosigned_by, incident.cosigners_needed);
    let names: Vec<_> = agree.iter().map(ToString::to_string).collect();
    lines.push(format!("  agree: {} (organisations needed: {needed})", names.join(", ")));
    lines.extend(incident.cases.iter().map(|case| format!("  case {case}")));
    let counts = &incident.counts;
    lines.push(format!(
        "  variants {}, at least: seen {}, blocked {}, removed {}, restored {}",
        counts.variants, counts.sightings, counts.blocked, counts.removed, counts.restored
    ));
    lines.join("\n")
}
