//! `watchfire alert`: raises alerts at a running node, shows and answers them.

mod erase;

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use watchfire_api::wire::{
    AlertPageQuery, AlertRequest, AlertSummary, AlertView, Answered, AppealRequest, ConfirmRequest,
    CosignRetractionRequest, DEFAULT_VALID_FOR_S, DisputeRequest, JoinRequest, PreflightView,
    RenewRequest, ResolveRequest, RetractRequest, SignalJson, StopRequest,
};
use watchfire_signal::{
    alert::{ContentKind, Exception, Suggestion},
    commitment::Commitment,
    header::{Provenance, Review},
    label::Label,
    link::LinkScope,
    name::{GroupName, ItemId, MemberName},
    reason::Reason,
    statement::{AppealResult, AppealStage, Basis, Resolution},
    tlp::Tlp,
    value::{Kind, Span},
};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files,
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Raise an alert at a running node, show alerts, answer them.
///
/// Example:
///   export WATCHFIRE_KEY=wf_…
///   watchfire alert raise --label self_harm.suicide_depiction --severity 3 clip.mp4
///   watchfire alert raise --label hate.incitement --severity 2 --signal pdq:f8f8…
///   watchfire alert raise --label hate.incitement --severity 2 --text "the words as they were posted"
///   watchfire alert raise --label info.misinformation --severity 1 --link https://example.com/a
///   watchfire alert show ID
///   watchfire alert confirm ID
///   watchfire alert retract ID --reason wrong_match
///   watchfire alert retract ID --reason victim_withdrew --keep-down
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Alert {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say to the coalition that content is harmful: a file, a text or a link, of which only signals leave
    /// the node, or signals.
    Raise(Box<Raise>),
    /// Find out what an alert would hit, without raising it: the benign set, the quality floor, what this
    /// platform holds. Takes what raise takes; ends with exit code 1 where that would be refused.
    Preflight(Box<Raise>),
    /// Show an alert: its state, what each member says, where it is effective.
    Show {
        /// The alert's id.
        id: Commitment,
    },
    /// List all alerts that the node knows.
    List,
    /// Confirm an alert: somebody of this member has seen the member's own copy.
    Confirm {
        /// The alert's id.
        id: Commitment,
        /// On what grounds; an automatic match is noted and does not count.
        #[arg(long, default_value = "human")]
        basis: Ground,
    },
    /// Dispute an alert: it is not what it says.
    Dispute(Answering),
    /// Take this member's own opinion back: what it alone caused is restored.
    Retract {
        #[command(flatten)]
        answering: Answering,
        /// Have what was removed stay down, as for a person who does not want it shown again; it comes back where
        /// others who retract want it back.
        #[arg(long)]
        keep_down: bool,
    },
    /// Vote for a halt of the alert's case: nobody acts on a case that enough organisations halt, and what
    /// it alone caused is restored.
    Halt {
        /// The alert's id.
        id: Commitment,
        /// Why, a reason as of a dispute.
        #[arg(long)]
        reason: Reason,
        /// Take this member's own vote back.
        #[arg(long)]
        withdraw: bool,
    },
    #[command(flatten)]
    More(More),
    #[command(flatten)]
    Gone(erase::Gone),
}

/// What is said of a case beside opinions.
#[derive(Debug, Subcommand)]
enum More {
    /// Have a CONFIRMED case last longer, or begin anew once it has lapsed.
    Renew {
        /// The alert's id.
        id: Commitment,
        /// How many days from now.
        #[arg(long, default_value_t = 90)]
        days: u64,
    },
    /// End a dispute: this member's own at once, another's when enough organisations say so.
    Resolve {
        /// The alert's id.
        id: Commitment,
        /// The member that disputes it.
        #[arg(long)]
        member: MemberName,
        /// How it ends: stands or withdrawn.
        #[arg(long)]
        outcome: Resolution,
        /// More words, for the members of the group.
        #[arg(long)]
        note: Option<String>,
    },
    /// Agree with a retraction of another member that is beyond its quota, and waits for that.
    Cosign {
        /// The alert's id.
        id: Commitment,
        /// The member that retracts.
        #[arg(long)]
        member: MemberName,
    },
    /// Say that another case is of the same thing.
    Join {
        /// The alert's id.
        id: Commitment,
        /// The other case.
        other: Commitment,
    },
    /// Tell that a user appealed, or how that was decided.
    Appeal {
        /// The alert's id.
        id: Commitment,
        /// The result, upheld or overturned; without it an appeal was opened.
        #[arg(long)]
        result: Option<AppealResult>,
    },
}

#[derive(Debug, Args)]
struct Raise {
    /// The picture, video or text; nothing with --signal, --text or --link.
    #[arg(conflicts_with_all = ["text", "link"])]
    file: Option<PathBuf>,
    /// The text, as it was posted.
    #[arg(long, conflicts_with = "link")]
    text: Option<String>,
    /// The link.
    #[arg(long)]
    link: Option<String>,
    /// What the link stands for: exact, prefix for all under its path, host for its host and those below.
    #[arg(long, requires = "link")]
    link_scope: Option<LinkScope>,
    /// A signal as KIND:VALUE, several times if needed.
    #[arg(long = "signal", value_parser = signal, conflicts_with = "file")]
    signals: Vec<SignalJson>,
    /// What content the signals are of: image, video, audio, text or url; by the signals without.
    #[arg(long)]
    kind: Option<ContentKind>,
    /// What it is, such as self_harm.suicide_depiction; several of one family if needed.
    #[arg(long = "label", required = true)]
    labels: Vec<Label>,
    /// How bad it is, 0 to 4.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    severity: u8,
    /// Who has looked: unreviewed, automatic, one_human, two_humans or external.
    #[arg(long, default_value = "one_human")]
    review: Review,
    /// Where it comes from: own_detection, user_report, trusted_flagger, victim, member or
    /// government_request.
    #[arg(long, default_value = "own_detection")]
    provenance: Provenance,
    /// The authority that asked; exactly with --provenance government_request.
    #[arg(long)]
    authority: Option<String>,
    /// A context in which it should stay: news, documentation, education, art, counter_speech or survivor;
    /// several times if needed.
    #[arg(long = "exception")]
    exceptions: Vec<Exception>,
    /// The harmful part of a video, in milliseconds: START-END.
    #[arg(long, value_parser = span)]
    span: Option<Span>,
    /// The platform's own id of the item; stays at the node.
    #[arg(long)]
    item: Option<ItemId>,
    /// A drill: it travels, and nobody acts on it.
    #[arg(long)]
    test: bool,
    /// The alert of the case that this is added to: an edited copy with --transform, or more signals of this
    /// member's own case.
    #[arg(long, value_name = "ALERT")]
    of: Option<Commitment>,
    /// What was done to the copy, such as mirrored.
    #[arg(long, requires = "of")]
    transform: Option<String>,
    /// The sharing group that gets it; all is every member.
    #[arg(long, default_value = "all")]
    group: GroupName,
    /// To whom those who get it may hand on what it says, a mark of the Traffic Light Protocol: clear, green,
    /// amber, amber+strict or red. Without it green for all, amber for a group.
    #[arg(long, value_parser = mark)]
    tlp: Option<Tlp>,
    /// The incident that it belongs to.
    #[arg(long)]
    incident: Option<Commitment>,
    /// Raise it although it is about what is everybody's, such as a blank frame; others hold it.
    #[arg(long)]
    anyway: bool,
    /// Repeating a call with the same key does nothing twice.
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
struct Answering {
    /// The alert's id.
    id: Commitment,
    /// Why: wrong_match, hash_collision, benign_context, mislabelled, out_of_scope, legal_local,
    /// victim_withdrew, duplicate, test, compromised_issuer or undisclosed_government_pressure.
    #[arg(long)]
    reason: Reason,
    /// More words, for the members of the group.
    #[arg(long)]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ground {
    Human,
    Automatic,
}

fn signal(text: &str) -> Result<SignalJson, String> {
    let (kind, value) = text.split_once(':').ok_or("a signal is KIND:VALUE")?;
    let kind: Kind = kind.parse().map_err(|error| format!("{error}"))?;
    Ok(SignalJson { kind, value: value.to_owned(), quality: None, span: None, rule: None })
}

/// A mark with or without its `TLP:`, in capitals or not.
fn mark(text: &str) -> Result<Tlp, String> {
    let text = text.to_ascii_uppercase();
    let text = if text.starts_with("TLP:") { text } else { format!("TLP:{text}") };
    text.parse().map_err(|error| format!("{error}"))
}

fn span(text: &str) -> Result<Span, String> {
    let (start, end) = text.split_once('-').ok_or("a span is START-END in milliseconds")?;
    let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
    let (start_ms, end_ms) = (number(start)?, number(end)?);
    if end_ms < start_ms {
        return Err(format!("{text} ends before it begins"));
    }
    Ok(Span { start_ms, end_ms })
}

/// Runs the command.
pub(crate) fn run(alert: &Alert, output: &Output) -> Ended {
    runtime::block_on(ask(alert, output))?
}

async fn ask(alert: &Alert, output: &Output) -> Ended {
    let client = alert.node.client()?;
    match &alert.what {
        What::Raise(raise) => return raised(raise, &client, output).await,
        What::Preflight(raise) => return preflight(raise, &client, output).await,
        What::List => return list(&client, output).await,
        What::Show { id } => {
            let view = answered(client.alert_view(id).await)?;
            output.answer(&view, || text(&view))?;
        }
        What::Confirm { id, basis } => {
            let basis = match basis {
                Ground::Human => Basis::OwnCopySeenByHuman,
                Ground::Automatic => Basis::AutomaticMatch,
            };
            said(&answered(client.confirm(id, &ConfirmRequest { basis }, None).await)?, output)?;
        }
        What::Dispute(Answering { id, reason, note }) => {
            let dispute = DisputeRequest { reason: *reason, note: note.clone() };
            said(&answered(client.dispute(id, &dispute, None).await)?, output)?;
        }
        What::Halt { id, reason, withdraw } => {
            let halt = StopRequest { reason: *reason, withdraw: *withdraw };
            said(&answered(client.halt(id, &halt, None).await)?, output)?;
        }
        What::Gone(gone) => erase::run(gone, &client, output).await?,
        What::More(more) => said(&say(more, &client).await?, output)?,
        What::Retract { answering: Answering { id, reason, note }, keep_down } => {
            let (reason, restore, note) = (*reason, !keep_down, note.clone());
            let retract = RetractRequest { reason, restore, note };
            said(&answered(client.retract(id, &retract, None).await)?, output)?;
        }
    }
    Ok(Answer::Yes)
}

async fn say(more: &More, client: &watchfire_api::client::Client) -> Result<Answered, Failure> {
    answered(match more {
        More::Renew { id, days } => {
            let renew = RenewRequest { valid_for_s: days.saturating_mul(86_400) };
            client.renew(id, &renew, None).await
        }
        More::Resolve { id, member, outcome, note } => {
            let (member, note) = (member.clone(), note.clone());
            let resolve = ResolveRequest { member, outcome: *outcome, note };
            client.resolve(id, &resolve, None).await
        }
        More::Cosign { id, member } => {
            let cosign = CosignRetractionRequest { member: member.clone() };
            client.cosign_retraction(id, &cosign, None).await
        }
        More::Join { id, other } => client.join(id, &JoinRequest { other: *other }, None).await,
        More::Appeal { id, result } => {
            let stage = result.map_or(AppealStage::Opened, |_| AppealStage::Result);
            client.appeal(id, &AppealRequest { stage, result: *result }, None).await
        }
    })
}

async fn raised(raise: &Raise, client: &watchfire_api::client::Client, output: &Output) -> Ended {
    let (request, bytes) = with_file(raise)?;
    let key = raise.idempotency_key.as_deref();
    let raised = match bytes {
        None => client.alert(&request, key).await,
        Some(bytes) => client.alert_media(&request, bytes, key).await,
    };
    let raised = answered(raised)?;
    output.answer(&raised, || {
        let warnings = raised.warnings.iter().map(|warning| format!("\n  warning: {warning}"));
        format!("{} {}{}", raised.id, word(&raised.state), warnings.collect::<String>())
    })?;
    Ok(Answer::Yes)
}

async fn preflight(
    raise: &Raise,
    client: &watchfire_api::client::Client,
    output: &Output,
) -> Ended {
    let (request, bytes) = with_file(raise)?;
    let found = answered(match bytes {
        None => client.alert_preflight(&request).await,
        Some(bytes) => client.alert_media_preflight(&request, bytes).await,
    })?;
    output.answer(&found, || found_text(&found))?;
    Ok(Answer::of(!found.refused))
}

fn found_text(found: &PreflightView) -> String {
    let PreflightView { thin, copies, expected_a_day, signals_summary, .. } = found;
    let benign = found.benign.as_ref();
    let benign =
        benign.map(|name| format!("near {name} of the benign set, refused without --anyway"));
    let held = found.held.as_ref().map(|limit| format!(", held here by {limit}"));
    format!(
        "{}; {thin} of {} signals below the quality floor; matches {copies} items here, about \
         {expected_a_day} a day{}",
        benign.as_deref().unwrap_or("not near the benign set"),
        signals_summary.len(),
        held.unwrap_or_default()
    )
}

/// The request with the file that goes beside it. A text goes as the words that it is.
fn with_file(raise: &Raise) -> Result<(AlertRequest, Option<Vec<u8>>), Failure> {
    let mut request = request(raise)?;
    let bytes = raise.file.as_ref().map(|path| fs::read(path).or_environment(path.display()));
    let bytes = bytes.transpose()?;
    request.text = request.text.or(bytes.as_deref().and_then(files::as_text).map(str::to_owned));
    let bytes = bytes.filter(|_| request.text.is_none());
    Ok((request, bytes))
}

fn request(raise: &Raise) -> Result<AlertRequest, Failure> {
    let words = raise.text.is_some() || raise.link.is_some();
    if raise.file.is_none() && raise.signals.is_empty() && !words {
        return Err(environment("an alert needs a file, a --text, a --link or a --signal"));
    }
    let guessed = (!words && raise.file.is_none()).then(|| guess(&raise.signals));
    let kind = raise.kind.or(guessed);
    Ok(AlertRequest {
        item: raise.item.clone(),
        kind,
        signals: raise.signals.clone(),
        text: raise.text.clone(),
        url: raise.link.clone(),
        url_scope: raise.link_scope,
        span: raise.span,
        labels: raise.labels.clone(),
        severity: raise.severity,
        confidence: 100,
        review: raise.review,
        provenance: raise.provenance,
        authority: raise.authority.clone(),
        suggestion: Suggestion::Remove,
        exceptions: raise.exceptions.clone(),
        valid_for_s: DEFAULT_VALID_FOR_S,
        test: raise.test,
        group: raise.group.clone(),
        tlp: raise.tlp,
        evidence_hold: false,
        incident: raise.incident,
        of: raise.of,
        transform: raise.transform.clone(),
        anyway: raise.anyway,
    })
}

/// What content has such signals.
fn guess(signals: &[SignalJson]) -> ContentKind {
    let has = |kind| signals.iter().any(|signal| signal.kind == kind);
    if has(Kind::Vpdq) {
        ContentKind::Video
    } else if has(Kind::Text) {
        ContentKind::Text
    } else if has(Kind::Url) {
        ContentKind::Url
    } else {
        ContentKind::Image
    }
}

async fn list(client: &watchfire_api::client::Client, output: &Output) -> Ended {
    let mut after = None;
    loop {
        let page = answered(client.alerts(&AlertPageQuery { after, limit: None }).await)?;
        for alert in &page.alerts {
            output.answer(alert, || line(alert))?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(Answer::Yes);
        }
    }
}

fn said(answer: &Answered, output: &Output) -> Result<(), Failure> {
    output.answer(answer, || format!("{} {} {}", answer.log, answer.index, word(&answer.state)))
}

fn line(alert: &AlertSummary) -> String {
    let labels: Vec<_> = alert.labels.iter().map(ToString::to_string).collect();
    let AlertSummary { id, state, author, severity, tlp, .. } = alert;
    format!("{id} {} {author} severity {severity} {} {tlp}", word(state), labels.join(" "))
}

fn text(view: &AlertView) -> String {
    let mut lines = vec![line(&view.summary)];
    for opinion in &view.opinions {
        let looked = if opinion.human { ", a person has looked" } else { "" };
        lines.push(format!("  {} {}{looked}", opinion.member, word(&opinion.stance)));
    }
    lines.extend(view.halted_by.iter().map(|member| format!("  {member} wants it halted")));
    lines.extend(view.erased.then(|| "  its record is erased".to_owned()));
    lines.extend(view.joined.iter().map(|other| format!("  the same as case {other}")));
    let counts = &view.counts;
    lines.extend(
        counts.outcomes.iter().map(|told| {
            format!("  {} {} {}", told.member, word(&told.what), in_words(told.bucket))
        }),
    );
    lines.extend(counts.sightings.iter().map(|told| {
        let minutes = told.window_ms / 60_000;
        format!("  {} saw {} in {minutes} minutes", told.member, in_words(told.bucket))
    }));
    for member in &view.members {
        let when = match (member.effective, member.after_ms) {
            (true, Some(after)) => format!("effective, told after {after} ms"),
            (true, None) => "effective".to_owned(),
            (false, _) => "not effective yet".to_owned(),
        };
        lines.push(format!("  {} {when}", member.member));
    }
    lines.join("\n")
}

/// A bucket as the counts that it stands for.
fn in_words(bucket: u8) -> String {
    match bucket {
        0 => "no copies".to_owned(),
        1 => "one copy".to_owned(),
        digits => format!("{} or more copies", 1_u128 << (digits - 1).min(63)),
    }
}
