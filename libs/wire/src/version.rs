//! The revisions of MCP and the two eras that they fall into.

/// A revision of the protocol, in the order of their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The first: HTTP+SSE and stdio.
    V2024_11_05,
    /// Streamable HTTP; the only one with batches.
    V2025_03_26,
    /// The version header; structured output; elicitation.
    V2025_06_18,
    /// Streams that can be polled; the last with sessions.
    V2025_11_25,
    /// Stateless.
    V2026_07_28,
}

/// A family of revisions that a peer must be spoken to in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, `Mcp-Session-Id`.
    Session,
    /// From 2026-07-28: every request says all that is needed.
    Stateless,
}

impl Version {
    /// All, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];
    /// The newest.
    pub const LATEST: Self = Self::V2026_07_28;
    /// The newest with sessions.
    pub const LATEST_SESSION: Self = Self::V2025_11_25;

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// Its era.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Stateless,
            _ => Era::Session,
        }
    }

    /// True when a body may be an array of messages (2025-03-26 alone says so over HTTP).
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }
}
