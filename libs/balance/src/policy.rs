//! How an instance is chosen: the names of the policies, as a configuration writes them.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// How an instance is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn, by weight.
    RoundRobin,
    /// The lighter of two drawn at random: peak EWMA latency × calls in flight (Mitzenmacher, "The power of two choices").
    #[default]
    LeastConnections,
    /// By key, on a ring, with bounded load (Mirrokni, Thorup and Zadimoghaddam, 2018).
    ConsistentHash,
}

/// No policy has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no balancing policy is called {0:?}: use round_robin, least_connections or consistent_hash")]
pub struct UnknownPolicy(String);

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RoundRobin, Self::LeastConnections, Self::ConsistentHash];

    /// Its name in configurations, status pages and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
            Self::ConsistentHash => "consistent_hash",
        }
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.label() == name).ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_read_back_and_nothing_else_is() {
        assert!(Policy::ALL.into_iter().all(|policy| policy.label().parse() == Ok(policy)));
        let unknown = "random".parse::<Policy>().unwrap_err();
        assert!(unknown.to_string().contains("\"random\""));
    }
}
