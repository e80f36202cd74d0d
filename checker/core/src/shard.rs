//! A share of a population, so that several runners can judge one account between them.
//!
//! In: `2/4`. Out: for every resource, whether it is in this share. Every resource is in exactly one of the shares
//! `1/n` to `n/n`, by a digest of its name; what speaks of a whole population is judged in every share.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One of several shares of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    number: u32,
    of: u32,
}

/// Why a text is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the shard `{0}`: expected `i/n` with i from 1 to n, such as 2/4")]
pub struct ShardError(String);

impl Shard {
    /// Its number, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many shards there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether a resource, or anything else with a name, is in this share.
    pub fn holds(self, name: &str) -> bool {
        let digest = Sha256::digest(name.as_bytes());
        let first = digest.iter().take(8);
        let value = first.fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        value % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError(text.to_owned());
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let of: u32 = of.parse().map_err(|_| wrong())?;
        if number == 0 || number > of {
            return Err(wrong());
        }
        Ok(Self { number, of })
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Shard;

    fn shard(text: &str) -> Option<Shard> {
        text.parse().ok()
    }

    #[test]
    fn a_shard_is_one_of_several() {
        assert_eq!(
            shard("2/4").map(|it| it.to_string()).as_deref(),
            Some("2/4")
        );
        for wrong in ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b"] {
            assert_eq!(shard(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_resource_is_in_exactly_one() {
        let shards: Vec<Shard> = (1..=7)
            .filter_map(|number| shard(&format!("{number}/7")))
            .collect();
        let mut sizes = [0_usize; 8];
        for number in 0..7_000 {
            let name = format!("arn:aws:secretsmanager:x:1:secret:bank-{number}");
            let holding: Vec<&Shard> = shards.iter().filter(|it| it.holds(&name)).collect();
            assert_eq!(holding.len(), 1, "{name}");
            for it in holding {
                if let Some(size) = sizes.get_mut(usize::try_from(it.number()).unwrap_or(0)) {
                    *size += 1;
                }
            }
        }
        assert!(
            sizes.iter().skip(1).all(|size| (900..1_100).contains(size)),
            "{sizes:?}"
        );
    }
}
