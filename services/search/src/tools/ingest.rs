//! Indexing a directory: what is new is read, what is gone is removed, what is as it was is left alone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_extract::{Bounds, Seen, Walked, below, is_pdf};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    Library,
    filter::{Exact, Filter, Side, Test},
    ingest,
    model::{Document, Language, Question, Schema},
    names,
};

mod known;
mod read;
use known::{Known, known};
use read::{Batch, Made};

/// Files that are read together.
const BATCH: usize = 50;
/// Documents that are written together: a file with many pages is many.
const WRITTEN: usize = 200;
/// Files of which it is told why they were passed over.
const TOLD: usize = 20;
/// Fields that came later: an index without them is still one of files.
const LATER: [&str; 2] = ["page", "pages"];

/// What to index.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    /// Made for files if it is not there.
    index: String,
    /// A directory that the operator allows, by name.
    root: String,
    /// A directory or one file below it.
    #[serde(default)]
    path: String,
    /// Which files: *.md; with ! in front which not.
    #[serde(default)]
    globs: Vec<String>,
    /// Of prose, if the index is made.
    #[serde(default)]
    language: Language,
    /// If the index is made: with a field of vectors, for semantic.
    #[serde(default)]
    vectors: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Ingested {
    added: usize,
    updated: usize,
    unchanged: usize,
    removed: u64,
    /// Files without text, too large ones, and those that cannot be read.
    passed_over: usize,
    /// Some of them, and of those that are indexed in part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Remark>,
}

/// What is to be said of a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Remark {
    path: String,
    why: String,
}

/// Which files, and what is known of them.
struct Work<'w> {
    library: &'w Arc<Library>,
    call: &'w Call,
    args: &'w Directory,
    /// Whether the index has a place for pages.
    paged: bool,
    schema: Arc<Schema>,
    known: HashMap<String, Known>,
}

pub(crate) async fn directory(
    library: Arc<Library>,
    call: Call,
    args: Directory,
) -> Result<Reply<Ingested>, ToolError> {
    names::index(&args.index)?;
    let top = below(&args.path)?;
    library.roots.get(&args.root)?;
    let schema = ready(&library, &call, &args.index, (args.language, args.vectors)).await?;
    let (own, root, globs) = (Arc::clone(&library), args.root.clone(), args.globs.clone());
    let pdf_bytes = library.pdf.file_bytes();
    let bounds = Bounds { files: library.limits.files, file_bytes: library.limits.file_bytes, pdf_bytes };
    let walked = call.blocking(move |call| own.roots.get(&root)?.walk(call, &top, &globs, bounds)).await?;
    let work = bring(&library, &call, &args, (schema, walked));
    let (ingested, cut) = library.observe(&call, (&args.index, ""), work).await?;
    let text = format!(
        "{} added, {} updated, {} unchanged, {} removed, {} passed over",
        ingested.added, ingested.updated, ingested.unchanged, ingested.removed, ingested.passed_over
    );
    let reply = Reply::new(ingested).text(text);
    Ok(if cut {
        reply
            .warn(format!("only the first {} files were indexed, and none removed: name a path or globs", bounds.files))
    } else {
        reply
    })
}

/// An index of files, made if it is not there.
pub(super) async fn ready(
    library: &Library,
    call: &Call,
    index: &str,
    (language, vectors): (Language, bool),
) -> Result<Arc<Schema>, ToolError> {
    let schema = match library.schema(call, index).await {
        Err(error) if error.code() == "not_found" => {
            let mut schema = ingest::schema(language);
            if vectors {
                schema.fields.push(ingest::meaning());
            }
            library.store.create(call, index, &library.embedders.settle(schema)?).await?;
            library.listed();
            library.schema(call, index).await?
        }
        schema => schema?,
    };
    for field in ingest::schema(language).fields.iter().filter(|field| !LATER.contains(&field.name.as_str())) {
        if schema.field(&field.name).ok().map(|there| there.kind) != Some(field.kind) {
            return Err(ToolError::conflict(format!("the index {index:?} was not made for files"))
                .hint("choose a name that is free: the index is made"));
        }
    }
    Ok(schema)
}

/// Brings the index to what the directory is.
async fn bring(
    library: &Arc<Library>,
    call: &Call,
    args: &Directory,
    (schema, walked): (Arc<Schema>, Walked),
) -> Result<(Ingested, bool), ToolError> {
    let known = known(library, call, args, &schema).await?;
    let paged = LATER.iter().all(|name| schema.field(name).is_ok());
    let work = Work { library, call, args, paged, schema, known };
    let mut ingested = Ingested { passed_over: walked.too_large + walked.unreadable, ..Ingested::default() };
    let there: HashSet<&str> = walked.files.iter().map(|seen| seen.path.as_str()).collect();
    let as_it_was = |seen: &&Seen| {
        work.known
            .get(&seen.path)
            .is_some_and(|known| known.size == seen.size && known.modified == crate::filter::written(seen.modified))
    };
    let fresh: Vec<Seen> = walked.files.iter().filter(|seen| !as_it_was(seen)).cloned().collect();
    ingested.unchanged = walked.files.len() - fresh.len();
    #[expect(clippy::cast_precision_loss, reason = "far fewer files than 2^52")]
    let (total, mut done) = (fresh.len() as f64, 0.0);
    for files in fresh.chunks(BATCH) {
        work.take(files, &mut ingested).await?;
        #[expect(clippy::cast_precision_loss, reason = "at most 50")]
        let step = files.len() as f64;
        done += step;
        call.progress(done, Some(total), files.last().map(|seen| seen.path.clone()));
    }
    // Files behind the limit were not looked at: nobody knows whether they are gone.
    if !walked.cut {
        for (path, known) in work.known.iter().filter(|(path, _)| !there.contains(path.as_str())) {
            work.forget(&ingest::pages_of(&args.root, path, known.pages)).await?;
            work.cut(path, 0).await?;
            ingested.removed += 1;
        }
    }
    library.changed(call, &args.index);
    Ok((ingested, walked.cut))
}

impl Work<'_> {
    /// Reads some files and writes what they hold now.
    async fn take(&self, files: &[Seen], ingested: &mut Ingested) -> Result<(), ToolError> {
        let (root, index) = (&self.args.root, &self.args.index);
        let batch = Batch { root: root.clone(), files: files.to_vec(), paged: self.paged };
        let mut documents = Vec::new();
        for made in read::read(self.library, self.call, batch).await? {
            let before = self.known.get(&made.path);
            // What is no text any more is as good as gone, and so are pages that a file has no more.
            let lost = before.map(|known| made.lost(root, known.pages)).unwrap_or_default();
            self.forget(&lost).await?;
            self.cut(&made.path, made.pages()).await?;
            match (made.documents.is_empty(), before) {
                (true, Some(_)) => ingested.removed += 1,
                (false, Some(_)) => ingested.updated += 1,
                (false, None) => ingested.added += 1,
                (true, None) => {}
            }
            let Made { path, documents: own, why } = made;
            ingested.passed_over += usize::from(own.is_empty());
            if let Some(why) = why.filter(|_| ingested.remarks.len() < TOLD) {
                ingested.remarks.push(Remark { path, why });
            }
            documents.extend(own);
        }
        // What says that a file is known comes last, so that one that was written in part is read again.
        documents.sort_by_key(|document: &Document| document.source.get("page").is_none_or(|page| page == 1));
        for part in documents.chunks(WRITTEN) {
            let written = self.library.write(self.call, index, part.to_vec()).await?;
            self.library.written(self.call, index, written.indexed, written.failed.len());
            for failure in written.failed {
                ingested.passed_over += 1;
                if ingested.remarks.len() < TOLD {
                    ingested.remarks.push(Remark { path: failure.id, why: failure.why });
                }
            }
        }
        Ok(())
    }

    /// Removes the pages of a file behind one, also those that were left when an earlier reading of it was ended.
    async fn cut(&self, path: &str, pages: usize) -> Result<(), ToolError> {
        if !self.paged || !is_pdf(path) {
            return Ok(());
        }
        let pages = i64::try_from(pages).unwrap_or(i64::MAX);
        let filters = [
            ("root", Test::Any(vec![Exact::Text(self.args.root.clone())])),
            ("path", Test::Any(vec![Exact::Text(path.to_owned())])),
            ("page", Test::Side(Side::Above, Exact::Integer(pages))),
        ];
        let filters = filters.map(|(field, test)| Filter { field: field.to_owned(), test }).to_vec();
        let question = Question { schema: Arc::clone(&self.schema), query: None, filters };
        self.library.store.remove_where(self.call, &self.args.index, &question, None).await.map(drop)
    }

    async fn forget(&self, ids: &[String]) -> Result<(), ToolError> {
        for part in ids.chunks(500) {
            self.library.store.remove(self.call, &self.args.index, part).await?;
        }
        Ok(())
    }
}
