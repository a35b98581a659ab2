//! `watchfire receiver`: serves a folder as a small platform, and removes and restores on webhooks.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use watchfire_connector::{
    receiver::{Receiver as Running, Setup},
    standard_webhook::CheckingKey,
};
use watchfire_node::clock::SystemClock;

use crate::{
    directory::Directory,
    exit::{Answer, Ended, OrEnvironment},
    output::Output,
    runtime,
};

/// Serve a folder, and take items down and put them back on a node's webhooks.
///
/// GET /items/NAME answers a file of the folder; POST /webhook takes orders. What is taken down goes
/// into FOLDER/.quarantine, which is never served. A small member can use it as its remover; others
/// can read it as the model for their own.
///
/// Example:
///   watchfire receiver --folder ./uploads --key-file webhook.key --listen 127.0.0.1:8001
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Receiver {
    /// The folder that is served.
    #[arg(long)]
    folder: PathBuf,
    /// Files with the keys that orders are checked by: `whsec_…` (shared) or `whpk_…` (public).
    #[arg(long = "key-file", required = true)]
    key_files: Vec<PathBuf>,
    /// Where to listen; port 0 for any free one.
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// Stop when standard input ends, for a process that starts this one.
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

/// Runs the command.
pub(crate) fn run(receiver: &Receiver, output: &Output) -> Ended {
    let mut keys = Vec::new();
    for path in &receiver.key_files {
        let text = Directory::new(&receiver.folder).secret(path)?;
        keys.push(CheckingKey::parse(text.trim()).or_environment(path.display())?);
    }
    let setup = Setup {
        folder: receiver.folder.clone(),
        listen: receiver.listen,
        keys,
        clock: Arc::new(SystemClock::default()),
    };
    runtime::start()?.block_on(async {
        let running = Running::start(setup).await.or_environment("the receiver")?;
        let address = format!("http://{}", running.address());
        output.answer(&serde_json::json!({ "listening": address }), || {
            format!("listening on {address}")
        })?;
        tokio::select! {
            signal = runtime::stopped() => signal?,
            () = runtime::input_ended(receiver.stop_with_input) => {}
        }
        running.stop().await;
        Ok(Answer::Yes)
    })
}
