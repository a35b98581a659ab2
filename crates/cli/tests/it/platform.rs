//! A folder as the platform of a real node: what it holds, how the node is told of it, and all that the node
//! says to it.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use watchfire_connector::{
    receiver::{Receiver, Setup},
    standard_webhook::CheckingKey,
};
use watchfire_node::clock::SystemClock;

use crate::{
    program::{code, run},
    trio::Trio,
};

/// The secret of node and receiver.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Serves a folder.
pub(crate) async fn serve(folder: &Path) -> Receiver {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let keys = vec![CheckingKey::parse(SECRET).unwrap()];
    let clock = Arc::new(SystemClock::default());
    Receiver::start(Setup { folder: folder.to_owned(), listen, keys, clock }).await.unwrap()
}

/// Tells a node where its platform is.
pub(crate) fn configure(dir: &Path, url: &str, verify_url: &str) {
    let mut key = fs::OpenOptions::new();
    let key = key.write(true).create_new(true).mode(0o600).open(dir.join("webhook.key"));
    key.unwrap().write_all(SECRET.as_bytes()).unwrap();
    let mut config = fs::OpenOptions::new().append(true).open(dir.join("watchfire.toml")).unwrap();
    let lines = format!(
        "\n[webhook]\nurl = {url:?}\nverify_url = {verify_url:?}\nkey_files = [\"webhook.key\"]\n"
    );
    config.write_all(lines.as_bytes()).unwrap();
}

/// Has a member act on what another one alone has said, where a person had looked.
pub(crate) fn trust(dir: &Path, member: &str) {
    let path = dir.join("watchfire.toml");
    let config = fs::read_to_string(&path).unwrap();
    let trusting =
        config.replace("#: trust = [\"twitch\", \"reddit\"]", &format!("trust = [{member:?}]"));
    assert_ne!(config, trusting);
    fs::write(path, trusting).unwrap();
}

/// Puts items with the hash of a picture each into the folder, as the platform held them before, and waits
/// until the node knows them.
pub(crate) fn hold(trio: &Trio, member: &str, folder: &Path, items: &[(&str, String)]) {
    let mut held = String::new();
    for (item, hash) in items {
        fs::write(folder.join(item), b"content").unwrap();
        let signal = serde_json::json!({ "kind": "pdq", "value": hash, "quality": 100 });
        let line = serde_json::json!({ "item": item, "seen_ms": 4_000_000_000_000u64, "signals": [signal] });
        held += &format!("{line}\n");
    }
    let file: PathBuf = folder.join(".held.ndjson");
    fs::write(&file, held).unwrap();
    let node = ["--url", &trio.url(member), "--key", trio.key(member)];
    let import = [&["seen", "import"], &node[..], &[file.to_str().unwrap()]].concat();
    trio.until("the held items are known", || (code(&run(&import)) == 0).then_some(()));
}
