//! Files that an index knows already, read back from their documents: there is no second place that could say otherwise.

use std::{collections::HashMap, sync::Arc};

use weft_extract::below;
use weft_kit::{Call, ToolError};

use super::Directory;
use crate::{
    Library,
    filter::{Exact, Filter, Side, Test},
    model::{Order, Question, Schema, Sort, Wanted},
};

/// Documents that are asked for together.
const PAGE: usize = 1_000;

/// What is known of a file from its document.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) size: u64,
    pub(super) modified: String,
    /// None of a file that has no pages.
    pub(super) pages: usize,
}

/// The files of this directory that are in the index already.
pub(super) async fn known(
    library: &Library,
    call: &Call,
    args: &Directory,
    schema: &Arc<Schema>,
) -> Result<HashMap<String, Known>, ToolError> {
    let top = below(&args.path)?.to_string_lossy().into_owned();
    let filter = |field: &str, test| Filter { field: field.to_owned(), test };
    let mut all = vec![filter("root", Test::Any(vec![Exact::Text(args.root.clone())]))];
    if !top.is_empty() {
        // One file is known by its own path, a directory by what begins with it.
        let within = if library.roots.get(&args.root)?.is_file(&top) {
            Test::Any(vec![Exact::Text(top)])
        } else {
            Test::Prefix(format!("{top}/"))
        };
        all.push(filter("path", within));
    }
    let wanted = Wanted {
        take: PAGE,
        sort: Some(Sort { field: "path".to_owned(), order: Order::Asc, near: None }),
        only: Some(["path", "size", "modified", "pages"].map(str::to_owned).to_vec()),
        ..Wanted::default()
    };
    let mut known = HashMap::new();
    if schema.field("page").is_err() {
        collect(library, call, (&args.index, schema, &wanted), all, &mut known).await?;
        return Ok(known);
    }
    // The first page stands for all of its file: it is written last.
    for first in [Test::Exists(false), Test::Side(Side::UpTo, Exact::Integer(1))] {
        let filters = all.iter().cloned().chain([filter("page", first)]).collect();
        collect(library, call, (&args.index, schema, &wanted), filters, &mut known).await?;
    }
    Ok(known)
}

/// The files of some documents, read page by page in the order of their paths.
async fn collect(
    library: &Library,
    call: &Call,
    (index, schema, wanted): (&str, &Arc<Schema>, &Wanted),
    all: Vec<Filter>,
    known: &mut HashMap<String, Known>,
) -> Result<(), ToolError> {
    let mut last: Option<String> = None;
    loop {
        call.check()?;
        let mut filters = all.clone();
        let behind = last.take().map(|path| Test::Side(Side::Above, Exact::Text(path)));
        filters.extend(behind.map(|test| Filter { field: "path".to_owned(), test }));
        let question = Question { schema: Arc::clone(schema), query: None, filters };
        let found = library.store.search(call, index, &question, wanted).await?;
        let count = found.hits.len();
        for hit in found.hits {
            let text =
                |name: &str| hit.source.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            let number = |name: &str| hit.source.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
            let pages = usize::try_from(number("pages")).unwrap_or_default();
            last = Some(text("path"));
            known.insert(text("path"), Known { size: number("size"), modified: text("modified"), pages });
        }
        if count < PAGE {
            return Ok(());
        }
    }
}
