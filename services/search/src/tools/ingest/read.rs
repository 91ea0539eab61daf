//! Files that are new or changed → the documents that they become.

use std::{collections::HashSet, sync::Arc};

use weft_extract::{Seen, ending, hash, is_pdf};
use weft_kit::{Call, ToolError};

use crate::{
    Library,
    ingest::{self, Source},
    model::Document,
};

/// What became of a file.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) path: String,
    pub(super) documents: Vec<Document>,
    /// Why there are none, or what is to be said about them.
    pub(super) why: Option<String>,
}

/// What to read.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) root: String,
    pub(super) files: Vec<Seen>,
    /// Whether the index has a place for pages.
    pub(super) paged: bool,
}

/// The documents of files: text on a thread that may block, PDF each in a process of its own.
pub(super) async fn read(library: &Arc<Library>, call: &Call, batch: Batch) -> Result<Vec<Made>, ToolError> {
    let (own, paged) = (Arc::clone(library), batch.paged);
    let (by_page, plain): (Vec<_>, Vec<_>) = batch.files.into_iter().partition(|seen| is_pdf(&seen.path));
    let root = batch.root.clone();
    let texts = move |call: &Call| {
        let from = own.roots.get(&root)?;
        let mut made = Vec::with_capacity(plain.len());
        for seen in plain {
            call.check()?;
            let Ok((_, bytes)) = from.read(&seen.path, own.limits.file_bytes) else {
                made.push(Made::not(seen.path, "cannot be read"));
                continue;
            };
            let hash = hash(&bytes);
            let document =
                ingest::of_text(Source { root: &root, seen: &seen, hash: &hash, ending: &ending(&seen.path) }, &bytes);
            let why = document.is_none().then(|| "holds no text".to_owned());
            made.push(Made { path: seen.path, documents: document.into_iter().collect(), why });
        }
        Ok(made)
    };
    let mut made = call.blocking(texts).await?;
    for seen in by_page {
        if paged {
            made.push(pages(library, call, &batch.root, seen).await?);
        } else {
            made.push(Made::not(seen.path, "the index was made before PDF files had pages: ingest into a new one"));
        }
    }
    Ok(made)
}

async fn pages(library: &Arc<Library>, call: &Call, root: &str, seen: Seen) -> Result<Made, ToolError> {
    let (own, name, path) = (Arc::clone(library), root.to_owned(), seen.path.clone());
    let most = library.pdf.file_bytes();
    let open = move |_: &Call| {
        let read = own.roots.get(&name)?.read(&path, most);
        Ok(read.ok().map(|(file, bytes)| (file, hash(&bytes))))
    };
    let Some((file, hash)) = call.blocking(open).await? else { return Ok(Made::not(seen.path, "cannot be read")) };
    let readable = match library.pdf.read(call, file).await? {
        Ok(readable) => readable,
        Err(why) => return Ok(Made { path: seen.path, documents: Vec::new(), why: Some(why) }),
    };
    let why = readable.cut.then(|| "has more pages, or more text on one, than are indexed".to_owned());
    let documents = ingest::of_pages(Source { root, seen: &seen, hash: &hash, ending: "pdf" }, readable);
    Ok(Made { path: seen.path, documents, why })
}

impl Made {
    fn not(path: String, why: &str) -> Self {
        Self { path, documents: Vec::new(), why: Some(why.to_owned()) }
    }

    /// The pages that the file has now; those without text have no document.
    pub(super) fn pages(&self) -> usize {
        let count = self.documents.first().and_then(|document| document.source.get("pages")?.as_u64());
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
    }

    /// The documents that the file had before and has no more.
    pub(super) fn lost(&self, root: &str, pages: usize) -> Vec<String> {
        let there: HashSet<&str> = self.documents.iter().map(|document| document.id.as_str()).collect();
        let before = ingest::pages_of(root, &self.path, pages);
        before.into_iter().filter(|id| !there.contains(id.as_str())).collect()
    }
}
