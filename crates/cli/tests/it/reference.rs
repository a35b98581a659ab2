//! The committed description of the command line.

use crate::program::run;

#[test]
fn the_committed_document_is_what_the_program_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let committed = std::fs::read_to_string(path).unwrap();
    let said = String::from_utf8(run(["reference"]).stdout).unwrap();
    assert_eq!(committed, said, "run `watchfire reference > docs/cli.md`");
}
