//! Copies of a log whose author has told two stories, of which one is accepted.

use watchfire_tlog::{Accepted, Hash, Standing};

use crate::book::{Book, entry, now};

fn accepted(book: &Book) -> Accepted {
    let size = book.entries.len() as u64;
    Accepted { size, root: book.frontier(size).root() }
}

#[test]
fn a_copy_is_whole_a_beginning_or_apart_from_where_it_differs() {
    for size in [0, 1, 2, 255, 256, 257, 700] {
        let theirs = Book::of(size);
        let accepted = accepted(&theirs);
        for held in [0, 1, 2, 200, 256, 300, 699, 700, 701] {
            let stand = |ours: &Book| now(accepted.compare((ours, held), &theirs)).unwrap();
            let same = if held >= size { Standing::Whole } else { Standing::Begins };
            assert_eq!(stand(&Book::of(held)), same, "{held} of {size}");
            for common in [0, 1, 128, 255, 256, 299].into_iter().filter(|at| *at < held) {
                let apart = stand(&Book::with_story(held, common, "other"));
                let expected =
                    if common < size { Standing::Apart { common } } else { Standing::Whole };
                assert_eq!(apart, expected, "{held} of {size}, {common} in common");
            }
        }
    }
}

#[test]
fn nobody_who_lacks_the_accepted_tree_has_a_copy_called_apart() {
    let accepted = accepted(&Book::of(700));
    for (held, known) in [(300, 120), (700, 120), (900, 650), (300, 300)] {
        // Somebody of yet another history, and somebody who has a part of the accepted one.
        for theirs in [Book::with_story(700, known, "third"), Book::of(known)] {
            let ours = Book::with_story(held, 100, "other");
            let answer = now(accepted.compare((&ours, held), &theirs));
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}

#[test]
fn a_copy_grows_into_what_is_accepted_alone() {
    const SAME: u64 = u64::MAX;
    let theirs = Book::of(700);
    let (accepted, ours) = (accepted(&theirs), Book::of(300).frontier(300));
    let grown = |until: u64, turn: u64| -> Vec<Hash> {
        let story = |index| if index < turn { "one" } else { "other" };
        (300..until).map(|index| entry(index, story(index)).leaf_hash()).collect()
    };
    let cases = [
        (600, SAME, true),
        (700, SAME, true),
        (900, 700, true),
        (600, 599, false),
        (700, 699, false),
    ];
    for (until, turn, good) in cases {
        let answer = now(accepted.check((&ours, &grown(until, turn)), &theirs));
        assert_eq!(answer.is_ok(), good, "{until}, {turn}");
    }
    for (size, turn, good) in
        [(0, SAME, true), (600, SAME, true), (900, 700, true), (600, 599, false), (900, 699, false)]
    {
        let shown = Book::with_story(size, turn, "other");
        let (tree, theirs) = (shown.frontier(size), if size > 700 { &shown } else { &theirs });
        let answer = now(accepted.goes_with((size, &tree.root()), theirs));
        assert_eq!(answer.is_ok(), good, "{size}, {turn}");
    }
    // Who does not have it cannot show that it leads there.
    assert!(now(accepted.check((&ours, &grown(600, SAME)), &Book::of(600))).is_err());
}
