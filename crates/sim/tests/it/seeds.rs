//! Seeds.

use watchfire_sim::{Options, run};

#[test]
fn a_seed_gives_the_same_trace_again() {
    for seed in 0..3 {
        let options = Options::of(seed);
        let (one, other) = (run(&options).unwrap(), run(&options).unwrap());
        assert_eq!(one, other);
    }
}
