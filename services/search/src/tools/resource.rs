//! Indexing what a caller has read elsewhere: the text or the bytes of a resource, under its address.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_extract::{Seen, ending_of_type, ending_of_uri, hash};
use weft_kit::{Call, Reply, ToolError};

use super::ingest::ready;
use crate::{
    Library,
    ingest::{self, Source},
    model::{Document, Language},
    names,
};

/// Stands for the root of documents that are of no directory.
const ROOT: &str = "resource";

/// A resource to index.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    /// Made for files if it is not there.
    index: String,
    /// Its address: the same one replaces.
    uri: String,
    /// Else the end of the address tells what it is.
    #[serde(default)]
    mime: Option<String>,
    #[serde(default)]
    text: Option<String>,
    /// In Base64, instead of text.
    #[serde(default)]
    blob: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Taken {
    /// It is as it was.
    unchanged: bool,
    /// One, or one for each page.
    documents: usize,
}

pub(crate) async fn resource(library: Arc<Library>, call: Call, args: Resource) -> Result<Reply<Taken>, ToolError> {
    names::index(&args.index)?;
    let ending = args.mime.as_deref().and_then(ending_of_type).map_or_else(|| ending_of_uri(&args.uri), str::to_owned);
    if args.uri.is_empty() || args.uri.len() > 2_048 || args.uri.chars().any(char::is_control) {
        return Err(ToolError::invalid("uri is an address of at most 2048 bytes"));
    }
    let bytes = match (&args.text, &args.blob) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(blob)) => {
            STANDARD.decode(blob).map_err(|_| ToolError::invalid("blob is the bytes of the resource in Base64"))?
        }
        _ => return Err(ToolError::invalid("give text or blob")),
    };
    let most = if ending == "pdf" { library.pdf.file_bytes() } else { library.limits.file_bytes };
    if bytes.len() as u64 > most {
        return Err(ToolError::too_large(format!("the resource has {} bytes, more than {most}", bytes.len())));
    }
    ready(&library, &call, &args.index, (Language::default(), false)).await?;
    let hash = hash(&bytes);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let modified = i64::try_from(now).unwrap_or_default() * 1_000_000;
    let seen = Seen { path: args.uri.clone(), size: bytes.len() as u64, modified };
    let first = [ingest::pages_of(ROOT, &args.uri, 0), ingest::pages_of(ROOT, &args.uri, 1)].concat();
    let there = library.store.get(&call, &args.index, &first).await?;
    if there.iter().any(|document| document.source.get("hash").and_then(|own| own.as_str()) == Some(&hash)) {
        return Ok(Reply::new(Taken { unchanged: true, documents: 0 }).text("it is as it was"));
    }
    let from = Source { root: ROOT, seen: &seen, hash: &hash, ending: &ending };
    let mut documents = documents(&library, &call, from, bytes).await?;
    let before = there.iter().filter_map(|document| document.source.get("pages")?.as_u64()).max().unwrap_or_default();
    let before = usize::try_from(before).unwrap_or_default();
    let mut lost = [first, ingest::pages_of(ROOT, &args.uri, before)].concat();
    lost.retain(|id| documents.iter().all(|document| document.id != *id));
    // The first page says that the resource is known, so it comes last: one that was written in part is read again.
    documents.sort_by_key(|document| document.source.get("page").is_none_or(|page| page == 1));
    let work = replace(&library, &call, &args.index, (lost, documents));
    let count = library.observe(&call, (&args.index, ""), work).await?;
    Ok(Reply::new(Taken { unchanged: false, documents: count }).text(format!("{count} documents were indexed")))
}

/// Removes what the resource has no more, and writes what it has.
async fn replace(
    library: &Library,
    call: &Call,
    index: &str,
    (lost, documents): (Vec<String>, Vec<Document>),
) -> Result<usize, ToolError> {
    for part in lost.chunks(500) {
        library.store.remove(call, index, part).await?;
    }
    let mut count = 0;
    for part in documents.chunks(200) {
        let written = library.write(call, index, part.to_vec()).await?;
        library.written(call, index, written.indexed, written.failed.len());
        count += written.indexed;
        if let Some(failure) = written.failed.into_iter().next() {
            return Err(ToolError::invalid(format!("the resource does not fit the index: {}", failure.why)));
        }
    }
    Ok(count)
}

async fn documents(
    library: &Library,
    call: &Call,
    from: Source<'_>,
    bytes: Vec<u8>,
) -> Result<Vec<Document>, ToolError> {
    if from.ending != "pdf" {
        let document = ingest::of_text(from, &bytes).ok_or_else(|| ToolError::invalid("the resource holds no text"))?;
        return Ok(vec![document]);
    }
    let readable = library.pdf.read_bytes(call, &bytes).await?;
    let readable = readable.map_err(|why| ToolError::invalid(format!("the PDF cannot be read: {why}")))?;
    Ok(ingest::of_pages(from, readable))
}
