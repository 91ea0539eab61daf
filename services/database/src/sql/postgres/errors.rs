//! What PostgreSQL says → what a caller can do about it (SQLSTATE, PostgreSQL documentation, appendix A).

use sqlx::{Error, postgres::PgDatabaseError};
use weft_kit::ToolError;

use crate::fault;

/// An error of the connection called `name`.
pub(super) fn tool(name: &str, error: &Error) -> ToolError {
    match error {
        Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => said(name, error),
            None => ToolError::internal(error),
        },
        Error::PoolTimedOut => fault::busy(name),
        Error::Io(_) | Error::Tls(_) | Error::PoolClosed | Error::Protocol(_) => fault::away(name, error),
        other => ToolError::internal(other),
    }
}

fn said(name: &str, error: &PgDatabaseError) -> ToolError {
    let code = error.code();
    let text = error.message().to_owned();
    let made = match (code, code.get(..2).unwrap_or_default()) {
        ("57014", _) if text.contains("timeout") => return ToolError::deadline(),
        ("57014", _) => return ToolError::cancelled(),
        ("55P03", _) => ToolError::unavailable(format!("a lock was not to be had in time: {text}")),
        ("42501", _) => ToolError::refused(text),
        ("25006", _) => ToolError::refused(format!("this only reads: {text}")),
        ("42P01" | "42703" | "42883" | "3F000" | "42704", _) => {
            ToolError::not_found(text).hint("search_objects and describe_object tell what there is")
        }
        ("40001" | "40P01", _) => ToolError::conflict(text).retryable(),
        (_, "23") => ToolError::conflict(text),
        (_, "22" | "42" | "2F" | "0A" | "44") => ToolError::invalid(text),
        ("28P01" | "28000" | "3D000", _) => fault::away(name, error),
        (_, "08" | "53" | "57" | "58") => fault::away(name, error),
        _ => ToolError::new("database_error", text),
    };
    let more: Vec<&str> = error.detail().into_iter().chain(error.hint()).collect();
    if more.is_empty() { made } else { made.hint(more.join("; ")) }
}
