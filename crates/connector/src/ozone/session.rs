//! Keeps a moderator logged in at a PDS.
//!
//! **Invariant:** the password goes to the configured PDS and nowhere else.

use http::Method;
use serde_json::json;
use tokio::sync::Mutex;
use watchfire_node::connector::ConnectorError;

use crate::json_api::{Ask, JsonApi, Token};

/// A login that is renewed when it has run out.
pub(super) struct Session {
    pds: JsonApi,
    moderator: String,
    password: Token,
    /// Access token and DID, while they are good.
    open: Mutex<Option<(Token, String)>>,
}

impl Session {
    pub(super) fn new(pds: JsonApi, moderator: String, password: Token) -> Self {
        Self { pds, moderator, password, open: Mutex::new(None) }
    }

    /// An access token; logs in when there is none.
    pub(super) async fn token(&self) -> Result<Token, ConnectorError> {
        Ok(self.open().await?.0)
    }

    /// Who the moderator is.
    pub(super) async fn did(&self) -> Result<String, ConnectorError> {
        Ok(self.open().await?.1)
    }

    /// Forgets a token that is good no more.
    pub(super) async fn end(&self) {
        *self.open.lock().await = None;
    }

    async fn open(&self) -> Result<(Token, String), ConnectorError> {
        // Held while logging in, so that many orders make one login.
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            return Ok(open.clone());
        }
        let body = json!({ "identifier": self.moderator, "password": self.password.secret() });
        let path = "/xrpc/com.atproto.server.createSession";
        let ask = Ask { method: Method::POST, path, token: None, headers: &[], body: Some(&body) };
        let reply = self.pds.ask(&ask).await?;
        // The words of a failure only: a success has the tokens in it.
        if !reply.is_ok() {
            return Err(ConnectorError(format!("logging in: {}", reply.words())));
        }
        let text = |name: &str| reply.body[name].as_str();
        let token = text("accessJwt").and_then(|text| Token::parse(text).ok());
        let opened = token.zip(text("did").map(str::to_owned));
        let opened = opened.ok_or_else(|| ConnectorError("logging in gave no session".into()))?;
        *open = Some(opened.clone());
        Ok(opened)
    }
}
