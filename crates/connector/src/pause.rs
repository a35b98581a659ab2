//! Reads how long a platform asks to wait.

/// How long to wait when the platform asks for a pause and does not say how long.
pub const DEFAULT_PAUSE_MS: u64 = 5_000;
/// The longest pause that a platform can ask for: a take-down must not be put off for days.
pub const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// Reads `Retry-After` in seconds; its other form, a date, gives the default pause.
pub(crate) fn pause_ms(retry_after: Option<&str>) -> u64 {
    let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    seconds.map_or(DEFAULT_PAUSE_MS, |s| s.saturating_mul(1000).min(LONGEST_PAUSE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_taken_as_asked_but_never_for_days() {
        assert_eq!(pause_ms(Some("2")), 2_000);
        assert_eq!(pause_ms(Some("99999999999999999")), LONGEST_PAUSE_MS);
        assert_eq!(pause_ms(None), DEFAULT_PAUSE_MS);
        assert_eq!(pause_ms(Some("Wed, 21 Oct 2026 07:28:00 GMT")), DEFAULT_PAUSE_MS);
    }
}
