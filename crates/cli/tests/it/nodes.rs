//! Real nodes that alert each other, die, come back, and are restored from old backups.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use crate::{
    program::{code, run, words},
    trio::{MEMBERS, Trio},
};

/// Hashes far from each other, of which half the bits are set, as pictures have them.
fn picture(number: u8) -> String {
    let byte = number.wrapping_mul(0x4d);
    format!("{byte:02x}{:02x}", !byte).repeat(16)
}

#[test]
fn an_alert_reaches_all_and_survives_a_kill_of_its_author() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let first = trio.raise("ant", &picture(1));
    // It may die before anybody else has heard of it: what was acknowledged is on its disk.
    trio.kill("ant");
    trio.start(&["ant"]);
    for member in ["bee", "cat"] {
        assert_eq!(trio.knows(member, &first)["author"], "ant");
    }
    let found = trio.knows("ant", &first);
    assert_eq!(found["state"], "PROVISIONAL");
    // It goes on in the same log.
    let second = trio.raise("ant", &picture(2));
    let view = trio.knows("bee", &second);
    assert_eq!(view["index"].as_u64(), found["index"].as_u64().map(|index| index + 1));
}

#[test]
fn two_organisations_confirm_and_a_retraction_undoes_it() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let id = trio.raise("ant", &picture(3));
    trio.knows("bee", &id);
    trio.until("bee confirms", || trio.ask("bee", &["alert", "confirm", &id]));
    trio.until("cat sees it confirmed", || {
        (trio.knows("cat", &id)["state"] == "CONFIRMED").then_some(())
    });
    for member in ["ant", "bee"] {
        let retract = ["alert", "retract", &id, "--reason", "wrong_match"];
        trio.until("it is retracted", || trio.ask(member, &retract));
    }
    trio.until("cat sees it retracted", || {
        (trio.knows("cat", &id)["state"] == "RETRACTED").then_some(())
    });
    let audit = trio.verify("cat", "bee");
    assert_eq!((&audit["sound"], &audit["verbs"]["confirm"]), (&true.into(), &1.into()), "{audit}");
    assert_eq!(audit["reasons"]["wrong_match"], 1);
}

#[test]
fn a_restored_backup_recovers_its_log_from_its_peers_and_does_not_fork() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let yesterday = trio.raise("ant", &picture(4));
    for member in ["bee", "cat"] {
        trio.knows(member, &yesterday);
    }
    let backup = trio.back_up("ant");
    let today = trio.raise("ant", &picture(5));
    for member in ["bee", "cat"] {
        trio.knows(member, &today);
    }
    trio.put_back("ant", &backup);
    trio.start(&["ant"]);
    let tomorrow = trio.raise("ant", &picture(6));
    let index = |id: &str| trio.knows("bee", id)["index"].as_u64().unwrap();
    assert_eq!((index(&yesterday), index(&today), index(&tomorrow)), (0, 1, 2));
    trio.knows("ant", &today);
    for at in MEMBERS {
        trio.knows(at, &tomorrow);
        let audit = trio.verify(at, "ant");
        assert_eq!((&audit["sound"], &audit["size"]), (&true.into(), &3.into()), "{audit}");
    }
}

#[test]
fn a_member_that_nobody_can_reach_gives_and_gets_alerts() {
    let mut trio = Trio::found(Some("cat"));
    trio.start(&MEMBERS);
    let from_outside = trio.raise("ant", &picture(7));
    trio.knows("cat", &from_outside);
    let from_inside = trio.raise("cat", &picture(8));
    for member in ["ant", "bee"] {
        assert_eq!(trio.knows(member, &from_inside)["author"], "cat");
    }
}

#[test]
fn two_members_that_nobody_can_reach_are_members_all_the_same() {
    let mut trio = Trio::found(["bee", "cat"]);
    trio.start(&MEMBERS);
    let of_bee = trio.raise("bee", &picture(9));
    let of_cat = trio.raise("cat", &picture(10));
    assert_eq!(trio.knows("cat", &of_bee)["author"], "bee");
    assert_eq!(trio.knows("bee", &of_cat)["author"], "cat");
    // The author learns that it is effective where it can be told.
    trio.until("bee learns that ant is protected", || {
        let view = trio.knows("bee", &of_bee);
        let mut members = view["members"].as_array()?.iter();
        members.find(|at| at["member"] == "ant")?["effective_at_ms"].as_u64()
    });
}

#[test]
fn evidence_of_a_log_that_has_not_forked_is_none() {
    let mut trio = Trio::found(None);
    trio.start(&["ant"]);
    let url = format!("{}/log/ant", trio.url("ant"));
    let found = trio.until("ant answers", || {
        let charter = trio.charter();
        let found = run(["--json", "log", "evidence", &url, "--charter", charter.to_str()?]);
        serde_json::from_slice::<serde_json::Value>(&found.stdout).ok()
    });
    assert_eq!((&found["forked"], found["proofs"].as_array().unwrap().len()), (&false.into(), 0));
}

#[test]
fn the_directory_of_a_running_node_is_locked_and_doctor_finds_it_well() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    trio.wait_ready(&MEMBERS);
    let dir = trio.dir("ant");
    let refused = run(["key", "list", "--dir", dir.to_str().unwrap()]);
    assert_eq!(code(&refused), 2);
    assert!(words(&refused).contains("stop the node first"), "{}", words(&refused));
    trio.kill("bee");
    let found = run(["doctor", "--dir", dir.to_str().unwrap()]);
    assert_eq!(code(&found), 1, "{}", words(&found));
}

/// Sends the head of an upload, and waits until the node asks for the rest.
fn upload(trio: &Trio, member: &str, length: usize) -> TcpStream {
    let mut stream = trio.connect(member);
    let head = format!(
        "POST /v1/hash HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         expect: 100-continue\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
        trio.key(member)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn a_node_that_is_terminated_answers_the_upload_under_way() {
    let mut trio = Trio::found(None);
    trio.start(&["ant"]);
    let picture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/pdq/images/small.jpg");
    let picture = std::fs::read(picture).unwrap();
    let mut stream = upload(&trio, "ant", picture.len());
    let (first, rest) = picture.split_at(picture.len() / 2);
    stream.write_all(first).unwrap();
    trio.terminate("ant");
    trio.until("it knows that it has to stop", || trio.logs().contains("stopping").then_some(()));
    stream.write_all(rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"pdq\""), "{answer}");
    assert_eq!(trio.ended("ant").code(), Some(0));
}

#[test]
fn a_node_that_is_terminated_does_not_wait_for_a_long_video() {
    let mut trio = Trio::found(None);
    trio.start(&["ant"]);
    let video = hours_of_video(&trio.dir("ant"));
    let mut stream = upload(&trio, "ant", video.len());
    stream.write_all(&video).unwrap();
    trio.until("it is decoded", || (!decoders(&trio, "ant").is_empty()).then_some(()));
    trio.terminate("ant");
    assert_eq!(trio.ended("ant").code(), Some(0));
    trio.until("its decoder is gone", || decoders(&trio, "ant").is_empty().then_some(()));
}

/// A small file that takes long to decode: one second, again and again.
fn hours_of_video(place: &Path) -> Vec<u8> {
    let (second, hours) = (place.join("second.mp4"), place.join("hours.mp4"));
    let ffmpeg = |arguments: &[&str], out: &Path| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error"]).args(arguments).arg(out);
        assert!(ffmpeg.status().unwrap().success());
    };
    let picture = "testsrc=size=1920x1080:rate=30:duration=1";
    ffmpeg(&["-f", "lavfi", "-i", picture, "-c:v", "mpeg4", "-q:v", "31", "-g", "30"], &second);
    let again = ["-stream_loop", "600", "-i", second.to_str().unwrap(), "-c", "copy"];
    ffmpeg(&again, &hours);
    std::fs::read(hours).unwrap()
}

/// Processes that read a copy of an upload in a member's directory.
fn decoders(trio: &Trio, member: &str) -> Vec<String> {
    let scratch = trio.dir(member).join("scratch");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).into_owned())
    });
    processes.filter(|command| command.contains(scratch.to_str().unwrap())).collect()
}

#[test]
fn a_video_with_more_frames_than_an_alert_lists_is_reported_and_recognised() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let place = trio.dir("ant");
    let (long, part) = (place.join("long.mp4"), place.join("part.mp4"));
    let (long, part) = (long.to_str().unwrap(), part.to_str().unwrap());
    let ffmpeg = |arguments: &[&str]| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i"]).args(arguments);
        assert!(ffmpeg.status().unwrap().success());
    };
    let picture = "mandelbrot=size=160x90:rate=60";
    ffmpeg(&[picture, "-t", "62", "-c:v", "mpeg4", "-q:v", "4", long]);
    ffmpeg(&[
        picture, "-ss", "20", "-t", "10", "-c:v", "mpeg4", "-q:v", "9", "-s", "240x136", part,
    ]);
    let label = ["--label", "violence.graphic_death", "--severity", "2"];
    let raise = [&["alert", "raise"][..], &label, &[long]].concat();
    let raised = trio.until("ant raises", || trio.ask("ant", &raise));
    let summary = raised["signals_summary"].as_array().unwrap();
    let video = summary.iter().find(|signal| signal["kind"] == "vpdq").unwrap();
    assert_eq!((&video["frames"], &video["every_frame"]), (&3_600.into(), &false.into()));
    let scan = ["--json", "scan", "--url", &trio.url("ant"), "--key", trio.key("ant"), part];
    let scanned = run(scan);
    assert_eq!(code(&scanned), 1, "{}", words(&scanned));
    assert!(words(&scanned).contains(r#""verdict":"block""#), "{}", words(&scanned));
}

#[test]
fn what_a_platform_held_before_comes_in_from_a_file_and_goes_on_where_it_was_broken_off() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    drop(trio.connect("ant"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("held.ndjson");
    let line = |number: u64| {
        let signal = serde_json::json!({ "kind": "pdq", "value": picture(7), "quality": 100 });
        let line = serde_json::json!({
            "item": format!("post-{number}"), "seen_ms": 4_000_000_000_000u64 + number, "signals": [signal],
        });
        line.to_string() + "\n"
    };
    let lines: Vec<String> = (0..4_500).map(line).collect();
    let file = path.to_str().unwrap();
    let seen = |arguments: &[&str]| {
        let node = ["--url", &trio.url("ant"), "--key", trio.key("ant")];
        run([&["--json", "seen"], &arguments[..1], &node, &arguments[1..]].concat())
    };
    std::fs::write(&path, lines.concat().replace("\"post-4200\"", "42")).unwrap();
    let broken = seen(&["import", file]);
    assert_eq!(code(&broken), 1);
    assert!(words(&broken).contains("lines counted from 4001"), "{}", words(&broken));
    assert!(words(&broken).contains("line 201:"), "{}", words(&broken));

    std::fs::write(&path, lines.concat()).unwrap();
    let done = seen(&["import", file]);
    assert_eq!(code(&done), 0, "{}", words(&done));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let numbers = ["resumed_after", "read", "taken"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(numbers, [4_000, 500, 500]);
    assert!(!folder.path().join("held.ndjson.progress").exists());

    assert_eq!(code(&seen(&["forget", "post-1", "post-4499"])), 0);
    assert_eq!(code(&seen(&["forget", "post-1"])), 1);
}

#[test]
fn an_outsider_counts_what_governments_asked_and_what_was_taken_back_also_where_it_was_erased() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let signal = format!("pdq:{}", picture(6));
    let asked = [
        &["alert", "raise", "--signal", &signal, "--label", "violence.graphic_death"][..],
        &["--severity", "2", "--provenance", "government_request", "--authority", "A ministry"],
    ]
    .concat();
    let raised = trio.until("ant raises", || trio.ask("ant", &asked));
    let asked = raised["id"].as_str().unwrap().to_owned();
    let own = trio.raise("ant", &picture(7));
    trio.knows("cat", &own);
    for (id, reason) in [(&asked, "undisclosed_government_pressure"), (&own, "wrong_match")] {
        let retract = ["alert", "retract", id, "--reason", reason];
        trio.until("it is retracted", || trio.ask("ant", &retract));
    }
    // What is another member's goes by more than one command.
    let bee = ["alert", "--url", &trio.url("bee"), "--key", &trio.keys["bee"], "erase", &own];
    let refused = run(bee);
    let said = words(&refused);
    assert_eq!(code(&refused), 2, "{said}");
    assert!(said.contains("2 of 3 organisations") && said.contains("--yes"), "{said}");
    let waits = trio.until("bee asks", || trio.ask("bee", &["alert", "erase", &own, "--yes"]));
    assert_eq!(waits["erased"], false, "{waits}");
    let gone = trio.until("ant erases", || trio.ask("ant", &["alert", "erase", &asked]));
    assert_eq!(gone["erased"], true, "{gone}");
    let erased = |trio: &Trio, member: &str| {
        trio.until(&format!("{member} has erased it"), || {
            (trio.knows(member, &asked)["erased"] == true).then_some(())
        });
    };
    // Who dies and comes back has not forgotten that it is gone.
    erased(&trio, "cat");
    trio.kill("cat");
    trio.start(&["cat"]);
    erased(&trio, "cat");
    assert!(trio.knows("cat", &asked).get("alert").is_none());

    let audit = trio.verify("cat", "ant");
    assert_eq!(
        (&audit["sound"], &audit["government_requests"]),
        (&true.into(), &1.into()),
        "{audit}"
    );
    let taken_back = serde_json::json!({"undisclosed_government_pressure": 1, "wrong_match": 1});
    assert_eq!(audit["retractions"], taken_back);
    assert_eq!(audit["verbs"]["erase"], 1);
}

#[test]
fn an_incident_is_declared_cosigned_and_shown_by_all() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let case = trio.raise("ant", &picture(8));
    trio.knows("bee", &case);
    let declare = [
        &["incident", "declare", "--level", "3", "--title", "Attack on a market"][..],
        &["--criteria", "Footage by whoever did it", "--case", &case],
    ]
    .concat();
    let declared = trio.until("ant declares", || trio.ask("ant", &declare));
    assert_eq!(declared["state"], "declared");
    let id = declared["id"].as_str().unwrap().to_owned();
    trio.until("bee cosigns", || trio.ask("bee", &["incident", "cosign", &id]));
    for member in MEMBERS {
        trio.until(&format!("{member} has it in force"), || {
            let shown = trio.ask(member, &["incident", "show", &id])?;
            (shown["state"] == "in_force" && shown["cases"][0] == case.as_str()).then_some(())
        });
    }
}
