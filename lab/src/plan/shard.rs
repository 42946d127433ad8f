//! A part of a plan, so that several machines share it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Plan;

/// Which part of how many: `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(one, all)| Some((one.parse().ok()?, all.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err("which part of how many, such as 1/3".to_owned()),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Plan {
    /// Leaves only the loads of one shard, which all shards take in turn: so none gets all of a scenario that takes long.
    pub fn keep(&mut self, shard: Shard) {
        let mut place = 0;
        self.loads.retain(|_| {
            place += 1;
            (place - 1) % shard.of == shard.number - 1
        });
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1/1")]
    #[case("2/3")]
    fn a_shard_is_printed_as_it_is_read(#[case] text: &str) {
        let shard: Shard = text.parse().expect("a shard");
        assert_eq!(shard.to_string(), text);
    }

    #[rstest]
    #[case("0/3")]
    #[case("4/3")]
    #[case("1/0")]
    #[case("1")]
    #[case("a/b")]
    fn what_is_no_shard_is_refused(#[case] text: &str) {
        assert!(text.parse::<Shard>().is_err());
    }
}
