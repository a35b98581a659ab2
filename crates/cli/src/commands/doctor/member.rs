//! What one member's node needs: its directory, the charter, its port, and the other members.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use http::{HeaderMap, Method, header};
use url::Url;
use watchfire_api::outbound::Outbound;
use watchfire_node::{
    charter::check_chain,
    clock::{Clock, SystemClock},
};
use watchfire_signal::charter::{CharterChain, Member};

use crate::{
    config::Config,
    directory::Directory,
    network::{member_address, way_out},
};

use super::{Check, Health};

/// How long another member may take to answer.
const PEER_WAIT: Duration = Duration::from_secs(5);
/// Requests between members are refused when clocks differ by more.
const CLOCK_SECONDS: i64 = 30;

/// All checks.
pub(super) async fn checks(directory: &Directory) -> Vec<Check> {
    let mut checks = vec![private(directory)];
    let config = directory.config();
    let charter = directory.chain();
    let key = directory.key().map(|key| key.public().to_string());
    checks.push(Check::of("key", key, |key| format!("public key {key}")));
    checks.push(Check::of("configuration", config.as_ref(), |config| {
        format!("member {}", config.member)
    }));
    if let Ok(config) = &config {
        checks.extend(config.listen.addresses.iter().map(|address| own_address(address)));
    }
    let (Ok(config), Ok(charter)) = (config, charter.as_ref()) else {
        checks.push(Check::of("charter", charter.map(drop).as_ref(), |()| "installed".to_owned()));
        return checks;
    };
    checks.push(in_force(directory, &config, charter));
    checks.push(port(&config).await);
    let roots: Vec<_> = config.outbound.roots.iter().map(|name| directory.file(name)).collect();
    match way_out(&config.outbound.allow, &roots) {
        Ok(out) => checks.extend(others(&out, &config, charter).await),
        Err(error) => checks.push(Check::new("outbound", Health::Fail, error.to_string())),
    }
    checks
}

fn private(directory: &Directory) -> Check {
    let mode = std::fs::metadata(directory.path()).map(|found| found.permissions().mode() & 0o777);
    match mode {
        Ok(mode) if mode & 0o077 == 0 => {
            Check::new("directory", Health::Ok, format!("mode {mode:o}"))
        }
        Ok(mode) => {
            let fix = format!("mode {mode:o}: chmod 700 {}", directory.path().display());
            Check::new("directory", Health::Warn, fix)
        }
        Err(error) => Check::new("directory", Health::Fail, error.to_string()),
    }
}

fn in_force(directory: &Directory, config: &Config, chain: &CharterChain) -> Check {
    let own = directory.key().map(|key| key.public().to_bytes());
    let charter = &chain.in_force().charter;
    let named = charter.member(&config.member).map(|member| member.key);
    let found = match (check_chain(chain), own) {
        (Err(error), _) => Err(error.to_string()),
        (_, Err(error)) => Err(error.to_string()),
        (Ok(()), Ok(own)) if named != Some(own) => {
            Err(format!("it does not name {} with our key", config.member))
        }
        _ => Ok(()),
    };
    Check::of("charter", found, |()| {
        let (members, seq) = (charter.members.len(), charter.seq);
        format!("{members} members of {} by charter {seq}, approved", charter.coalition)
    })
}

/// An address of this member is one that its node takes, and others can trust what they hear there.
fn own_address(text: &str) -> Check {
    match member_address(text) {
        Ok((address, None)) => Check::new("address", Health::Ok, address),
        Ok((_, Some(clear))) => Check::new("address", Health::Warn, clear),
        Err(error) => {
            let detail = format!("{error}: listen.addresses in watchfire.toml, and in the charter");
            Check::new("address", Health::Fail, detail)
        }
    }
}

/// The port is free, or a node answers there.
async fn port(config: &Config) -> Check {
    let addr = config.listen.addr;
    if TcpListener::bind(addr).is_ok() {
        return Check::new("port", Health::Ok, format!("{addr} is free"));
    }
    let own = [addr.ip().to_string()];
    let alive = match way_out(&own, &[]) {
        Ok(out) => healthy(&out, &format!("http://{addr}")).await.is_ok(),
        Err(_) => false,
    };
    if alive || config.listen.tls == crate::config::Tls::Files {
        Check::new("port", Health::Ok, format!("{addr} is in use; a node runs"))
    } else {
        Check::new("port", Health::Fail, format!("{addr} is in use, and not by a node"))
    }
}

/// The other members answer, and their clocks are near ours.
async fn others(out: &Outbound, config: &Config, chain: &CharterChain) -> Vec<Check> {
    let members =
        chain.in_force().charter.members.iter().filter(|member| member.name != config.member);
    let mut checks = Vec::new();
    for Member { name, address, .. } in members {
        let what = format!("member {name}");
        let Some(address) = address else {
            checks.push(Check::new(what, Health::Ok, "has no address: it comes to us"));
            continue;
        };
        let found = healthy(out, address).await;
        checks.push(match found {
            Err(error) => Check::new(what, Health::Fail, format!("{address}: {error}")),
            Ok(headers) => match clock_difference(&headers) {
                Some(off) if off.abs() > CLOCK_SECONDS => {
                    let detail = format!("its clock is {off} s ahead of ours: set both by NTP");
                    Check::new(what, Health::Fail, detail)
                }
                _ => Check::new(what, Health::Ok, format!("{address} answers")),
            },
        });
    }
    checks
}

async fn healthy(out: &Outbound, address: &str) -> Result<HeaderMap, String> {
    let url = Url::parse(&format!("{}/healthz", address.trim_end_matches('/')));
    let url = url.map_err(|error| error.to_string())?;
    let request = out.request(Method::GET, &url).map_err(|error| error.to_string())?;
    let response = request.timeout(PEER_WAIT).send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() { Ok(response.headers().clone()) } else { Err(status.to_string()) }
}

/// How many seconds the clock of who answered is ahead of ours, by the header `Date`.
fn clock_difference(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let ours = SystemClock::default().now_ms() / 1_000;
    Some(i64::try_from(theirs).ok()? - i64::try_from(ours).ok()?)
}
