//! Who may call a node: keys, accounts, sessions, and the view of the desk log.
//!
//! **Invariant:** what holds a secret cannot be printed for debugging.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::commitment::Commitment;

/// How long an old secret stays valid after a rotation unless the request says otherwise: a day.
pub const DEFAULT_OVERLAP_S: u64 = 86_400;

/// What a caller may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for verdicts and look signals up.
    Scan,
    /// Raise and answer alerts, keep banks.
    Curate,
    /// Decide about what waits for a person.
    Review,
    /// Everything.
    Admin,
    /// Read everything that says what was done.
    Audit,
}

/// What a person is at this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at content and decides; raises and answers alerts: scan, curate, review.
    Moderator,
    /// A moderator who also sees what was decided, and who looked at what: scan, curate, review, audit.
    Lead,
    /// May do everything, accounts and keys too.
    Admin,
    /// Sees what was done, and changes nothing: audit.
    Auditor,
}

/// An API key to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// What it is called: 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-`. No other key in force has the name.
    #[schema(example = "uploads")]
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// How long it is valid, in seconds; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for_s: Option<u64>,
}

/// A new secret for an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// How long the old secret stays valid, in seconds; 0 ends it at once, 30 days is the most.
    #[serde(default = "default_overlap_s")]
    pub overlap_s: u64,
}

fn default_overlap_s() -> u64 {
    DEFAULT_OVERLAP_S
}

/// An API key as it is listed, once for each of its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// The first digits of the SHA-256 of its secret, to tell the secrets of a rotation apart.
    pub fingerprint: String,
    /// When the name came to be, in milliseconds since 1970.
    pub created_ms: u64,
    /// When this secret was made.
    pub made_ms: u64,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When it was last used, to ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_ms: Option<u64>,
    /// Whether it has not ended.
    pub live: bool,
}

/// All API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// By name.
    pub keys: Vec<KeyView>,
}

/// An API key with its secret, which is shown this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyMade {
    /// The key.
    #[serde(flatten)]
    pub key: KeyView,
    /// The secret.
    pub api_key: String,
}

/// An account to open.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// The name to log in with: 1 to 64 of a-z, 0-9, `.`, `_`, `-`, `+`, `@`.
    #[schema(example = "kim")]
    pub name: String,
    /// What the person is.
    pub role: Role,
}

/// Another role for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// What the person is from now on.
    pub role: Role,
}

/// An account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The name to log in with; the desk log does not have it.
    pub name: String,
    /// What stands for the person in the desk log.
    pub pseudonym: String,
    /// What the person is.
    pub role: Role,
    /// When it was opened, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was closed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_ms: Option<u64>,
    /// Whether the person has set a passphrase.
    pub has_passphrase: bool,
    /// Until when an invitation can be used, if one is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_until_ms: Option<u64>,
}

/// All accounts.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Accounts {
    /// By name.
    pub accounts: Vec<AccountView>,
}

/// An invitation, which is shown this once and can be used once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Invited {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// The secret, for `POST /v1/session/invitation`.
    pub invitation: String,
}

/// Name and passphrase of a person.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The account's name.
    pub name: String,
    /// The passphrase.
    pub passphrase: String,
    /// Answer the token instead of setting the cookie: for programs that send it as `Bearer`.
    #[serde(default)]
    pub bearer: bool,
}

/// An invitation with the passphrase that it sets.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    /// The invitation.
    pub invitation: String,
    /// The new passphrase: at least 12 characters.
    pub passphrase: String,
    /// Answer the token instead of setting the cookie: for programs that send it as `Bearer`.
    #[serde(default)]
    pub bearer: bool,
}

/// Who calls, as the node sees it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Who this is in the desk log: `key:NAME` or `person:PSEUDONYM`.
    pub actor: String,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// When the session ends whatever happens, in milliseconds since 1970; half an hour without a request ends it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// The token, if it was asked for; shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Which desk log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeskQuery {
    /// The epoch of the member's log; the one that it writes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
}

/// Which lines of the desk log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only lines before this index: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Lines in the page, at most 1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only lines of this kind: `policy`, `bank`, `decision`, `look`, `key`, `account` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only lines of this actor: `key:NAME`, `person:PSEUDONYM` or `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only lines written at this time or later, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Only lines written before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// A line of the desk log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its place in the log.
    pub index: u64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of thing was done.
    pub kind: String,
    /// The name of the line.
    #[schema(value_type = String)]
    pub commitment: Commitment,
    /// Who; absent when the line's record was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
}

/// Lines of the desk log, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The lines. A page can be short, even empty, where few lines of many fit.
    pub lines: Vec<AuditLine>,
    /// `before` of the next page; absent at the beginning of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What a walk through the whole desk log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeskReport {
    /// The log.
    pub log: String,
    /// Whether every line is there, as signed, and every record is that of its line.
    pub sound: bool,
    /// Lines.
    pub size: u64,
    /// The root of the log, in Base64, that the head signs.
    pub root: String,
    /// Lines whose record was erased.
    pub erased: u64,
    /// The first thing that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
