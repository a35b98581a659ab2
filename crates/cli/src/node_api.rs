//! The running node that a command talks to: its address, the key, and the way there.

use std::path::PathBuf;

use clap::Args;
use watchfire_api::client::{Client, ClientError};

use crate::{
    exit::{Failure, OrEnvironment, environment},
    network::{ANYWHERE, way_out},
};

/// Where a node is unless somebody says otherwise.
const DEFAULT: &str = "http://127.0.0.1:7001";

/// Where the node is, and who we are to it.
#[derive(Debug, Args)]
pub(crate) struct NodeApi {
    /// The node's address.
    #[arg(
        long,
        env = "WATCHFIRE_URL",
        hide_env_values = true,
        default_value = DEFAULT
    )]
    url: String,
    /// The API key.
    #[arg(long, env = "WATCHFIRE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A certificate in PEM that is trusted besides the system's.
    #[arg(long)]
    root: Vec<PathBuf>,
}

impl NodeApi {
    /// The node's API.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let out = way_out(&ANYWHERE, &self.root)?;
        Client::new(out, &self.url, self.key.as_deref()).or_environment(&self.url)
    }
}

/// Says of a call whether the node was there at all.
pub(crate) fn answered<T>(answer: Result<T, ClientError>) -> Result<T, Failure> {
    match answer {
        Err(ClientError::Unreachable(why)) => {
            Err(environment(format!("the node does not answer: {why}{}", hint(&why))))
        }
        Err(error @ ClientError::Key) => {
            Err(Failure::Environment(anyhow::Error::new(error).context("the node does not answer")))
        }
        Err(ClientError::Problem(problem)) if problem.status == 404 && problem.detail.is_none() => {
            Err(environment(format!("{problem}: is --url a node's address, without a path?")))
        }
        other => Ok(other?),
    }
}

/// What helps on where nothing was reached.
fn hint(why: &str) -> &'static str {
    if why.contains("InvalidContentType") {
        "; it speaks no TLS there: try http://"
    } else if why.contains(DEFAULT) {
        "; that is the default: --url or WATCHFIRE_URL says where the node is"
    } else {
        ""
    }
}
