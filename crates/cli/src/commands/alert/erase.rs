//! Has records erased at every member, others' only when whoever asks has said so twice.

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_api::{
    client::Client,
    wire::{Answered, EraseRecordRequest, EraseRequest},
};
use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName},
    reason::Reason,
};

use crate::{
    exit::{Failure, environment},
    node_api::answered,
    output::{Output, count},
};

/// What is to be gone.
#[derive(Debug, Subcommand)]
pub(super) enum Gone {
    /// Have the record erased at every member; retract it first if it was wrong.
    ///
    /// The leaf stays, so that the log stays whole. This member's own record goes at once,
    /// another's when as many organisations ask as halt a case: in a coalition of two that
    /// is one alone, so --yes is needed. It cannot be taken back.
    #[command(verbatim_doc_comment)]
    Erase(One),
    /// Have any record erased at every member: of a dispute, an incident, a word about one.
    ///
    /// The leaf stays, so that the log stays whole. This member's own record goes at once,
    /// another's when as many organisations ask as halt a case; that needs --yes. What it
    /// said counts as not said. It cannot be taken back.
    ///
    /// Example:
    ///   watchfire alert erase-record watchfire/demo/tiktok/1 17 --reason victim_withdrew
    #[command(verbatim_doc_comment)]
    EraseRecord(Record),
}

/// The record of an alert.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The alert's id.
    id: Commitment,
    #[command(flatten)]
    how: How,
}

/// Any record.
#[derive(Debug, Args)]
pub(super) struct Record {
    /// The log that it stands in, as answers and alerts name it.
    log: LogName,
    /// Its index there.
    index: u64,
    #[command(flatten)]
    how: How,
}

/// How it is asked for.
#[derive(Debug, Args)]
struct How {
    /// Why, a reason as of a dispute; everybody sees it.
    #[arg(long)]
    reason: Option<Reason>,
    /// Also where the record is another member's.
    #[arg(long)]
    yes: bool,
}

/// What has become of an alert's record.
#[derive(Debug, Serialize)]
struct Asked {
    #[serde(flatten)]
    answer: Answered,
    /// Whether it is gone; else it goes when enough organisations have asked.
    erased: bool,
}

/// Runs the command.
pub(super) async fn run(gone: &Gone, client: &Client, output: &Output) -> Result<(), Failure> {
    match gone {
        Gone::Erase(One { id, how }) => {
            let author = answered(client.alert_view(id).await)?.summary.author;
            let quorum = check(client, &author, how).await?;
            let answer =
                answered(client.erase(id, &EraseRequest { reason: how.reason }, None).await)?;
            let erased = answered(client.alert_view(id).await)?.erased;
            let asked = Asked { answer, erased };
            output.answer(&asked, || {
                let Answered { log, index, .. } = &asked.answer;
                format!("{}; said in {log} at {index}", told(erased, quorum))
            })
        }
        Gone::EraseRecord(Record { log, index, how }) => {
            let quorum = check(client, &log.member, how).await?;
            let (log, index, reason) = (log.clone(), *index, how.reason);
            let erase = EraseRecordRequest { log, index, reason };
            let done = answered(client.erase_record(&erase, None).await)?;
            output.answer(&done, || {
                let goes = told(done.own || quorum == 1, quorum);
                format!("{goes}; said in {} at {}", done.log, done.index)
            })
        }
    }
}

/// Whether it may be asked for; how many organisations must for what is another member's.
async fn check(client: &Client, author: &MemberName, how: &How) -> Result<usize, Failure> {
    let charter = answered(client.charter().await)?.charter;
    let (quorum, of) = (charter.quorum_halt(), charter.organisations());
    if how.yes || answered(client.members().await)?.me == *author {
        return Ok(quorum);
    }
    let then = match quorum {
        1 => "this member alone has it erased at every member, at once".to_owned(),
        some => {
            format!("it is erased at every member once {some} of {of} organisations ask for that")
        }
    };
    Err(environment(format!(
        "the record is of {author}: {then}, and nobody can bring it back; say --yes to ask for it"
    )))
}

fn told(erased: bool, quorum: usize) -> String {
    if erased {
        return "erased, here and at every other member as soon as it hears of it".to_owned();
    }
    format!("asked: it is erased once {} have asked", count(quorum as u64, "organisation"))
}
