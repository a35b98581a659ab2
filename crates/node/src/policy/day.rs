//! A day in a policy file: what ends with it.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A day of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// Whether the day is over at a moment, in milliseconds since 1970.
    #[must_use]
    pub fn is_over(self, now_ms: u64) -> bool {
        now_ms / DAY_MS > self.number()
    }

    /// Days since 1970-01-01, 0 before; "days from civil" of Howard Hinnant's date algorithms.
    fn number(self) -> u64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        u64::try_from(era * 146_097 + day_of_era - 719_468).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = toml::value::Datetime::deserialize(deserializer)?;
        match read {
            toml::value::Datetime { date: Some(date), time: None, offset: None } => {
                Ok(Self { year: date.year, month: date.month, day: date.day })
            }
            _ => Err(D::Error::custom("a day is written 2026-12-31, without time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_the_next_one_begins() {
        let day = |year, month, day| Day { year, month, day };
        assert_eq!(day(1970, 1, 1).number(), 0);
        assert_eq!(day(2000, 3, 1).number(), 11_017);
        assert_eq!(day(2024, 2, 29).number(), 19_782);
        assert_eq!(day(2026, 11, 25).number(), 20_782);
        assert!(!day(1970, 1, 2).is_over(2 * DAY_MS - 1) && day(1970, 1, 2).is_over(2 * DAY_MS));
        assert_eq!(day(2026, 1, 9).to_string(), "2026-01-09");
    }
}
