//! What goes wrong below the store → what a caller is told.
//!
//! Causes from LMDB and the file system go to the log; the caller learns only what it can act on.

use weft_kit::ToolError;

/// Why an act on an embedded collection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The caller is told this.
    #[error("{0}")]
    Said(ToolError),
    /// Nobody waits any more.
    #[error("the act was given up")]
    Stopped,
    /// LMDB failed.
    #[error("the collection's database failed")]
    Lmdb(#[from] heed::Error),
    /// A file failed.
    #[error("a file of the store failed")]
    File(#[from] std::io::Error),
    /// What is stored cannot be read.
    #[error("the collection holds something unreadable: {0}")]
    Broken(&'static str),
    /// The collection can hold no more.
    #[error("all internal numbers of the collection are used; copy it to a new collection")]
    Exhausted,
}

impl From<ToolError> for Fault {
    fn from(error: ToolError) -> Self {
        Self::Said(error)
    }
}

impl From<Fault> for ToolError {
    fn from(fault: Fault) -> Self {
        let is_full = |error: &heed::Error| matches!(error, heed::Error::Mdb(heed::MdbError::MapFull));
        match fault {
            Fault::Said(error) => error,
            Fault::Stopped => Self::cancelled(),
            Fault::Exhausted => Self::conflict(fault.to_string()),
            Fault::Lmdb(error) if is_full(&error) => full(),
            Fault::Lmdb(heed::Error::Io(error)) | Fault::File(error) => error.into(),
            Fault::Lmdb(error) => Self::internal(&error),
            Fault::Broken(what) => Self::internal(&what),
        }
    }
}

fn full() -> ToolError {
    ToolError::new("storage_full", "the collection has reached its largest size")
        .hint("delete points, or ask the operator for a larger `max_gib`")
}
