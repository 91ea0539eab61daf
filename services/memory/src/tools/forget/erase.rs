//! The end of an erasure: asked again in every way, and written down without a word of what it was.

use sha2::{Digest as _, Sha256};
use weft_kit::{Call, ToolError};

use crate::{
    filter::Filter,
    memory::{Memory, missing},
    model::{Kind, Record},
    space::Space,
    words,
};

/// Asks for what was erased in every way in which it could be found.
pub(super) async fn verify(memory: &Memory, call: &Call, space: &Space, records: &[Record]) -> Result<bool, ToolError> {
    let (key, store, filter) = (space.key(), &memory.store, Filter::everything());
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    let is_gone = |found: &[Record]| found.iter().all(|record| !ids.contains(&record.id));
    if !memory.observe(call, store.get(&key, &ids)).await?.is_empty() {
        return Ok(false);
    }
    for record in records {
        call.check()?;
        let history = memory.observe(call, store.history(&key, &record.id)).await?;
        let text = record.searched();
        let tokens = words::query_tokens(&words::terms(&text));
        let by_words = if tokens.is_empty() {
            Vec::new()
        } else {
            memory.observe(call, store.matching(&key, &tokens, &filter, 64)).await?
        };
        let near = match memory.comparable(call, &key, &text).await {
            Ok(Some(vector)) => memory.observe(call, store.nearest(&key, &vector, &filter, 8)).await?,
            // What cannot be compared is not found so either; that it is gone is seen by its id above.
            Ok(None) | Err(_) => Vec::new(),
        };
        let near: Vec<Record> = near.into_iter().map(|(record, _)| record).collect();
        let touching = memory.observe(call, store.touching(&key, &record.nodes(), &filter, 64)).await?;
        if !(history.is_empty() && is_gone(&by_words) && is_gone(&near) && is_gone(&touching)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes down that something was erased, and nothing of what it was.
pub(super) async fn prove(memory: &Memory, call: &Call, space: &Space, ids: &[String]) -> Result<String, ToolError> {
    let mut sorted = ids.to_vec();
    sorted.sort();
    let digest: String = Sha256::digest(sorted.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("erasure-{}", uuid::Uuid::new_v4().simple());
    let text = format!("{} records erased; sha256 of their sorted ids: {digest}", ids.len());
    let proof = Record::new(id.clone(), Kind::Erasure, text, &call.caller().id);
    let ids = [id.clone()];
    let changed = memory.change(call, space, &ids, |_| Ok(vec![proof.clone()])).await?;
    changed.written.first().map(|_| id).ok_or_else(|| missing("the proof"))
}
