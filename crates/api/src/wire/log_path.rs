//! Which log a path names: the one that a member writes, or one of its epochs.

use std::fmt;
use std::str::FromStr;

use watchfire_signal::name::{LogName, MemberName, NameError};

/// `MEMBER` for the log that a member writes, `MEMBER.EPOCH` for a certain one, ended or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPath {
    /// The member.
    pub member: MemberName,
    /// The epoch, unless it is the current one.
    pub epoch: Option<u32>,
}

impl From<&LogName> for LogPath {
    fn from(log: &LogName) -> Self {
        LogPath { member: log.member.clone(), epoch: Some(log.epoch) }
    }
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "{}.{epoch}", self.member),
            None => write!(f, "{}", self.member),
        }
    }
}

impl FromStr for LogPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // No name has a dot, so what is no number is no name either.
        let split = text.rsplit_once('.').map(|(member, epoch)| (member, epoch.parse()));
        match split {
            Some((member, Ok(epoch))) => {
                Ok(LogPath { member: member.parse()?, epoch: Some(epoch) })
            }
            _ => Ok(LogPath { member: text.parse()?, epoch: None }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_member_and_perhaps_an_epoch() {
        let read = |text: &str| text.parse::<LogPath>().unwrap();
        assert_eq!(read("tiktok"), LogPath { member: "tiktok".parse().unwrap(), epoch: None });
        assert_eq!(read("tiktok.12").epoch, Some(12));
        assert_eq!(read("tiktok.12").to_string(), "tiktok.12");
        assert!("tiktok.x".parse::<LogPath>().is_err());
        assert!(".3".parse::<LogPath>().is_err());
    }
}
