//! What somebody who does not know the program yet does wrong, and is told.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Output,
    thread::JoinHandle,
};

use crate::program::{code, init, json, run, words};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// It ends with a code and says all of these words.
fn ends(output: &Output, expected: i32, says: &[&str]) {
    let said = words(output);
    assert_eq!(code(output), expected, "{said}");
    for word in says {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Answers connections one after the other: with a body of JSON under a status, or by hanging up.
fn answering(answers: Vec<Option<(u16, String)>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 16_384];
            let _read = stream.read(&mut request).unwrap();
            let Some((status, body)) = answer else { continue };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
            let rest = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
        }
    });
    (address, served)
}

/// A charter of so many members, approved by all; their directories.
fn founded(place: &Path, members: &[&str]) -> (String, Vec<String>) {
    let dirs = members.iter().map(|member| {
        init(place, member, "127.0.0.1:0", Some("http://127.0.0.1:1"));
        text(&place.join(member))
    });
    let dirs: Vec<_> = dirs.collect();
    let file = text(&place.join("charter.cbor"));
    let mut draft = vec!["coalition", "init", "--name", "zoo", "--out", &file];
    let cards: Vec<_> = dirs.iter().map(|dir| format!("{dir}/member.json")).collect();
    draft.extend(cards.iter().map(String::as_str));
    json(draft);
    for dir in &dirs {
        json(["coalition", "approve", "--dir", dir, &file]);
    }
    (file, dirs)
}

#[test]
fn a_label_of_the_abuse_of_children_has_the_pointer_on_the_command_line() {
    let raise = ["alert", "raise", "--severity", "4", "--signal", "pdq:00", "--label"];
    for label in ["child_abuse.x", "cp.x", "child_safety.csam", "csam"] {
        let refused = run(raise.iter().copied().chain([label]));
        ends(&refused, 2, &["report.cybertip.org", "report.iwf.org.uk"]);
        assert!(!words(&refused).contains("ncii"), "{}", words(&refused));
    }
}

/// An auditor's cron must not accuse a member for a network that is down.
#[test]
fn a_log_that_cannot_be_read_is_not_called_unsound() {
    let place = tempfile::tempdir().unwrap();
    let (charter, dirs) = founded(place.path(), &["ant", "bee"]);
    let card = fs::read_to_string(format!("{}/member.json", dirs[0])).unwrap();
    let card: serde_json::Value = serde_json::from_str(&card).unwrap();
    let key = card["key"].as_str().unwrap().to_owned();
    let url = format!("{NOBODY}/log/ant");
    for given in [["--charter", &charter], ["--key", &key]] {
        for what in ["verify", "evidence"] {
            let output = run(["log", what, &url].into_iter().chain(given));
            ends(&output, 2, &["could not be read", "refused"]);
            assert!(!words(&output).contains("NOT SOUND"));
        }
    }
    let (address, served) = answering(vec![Some((503, String::new()))]);
    let url = format!("http://{address}/log/ant");
    ends(&run(["log", "verify", &url, "--charter", &charter]), 2, &["could not be read", "503"]);
    served.join().unwrap();
    let kept = text(&place.path().join("kept"));
    fs::write(&kept, "a head").unwrap();
    let output = run(["log", "verify", &url, "--charter", &charter, "--keep", &kept]);
    ends(&output, 2, &["is there already", "--since"]);
}

#[test]
fn a_missing_file_and_an_empty_folder_are_named_and_the_others_are_looked_up() {
    let place = tempfile::tempdir().unwrap();
    let picture = format!("{DATA}/pdq/images/shrink-a-lot.jpg");
    let (empty, gone) = (text(&place.path().join("empty")), text(&place.path().join("gone.jpg")));
    fs::create_dir(&empty).unwrap();
    let found = run(["match", "--refs", &picture, "--", &gone, &picture]);
    ends(&found, 2, &["match ", "gone.jpg: ", "1 file could not be read"]);
    let found = run(["match", "--refs", &gone, &picture, "--", &picture]);
    ends(&found, 2, &["match ", "gone.jpg: ", "1 file could not be read"]);
    let found = run(["match", "--refs", &picture, "--", &empty, &picture]);
    ends(&found, 2, &["match ", "empty: no files in it"]);
    ends(&run(["match", "--refs", &empty, "--", &picture]), 2, &["empty: no files in it"]);
    let hashed = run(["hash", &gone, &empty, &picture]);
    ends(&hashed, 2, &["pdq ", "gone.jpg: ", "empty: no files in it", "2 files could not be read"]);
    let scanned = run(["scan", "--url", NOBODY, "--key", "wf_x", &gone, &empty]);
    ends(&scanned, 2, &["gone.jpg: ", "empty: no files in it", "2 files could not be read"]);
}

#[test]
fn match_says_what_it_did_not_find_and_how_it_is_called() {
    let place = tempfile::tempdir().unwrap();
    let [small, wee] = ["shrink-a-lot", "wee"].map(|name| format!("{DATA}/pdq/images/{name}.jpg"));
    let none = run(["match", "--refs", &small, "--", &wee]);
    ends(&none, 1, &[&format!("none {wee}\n")]);
    ends(&run(["match", "--refs", &small, &wee]), 2, &["--refs known.jpg -- upload.jpg"]);
    ends(&run(["match", "--help"]), 0, &["--refs <REFS>... -- <FILES>..."]);

    let file = |name: &str, content: &str| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        text(&path)
    };
    let links = file("links.txt", "https://bad.example/a\n\nhttp://bad.example/b\n");
    let same = file("same.txt", "http://www.bad.example/a");
    let post = file("post.txt", "See https://bad.example/b?x=1 or https://bad.example/b for more.");
    let other = file("other.txt", "https://good.example/a");
    let article = file("article.txt", "Do not go to https://bad.example/a, says an article.");
    let kind = |refs: &str, file: &str| {
        json(["match", "--refs", refs, "--", file])["matches"][0]["kind"].clone()
    };
    assert_eq!(kind(&links, &same), "url");
    assert_eq!(kind(&links, &post), "url");
    ends(&run(["match", "--refs", &links, "--", &other]), 1, &["none "]);
    // What an article links to does not make other texts a copy of it.
    ends(&run(["match", "--refs", &article, "--", &same]), 1, &["none "]);
}

#[test]
fn an_address_that_no_node_takes_never_comes_into_a_charter() {
    let place = tempfile::tempdir().unwrap();
    let dir = text(&place.path().join("ant"));
    let make = |address: &str| {
        let named = ["init", "--member", "ant", "--organisation", "ant", "--dir", &dir];
        run(named.into_iter().chain(["--address", address]))
    };
    ends(&make("forum.example"), 2, &["--address", "https://watchfire.example"]);
    assert!(!Path::new(&dir).exists(), "nothing is made");
    let made = make("http://Forum.example:80/");
    ends(&made, 0, &["warning: http://forum.example is no https address", "coalition join --dir"]);

    let card = format!("{dir}/member.json");
    let written = fs::read_to_string(&card).unwrap();
    let draft = |out: &str, cards: &[&str]| {
        let out = text(&place.path().join(out));
        let named = ["coalition", "init", "--name", "zoo", "--out", &out];
        run(named.into_iter().chain(cards.iter().copied()))
    };
    ends(&draft("twice", &[&card, &card]), 2, &["ant is in ", "each member once"]);
    fs::write(&card, written.replace("http://forum.example", "forum.example")).unwrap();
    ends(&draft("wrong", &[&card]), 2, &["member.json", "no http or https address"]);
    fs::write(&card, "{}").unwrap();
    ends(&draft("none", &[&card]), 2, &["is no member card"]);

    let config = format!("{dir}/watchfire.toml");
    let changed = fs::read_to_string(&config).unwrap();
    fs::write(&config, changed.replace("http://forum.example", "forum.example")).unwrap();
    ends(&run(["doctor", "--dir", &dir]), 1, &["FAIL  \"forum.example\" is no http or https"]);
}

#[test]
fn a_member_without_a_charter_is_told_how_to_get_one_and_a_cut_one_is_named() {
    let place = tempfile::tempdir().unwrap();
    let (charter, dirs) = founded(place.path(), &["ant", "bee"]);
    let serve = || run(["serve", "--dir", &dirs[0]]);
    ends(&serve(), 2, &["no charter is installed", "coalition join"]);
    json(["coalition", "install", "--dir", &dirs[0], &charter]);
    let installed = format!("{}/charter.cbor", dirs[0]);
    let whole = fs::read(&installed).unwrap();
    fs::write(&installed, &whole[..whole.len() / 2]).unwrap();
    ends(&serve(), 2, &["is no charter, or is cut off", "coalition fetch"]);
    let card = format!("{}/member.json", dirs[0]);
    ends(&run(["coalition", "show", &card]), 2, &["is no charter"]);
}

#[test]
fn a_charter_of_few_says_what_one_organisation_does_alone() {
    let place = tempfile::tempdir().unwrap();
    let (two, _) = founded(place.path(), &["ant", "bee"]);
    let warning = "warning: of 2 organisations one alone confirms, disputes, halts and erases";
    let counted = "confirm 1, dispute 1, halt 1";
    let shown = run(["coalition", "show", &two]);
    ends(&shown, 0, &[warning, counted, "one beside who declares suffices for an incident"]);
    let place = tempfile::tempdir().unwrap();
    let (four, _) = founded(place.path(), &["ant", "bee", "cat", "dog"]);
    let shown = run(["coalition", "show", &four]);
    ends(&shown, 0, &["confirm 2"]);
    assert!(!words(&shown).contains("warning"), "{}", words(&shown));
    assert_eq!(json(["coalition", "show", &four])["effective"]["confirm"], 2);
}

/// The member that invited hands over to the new charter at just that moment, and does not answer.
#[test]
fn joining_waits_while_the_member_that_invited_hands_over() {
    let place = tempfile::tempdir().unwrap();
    init(place.path(), "dog", "127.0.0.1:0", None);
    let dir = text(&place.path().join("dog"));
    let problem = |status: u16, title: &str| {
        let kind = "urn:watchfire:problem:not-ready";
        let body = serde_json::json!({ "type": kind, "title": title, "status": status });
        Some((status, body.to_string()))
    };
    let hash = "ab".repeat(32);
    let proposed =
        serde_json::json!({ "state": "proposed", "hash": hash, "approved": 1, "needed": 2 });
    let (address, served) = answering(vec![
        Some((200, proposed.to_string())),
        None,
        problem(503, "Not ready"),
        problem(403, "That is the end"),
    ]);
    let invitation = format!("http://{address}#wfj_x.{hash}");
    let joined = run(["coalition", "join", "--dir", &dir, &invitation]);
    ends(&joined, 1, &["1 of 2 organisations have approved", "That is the end"]);
    assert_eq!(words(&joined).matches("does not answer").count(), 1, "{}", words(&joined));
    served.join().unwrap();
    // Who was never heard is not waited for.
    let (address, served) = answering(vec![problem(503, "Not ready")]);
    let invitation = format!("http://{address}#wfj_x.{hash}");
    ends(&run(["coalition", "join", "--dir", &dir, &invitation]), 1, &["Not ready"]);
    served.join().unwrap();
}

#[test]
fn a_node_that_is_elsewhere_is_looked_for_elsewhere() {
    let (address, served) = answering(vec![Some((200, "{}".to_owned()))]);
    let output = run(["coalition", "status", "--url", &format!("https://{address}")]);
    ends(&output, 2, &["speaks no TLS there: try http://"]);
    served.join().unwrap();
    let missing = r#"{"type":"urn:watchfire:problem:not-found","title":"Not found","status":404}"#;
    let (address, served) = answering(vec![Some((404, missing.to_owned()))]);
    let output = run(["coalition", "status", "--url", &format!("http://{address}/log/x")]);
    ends(&output, 2, &["a node's address, without a path?"]);
    served.join().unwrap();
}

#[test]
fn smaller_mistakes_are_told_in_words_that_help() {
    let place = tempfile::tempdir().unwrap();
    let picture = format!("{DATA}/pdq/images/wee.jpg");
    let raise = ["alert", "raise", "--label", "hate.incitement", "--severity", "1"];
    let span = run(raise.into_iter().chain(["--span", "5000-2000", &picture]));
    ends(&span, 2, &["ends before it begins"]);
    let added = run(["bank", "--url", NOBODY, "--key", "wf_x", "add", "LOGOS", &picture]);
    ends(&added, 1, &["lists are expected", "watchfire hash FILE"]);
    ends(&run(["hash", "--link", "not a link"]), 2, &["needs http:// or https://"]);
    ends(&run(["bench", "index", "--size", "0"]), 2, &["at least 1"]);
    let (charter, dirs) = founded(place.path(), &["ant", "bee"]);
    let keys = run(["coalition", "approve", "--dir", &dirs[0], &charter]);
    ends(&keys, 0, &["approved by all"]);
    json(["coalition", "install", "--dir", &dirs[0], &charter]);
    json(["key", "add", "--dir", &dirs[0], "--name", "uploads", "--scope", "scan"]);
    // Times for people are dates; the year has four digits for a long time.
    let listed = words(&run(["audit", "list", "--dir", &dirs[0]]));
    assert!(listed.lines().any(|line| line.contains("Z key ")), "{listed}");
}
