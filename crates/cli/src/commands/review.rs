//! `watchfire review`: what waits for a person, taken and decided from the command line.

use clap::{Args, Subcommand, ValueEnum};
use watchfire_api::client::ReviewStep;
use watchfire_api::wire::{
    DecideRequest, ReviewDecision, ReviewNextRequest, ReviewPageQuery, ReviewScope, ReviewTicket,
};
use watchfire_signal::label::Label;

use crate::{
    exit::{Answer, Ended},
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Work on what waits for a person.
///
/// A ticket is one thing, however many items show it. Who takes it holds it for ten minutes; a decision takes effect after ten seconds, until
/// which it can be undone. Every look is written into the desk log.
///
/// Example:
///   watchfire review queues
///   watchfire review next
///   watchfire review decide TICKET --version 2 --decision harmful --reason 'as the alert says'
///   watchfire review undo TICKET
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Review {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How much waits, and how long.
    Queues,
    /// What waits, without a look at it.
    List {
        /// Only this queue.
        #[arg(long)]
        queue: Option<String>,
        /// The cursor of the page before.
        #[arg(long)]
        after: Option<String>,
        /// Entries at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Take what should be looked at next.
    Next {
        /// Only from this queue.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Show a ticket.
    Show {
        /// Its name.
        ticket: String,
    },
    /// Take a ticket that is free.
    Take {
        /// Its name.
        ticket: String,
    },
    /// Keep a ticket for ten more minutes.
    Heartbeat {
        /// Its name.
        ticket: String,
    },
    /// Give a ticket back undecided.
    Release {
        /// Its name.
        ticket: String,
    },
    /// Decide about a ticket that you hold.
    Decide(Decide),
    /// Take a decision back that is not in effect yet.
    Undo {
        /// The ticket's name.
        ticket: String,
    },
}

#[derive(Debug, Args)]
struct Decide {
    /// The ticket's name.
    ticket: String,
    /// The version that was looked at.
    #[arg(long)]
    version: u64,
    /// What it is.
    #[arg(long, value_enum)]
    decision: Decision,
    /// How far the decision goes.
    #[arg(long, value_enum, default_value = "items")]
    scope: Scope,
    /// What it is instead of what the alert says.
    #[arg(long)]
    label: Option<Label>,
    /// Remove what is harmful for good: the platform need not be able to bring it back.
    #[arg(long)]
    irreversible: bool,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Decision {
    /// It goes.
    Harmful,
    /// It may stay, and what was taken down comes back.
    Benign,
    /// Somebody else should look.
    Escalate,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// The items that stand in the ticket.
    Items,
    /// Those, and whatever matches the case later.
    Case,
}

/// Runs the command.
pub(crate) fn run(review: &Review, output: &Output) -> Ended {
    runtime::block_on(ask(review, output))?
}

async fn ask(review: &Review, output: &Output) -> Ended {
    let client = review.node.client()?;
    let step = |ticket, step| client.review_step(ticket, step);
    let ticket = match &review.verb {
        Verb::Queues => {
            let queues = answered(client.review_queues().await)?;
            let line = |one: &watchfire_api::wire::ReviewQueue| {
                format!("{:<16} {:>6} free {:>6} held", one.queue, one.free, one.held)
            };
            output.answer(&queues, || lines(queues.queues.iter().map(line)))?;
            return Ok(Answer::Yes);
        }
        Verb::List { queue, after, limit } => {
            let query =
                ReviewPageQuery { queue: queue.clone(), after: after.clone(), limit: Some(*limit) };
            let page = answered(client.review_list(&query).await)?;
            output.answer(&page, || lines(page.tickets.iter().map(text)))?;
            return Ok(Answer::Yes);
        }
        Verb::Next { queue } => {
            let next = client.review_next(&ReviewNextRequest { queue: queue.clone() }).await;
            let next = answered(next)?;
            let shown = || next.ticket.as_ref().map_or_else(|| "nothing waits".to_owned(), text);
            output.answer(&next, shown)?;
            return Ok(Answer::Yes);
        }
        Verb::Show { ticket } => client.review_show(ticket).await,
        Verb::Take { ticket } => step(ticket, ReviewStep::Take).await,
        Verb::Heartbeat { ticket } => step(ticket, ReviewStep::Heartbeat).await,
        Verb::Release { ticket } => step(ticket, ReviewStep::Release).await,
        Verb::Undo { ticket } => step(ticket, ReviewStep::Undo).await,
        Verb::Decide(decide) => client.review_decide(&decide.ticket, &decision(decide)).await,
    };
    let ticket = answered(ticket)?;
    output.answer(&ticket, || text(&ticket))?;
    Ok(Answer::Yes)
}

fn decision(decide: &Decide) -> DecideRequest {
    DecideRequest {
        version: decide.version,
        decision: match decide.decision {
            Decision::Harmful => ReviewDecision::Harmful,
            Decision::Benign => ReviewDecision::Benign,
            Decision::Escalate => ReviewDecision::Escalate,
        },
        scope: match decide.scope {
            Scope::Items => ReviewScope::Items,
            Scope::Case => ReviewScope::Case,
        },
        label: decide.label.clone(),
        irreversible: decide.irreversible,
        reason: decide.reason.clone(),
    }
}

fn lines(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    if all.is_empty() { "nothing waits".to_owned() } else { all.join("\n") }
}

fn text(ticket: &ReviewTicket) -> String {
    let labels: Vec<_> = ticket.labels.iter().map(ToString::to_string).collect();
    let state = ticket.state.as_ref().map(word).unwrap_or_default();
    let decided = ticket.decided.as_ref();
    let decided = decided.map(|one| format!(", decided {}", word(&one.decision)));
    let held = ticket.held.as_ref();
    let held = held.map(|hold| format!(", held by {}: {}", hold.limit, hold.found));
    format!(
        "{} {} severity {} {state} in {}, {} items, version {}{}{}",
        ticket.id,
        labels.join(" "),
        ticket.severity,
        ticket.queue,
        ticket.items.len() as u64 + ticket.more_items,
        ticket.version,
        decided.unwrap_or_default(),
        held.unwrap_or_default()
    )
}
