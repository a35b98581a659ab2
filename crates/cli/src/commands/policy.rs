//! `watchfire policy`: checks and tries a policy file, puts it in force at a running node, and says why
//! an item is decided as it is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_api::{
    client::Client,
    wire::{BacktestRequest, HoldView},
};
use watchfire_node::{
    backtest::Backtest,
    policy::{Policy, Rule, Tested},
};
use watchfire_signal::{commitment::Commitment, name::ItemId};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    node_api::{NodeApi, answered},
    output::Output,
    runtime,
};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Steps of a progress bar.
const STEPS: u64 = 1_000;

/// Check a policy file, try it, put it in force, and explain decisions.
///
/// A policy file says what this member does about matches. `check` and `test` need no node; the others
/// talk to a running one.
///
/// Example:
///   watchfire policy check policy.toml
///   watchfire policy test policy.toml
///   export WATCHFIRE_KEY=wf_…
///   watchfire policy diff policy.toml
///   watchfire policy backtest policy.toml --since 30d
///   watchfire policy apply policy.toml
///   watchfire policy explain tiktok:123
///   watchfire policy promote hate-review
///   watchfire policy holds
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PolicyCommand {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read a file: keys, labels, ranges, expressions. What is wrong is told with line and column.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Try the cases in a file (`[[case]]`).
    Test {
        /// The file.
        file: PathBuf,
    },
    /// Put a file in force; its version has to be above the one before.
    Apply {
        /// The file.
        file: PathBuf,
    },
    /// Show the policy in force.
    Show,
    /// Show what a file would change of the policy in force, rule by rule.
    Diff {
        /// The file.
        file: PathBuf,
    },
    /// Say why an item is decided as it is: each rule, each condition, each fact.
    Explain {
        /// The platform's own id of the item.
        item: ItemId,
    },
    /// Try a file on the facts of what was decided before: what would act, newly act, no longer act.
    Backtest {
        /// The file.
        file: PathBuf,
        /// How far back: 30d, 12h.
        #[arg(long, default_value = "30d", value_parser = span)]
        since: Duration,
    },
    /// Put a rule that is in shadow in force; refused where people have judged too few of its matches,
    /// or disagree too often.
    Promote {
        /// Its id.
        rule: String,
    },
    /// List take-downs that a limit holds until a person has looked.
    Holds,
    /// Release a held case: its copies are taken down, and no limit holds it again.
    Release {
        /// The case.
        case: Commitment,
    },
}

/// What differs between two policies.
#[derive(Debug, Serialize)]
struct Difference {
    version_in_force: u32,
    version: u32,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    settings_changed: bool,
}

/// Runs the command.
pub(crate) fn run(command: &PolicyCommand, output: &Output) -> Ended {
    match &command.what {
        What::Check { file } => run_check(file, output),
        What::Test { file } => run_test(file, output),
        what => {
            let client = command.node.client()?;
            runtime::block_on(with_node(what, &client, output))?
        }
    }
}

async fn with_node(what: &What, client: &Client, output: &Output) -> Ended {
    match what {
        What::Check { .. } | What::Test { .. } => Ok(Answer::Yes),
        What::Apply { file } => {
            let (text, _) = read(file)?;
            let applied = answered(client.apply_policy(text).await)?;
            let how = if applied.changed { "is in force" } else { "was in force already" };
            output.answer(&applied, || format!("version {} {how}", applied.version))?;
            Ok(Answer::Yes)
        }
        What::Show => {
            let view = answered(client.policy().await)?;
            let none = "# the policy of the node's configuration is in force; no file was applied";
            output.answer(&view, || view.text.clone().unwrap_or_else(|| none.to_owned()))?;
            Ok(Answer::Yes)
        }
        What::Diff { file } => run_diff(file, client, output).await,
        What::Explain { item } => run_explain(item, client, output).await,
        What::Backtest { file, since } => run_backtest(file, *since, client, output).await,
        What::Promote { rule } => {
            let applied = answered(client.promote(rule.clone()).await)?;
            output.answer(&applied, || {
                format!("{rule} is live: version {} is in force; `show` prints it", applied.version)
            })?;
            Ok(Answer::Yes)
        }
        What::Holds => {
            let holds = answered(client.holds().await)?.holds;
            for hold in &holds {
                output.answer(hold, || line(hold))?;
            }
            Ok(Answer::Yes)
        }
        What::Release { case } => {
            let hold = answered(client.release(case).await)?;
            output.answer(&hold, || format!("released: {}", line(&hold)))?;
            Ok(Answer::Yes)
        }
    }
}

fn line(hold: &HoldView) -> String {
    let HoldView { case, source, copies, limit, found, .. } = hold;
    format!("{case} of {source}: {copies} copies, {limit}: {found}")
}

fn read(file: &Path) -> Result<(String, Policy), Failure> {
    let text = std::fs::read_to_string(file).or_environment(file.display())?;
    let policy = Policy::read(&text);
    let policy = policy.map_err(|error| environment(format!("{}: {error}", file.display())))?;
    Ok((text, policy))
}

fn run_check(file: &Path, output: &Output) -> Ended {
    let (_, policy) = read(file)?;
    let (version, rules, cases) = (policy.version, policy.rules.len(), policy.cases.len());
    let told = serde_json::json!({ "version": version, "rules": rules, "cases": cases });
    output
        .answer(&told, || format!("version {version}: {rules} rules, {cases} cases, no errors"))?;
    Ok(Answer::Yes)
}

fn run_test(file: &Path, output: &Output) -> Ended {
    let tested = read(file)?.1.test();
    for case in &tested {
        let how = if case.failures.is_empty() { "ok" } else { "FAILED" };
        output.answer(case, || {
            let failures: String = case.failures.iter().map(|why| format!("\n  {why}")).collect();
            format!("{how} {}{failures}", case.name)
        })?;
    }
    let passed = |case: &Tested| case.failures.is_empty();
    if tested.is_empty() {
        return Err(environment(format!("{} has no [[case]]", file.display())));
    }
    Ok(Answer::of(tested.iter().all(passed)))
}

async fn run_diff(file: &Path, client: &Client, output: &Output) -> Ended {
    let (_, new) = read(file)?;
    let view = answered(client.policy().await)?;
    let Some(text) = view.text else {
        return Err(environment(
            "no policy file was applied yet: there is nothing to compare with",
        ));
    };
    let old = Policy::read(&text).map_err(|error| environment(format!("in force: {error}")))?;
    let find = |rules: &[Rule], id: &str| rules.iter().find(|rule| rule.id == id).cloned();
    let ids = |rules: &[Rule]| rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    let (before, after) = (ids(&old.rules), ids(&new.rules));
    let is_changed = |id: &&String| {
        let known = find(&old.rules, id);
        known.is_some() && known != find(&new.rules, id)
    };
    let difference = Difference {
        version_in_force: old.version,
        version: new.version,
        added: after.iter().filter(|id| !before.contains(id)).cloned().collect(),
        removed: before.iter().filter(|id| !after.contains(id)).cloned().collect(),
        changed: after.iter().filter(is_changed).cloned().collect(),
        settings_changed: Policy { version: old.version, rules: old.rules.clone(), ..new.clone() }
            != old,
    };
    output.answer(&difference, || {
        let mut text = format!("version {} -> {}", old.version, new.version);
        let lists =
            [("+", &difference.added), ("-", &difference.removed), ("~", &difference.changed)];
        for (sign, ids) in lists {
            text.extend(ids.iter().map(|id| format!("\n{sign} {id}")));
        }
        if difference.settings_changed {
            text.push_str("\n~ settings outside the rules");
        }
        text
    })?;
    Ok(Answer::Yes)
}

async fn run_explain(item: &ItemId, client: &Client, output: &Output) -> Ended {
    let view = answered(client.explain(item.clone()).await)?;
    if output.json {
        output.object(&view)?;
        return Ok(Answer::of(!view.matches.is_empty()));
    }
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "not known".to_owned(),
        other => other.to_string(),
    };
    for one in &view.matches {
        let facts = &one["facts"];
        output.line(format!(
            "match: labels {}, counts as {}, at most {} automatically; then {} by {}",
            facts["labels"],
            text(&one["counts_as"]),
            text(&one["cap"]),
            one["then"],
            one["acted"],
        ))?;
        if let Some(why) = one["lowered"].as_str() {
            output.line(format!("  no more than that, because {why}"))?;
        }
        for rule in one["rules"].as_array().into_iter().flatten() {
            let fired = if rule["fired"] == true { "fired" } else { "did not fire" };
            output.line(format!("  {} ({}) {fired}", text(&rule["rule"]), text(&rule["mode"])))?;
            for condition in rule["conditions"].as_array().into_iter().flatten() {
                let sign = if condition["fits"] == true { "+" } else { "-" };
                let (key, wants) = (text(&condition["key"]), text(&condition["wants"]));
                output
                    .line(format!("    {sign} {key} = {wants}: {}", text(&condition["known"])))?;
            }
        }
    }
    if view.matches.is_empty() {
        output.line("nothing that is known matches it")?;
    }
    Ok(Answer::of(!view.matches.is_empty()))
}

async fn run_backtest(file: &Path, since: Duration, client: &Client, output: &Output) -> Ended {
    let (text, policy) = read(file)?;
    let bar = output.progress(STEPS, "backtest");
    let back_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let now_ms = now_of(client).await?;
    let since_ms = now_ms.saturating_sub(back_ms);
    let mut report = Backtest::of(&policy, &policy);
    let mut after = None;
    loop {
        let step = BacktestRequest { text: Some(text.clone()), since_ms, after };
        let step = answered(client.backtest(&step).await)?;
        report.add(serde_json::from_value(step.report)?);
        let (done, all) = (step.until_ms.saturating_sub(since_ms), back_ms.max(1));
        bar.set_position((done.saturating_mul(STEPS) / all).min(STEPS));
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    output.answer(&report, || table(&report))?;
    Ok(Answer::Yes)
}

/// Now, by the clock of the node: that of this machine may be another one.
async fn now_of(client: &Client) -> Result<u64, Failure> {
    let nothing = BacktestRequest { text: None, since_ms: u64::MAX, after: None };
    Ok(answered(client.backtest(&nothing).await)?.now_ms)
}

fn table(report: &Backtest) -> String {
    let mut text = format!(
        "{} decisions, {} judged by people; of {} something else would come",
        report.decisions, report.judged, report.changed
    );
    for (id, rule) in &report.rules {
        let mode = rule.mode.map_or("-", |mode| mode.word());
        let precision = rule.precision().map_or("not judged".to_owned(), |precision| {
            format!("{:.1} % of {} right", 100.0 * precision, rule.judged())
        });
        text.push_str(&format!(
            "\n{id} ({mode}): acts {}, newly {}, no longer {}, {precision}",
            rule.acts, rule.newly, rule.no_longer
        ));
        text.extend(rule.overlap.iter().map(|(other, count)| format!("\n  with {other}: {count}")));
    }
    text
}

/// Reads `30d` or `12h`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time: 30d or 12h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number = number.parse::<u64>().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "d" => DAY_MS,
        "h" => DAY_MS / 24,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}
