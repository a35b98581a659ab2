//! `watchfire connectors`: says what each connector can and cannot remove.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use watchfire_connector::abilities::{ABILITIES, Abilities};

use crate::{
    directory::Directory,
    exit::{Answer, Ended},
    output::Output,
};

/// Say what each connector can and cannot remove.
///
/// With --dir those that the node is configured with, and which items each of them serves; without it every
/// kind there is. Nothing is asked over the network.
///
/// Example:
///   watchfire connectors
///   watchfire connectors --dir ./tiktok --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Connectors {
    /// The data directory.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A connector as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    /// Its name in the configuration; without a configuration, its kind.
    name: String,
    /// How the ids begin that it serves; empty for all that no other serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    serves: Option<Vec<String>>,
    #[serde(flatten)]
    abilities: Abilities,
}

/// Runs the command.
pub(crate) fn run(connectors: &Connectors, output: &Output) -> Ended {
    let shown = match &connectors.dir {
        Some(dir) => configured(&Directory::new(dir))?,
        None => {
            let kind = |abilities: Abilities| Shown {
                name: abilities.kind.to_owned(),
                serves: None,
                abilities,
            };
            ABILITIES.map(kind).into()
        }
    };
    for one in &shown {
        output.answer(one, || text(one))?;
    }
    if shown.is_empty() {
        output.complain("no connector is configured: verdicts are answered, nothing is removed");
    }
    Ok(Answer::Yes)
}

fn configured(directory: &Directory) -> Result<Vec<Shown>, crate::exit::Failure> {
    let config = directory.config()?;
    let served = config.connector.iter();
    let mut all: Vec<_> =
        served.map(|one| (one.name.clone(), one.items.clone(), one.by.kind())).collect();
    all.extend(config.webhook.map(|_| ("webhook".to_owned(), Vec::new(), "webhook")));
    let shown = all.into_iter().filter_map(|(name, serves, kind)| {
        let abilities = *ABILITIES.iter().find(|abilities| abilities.kind == kind)?;
        Some(Shown { name, serves: Some(serves), abilities })
    });
    Ok(shown.collect())
}

fn text(shown: &Shown) -> String {
    let Shown { name, serves, abilities } = shown;
    let mut lines = vec![match serves.as_deref() {
        None => name.clone(),
        Some([]) => format!("{name} ({}), for every other item", abilities.kind),
        Some(serves) => format!("{name} ({}), for {}", abilities.kind, serves.join(", ")),
    }];
    for (what, said) in [
        ("items", abilities.items),
        ("removes", abilities.removes),
        ("restores", abilities.restores),
        ("verifies", abilities.verifies),
        ("uploaded again", abilities.again),
        ("cannot", abilities.cannot),
    ] {
        lines.push(format!("  {what:<15}{said}"));
    }
    lines.join("\n")
}
