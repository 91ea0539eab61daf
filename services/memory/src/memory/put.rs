//! A version that was written elsewhere → the same here, with its own time and number.

use weft_kit::{Call, ToolError};

use super::Memory;
use crate::{
    model::Record,
    space::Space,
    store::{Committed, Write},
};

impl Memory {
    /// Writes one version after that one; whether it is current for good or only until the next comes is `is_last`. False if
    /// another writer was first.
    pub(crate) async fn put(
        &self,
        call: &Call,
        space: &Space,
        record: Record,
        (after, is_last): (u64, bool),
    ) -> Result<bool, ToolError> {
        let key = space.key();
        let id = record.id.clone();
        let mut write = Write::after(after, Record { version: after + 1, ..record });
        if !is_last {
            // Nobody searches what is replaced at once.
            (write.index, write.nodes) = (None, Vec::new());
        }
        let mut batch = vec![write];
        self.check_room(call, &key, &batch).await?;
        self.fill(call, &key, &mut batch).await?;
        let is_done = self.measure(call, self.store.commit(&key, batch)).await? == Committed::Done;
        if is_done {
            self.publish(&key, std::iter::once(id.as_str()));
        }
        Ok(is_done)
    }
}
