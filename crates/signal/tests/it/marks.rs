//! To whom what an alert says may be handed on.

use watchfire_signal::{
    statement::Statement,
    tlp::{Audience, Tlp},
};

use crate::golden;

#[test]
fn each_mark_goes_as_far_as_the_protocol_says_and_no_further() {
    // FIRST, TLP 2.0: who of organisation, clients, community, public may get it.
    let table = [
        ("TLP:CLEAR", [true, true, true, true]),
        ("TLP:GREEN", [true, true, true, false]),
        ("TLP:AMBER", [true, true, false, false]),
        ("TLP:AMBER+STRICT", [true, false, false, false]),
        ("TLP:RED", [false, false, false, false]),
    ];
    assert_eq!(Tlp::ALL.len(), table.len());
    for (mark, allowed) in table {
        let mark: Tlp = mark.parse().unwrap();
        assert_eq!(Audience::ALL.iter().map(|of| mark.allows(*of)).collect::<Vec<_>>(), allowed);
    }
}

#[test]
fn without_a_mark_the_group_implies_one_and_the_bytes_are_as_before() {
    let (_, Statement::Assert(mut alert)) = golden::assert() else { panic!("an assert") };
    let bare = Statement::Assert(alert.clone()).encode();
    assert_eq!(alert.mark(&"all".parse().unwrap()), Tlp::Green);
    assert_eq!(alert.mark(&"police".parse().unwrap()), Tlp::Amber);
    for mark in Tlp::ALL {
        alert.tlp = Some(*mark);
        assert_eq!(alert.mark(&"police".parse().unwrap()), *mark);
        let statement = Statement::Assert(alert.clone());
        let marked = statement.encode();
        // One more entry of the map: key 12 and its number.
        assert_eq!(marked[1..bare.len()], bare[1..]);
        assert_eq!(marked[bare.len()..], [12, mark.code()]);
        assert_eq!(Statement::decode(statement.verb(), &marked).unwrap(), statement);
    }
    let mut unknown = Statement::Assert(alert.clone()).encode();
    *unknown.last_mut().unwrap() = 5;
    assert!(Statement::decode(Statement::Assert(alert).verb(), &unknown).is_err());
}
