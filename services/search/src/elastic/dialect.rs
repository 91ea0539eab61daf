//! The greeting of a cluster → which of the two it is, and whether it is new enough.
//!
//! Elasticsearch and OpenSearch parted at 7.10. What is asked of them here (bulk, search, mapping, alias, scroll, explain) is written
//! the same in both; the greeting is read so that something else behind the URL is known at once, and told by its name.

use serde_json::Value;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Elasticsearch { major: u32, minor: u32 },
    OpenSearch { major: u32, minor: u32 },
}

/// Something else, or something too old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    /// Not one of them.
    #[error("what answers is neither Elasticsearch nor OpenSearch: correct the URL of the cluster")]
    Unknown,
    /// One of them, of long ago.
    #[error("the cluster is {0}; at least Elasticsearch 7.10 or OpenSearch 1.0 is needed")]
    Old(String),
}

impl Dialect {
    /// Reads the answer to `GET /`.
    pub(crate) fn read(greeting: &Value) -> Result<Self, Foreign> {
        let version = &greeting["version"];
        let mut numbers = version["number"].as_str().unwrap_or_default().split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return Err(Foreign::Unknown);
        };
        if version["distribution"].as_str() == Some("opensearch") {
            return Ok(Self::OpenSearch { major, minor });
        }
        if greeting["tagline"].as_str() != Some("You Know, for Search") {
            return Err(Foreign::Unknown);
        }
        if (major, minor) < (7, 10) {
            return Err(Foreign::Old(format!("Elasticsearch {major}.{minor}")));
        }
        Ok(Self::Elasticsearch { major, minor })
    }

    /// What tells documents apart that are equal in the order, within one state of an index. The id is always there, at the price
    /// of being held in memory.
    pub(crate) fn tiebreaker(self) -> &'static str {
        match self {
            Self::Elasticsearch { major, minor } if (major, minor) >= (7, 12) => "_shard_doc",
            Self::OpenSearch { major, minor } if (major, minor) >= (3, 3) => "_shard_doc",
            _ => "_id",
        }
    }

    /// Its name, as callers see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch { .. } => "elasticsearch",
            Self::OpenSearch { .. } => "opensearch",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_are_known_by_their_greeting_and_others_refused() {
        let elastic = |number: &str| json!({"version": {"number": number, "build_flavor": "default"}, "tagline": "You Know, for Search"});
        assert_eq!(Dialect::read(&elastic("9.1.0")), Ok(Dialect::Elasticsearch { major: 9, minor: 1 }));
        assert_eq!(Dialect::read(&elastic("7.10.2")), Ok(Dialect::Elasticsearch { major: 7, minor: 10 }));
        assert_eq!(Dialect::read(&elastic("6.8.0")), Err(Foreign::Old("Elasticsearch 6.8".to_owned())));
        let open = json!({"version": {"distribution": "opensearch", "number": "3.2.0"}, "tagline": "The OpenSearch Project: https://opensearch.org/"});
        assert_eq!(Dialect::read(&open), Ok(Dialect::OpenSearch { major: 3, minor: 2 }));
        for other in [
            json!({}),
            json!({"version": {"number": "1.2"}}),
            json!("hello"),
            json!({"version": {"number": "8.x"}, "tagline": "You Know, for Search"}),
        ] {
            assert_eq!(Dialect::read(&other), Err(Foreign::Unknown), "{other}");
        }
    }

    #[test]
    fn equal_hits_are_told_apart_by_what_the_version_knows() {
        for (dialect, unique) in [
            (Dialect::Elasticsearch { major: 7, minor: 11 }, "_id"),
            (Dialect::Elasticsearch { major: 7, minor: 12 }, "_shard_doc"),
            (Dialect::Elasticsearch { major: 9, minor: 0 }, "_shard_doc"),
            (Dialect::OpenSearch { major: 3, minor: 2 }, "_id"),
            (Dialect::OpenSearch { major: 3, minor: 3 }, "_shard_doc"),
        ] {
            assert_eq!(dialect.tiebreaker(), unique, "{dialect:?}");
        }
    }
}
