//! A partition → the names of its keys, all with one hash tag.

/// The keys of one partition.
#[derive(Debug)]
pub(super) struct Keys(String);

impl Keys {
    /// The key of a partition is escaped: it has no braces.
    pub(super) fn new(prefix: &str, space: &str) -> Self {
        Self(format!("{prefix}:{{{space}}}"))
    }

    /// Hash: id → document of the current version.
    pub(super) fn current(&self) -> String {
        format!("{}:current", self.0)
    }

    /// Hash: id → vector of the current version.
    pub(super) fn vectors(&self) -> String {
        format!("{}:vectors", self.0)
    }

    /// Sorted set: id by the time at which it was recorded.
    pub(super) fn recorded(&self) -> String {
        format!("{}:recorded", self.0)
    }

    /// Sorted set: id by the time at which it ends.
    pub(super) fn expiring(&self) -> String {
        format!("{}:expiring", self.0)
    }

    /// String: the version that is current. This is what is watched.
    pub(super) fn version(&self, id: &str) -> String {
        format!("{}:version:{id}", self.0)
    }

    /// Hash: version → document.
    pub(super) fn versions(&self, id: &str) -> String {
        format!("{}:versions:{id}", self.0)
    }

    /// Hash: version → the time at which it was replaced.
    pub(super) fn ended(&self, id: &str) -> String {
        format!("{}:ended:{id}", self.0)
    }

    /// Set: keys of the sets that the current version is in.
    pub(super) fn found_by(&self, id: &str) -> String {
        format!("{}:found_by:{id}", self.0)
    }

    /// Hash: `used`, `misled`, `recalled`, `last`.
    pub(super) fn uses(&self, id: &str) -> String {
        format!("{}:uses:{id}", self.0)
    }

    /// Set: ids whose current version has the term.
    pub(super) fn term(&self, token: &str) -> String {
        format!("{}:term:{token}", self.0)
    }

    /// Set: ids whose current version touches the node.
    pub(super) fn node(&self, node: &str) -> String {
        format!("{}:node:{node}", self.0)
    }
}
