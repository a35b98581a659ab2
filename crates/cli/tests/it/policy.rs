//! A policy file, checked and tried without a node.

use crate::program::{code, json, run, words};

const FILE: &str = "version = 2\n\
[[rule]]\nid = 'r'\nlabel = [\"hate.*\"]\nwhen = 'item.views > 10'\nthen = ['hide']\n\
[[case]]\nname = 'seen by many'\n\
facts = { state = 'CONFIRMED', labels = ['hate.incitement'], item_facts = { views = 11 } }\n\
expect = { verdict = 'block', rules = ['r'] }\n";

#[test]
fn a_file_is_checked_and_its_cases_are_tried() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("policy.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, FILE).unwrap();
    let told = json(["policy", "check", path]);
    assert_eq!(
        (&told["version"], &told["rules"], &told["cases"]),
        (&2.into(), &1.into(), &1.into())
    );
    let tested = run(["policy", "test", path]);
    assert_eq!(code(&tested), 0, "{}", words(&tested));

    std::fs::write(&file, FILE.replace("'block'", "'allow'")).unwrap();
    let tested = run(["policy", "test", path]);
    assert_eq!(code(&tested), 1);
    assert!(words(&tested).contains("verdict is block, not allow"), "{}", words(&tested));

    std::fs::write(&file, FILE.replace("item.views > 10", "item.vews > 10")).unwrap();
    let checked = run(["policy", "check", path]);
    assert_eq!(code(&checked), 2);
    let said = words(&checked);
    assert!(said.contains("did you mean `item.views`? (line 5, column"), "{said}");
}
