//! Which sources are being written now, so that two calls never take each other's chunks for old ones.
//!
//! It holds in this process alone. Where several share a store, each looks afterwards whether its chunks are still there.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use weft_kit::ToolError;

/// Store, tenant, collection and source.
type Key = [String; 4];

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<Key>>);

/// One of them; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    claims: &'a Claims,
    key: Key,
}

impl Claims {
    /// Claims a source, unless another call has it.
    pub(crate) fn claim(&self, key: Key) -> Result<Claim<'_>, ToolError> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(Claim { claims: self, key });
        }
        Err(taken())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What a call is told that comes second.
pub(crate) fn taken() -> ToolError {
    ToolError::conflict("another call is ingesting the same source")
        .hint("ingest it again when that is done")
        .retryable()
}
