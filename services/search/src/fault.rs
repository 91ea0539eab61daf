//! What goes wrong below the tools, in words that a caller can act on and that name no path, host or secret.

use tantivy::{TantivyError, directory::error::LockError};
use weft_kit::ToolError;

/// An index that is not there, or not the caller's.
pub(crate) fn unknown(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no index {name:?}")).hint("list_indices shows what there is")
}

/// An error of the embedded engine about the index `name`.
pub(crate) fn engine(name: &str, error: TantivyError) -> ToolError {
    match error {
        TantivyError::LockFailure(LockError::LockBusy, _) => {
            ToolError::unavailable(format!("the index {name:?} is being written by another instance"))
                .hint("one instance writes to an embedded index; send writes to that one, or stop it first")
        }
        TantivyError::InvalidArgument(why) => ToolError::invalid(why),
        TantivyError::AggregationError(why) => {
            tracing::debug!(why = %why, "counts failed");
            ToolError::too_large("the counts have too many buckets, or need too much memory")
                .hint("use wider steps, fewer values, or a filter")
        }
        TantivyError::IoError(why) if why.kind() == std::io::ErrorKind::StorageFull => {
            ToolError::unavailable("no space is left on the device")
        }
        TantivyError::DataCorruption(why) => {
            tracing::error!(index = name, why = ?why, "an index is damaged");
            ToolError::new("damaged", format!("the index {name:?} is damaged"))
                .hint("delete it and index its documents again")
        }
        other => ToolError::internal(&other),
    }
}

/// The cluster cannot be reached.
pub(crate) fn away(why: &dyn std::fmt::Display) -> ToolError {
    tracing::warn!(why = %why, "the search cluster cannot be reached");
    ToolError::unavailable("the search cluster cannot be reached now").hint("try again in a moment")
}

/// Something that this store cannot do.
pub(crate) fn beyond(what: &str) -> ToolError {
    ToolError::new("unsupported", format!("{what} is not possible with the store that is configured"))
        .hint("list_indices tells which store that is")
}
