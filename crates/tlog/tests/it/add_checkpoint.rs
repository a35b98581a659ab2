//! Requests to cosign: the specification's example, and everything that is almost one.

use proptest::prelude::*;
use watchfire_tlog::add_checkpoint::{
    AddCheckpoint, MAX_ADD_CHECKPOINT_BYTES, MAX_PROOF_LINES, Malformed, NotContinued,
};
use watchfire_tlog::note::{MAX_NOTE_BYTES, Note};
use watchfire_tlog::proof::consistency;
use watchfire_tlog::{Checkpoint, Hash, ProofError, SignedCheckpoint};

use crate::book::{Book, now, origin, own_key, peer_key};

// The example of C2SP tlog-witness.
const HASHES: [&str; 4] = [
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=",
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=",
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=",
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=",
];
const NOTE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

fn example() -> String {
    format!("old 20852014\n{}\n\n{NOTE}", HASHES.join("\n"))
}

fn request(book: &Book, old: u64, new: u64) -> AddCheckpoint {
    let proof = now(consistency(book, old, new)).unwrap();
    AddCheckpoint { old, proof, checkpoint: book.signed(new) }
}

fn judged(request: &AddCheckpoint, last: &Checkpoint) -> Result<(), NotContinued> {
    let new = request.checkpoint.verify(&origin(), &peer_key()).unwrap();
    request.continues(last, &new)
}

#[test]
fn the_example_of_the_specification_is_read_and_printed_byte_for_byte() {
    let request = AddCheckpoint::parse(example().as_bytes()).unwrap();
    assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
    assert_eq!(request.proof[1].to_string()[..8], *"8eb2590e");
    assert_eq!(request.origin(), "example.com/behind-the-sofa");
    assert_eq!(request.checkpoint.text, NOTE);
    assert_eq!(request.to_string(), example());
}

#[test]
fn what_is_almost_a_request_is_malformed() {
    let (one, root) = (HASHES[0], "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    let signature = NOTE.split_once("\n\n").unwrap().1;
    for bad in [
        String::new(),
        "old 0\n".into(),
        "old 0\n\n".into(),
        format!("old 0\n{NOTE}"),
        NOTE.to_owned(),
        format!("\n\n{NOTE}"),
        format!("old\n\n{NOTE}"),
        format!("old \n\n{NOTE}"),
        format!("old  1\n\n{NOTE}"),
        format!("old 1 \n\n{NOTE}"),
        format!("old 01\n\n{NOTE}"),
        format!("old +1\n\n{NOTE}"),
        format!("old -1\n\n{NOTE}"),
        format!("Old 1\n\n{NOTE}"),
        format!("old 1\r\n\r\n{NOTE}"),
        format!("old 9223372036854775808\n\n{NOTE}"),
        format!("old 1\n{}\n\n{NOTE}", &one[..43]),
        format!("old 1\n{}\n\n{NOTE}", &one[4..]),
        format!("old 1\n{one} \n\n{NOTE}"),
        format!("old 1\n{one}{one}\n\n{NOTE}"),
        format!("old 1\n{}\n\n{NOTE}", one.replace("kaw=", "kax=")),
        format!("old 1\n{}\n\n{NOTE}", [one; MAX_PROOF_LINES + 1].join("\n")),
        format!("old 1\n{}\n\n{NOTE}", [one; 100_000].join("\n")),
        format!("old 1\n\n{}", &NOTE[..NOTE.len() - 1]),
        format!("old 1\n\n{NOTE}\n"),
        format!("old 1\n\n\n{NOTE}"),
        format!("old 1\n\na\n1\n{root}\n"),
        format!("old 1\n\na\n1\n\n{signature}"),
        format!("old 1\n\na\n01\n{root}\n\n{signature}"),
        format!("old 1\n\na\n0\n{root}\n\n{signature}"),
        format!("old 1\n\na\n1\n{}\n\n{signature}", &root[..40]),
    ] {
        let short: String = bad.chars().take(200).collect();
        assert_eq!(AddCheckpoint::parse(bad.as_bytes()), Err(Malformed), "{short:?}");
    }
    let mut bytes = example().into_bytes();
    bytes[60] = 0xff;
    assert_eq!(AddCheckpoint::parse(&bytes), Err(Malformed), "not UTF-8");
    // The most that is allowed, and a log with a name that we would not give one.
    let most = format!("old 1\n{}\n\n{NOTE}", [one; MAX_PROOF_LINES].join("\n"));
    assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), MAX_PROOF_LINES);
    let foreign = example().replace("example.com/behind-the-sofa\n", "Go.SUM database tree\n");
    assert_eq!(AddCheckpoint::parse(foreign.as_bytes()).unwrap().origin(), "Go.SUM database tree");
}

#[test]
fn the_longest_request_is_as_long_as_is_said() {
    let text = format!("{}\n1\n{}\n", origin(), HASHES[0]);
    let note = Note::sign(text.clone(), origin().as_str(), &own_key()).unwrap().to_string();
    let filler = "x".repeat(MAX_NOTE_BYTES - note.len() - 1);
    let note = Note::sign(format!("{text}{filler}\n"), origin().as_str(), &own_key()).unwrap();
    let proof = vec![Hash([7; 32]); MAX_PROOF_LINES];
    let checkpoint = SignedCheckpoint::new(note.to_string());
    let longest = AddCheckpoint { old: u64::MAX >> 1, proof, checkpoint };
    // 2^63 - 1 has nineteen digits.
    assert_eq!(longest.to_string().len(), MAX_ADD_CHECKPOINT_BYTES - 1);
    assert_eq!(AddCheckpoint::parse(longest.to_string().as_bytes()), Ok(longest));
}

#[test]
fn a_checkpoint_goes_on_from_the_one_before_and_every_other_one_says_why_not() {
    let book = Book::of(21);
    let none = Checkpoint::empty(origin());
    for (old, new) in [(0, 0), (0, 1), (0, 21), (1, 1), (1, 2), (7, 8), (8, 8), (8, 21), (13, 21)] {
        let last = if old == 0 { none.clone() } else { book.head(old) };
        assert_eq!(judged(&request(&book, old, new), &last), Ok(()), "{old} {new}");
    }
    let larger = AddCheckpoint { old: 9, ..request(&book, 8, 8) };
    assert_eq!(judged(&larger, &book.head(9)), Err(NotContinued::OldIsLarger));
    for (last, said) in [(0, none.clone()), (7, book.head(7)), (9, book.head(9))] {
        let elsewhere = judged(&request(&book, 8, 13), &said);
        assert_eq!(elsewhere, Err(NotContinued::Elsewhere { last }));
    }
    let other = Book::with_story(21, 3, "two");
    assert_eq!(
        judged(&request(&book, 8, 8), &other.head(8)),
        Err(NotContinued::OtherRoot { last: 8 })
    );
    let wrong = Err(NotContinued::Unproven(ProofError::Wrong));
    assert_eq!(judged(&request(&other, 8, 21), &book.head(8)), wrong, "another history");
    assert_eq!(
        judged(&AddCheckpoint { proof: vec![], ..request(&book, 8, 13) }, &book.head(8)),
        wrong
    );
    let stuffed =
        |old, new| AddCheckpoint { proof: vec![Hash([1; 32])], ..request(&book, old, new) };
    assert_eq!(judged(&stuffed(0, 8), &none), wrong, "a proof from nothing");
    assert_eq!(judged(&stuffed(8, 8), &book.head(8)), wrong, "a proof to itself");
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_that_prints_as_it_was_or_an_error(
        place in any::<prop::sample::Index>(),
        change in prop_oneof![
            any::<Vec<u8>>(),
            "(\n|\n\n|old |0|=|— )".prop_map(String::into_bytes),
        ],
        cut in 0..4_usize,
    ) {
        let mut bytes = example().into_bytes();
        let place = place.index(bytes.len() - cut);
        bytes.splice(place..place + cut, change);
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(request.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn a_proof_with_a_changed_hash_is_none(
        old in 1..40_u64,
        more in 1..40_u64,
        which in any::<prop::sample::Index>(),
        bit in 0..256_usize,
    ) {
        let book = Book::of(old + more);
        let mut request = request(&book, old, old + more);
        prop_assert_eq!(judged(&request, &book.head(old)), Ok(()));
        let which = which.index(request.proof.len());
        request.proof[which].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(matches!(
            judged(&request, &book.head(old)),
            Err(NotContinued::Unproven(_))
        ));
    }
}
