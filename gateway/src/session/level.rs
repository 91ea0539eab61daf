//! Severities of log messages.

/// Severity of a log message, from the least (RFC 5424, as MCP names it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

/// The names of the levels, from the least severe.
pub(crate) const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl Level {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        LEVELS.iter().position(|level| *level == text).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        LEVELS[self.0]
    }
}
