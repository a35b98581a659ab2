//! Takes records and accounts of an atproto network down through its moderation service, Ozone.
//!
//! Source: the lexicons `tools.ozone.moderation.emitEvent`, `queryEvents`, `getRecord`, `getRepo`, and
//! for looking `app.bsky.feed.getPosts` and `app.bsky.actor.getProfile`.
//!
//! **Invariant:** a record goes down with all its blobs; nothing is deleted, and a reversal brings
//! back what went down.
//! **Invariant:** what another moderator took down is not put back.
//! **Invariant:** an order is carried out once: its key stands in the event that Ozone keeps, and
//! Ozone refuses a second event of that key.

mod item;
mod session;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use watchfire_api::outbound::Outbound;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

use crate::{
    json_api::{AddressError, Ask, JsonApi, Reply, Token},
    segment::segment,
};
use item::Item;
use session::Session;

/// Take-downs and reversals of one subject that are looked through for an order's key.
const EVENTS: usize = 100;
/// The kind of records that the AppView can be asked for by address.
const POST: &str = "app.bsky.feed.post";
const TAKE_DOWN: &str = "tools.ozone.moderation.defs#modEventTakedown";
const REVERSE: &str = "tools.ozone.moderation.defs#modEventReverseTakedown";

/// How the connector is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The moderator's PDS, which passes requests on to Ozone.
    pub pds: String,
    /// What ordinary users read from, such as `https://public.api.bsky.app`.
    pub appview: String,
    /// Ozone's DID.
    pub ozone: String,
    /// Handle or DID of a moderator that only Watchfire uses.
    pub moderator: String,
    /// Its app password.
    pub password: Token,
    /// Whether whole accounts are taken down.
    pub accounts: bool,
    /// The way out.
    pub out: Outbound,
}

/// An atproto network with its Ozone.
pub struct Ozone {
    pds: JsonApi,
    appview: JsonApi,
    session: Session,
    /// Whom the PDS passes requests on to.
    proxy: String,
    accounts: bool,
}

/// What Ozone knows of a subject.
struct Subject {
    /// As `emitEvent` names it.
    name: Value,
    blobs: Vec<Value>,
    is_down: bool,
}

impl Ozone {
    /// Checks the addresses. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(setup: Setup) -> Result<Self, AddressError> {
        let pds = JsonApi::new(&setup.pds, setup.out.clone())?;
        let appview = JsonApi::new(&setup.appview, setup.out)?;
        let session = Session::new(pds.clone(), setup.moderator, setup.password);
        let proxy = format!("{}#atproto_labeler", setup.ozone);
        Ok(Self { pds, appview, session, proxy, accounts: setup.accounts })
    }

    /// Asks Ozone as the moderator; logs in again when the session has run out.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ConnectorError> {
        let headers = [("atproto-proxy", self.proxy.as_str())];
        let mut reply = None;
        for _ in 0..2 {
            let token = self.session.token().await?;
            let token = Some(&token);
            let ask = Ask { method: method.clone(), path, token, headers: &headers, body };
            let answer = self.pds.ask(&ask).await?;
            if answer.status != 401 && error(&answer) != "ExpiredToken" {
                return Ok(answer);
            }
            self.session.end().await;
            reply = Some(answer);
        }
        Err(ConnectorError(reply.map_or_else(String::new, |reply| reply.words())))
    }

    /// What Ozone knows of an item; the answer to give when it is not there.
    async fn subject(&self, item: &Item<'_>) -> Result<Result<Subject, Answer>, ConnectorError> {
        let uri = segment(&item.uri());
        let path = match item {
            Item::Record { .. } => format!("/xrpc/tools.ozone.moderation.getRecord?uri={uri}"),
            Item::Account { did } => {
                format!("/xrpc/tools.ozone.moderation.getRepo?did={}", segment(did))
            }
        };
        let reply = self.ask(Method::GET, &path, None).await?;
        if !reply.is_ok() {
            let gone = matches!(error(&reply), "RecordNotFound" | "RepoNotFound");
            return if gone { Ok(Err(Answer::Gone)) } else { Ok(Err(reply.failure()?)) };
        }
        let name = match item {
            Item::Record { .. } => json!({
                "$type": "com.atproto.repo.strongRef", "uri": item.uri(), "cid": reply.body["cid"],
            }),
            Item::Account { did } => {
                json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did })
            }
        };
        let blobs = reply.body["blobs"].as_array().into_iter().flatten();
        let blobs = blobs.map(|blob| blob["cid"].clone()).filter(Value::is_string).collect();
        let is_down = reply.body["moderation"]["subjectStatus"]["takendown"] == true;
        Ok(Ok(Subject { name, blobs, is_down }))
    }

    /// Take-downs and reversals of an item, the newest first.
    async fn events(&self, item: &Item<'_>) -> Result<Vec<Value>, ConnectorError> {
        let path = format!(
            "/xrpc/tools.ozone.moderation.queryEvents?subject={}&types={}&types={}&limit={EVENTS}",
            segment(&item.uri()),
            segment(TAKE_DOWN),
            segment(REVERSE)
        );
        let reply = self.ask(Method::GET, &path, None).await?;
        let events = reply.body["events"].as_array().cloned();
        events.ok_or_else(|| ConnectorError(reply.words()))
    }

    async fn emit(
        &self,
        kind: &str,
        subject: &Subject,
        order: &Order,
    ) -> Result<Answer, ConnectorError> {
        let body = json!({
            "event": { "$type": kind, "comment": comment(order) },
            "subject": subject.name,
            "subjectBlobCids": subject.blobs,
            "createdBy": self.session.did().await?,
            "externalId": order.key,
        });
        let path = "/xrpc/tools.ozone.moderation.emitEvent";
        let reply = self.ask(Method::POST, path, Some(&body)).await?;
        match error(&reply) {
            // Ozone tells PDS and AppView afterwards: whether they obey is seen by looking.
            "" if reply.is_ok() => Ok(Answer::Accepted),
            "DuplicateExternalId" => Ok(Answer::AlreadyDone),
            _ => reply.failure(),
        }
    }

    async fn once(&self, order: &Order, undo: bool) -> Result<Answer, ConnectorError> {
        let refused = |why: &str| Ok(Answer::Refused(why.to_owned()));
        let Some(item) = Item::parse(&order.item) else {
            return refused("not an item of atproto: at://DID/COLLECTION/RKEY or at://DID");
        };
        if !undo && !matches!(order.action.as_str(), "remove" | "hide") {
            return refused(&format!("this connector has no `{}`", order.action));
        }
        if matches!(item, Item::Account { .. }) && !self.accounts {
            return refused("the configuration does not allow taking whole accounts down");
        }
        let events = self.events(&item).await?;
        if events.iter().any(|event| event["event"]["comment"] == comment(order)) {
            return Ok(Answer::AlreadyDone);
        }
        let subject = match self.subject(&item).await? {
            Ok(subject) => subject,
            Err(answer) => return Ok(answer),
        };
        match (undo, subject.is_down) {
            // Somebody was faster; their decision is not ours to end later.
            (false, true) => Ok(Answer::Done),
            (false, false) => self.emit(TAKE_DOWN, &subject, order).await,
            (true, false) => Ok(Answer::AlreadyDone),
            (true, true) => {
                let by = events.iter().find(|event| event["event"]["$type"] == TAKE_DOWN);
                let by = by.and_then(|event| event["createdBy"].as_str()).unwrap_or("somebody");
                if by != self.session.did().await? {
                    return refused(&format!("{by} took it down; only they put it back"));
                }
                self.emit(REVERSE, &subject, order).await
            }
        }
    }

    /// Whether the AppView shows a post to somebody who is not logged in. Ozone takes records down by
    /// a label, so only views that go by labels tell; the raw record stays readable in its repository.
    async fn shows_post(&self, uri: &str) -> Result<bool, ConnectorError> {
        let path = format!("/xrpc/app.bsky.feed.getPosts?uris={}", segment(uri));
        let reply = self.appview.ask(&Ask::read(&path, None)).await?;
        let posts = reply.body["posts"].as_array();
        posts.map(|posts| !posts.is_empty()).ok_or_else(|| ConnectorError(reply.words()))
    }

    async fn shows_account(&self, did: &str) -> Result<bool, ConnectorError> {
        let path = format!("/xrpc/app.bsky.actor.getProfile?actor={}", segment(did));
        let reply = self.appview.ask(&Ask::read(&path, None)).await?;
        match reply.status {
            200..=299 => Ok(true),
            // "Account has been suspended", "Profile not found".
            400 => Ok(false),
            _ => Err(ConnectorError(reply.words())),
        }
    }
}

/// What marks an event as an order's; people read it too.
fn comment(order: &Order) -> String {
    format!("Watchfire order {}", order.key)
}

/// The name of an XRPC error; empty when it is none.
fn error(reply: &Reply) -> &str {
    if reply.is_ok() { "" } else { reply.body["error"].as_str().unwrap_or("unnamed") }
}

#[async_trait]
impl Connector for Ozone {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.once(order, false).await
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        let shown = match Item::parse(item) {
            Some(Item::Account { did }) => self.shows_account(did).await?,
            Some(Item::Record { collection: POST, .. }) => self.shows_post(item).await?,
            // Each kind of record has a view of its own; none fits all.
            Some(Item::Record { .. }) | None => return Ok(Visibility::Unknown),
        };
        Ok(if shown { Visibility::Visible } else { Visibility::Hidden })
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.once(order, true).await
    }
}
