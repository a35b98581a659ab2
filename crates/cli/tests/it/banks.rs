//! Banks by the command line at a real node: filled from every form of file, twice, and found after a kill.

use crate::{
    program::{code, run, words},
    trio::{MEMBERS, Trio},
};

fn hash(number: usize, digits: usize) -> String {
    let number = number as u64 + 1;
    let words = (1..=4).map(|n: u64| {
        format!("{:016x}", number.wrapping_mul(n).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    });
    words.collect::<String>()[..digits].to_owned()
}

#[test]
fn a_bank_is_filled_from_files_of_every_form_and_survives_a_kill() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let ask = |trio: &Trio, arguments: &[&str]| {
        trio.until(&arguments.join(" "), || trio.ask("ant", &[&["bank"], arguments].concat()))
    };
    let create = ["create", "GORE", "--label", "violence.graphic_death", "--severity", "3"];
    assert_eq!(ask(&trio, &create)["severity"], 3);

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pictures: Vec<_> =
        (0..3).map(|n| format!("{{\"kind\":\"pdq\",\"value\":\"{}\"}}", hash(n, 64))).collect();
    let json = file("a.ndjson", pictures.join("\n"));
    let lines = file("b.txt", format!("pdq {} 90 cat.png\nmd5 {}\n", hash(2, 64), hash(3, 32)));
    let csv = file(
        "c.csv",
        format!(
            "collab,signal_type,signal_str,category,tags\r\nx,video_md5,{},MALICIOUS_CONTENT,\r\nx,raw_text,hello,,\r\n",
            hash(4, 32)
        ),
    );
    let all = ["add", "GORE", "--skip-other-kinds", &json, &lines, &csv];
    let added = ask(&trio, &all);
    // The picture of the second list stands in the first one too.
    assert_eq!(
        (&added["given"], &added["added"], &added["skipped"]),
        (&6.into(), &5.into(), &1.into())
    );
    let again = ask(&trio, &all);
    assert_eq!((&again["added"], &again["known"]), (&0.into(), &6.into()));

    let url = trio.url("ant");
    let bad = file("bad.txt", format!("pdq {}\npdq xyz\n", hash(9, 64)));
    let refused = run(["bank", "--url", &url, "add", "GORE", &json, &bad]);
    assert_eq!(code(&refused), 1, "{}", words(&refused));
    assert!(
        words(&refused).contains("bad.txt:2: pdq: expected 64 characters"),
        "{}",
        words(&refused)
    );

    trio.kill("ant");
    trio.start(&["ant"]);
    let shown = ask(&trio, &["show", "GORE"]);
    assert_eq!((&shown["contents"], &shown["signals"]["pdq"]), (&5.into(), &3.into()));
    let first = ask(&trio, &["contents", "GORE", "--limit", "1"]);
    assert_eq!((&first["id"], &first["signals"][0]["value"]), (&1.into(), &hash(0, 64).into()));
    let off = ask(&trio, &["change", "GORE", "--enabled", "false"]);
    assert_eq!(off["enabled"], false);
    assert_eq!(ask(&trio, &["remove", "GORE", "1"])["removed"], 1);
    assert_eq!(ask(&trio, &["delete", "GORE"])["deleted"], "GORE");
}
