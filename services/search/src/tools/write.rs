//! Writing documents.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    Library,
    model::{Document, Failure},
    names,
};

/// Documents of one call.
const DOCUMENTS: usize = 500;
/// Documents that are written together: each such batch is one commit, which waits for the disk.
const BATCH: usize = 250;

/// Documents to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    index: String,
    /// Objects of fields, each with an id if it is to be replaced later.
    documents: Vec<Map<String, Value>>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Indexed {
    indexed: usize,
    /// In the order of the documents; null for one that failed.
    ids: Vec<Option<String>>,
    failed: Vec<Failure>,
}

pub(crate) async fn index(library: Arc<Library>, call: Call, args: Index) -> Result<Reply<Indexed>, ToolError> {
    names::index(&args.index)?;
    if args.documents.is_empty() || args.documents.len() > DOCUMENTS {
        return Err(ToolError::invalid(format!("documents are 1 to {DOCUMENTS}")).hint("write them in several calls"));
    }
    let total = args.documents.len();
    let mut ids = Vec::with_capacity(total);
    let mut failed = Vec::new();
    let mut ready = Vec::new();
    for (place, source) in args.documents.into_iter().enumerate() {
        match document(source) {
            Ok(document) => {
                ids.push(Some(document.id.clone()));
                ready.push((place, document));
            }
            Err((id, why)) => {
                ids.push(None);
                failed.push(Failure { place, id, why });
            }
        }
    }
    let mut indexed = 0;
    for batch in ready.chunks(BATCH) {
        let documents = batch.iter().map(|(_, document)| document.clone()).collect();
        let work = library.write(&call, &args.index, documents);
        let written = library.observe(&call, (&args.index, ""), work).await?;
        indexed += written.indexed;
        library.written(&call, &args.index, written.indexed, written.failed.len());
        for failure in written.failed {
            let place = batch.get(failure.place).map_or(0, |(place, _)| *place);
            ids[place] = None;
            failed.push(Failure { place, ..failure });
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 500")]
        call.progress((indexed + failed.len()) as f64, Some(total as f64), None);
    }
    failed.sort_by_key(|failure| failure.place);
    let mut lines = vec![format!("{indexed} of {total} documents were indexed")];
    lines.extend(failed.iter().take(20).map(|failure| format!("{}: {}", failure.place, super::plain(&failure.why))));
    Ok(Reply::new(Indexed { indexed, ids, failed }).text(lines.join("\n")))
}

/// A document out of what was given; one without an id gets one from its content, so that writing it twice is writing it once.
fn document(mut source: Map<String, Value>) -> Result<Document, (String, String)> {
    let id = match source.remove("id") {
        None | Some(Value::Null) => {
            let text = Value::Object(source.clone()).to_string();
            let digest = Sha256::digest(text.as_bytes());
            digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
        }
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) => id.to_string(),
        Some(other) => return Err((String::new(), format!("an id is a string, not {other}"))),
    };
    match names::id(&id) {
        Ok(()) if source.is_empty() => Err((id, "the document has no fields".to_owned())),
        Ok(()) => Ok(Document { id, source }),
        Err(why) => Err((id.chars().take(80).collect(), why)),
    }
}
