//! Ingesting a folder: what is new or changed is read, what is gone is removed, what is as it was is left alone.

use std::{collections::HashSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_extract::{Bounds, Walked, below};
use weft_kit::{Call, Page, Reply, ToolError};

use super::ingest::{LARGEST, raw_file};
use crate::{
    chunk::Cut,
    desk::Desk,
    ingest::{Known, Source, Work},
    reading,
};

/// Files of one folder.
const FILES: usize = 10_000;
/// Documents that are listed.
const LISTED: usize = 1_000;
/// Files of which it is told why they were passed over.
const TOLD: usize = 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestFolder {
    collection: String,
    /// A folder that the operator allows, by name. Default: the first.
    root: Option<String>,
    /// A folder or one file below it.
    #[serde(default)]
    path: String,
    /// Which files: *.md; with ! in front which not.
    #[serde(default)]
    globs: Vec<String>,
    /// Set on every chunk.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// size (characters, default 1200), overlap (120), markdown (true or false).
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    cut: Cut,
    store: Option<String>,
}

/// What came of it, in files.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Brought {
    added: usize,
    updated: usize,
    unchanged: usize,
    removed: usize,
    /// Files without text, too large ones, and those that cannot be read.
    passed_over: usize,
    chunks: usize,
    /// Some of those that were passed over or are there in part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Remark>,
}

/// What is to be said of a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Remark {
    path: String,
    why: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDocuments {
    /// Default: the first.
    root: Option<String>,
}

pub(crate) async fn folder(desk: Arc<Desk>, call: Call, args: IngestFolder) -> Result<Reply<Brought>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let root = desk.roots.named(args.root.as_deref())?.name.clone();
    let top = below(&args.path)?.to_string_lossy().into_owned();
    let walked = walk(&desk, &call, (&root, &top), (args.globs, FILES)).await?;
    let work = Work::begin(&desk, &call, &place).await?;
    let source = Source { name: String::new(), root: Some(root), metadata: args.metadata, cut: args.cut };
    let is_cut = walked.cut;
    let brought = bring(&work, &desk, (source, &top), walked).await?;
    let Brought { added, updated, unchanged, removed, passed_over, .. } = &brought;
    let text = format!(
        "{added} added, {updated} updated, {unchanged} unchanged, {removed} removed, {passed_over} passed over"
    );
    let reply = Reply::new(brought).text(text);
    let cut = format!("only the first {FILES} files were looked at: name a path or globs");
    Ok(if is_cut { reply.warn(cut) } else { reply })
}

/// Brings the collection to what the folder is.
async fn bring(
    work: &Work<'_>,
    desk: &Arc<Desk>,
    (source, top): (Source, &str),
    walked: Walked,
) -> Result<Brought, ToolError> {
    let root = source.root.clone().unwrap_or_default();
    let known = work.known("root", &root).await?;
    let mut brought = Brought { passed_over: walked.too_large + walked.unreadable, ..Brought::default() };
    let all = walked.files.len();
    for (done, seen) in (1_usize..).zip(&walked.files) {
        work.call.check()?;
        let source = Source { name: format!("{root}/{}", seen.path), ..source.clone() };
        let taken = take(work, desk, (source, &seen.path), &known, &mut brought).await;
        if let Err(error) = taken {
            // A call that is over ends here; what is wrong with one file does not keep the others.
            work.call.check()?;
            if error.is_retryable() {
                return Err(error);
            }
            brought.pass_over(&seen.path, error.message().to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "progress is for people")]
        work.call.progress(done as f64, Some(all as f64), seen.path.clone());
    }
    let there: HashSet<&str> = walked.files.iter().map(|seen| seen.path.as_str()).collect();
    let prefix = format!("{root}/");
    for name in known.keys() {
        let Some(path) = name.strip_prefix(&prefix).filter(|path| lies_in(path, top)) else { continue };
        // What globs or limits leave out is still a file: only what is gone is removed.
        if !there.contains(path) && !desk.roots.get(&root)?.is_file(path) {
            work.forget(name).await?;
            brought.removed += 1;
        }
    }
    Ok(brought)
}

/// Brings one file to what it is now.
async fn take(
    work: &Work<'_>,
    desk: &Arc<Desk>,
    (source, path): (Source, &str),
    known: &std::collections::HashMap<String, Known>,
    brought: &mut Brought,
) -> Result<(), ToolError> {
    let (own, root, file) = (Arc::clone(desk), source.root.clone().unwrap_or_default(), path.to_owned());
    let raw = work.call.blocking(move |_| raw_file(&own, &root, &file)).await?;
    let version = source.version(&raw.ending, &raw.bytes);
    let before = known.get(&source.name);
    if let Some(chunks) = before.and_then(|known| known.whole(&version)) {
        brought.unchanged += 1;
        brought.chunks += usize::try_from(chunks).unwrap_or_default();
        return Ok(());
    }
    let readable = reading::read(work.call, &desk.pdf, raw).await?;
    if readable.cut {
        brought.remark(path, "has more pages, or more text on one, than are read".to_owned());
    }
    let put = work.put(&source, &version, readable, |_, _| ()).await?;
    brought.chunks += put.chunks;
    match (put.chunks, before) {
        (0, _) => brought.pass_over(path, "holds no text".to_owned()),
        (_, Some(_)) => brought.updated += 1,
        (_, None) => brought.added += 1,
    }
    Ok(())
}

impl Brought {
    fn pass_over(&mut self, path: &str, why: String) {
        self.passed_over += 1;
        self.remark(path, why);
    }

    fn remark(&mut self, path: &str, why: String) {
        if self.remarks.len() < TOLD {
            self.remarks.push(Remark { path: path.to_owned(), why });
        }
    }
}

/// Whether a path is a folder's, or the file itself.
fn lies_in(path: &str, top: &str) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn walk(
    desk: &Arc<Desk>,
    call: &Call,
    (root, top): (&str, &str),
    (globs, files): (Vec<String>, usize),
) -> Result<Walked, ToolError> {
    let (own, root, top) = (Arc::clone(desk), root.to_owned(), top.to_owned());
    let bounds = Bounds { files, file_bytes: LARGEST, pdf_bytes: desk.pdf.file_bytes() };
    call.blocking(move |call| own.roots.get(&root)?.walk(call, top.as_ref(), &globs, bounds)).await
}

pub(crate) async fn documents(
    desk: Arc<Desk>,
    call: Call,
    args: ListDocuments,
) -> Result<Reply<Vec<String>>, ToolError> {
    let root = desk.roots.named(args.root.as_deref())?.name.clone();
    let walked = walk(&desk, &call, (&root, ""), (Vec::new(), LISTED)).await?;
    let mut budget = call.budget();
    let found = budget.fill(walked.files.into_iter().map(|seen| seen.path));
    let page = Page::new(found.len(), None);
    let is_whole = !walked.cut && budget.truncated().is_none();
    let reply = Reply::new(found).page(page);
    Ok(if is_whole { reply } else { reply.warn("there are more documents than are listed") })
}
