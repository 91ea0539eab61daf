//! Tools that take one long text: given, of a resource, of a file, of the web.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_extract::{below, ending, ending_of_type, ending_of_uri};
use weft_kit::{Call, Reply, ToolError};

use super::points::made_from;
use crate::{
    check,
    chunk::{Chunk, Cut, chunks},
    desk::{Desk, Place},
    fetch::Content,
    ingest::{Source, Work},
    reading::{self, Raw},
};

/// Bytes of a text that is not given as an argument.
pub(super) const LARGEST: u64 = 16 << 20;
/// Bytes of one text given as an argument.
const TEXT: usize = 4 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestText {
    collection: String,
    text: String,
    /// Names the text; ingesting it again replaces it. Default: made from the text.
    source: Option<String>,
    /// Set on every chunk.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestDocument {
    collection: String,
    /// Below the root; see list_documents.
    path: String,
    /// Default: the first.
    root: Option<String>,
    /// Set on every chunk.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestResource {
    collection: String,
    /// Its address: the same one replaces.
    uri: String,
    /// Else the end of the address tells what it is.
    mime: Option<String>,
    text: Option<String>,
    /// In Base64, instead of text.
    blob: Option<String>,
    /// Set on every chunk.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestUrl {
    collection: String,
    /// http or https, at a host that the operator allows.
    url: String,
    /// Set on every chunk.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
    store: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Ingested {
    /// In the metadata of every chunk, beside `chunk`, `start`, `end`, `title` and `page`.
    source: String,
    /// It is as it was: nothing was written.
    unchanged: bool,
    chunks: usize,
    /// Chunks of earlier versions.
    removed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pages: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(pages: &usize) -> bool {
    *pages == 0
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChunkText {
    text: String,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Part {
    /// Bytes in the text.
    start: usize,
    end: usize,
    text: String,
}

/// What is read, and where it goes.
struct Taken {
    source: Source,
    raw: Raw,
    place: Place,
}

pub(crate) async fn text(desk: Arc<Desk>, call: Call, args: IngestText) -> Result<Reply<Ingested>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    bounded(&args.text)?;
    let name = args.source.unwrap_or_else(|| made_from(Some(&args.text), &[]));
    let source = Source { name, root: None, metadata: args.metadata, cut: args.cut };
    let raw = Raw { ending: String::new(), charset: None, bytes: args.text.into_bytes() };
    ingest(&desk, &call, Taken { source, raw, place }).await
}

pub(crate) async fn resource(desk: Arc<Desk>, call: Call, args: IngestResource) -> Result<Reply<Ingested>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let bytes = match (args.text, args.blob) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(blob)) => {
            BASE64.decode(blob).map_err(|_| ToolError::invalid("blob is the bytes of the resource in Base64"))?
        }
        _ => return Err(ToolError::invalid("give text or blob")),
    };
    if bytes.len() as u64 > LARGEST {
        return Err(ToolError::too_large(format!("the resource has more than {LARGEST} bytes")));
    }
    let ending = args.mime.as_deref().and_then(ending_of_type).map_or_else(|| ending_of_uri(&args.uri), str::to_owned);
    let source = Source { name: args.uri, root: None, metadata: args.metadata, cut: args.cut };
    ingest(&desk, &call, Taken { source, raw: Raw { ending, charset: None, bytes }, place }).await
}

pub(crate) async fn url(desk: Arc<Desk>, call: Call, args: IngestUrl) -> Result<Reply<Ingested>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let fetcher = desk.fetcher()?;
    // Whether it can be embedded at all is asked before the world is.
    desk.embedders.of(&place.spec(&call).await?)?;
    let content = fetcher.get(&call, &args.url).await?;
    let name = args.url.split('#').next().unwrap_or_default().to_owned();
    let source = Source { name, root: None, metadata: args.metadata, cut: args.cut };
    let Content { url, ending, charset, bytes } = content;
    tracing::debug!(url, bytes = bytes.len(), "a page was read");
    ingest(&desk, &call, Taken { source, raw: Raw { ending, charset, bytes }, place }).await
}

pub(crate) async fn document(desk: Arc<Desk>, call: Call, args: IngestDocument) -> Result<Reply<Ingested>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let root = desk.roots.named(args.root.as_deref())?.name.clone();
    let (own, path) = (Arc::clone(&desk), below(&args.path)?.to_string_lossy().into_owned());
    let (from, name) = (root.clone(), format!("{root}/{path}"));
    let raw = call.blocking(move |_| raw_file(&own, &from, &path)).await?;
    let source = Source { name, root: Some(root), metadata: args.metadata, cut: args.cut };
    ingest(&desk, &call, Taken { source, raw, place }).await
}

/// A file below a root.
pub(super) fn raw_file(desk: &Desk, root: &str, path: &str) -> Result<Raw, ToolError> {
    let ending = ending(path);
    let most = if ending == "pdf" { desk.pdf.file_bytes() } else { LARGEST };
    let (_, bytes) = desk.roots.get(root)?.read(path, most)?;
    Ok(Raw { ending, charset: None, bytes })
}

async fn ingest(desk: &Desk, call: &Call, taken: Taken) -> Result<Reply<Ingested>, ToolError> {
    let Taken { source, raw, place } = taken;
    if source.name.is_empty() || source.name.len() > 1_024 {
        return Err(ToolError::invalid("a source has 1 to 1024 bytes"));
    }
    let work = Work::begin(desk, call, &place).await?;
    let version = source.version(&raw.ending, &raw.bytes);
    let known = work.known("source", &source.name).await?.remove(&source.name).unwrap_or_default();
    if let Some(chunks) = known.whole(&version) {
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        let told = Ingested { source: source.name, unchanged: true, chunks, ..Ingested::default() };
        return Ok(Reply::new(told).text("it is as it was"));
    }
    let readable = reading::read(call, &desk.pdf, raw).await?;
    let (title, pages, cut) = (readable.title.clone(), readable.pages.len(), readable.cut);
    #[expect(clippy::cast_precision_loss, reason = "progress is for people")]
    let told = |done: usize, all: usize| call.progress(done as f64, Some(all as f64), "chunks".to_owned());
    let put = work.put(&source, &version, readable, told).await?;
    let shown = check::shorten(&source.name);
    let text = format!("{} chunks of {shown} written, {} old ones removed", put.chunks, put.removed);
    let (chunks, removed) = (put.chunks, put.removed);
    let told = Ingested { source: source.name, unchanged: false, chunks, removed, title, pages };
    let reply = Reply::new(told).text(text);
    Ok(if cut { reply.warn("it has more pages, or more text on one, than are read") } else { reply })
}

pub(crate) async fn chunk(_: Arc<Desk>, call: Call, args: ChunkText) -> Result<Reply<Vec<Part>>, ToolError> {
    bounded(&args.text)?;
    let found = call.blocking(move |_| chunks(&args.text, args.cut)).await?;
    let mut budget = call.budget();
    let part = |chunk: Chunk| Part { start: chunk.start, end: chunk.end(), text: chunk.text };
    let parts = budget.fill(found.into_iter().map(part));
    Ok(Reply::new(parts).truncated(budget.truncated()))
}

fn bounded(text: &str) -> Result<(), ToolError> {
    if text.len() <= TEXT {
        return Ok(());
    }
    Err(ToolError::too_large("the text is over 4 MiB").hint("ingest it in parts, or as a document"))
}
