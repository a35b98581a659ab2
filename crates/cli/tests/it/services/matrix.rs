//! A homeserver whose member takes part in a coalition of three: the upload gate and the connector.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use watchfire_api::outbound::{Allowed, Outbound};

use super::service::Service;
use crate::trio::{MEMBERS, Trio};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pdq/images");

/// The member `cat` runs the homeserver.
struct Place {
    trio: Trio,
    homeserver: Service,
    files: tempfile::TempDir,
    out: Outbound,
}

impl Place {
    fn start() -> Self {
        let mut trio = Trio::found(None);
        let dir = trio.dir("cat");
        let key = dir.join("gate.key");
        secret(&key, trio.key("cat"));
        let url = trio.url("cat");
        let gate = ["synapse", "--gate", &url, "--gate-key-file", key.to_str().unwrap()];
        let homeserver = Service::start(&gate);
        for name in ["moderator", "viewer"] {
            secret(&dir.join(format!("{name}.token")), homeserver.text(name));
        }
        let config = dir.join("watchfire.toml");
        let mut text = fs::read_to_string(&config).unwrap();
        text.push_str(&format!(
            "\n[[connector]]\nname = \"matrix\"\nitems = [\"mxc://\"]\n[connector.by.synapse]\n\
             url = {:?}\nmoderator_token_file = \"moderator.token\"\n\
             viewer_token_file = \"viewer.token\"\n",
            homeserver.text("url")
        ));
        fs::write(&config, text).unwrap();
        trio.start(&MEMBERS);
        let out = Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), &[]).unwrap();
        trio.wait_ready(&MEMBERS);
        Self { trio, homeserver, files: tempfile::tempdir().unwrap(), out }
    }

    /// Uploads as an ordinary user; the answer's status and body.
    async fn upload(&self, file: &Path) -> (u16, Value) {
        let url = format!("{}/_matrix/media/v3/upload", self.homeserver.text("url"));
        let request = self.out.request(http::Method::POST, &url.parse().unwrap()).unwrap();
        let request = request.bearer_auth(self.homeserver.text("alice"));
        let request = request.header("content-type", "image/jpeg").body(fs::read(file).unwrap());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    /// What another ordinary user is served.
    async fn look(&self, item: &str) -> (u16, Vec<u8>) {
        let base = self.homeserver.text("url");
        let item = item.strip_prefix("mxc://").unwrap();
        let url = format!("{base}/_matrix/client/v1/media/download/{item}");
        let request = self.out.request(http::Method::GET, &url.parse().unwrap()).unwrap();
        let answer = request.bearer_auth(self.homeserver.text("viewer")).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn until_served(&self, item: &str, expected: u16) {
        for _ in 0..2_000 {
            if self.look(item).await.0 == expected {
                return;
            }
        }
        panic!("{item} never gave {expected}");
    }

    /// A copy that somebody made smaller, darker and recompressed.
    fn edited(&self, original: &Path) -> PathBuf {
        let copy = self.files.path().join("edited.jpg");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-i"]).arg(original);
        ffmpeg.args(["-vf", "scale=300:-1,eq=brightness=-0.05:contrast=1.1", "-q:v", "7"]);
        assert!(ffmpeg.arg(&copy).status().unwrap().success());
        copy
    }
}

fn secret(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn synapse_refuses_edited_copies_of_an_alerted_picture_and_shows_no_copy_that_it_has() {
    let mut place = Place::start();
    let picture = Path::new(PICTURES).join("square-512x512.jpg");
    let other = Path::new(PICTURES).join("small.jpg");

    // Before anybody has said anything, the picture is an upload like any other.
    let (status, answer) = place.upload(&picture).await;
    assert_eq!(status, 200, "{answer}");
    let item = answer["content_uri"].as_str().unwrap().to_owned();
    assert_eq!(place.look(&item).await.0, 200);

    // Two organisations say what it is; what stands here goes out of sight.
    let label = ["--label", "violence.graphic_death", "--severity", "3"];
    let raise = [&["alert", "raise"][..], &label, &[picture.to_str().unwrap()]].concat();
    let raised = place.trio.until("ant raises", || place.trio.ask("ant", &raise));
    let alert = raised["id"].as_str().unwrap().to_owned();
    place.trio.knows("bee", &alert);
    place.trio.until("bee confirms", || place.trio.ask("bee", &["alert", "confirm", &alert]));
    place.until_served(&item, 404).await;

    // Edited copies are refused before anything is stored, and so are the same bytes.
    for copy in [&place.edited(&picture), &picture] {
        let (status, answer) = place.upload(copy).await;
        assert_eq!((status, &answer["error"]), (400, &"Bad content".into()), "{answer}");
    }
    let (status, answer) = place.upload(&other).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(place.look(answer["content_uri"].as_str().unwrap()).await.0, 200);

    // What is neither picture nor video is asked about by its SHA-256.
    let text = place.files.path().join("text");
    fs::write(&text, "an ordinary file").unwrap();
    assert_eq!(place.upload(&text).await.0, 200);

    // Both take it back: the copy returns with the same bytes, and edited copies are welcome.
    for member in ["ant", "bee"] {
        let retract = ["alert", "retract", &alert, "--reason", "wrong_match"];
        place.trio.until("it is retracted", || place.trio.ask(member, &retract));
    }
    place.until_served(&item, 200).await;
    assert_eq!(place.look(&item).await.1, fs::read(&picture).unwrap());
    assert_eq!(place.upload(&place.edited(&picture)).await.0, 200);

    // A gate that cannot ask keeps shut, as it is configured here.
    place.trio.stop("cat");
    assert_eq!(place.upload(&other).await.0, 400);
}
