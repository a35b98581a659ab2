//! What an ordinary user sees of an item on a member's platform.

use std::time::Duration;

use http::{Method, StatusCode};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;
use watchfire_api::outbound::Outbound;

use crate::exit::Failure;

use super::fleet::Member;

/// How long a platform may take to carry an order out.
const CARRY_OUT_WAIT: Duration = Duration::from_secs(20);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What a user gets for an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// The file, by its SHA-256.
    Shown([u8; 32]),
    /// 404.
    Missing,
    /// Something else.
    Other(u16),
}

/// The SHA-256 of a file's bytes.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Asks for an item as a user would.
pub(super) async fn look(out: &Outbound, member: &Member, item: &str) -> Result<Sight, Failure> {
    let url = Url::parse(&format!("http://{}/items/{item}", member.platform))?;
    let response = out.request(Method::GET, &url)?.send().await?;
    Ok(match response.status() {
        StatusCode::OK => Sight::Shown(sha256(&response.bytes().await?)),
        StatusCode::NOT_FOUND => Sight::Missing,
        other => Sight::Other(other.as_u16()),
    })
}

/// Looks until a user gets what is wanted; says what they got last.
pub(super) async fn look_until(
    out: &Outbound,
    member: &Member,
    item: &str,
    wanted: &Sight,
) -> Result<Sight, Failure> {
    let end = Instant::now() + CARRY_OUT_WAIT;
    loop {
        let sight = look(out, member, item).await?;
        if sight == *wanted || Instant::now() >= end {
            return Ok(sight);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
