//! Why a record is disputed, retracted or halted; it stands in clear, so that anyone can count it.

use crate::code::codes;

codes! {
    /// A reason, the same list for disputes, retractions, halts and erasures.
    Reason, "reason";
    /// The signal matches content that is something else.
    WrongMatch = 1 "wrong_match",
    /// Two different contents have the same hash.
    HashCollision = 2 "hash_collision",
    /// The content is what was said, in a context in which it is not harmful.
    BenignContext = 3 "benign_context",
    /// Another label fits.
    Mislabelled = 4 "mislabelled",
    /// The coalition does not exchange this.
    OutOfScope = 5 "out_of_scope",
    /// Lawful where the speaker is.
    LegalLocal = 6 "legal_local",
    /// A victim asked that it is no longer exchanged.
    VictimWithdrew = 7 "victim_withdrew",
    /// The same case exists already.
    Duplicate = 8 "duplicate",
    /// A drill is over.
    Test = 9 "test",
    /// The issuer's key or staff was not in its own hands.
    CompromisedIssuer = 10 "compromised_issuer",
    /// A government asked and the record did not say so.
    UndisclosedGovernmentPressure = 11 "undisclosed_government_pressure",
}
