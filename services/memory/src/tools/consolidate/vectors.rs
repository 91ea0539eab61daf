//! Vectors of another model → vectors of ours, partition by partition.
//!
//! First the partition is marked as being made again, so that whoever writes from now on gives vectors of our model; then all records
//! get theirs, and at last those that were written meanwhile. A run that breaks off leaves the mark, and the next one begins again.

use serde::Serialize;
use weft_kit::{Call, Plan, Reply, ToolError};

use super::{Done, Shown};
use crate::{
    filter::Filter,
    fitness,
    meaning::Fit,
    memory::Memory,
    model::Record,
    moment::Moment,
    space::Space,
    store::{Refit, Write},
};

/// Records that are read and embedded at once.
const PART: usize = 64;

/// What would be made again.
#[derive(Debug, Serialize)]
pub(crate) struct Making {
    model: String,
    dimensions: usize,
    parts: Vec<Part>,
}

/// One partition.
#[derive(Debug, Serialize)]
struct Part {
    part: String,
    /// What its vectors are of.
    now: String,
    records: u64,
}

/// What was made again.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    model: String,
    parts: usize,
    records: u64,
}

/// The caller's partitions whose vectors are not of our model.
async fn stale(memory: &Memory, call: &Call) -> Result<Vec<(Space, Part)>, ToolError> {
    let mut found = Vec::new();
    for space in Space::own(call) {
        let now = match memory.fit(call, &space.key()).await? {
            Fit::Ours => continue,
            Fit::Pending => "a mix: an earlier run broke off, or runs still".to_owned(),
            Fit::Other(model) => model,
        };
        let records = memory.observe(call, memory.store.count(&space.key())).await?;
        if records > 0 {
            let part = Part { part: space.part(), now, records };
            found.push((space, part));
        }
    }
    Ok(found)
}

pub(super) async fn plan(memory: &Memory, call: &Call) -> Result<Plan<Shown>, ToolError> {
    let parts: Vec<Part> = stale(memory, call).await?.into_iter().map(|(_, part)| part).collect();
    let records: u64 = parts.iter().map(|part| part.records).sum();
    let (model, dimensions) = (memory.embedder.model().to_owned(), memory.embedder.dimensions());
    let summary = format!("make the vectors of {records} records in {} parts again by {model}", parts.len());
    Ok(Plan::new(summary, Shown::Vectors(Making { model, dimensions, parts })).low_risk())
}

pub(super) async fn apply(memory: &Memory, call: &Call) -> Result<Reply<Done>, ToolError> {
    let stale = stale(memory, call).await?;
    let total: u64 = stale.iter().map(|(_, part)| part.records).sum();
    let mut done = Made { model: memory.embedder.model().to_owned(), parts: 0, records: 0 };
    for (space, _) in &stale {
        let key = space.key();
        let begun = memory.now();
        memory.mark(call, &key, true).await?;
        let told = |records: u64| call.progress(fitness::small(records), Some(fitness::small(total)), None);
        done.records += walk(memory, call, &key, None, |records| told(done.records + records)).await?;
        walk(memory, call, &key, Some(begun), |_| ()).await?;
        memory.mark(call, &key, false).await?;
        done.parts += 1;
    }
    let text = format!("{} records in {} parts have vectors of {}", done.records, done.parts, done.model);
    Ok(Reply::new(Done::Vectors(done)).text(text))
}

/// Gives all records of a partition their vectors, the newest first, those since a moment if there is one.
async fn walk(
    memory: &Memory,
    call: &Call,
    key: &str,
    since: Option<Moment>,
    told: impl Fn(u64),
) -> Result<u64, ToolError> {
    let filter = Filter::everything();
    let (mut before, mut records) = (None, 0);
    loop {
        let mut part = memory.observe(call, memory.store.newest(key, before.as_ref(), &filter, PART)).await?;
        let read = part.len();
        before = part.last().map(|record| (record.recorded_at, record.id.clone()));
        part.retain(|record| since.is_none_or(|since| record.recorded_at >= since));
        refit(memory, call, key, &part).await?;
        records += part.len() as u64;
        told(records);
        if read < PART || part.len() < read {
            return Ok(records);
        }
    }
}

async fn refit(memory: &Memory, call: &Call, key: &str, records: &[Record]) -> Result<(), ToolError> {
    let searched = |record: &&Record| Write::after(0, (*record).clone()).index.is_some();
    let records: Vec<&Record> = records.iter().filter(searched).collect();
    if records.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = records.iter().map(|record| record.searched()).collect();
    let vectors = memory.embed(call, &texts).await?;
    let one = |(record, vector): (&&Record, Vec<f32>)| Refit { id: record.id.clone(), version: record.version, vector };
    let batch = records.iter().zip(vectors).map(one).collect();
    memory.observe(call, memory.store.refit(key, batch)).await
}
