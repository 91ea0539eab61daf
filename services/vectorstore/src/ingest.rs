//! A source and its text → chunks in a collection, which replace those of the source as it was before.
//!
//! Chunks of different versions of a source have different ids. The new ones are all written before the first old one is removed, so
//! whoever kills this at any moment leaves the old version, the new one, or both; what is left over is removed when the source is
//! ingested again. Nothing is kept beside the chunks: what is known of a source is counted from them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use weft_kit::{Call, ToolError};

use crate::{
    check,
    chunk::{Chunk, Cut, chunks},
    claims,
    desk::{Desk, Place},
    model::{Conflict, FieldType, Filter, Point, Spec, Which, With},
    reading::Readable,
    store::Alter,
};

/// Chunks of one text.
const CHUNKS: usize = 20_000;
/// Chunks embedded and written at once.
const BATCH: usize = 64;
/// Chunks whose metadata is read at once.
const READ: usize = 500;
/// Raised when the same bytes are read in another way, so that unchanged sources are read again.
const READER: u8 = 1;

/// What a text is, and how it is to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// What it is called; the same name replaces.
    pub(crate) name: String,
    /// The root that it is a file of.
    pub(crate) root: Option<String>,
    /// Set on every chunk.
    pub(crate) metadata: Map<String, Value>,
    pub(crate) cut: Cut,
}

impl Source {
    /// What this content is known by, kept in this way. Unlike a caller's own numbering it cannot be forgotten to be raised.
    pub(crate) fn version(&self, ending: &str, bytes: &[u8]) -> String {
        let mut digest = Sha256::new();
        let Cut { size, overlap, markdown } = self.cut;
        let kept = json!([READER, size, overlap, markdown, self.metadata, self.root, ending]);
        digest.update(kept.to_string());
        digest.update(bytes);
        digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Begins the ids of its chunks.
    fn stem(&self) -> String {
        if self.name.len() <= 200 { self.name.clone() } else { weft_extract::hash(self.name.as_bytes()) }
    }
}

/// The chunks of a source that there are, by version: how many, and of how many.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<String, (u64, u64)>);

impl Known {
    /// How many chunks, if this version is there, whole, and no other.
    pub(crate) fn whole(&self, version: &str) -> Option<u64> {
        let (there, all) = *self.0.get(version)?;
        (self.0.len() == 1 && there == all).then_some(all)
    }
}

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    pub(crate) chunks: usize,
    /// Of other versions.
    pub(crate) removed: u64,
}

/// The work of one call in one collection.
pub(crate) struct Work<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) call: &'a Call,
    place: &'a Place,
    spec: Spec,
}

impl<'a> Work<'a> {
    /// Makes sure that the collection takes texts, and that a source's chunks are found without reading all others.
    pub(crate) async fn begin(desk: &'a Desk, call: &'a Call, place: &'a Place) -> Result<Self, ToolError> {
        let spec = place.spec(call).await?;
        desk.embedders.of(&spec)?;
        if !spec.fields.contains_key("source") {
            let alter = Alter { add_fields: vec![("source".to_owned(), FieldType::Keyword)], ..Alter::default() };
            let altered = call.run(place.store.alter(&place.tenant, &place.name, &alter)).await?;
            if let Err(error) = altered {
                // Where there are sources of other types already, or too many fields, it is slower and as right.
                tracing::debug!(%error, "the field `source` is not indexed");
            }
        }
        Ok(Self { desk, call, place, spec })
    }

    /// The sources among the chunks whose `field` is this.
    pub(crate) async fn known(&self, field: &str, value: &str) -> Result<HashMap<String, Known>, ToolError> {
        let filter = Filter::All(vec![is(field, value), a_chunk()]);
        let with = With { text: false, metadata: true, vector: false };
        let mut known: HashMap<String, Known> = HashMap::new();
        let mut last: Option<String> = None;
        loop {
            let Place { store, tenant, name, .. } = self.place;
            let page = store.scroll(tenant, name, Some(&filter), last.as_deref(), READ, with);
            let page = self.call.run(page).await??;
            for point in &page {
                let text = |key: &str| point.metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let all = point.metadata.get("chunks").and_then(Value::as_u64).unwrap_or_default();
                let versions = &mut known.entry(text("source")).or_default().0;
                versions.entry(text("version")).or_insert((0, all)).0 += 1;
            }
            if page.len() < READ {
                return Ok(known);
            }
            last = page.last().map(|point| point.id.clone());
        }
    }

    /// Writes the chunks of a version, then removes those of all others. `told` gets how many of how many are written.
    pub(crate) async fn put(
        &self,
        source: &Source,
        version: &str,
        readable: Readable,
        told: impl Fn(usize, usize),
    ) -> Result<Put, ToolError> {
        let (text, cut) = (readable.text.clone(), source.cut);
        let cut = Cut { markdown: cut.markdown.or(Some(readable.markdown)), ..cut };
        let parts = self.call.blocking(move |_| chunks(&text, cut)).await?;
        if parts.len() > CHUNKS {
            let many = ToolError::too_large(format!("{} chunks are too many", parts.len()));
            return Err(many.hint("use larger chunks, or ingest it in parts"));
        }
        let Place { store_name, tenant, name, .. } = self.place;
        let key = [store_name, tenant, name, &source.name].map(Clone::clone);
        let _claim = self.desk.claims.claim(key)?;
        let shared = shared(source, version, &readable, parts.len());
        let stem = format!("{}#{}", source.stem(), &version[..8.min(version.len())]);
        for (batch, first) in parts.chunks(BATCH).zip((0..).step_by(BATCH)) {
            let texts: Vec<String> = batch.iter().map(|chunk| chunk.text.clone()).collect();
            let vectors = self.call.run(self.desk.embedders.embed(&self.spec, &texts)).await??;
            let mut points = Vec::with_capacity(batch.len());
            for ((chunk, vector), index) in batch.iter().zip(vectors).zip(first..) {
                let metadata = placed(&shared, chunk, (index, readable.page(chunk.start)));
                let id = format!("{stem}-{index:05}");
                points.push(Point { id, vector, text: Some(chunk.text.clone()), metadata });
            }
            points.iter().try_for_each(|point| check::point(point, &self.spec))?;
            let Place { store, .. } = self.place;
            self.call.run(store.upsert(tenant, name, points, Conflict::Replace)).await??;
            told((first + BATCH).min(parts.len()), parts.len());
        }
        let ours = is("version", version);
        let others = Filter::All(vec![is("source", &source.name), a_chunk(), Filter::Not(Box::new(ours.clone()))]);
        let removed = self.remove(others).await?;
        self.still(Filter::All(vec![is("source", &source.name), ours]), parts.len()).await?;
        Ok(Put { chunks: parts.len(), removed })
    }

    /// Removes all chunks of a source.
    pub(crate) async fn forget(&self, source: &str) -> Result<u64, ToolError> {
        self.remove(Filter::All(vec![is("source", source), a_chunk()])).await
    }

    async fn remove(&self, filter: Filter) -> Result<u64, ToolError> {
        let Place { store, tenant, name, .. } = self.place;
        self.call.run(store.delete(tenant, name, &Which::Filter(filter))).await?
    }

    /// Fails if somebody else, who ingested the same source meanwhile, took our chunks for old ones.
    async fn still(&self, filter: Filter, all: usize) -> Result<(), ToolError> {
        let Place { store, tenant, name, .. } = self.place;
        let count = self.call.run(store.count(tenant, name, Some(&filter))).await??;
        if count >= all as u64 {
            return Ok(());
        }
        Err(claims::taken())
    }
}

/// What all chunks of a version say.
fn shared(source: &Source, version: &str, readable: &Readable, all: usize) -> Map<String, Value> {
    let mut shared = source.metadata.clone();
    let own = [("source", json!(source.name)), ("version", json!(version)), ("chunks", json!(all))];
    let own = own.into_iter().chain(source.root.as_ref().map(|root| ("root", json!(root))));
    let title = readable.title.as_ref().filter(|_| !source.metadata.contains_key("title"));
    let titled = title.map(|title| ("title", json!(title.chars().take(500).collect::<String>())));
    shared.extend(own.chain(titled).map(|(key, value)| (key.to_owned(), value)));
    shared
}

/// The same with where a chunk stood.
fn placed(shared: &Map<String, Value>, chunk: &Chunk, (index, page): (usize, Option<usize>)) -> Map<String, Value> {
    let place = [("chunk", json!(index)), ("start", json!(chunk.start)), ("end", json!(chunk.end()))];
    let place = place.into_iter().chain(page.map(|page| ("page", json!(page))));
    shared.clone().into_iter().chain(place.map(|(key, value)| (key.to_owned(), value))).collect()
}

fn is(field: &str, value: &str) -> Filter {
    Filter::In { field: field.to_owned(), values: vec![json!(value)] }
}

/// Points that callers wrote themselves are left alone, even with a source of this name.
fn a_chunk() -> Filter {
    Filter::Range { field: "chunk".to_owned(), gt: None, gte: Some(json!(0)), lt: None, lte: None }
}
