//! Takes media and messages down on a Matrix homeserver that runs Synapse, as one of its
//! administrators.
//!
//! Source: Synapse's admin API (media, `quarantine`), the Matrix client-server specification
//! (`redact`, `account_data`, authenticated media) and its URI scheme (`matrix:roomid/…/e/…`).
//!
//! **Invariant:** media are quarantined and never deleted: they can come back, and Synapse keeps
//! identical bytes out of sight, those uploaded later too.
//! **Invariant:** an order that has to stay reversible redacts nothing.
//! **Invariant:** what another administrator quarantined is not put back.
//! **Invariant:** an order is carried out once: the homeserver itself keeps the keys, in the account
//! data of the moderator, so they outlive this process and this machine.

mod item;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use watchfire_api::outbound::Outbound;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

use crate::{
    json_api::{AddressError, Ask, JsonApi, Reply, Token},
    segment::segment,
};
use item::{Item, Media, Message};

/// How many keys of carried-out orders are kept for one item; the oldest go first. An order is
/// repeated within a day or so, and few items are taken down and put back this often.
pub const MAX_KEYS: usize = 32;

/// How the connector is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The homeserver, such as `https://matrix.example`.
    pub url: String,
    /// Of an administrator that only Watchfire uses; to redact, it has to be in the rooms.
    pub moderator: Token,
    /// Of an ordinary account: what it cannot see is out of sight.
    pub viewer: Token,
    /// Whether messages are redacted, which nothing undoes; only by orders that need not stay
    /// reversible.
    pub redact: bool,
    /// The way out.
    pub out: Outbound,
}

/// A homeserver.
pub struct Synapse {
    api: JsonApi,
    moderator: Token,
    viewer: Token,
    redact: bool,
    /// Who the moderator is, once the homeserver was asked.
    name: OnceCell<String>,
}

impl Synapse {
    /// Checks the address. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(setup: Setup) -> Result<Self, AddressError> {
        let api = JsonApi::new(&setup.url, setup.out)?;
        let Setup { moderator, viewer, redact, .. } = setup;
        Ok(Self { api, moderator, viewer, redact, name: OnceCell::new() })
    }

    async fn quarantine(&self, media: &Media<'_>) -> Result<Answer, ConnectorError> {
        let found = self.media_info(media).await?;
        if !found.is_ok() {
            return found.failure();
        }
        // A boolean on PostgreSQL, a number on SQLite.
        let protected = &found.body["media_info"]["safe_from_quarantine"];
        if *protected == true || *protected == 1 {
            let why = "an administrator has protected this media from quarantine";
            return Ok(Answer::Refused(why.to_owned()));
        }
        if found.body["media_info"]["quarantined_by"].is_string() {
            // Doing it again would write our name over theirs, and undoing would end their decision.
            return Ok(Answer::Done);
        }
        self.post(&format!("/_synapse/admin/v1/media/quarantine/{}", media.path())).await
    }

    async fn unquarantine(&self, media: &Media<'_>) -> Result<Answer, ConnectorError> {
        let found = self.media_info(media).await?;
        if !found.is_ok() {
            return found.failure();
        }
        match found.body["media_info"]["quarantined_by"].as_str() {
            None => return Ok(Answer::AlreadyDone),
            // Synapse's own word for bytes that were in quarantine when they were uploaded.
            Some("system") => {}
            Some(by) if by == self.name().await? => {}
            Some(by) => {
                return Ok(Answer::Refused(format!("{by} quarantined it too; only they end that")));
            }
        }
        self.post(&format!("/_synapse/admin/v1/media/unquarantine/{}", media.path())).await
    }

    async fn media_info(&self, media: &Media<'_>) -> Result<Reply, ConnectorError> {
        let path = format!("/_synapse/admin/v1/media/{}", media.path());
        self.api.ask(&Ask::read(&path, Some(&self.moderator))).await
    }

    async fn post(&self, path: &str) -> Result<Answer, ConnectorError> {
        let body = json!({});
        let reply = self.api.ask(&Ask::write(Method::POST, path, &self.moderator, &body)).await?;
        if reply.is_ok() { Ok(Answer::Done) } else { reply.failure() }
    }

    async fn redact(&self, message: &Message, key: &str) -> Result<Answer, ConnectorError> {
        // The key as transaction: the homeserver itself recognises a repetition.
        let path = format!(
            "/_matrix/client/v3/rooms/{}/redact/{}/{}",
            segment(&message.room),
            segment(&message.event),
            segment(key)
        );
        let body = json!({});
        let reply = self.api.ask(&Ask::write(Method::PUT, &path, &self.moderator, &body)).await?;
        if reply.is_ok() { Ok(Answer::Done) } else { reply.failure() }
    }

    async fn look_at_media(&self, media: &Media<'_>) -> Result<Visibility, ConnectorError> {
        // An upload that is announced and has no content yet would be waited for.
        let path = format!("/_matrix/client/v1/media/download/{}?timeout_ms=0", media.path());
        match self.api.status(&Ask::read(&path, Some(&self.viewer))).await? {
            200..=299 => Ok(Visibility::Visible),
            403 | 404 | 410 => Ok(Visibility::Hidden),
            status => Err(ConnectorError(format!("looking at the media gave {status}"))),
        }
    }

    async fn look_at_message(&self, message: &Message) -> Result<Visibility, ConnectorError> {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/event/{}",
            segment(&message.room),
            segment(&message.event)
        );
        let reply = self.api.ask(&Ask::read(&path, Some(&self.viewer))).await?;
        match reply.status {
            200..=299 if reply.body["unsigned"]["redacted_because"].is_object() => {
                Ok(Visibility::Hidden)
            }
            200..=299 => Ok(Visibility::Visible),
            // The viewer is not in the room: that it sees nothing says nothing.
            403 | 404 => Ok(Visibility::Unknown),
            _ => Err(ConnectorError(reply.words())),
        }
    }

    /// The moderator's own user id.
    async fn name(&self) -> Result<&str, ConnectorError> {
        let ask = || async {
            let path = "/_matrix/client/v3/account/whoami";
            let reply = self.api.ask(&Ask::read(path, Some(&self.moderator))).await?;
            let name = reply.body["user_id"].as_str().map(str::to_owned);
            name.ok_or_else(|| ConnectorError(reply.words()))
        };
        self.name.get_or_try_init(ask).await.map(String::as_str)
    }

    /// Where the keys of an item's orders are kept.
    async fn keys_path(&self, item: &str) -> Result<String, ConnectorError> {
        let hash: String =
            Sha256::digest(item.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = segment(self.name().await?);
        Ok(format!("/_matrix/client/v3/user/{name}/account_data/org.watchfire.orders.{hash}"))
    }

    async fn keys(&self, path: &str) -> Result<Vec<Value>, ConnectorError> {
        let reply = self.api.ask(&Ask::read(path, Some(&self.moderator))).await?;
        match reply.status {
            200 => Ok(reply.body["keys"].as_array().cloned().unwrap_or_default()),
            404 => Ok(Vec::new()),
            _ => Err(ConnectorError(reply.words())),
        }
    }

    /// Carries an order out unless its key is known, and has the key known afterwards. A crash in
    /// between repeats an order that changes nothing the second time.
    async fn once(&self, order: &Order, undo: bool) -> Result<Answer, ConnectorError> {
        let Some(item) = Item::parse(&order.item) else {
            let why = "not an item of Matrix: mxc://SERVER/MEDIA or matrix:roomid/ROOM/e/EVENT";
            return Ok(Answer::Refused(why.to_owned()));
        };
        if !undo && !matches!(order.action.as_str(), "remove" | "hide") {
            return Ok(Answer::Refused(format!("Synapse has no `{}`", order.action)));
        }
        if matches!(item, Item::Message(_)) && !undo {
            if !self.redact {
                let why = "a redaction cannot be undone, and the configuration does not allow it";
                return Ok(Answer::Refused(why.to_owned()));
            }
            if order.reversible {
                let why = "a redaction cannot be undone, and this order has to stay reversible: \
                           only a rule with `irreversible = true` redacts";
                return Ok(Answer::Refused(why.to_owned()));
            }
        }
        let path = self.keys_path(&order.item).await?;
        let mut keys = self.keys(&path).await?;
        if keys.iter().any(|key| *key == order.key.as_str()) {
            return Ok(Answer::AlreadyDone);
        }
        let answer = match (&item, undo) {
            (Item::Media(media), false) => self.quarantine(media).await?,
            (Item::Media(media), true) => self.unquarantine(media).await?,
            (Item::Message(message), false) => self.redact(message, &order.key).await?,
            (Item::Message(_), true) => {
                return Ok(Answer::Refused("a redaction cannot be undone".to_owned()));
            }
        };
        if matches!(answer, Answer::Done | Answer::AlreadyDone) {
            keys.push(Value::from(order.key.as_str()));
            let kept = keys.split_off(keys.len().saturating_sub(MAX_KEYS));
            let body = json!({ "item": order.item, "keys": kept });
            let ask = Ask::write(Method::PUT, &path, &self.moderator, &body);
            let reply = self.api.ask(&ask).await?;
            if !reply.is_ok() {
                return Err(ConnectorError(reply.words()));
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl Connector for Synapse {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.once(order, false).await
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        match Item::parse(item) {
            Some(Item::Media(media)) => self.look_at_media(&media).await,
            Some(Item::Message(message)) => self.look_at_message(&message).await,
            None => Ok(Visibility::Unknown),
        }
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.once(order, true).await
    }
}
