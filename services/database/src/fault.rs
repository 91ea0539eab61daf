//! What goes wrong below the tools, in words that a caller can act on and that name no host, user or password.

use weft_kit::ToolError;

/// The backend of a connection cannot be reached.
pub(crate) fn away(name: &str, why: &dyn std::fmt::Display) -> ToolError {
    tracing::warn!(connection = name, why = %why, "a database cannot be reached");
    ToolError::unavailable(format!("the connection {name:?} cannot be reached now"))
        .hint("try again; check_health tells more")
}

/// All places of the pool are taken.
pub(crate) fn busy(name: &str) -> ToolError {
    ToolError::unavailable(format!("all connections to {name:?} are busy")).hint("try again in a moment")
}
