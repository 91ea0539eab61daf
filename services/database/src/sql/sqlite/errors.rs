//! What SQLite says → what a caller can do about it (SQLite documentation, "Result and Error Codes").

use rusqlite::{Error, ErrorCode};
use weft_kit::ToolError;

use crate::fault;

/// An error of the connection called `name`.
pub(super) fn tool(name: &str, error: &Error) -> ToolError {
    let (code, text) = match error {
        Error::SqliteFailure(failure, text) => (failure.code, text.clone().unwrap_or_else(|| failure.to_string())),
        Error::SqlInputError { error, msg, .. } => (error.code, msg.clone()),
        Error::MultipleStatement => return ToolError::refused("one statement at a time"),
        Error::InvalidParameterCount(given, wanted) => {
            return ToolError::invalid(format!("the statement has {wanted} parameters, but params has {given} values"));
        }
        other => return ToolError::internal(other),
    };
    match code {
        ErrorCode::OperationInterrupted => ToolError::deadline(),
        ErrorCode::AuthorizationForStatementDenied => ToolError::refused(format!("this may not be done here: {text}")),
        ErrorCode::ReadOnly => ToolError::refused(format!("this only reads: {text}")),
        ErrorCode::ConstraintViolation => ToolError::conflict(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => fault::busy(name),
        ErrorCode::TooBig | ErrorCode::OutOfMemory => ToolError::too_large(text).hint("ask for less at once"),
        ErrorCode::CannotOpen | ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::DiskFull => {
            fault::away(name, error)
        }
        _ if text.starts_with("no such table") || text.starts_with("no such column") => {
            ToolError::not_found(text).hint("search_objects and describe_object tell what there is")
        }
        _ => ToolError::invalid(text),
    }
}
