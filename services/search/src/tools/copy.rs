//! One index → another with other fields, and an alias that moves from one to the other at once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    Library,
    model::{Document, Failure, Field, Language, Schema},
    names,
};

/// Failures that are told.
const TOLD: usize = 100;

/// What to copy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reindex {
    from: String,
    /// New, or empty.
    to: String,
    /// As create_index takes them; those of `from` if not said. What a document has beside them is left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    fields: Option<Vec<Field>>,
    #[serde(default)]
    language: Option<Language>,
    /// Stands for `to` when all is copied.
    #[serde(default)]
    alias: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Copied {
    copied: usize,
    /// The first of them, at most 100.
    failed: Vec<Failure>,
    failures: usize,
    /// The alias stands for the new index now.
    switched: bool,
}

pub(crate) async fn reindex(library: Arc<Library>, call: Call, args: Reindex) -> Result<Reply<Copied>, ToolError> {
    names::index(&args.to)?;
    args.alias.as_deref().map(names::index).transpose()?;
    let old = library.schema(&call, &args.from).await?;
    let schema = Schema {
        fields: args.fields.clone().unwrap_or_else(|| old.fields.clone()),
        language: args.language.unwrap_or(old.language),
        synonyms: old.synonyms.clone(),
    };
    let schema = library.embedders.settle(schema.check()?)?;
    let made = library.store.create(&call, &args.to, &schema).await?;
    if !made && library.store.status(&call, &args.to).await?.documents > 0 {
        return Err(ToolError::conflict(format!("the index {:?} has documents already", args.to))
            .hint("copy into a new index, or empty that one with delete_documents"));
    }
    let copied = library.observe(&call, (&args.from, ""), copy(&library, &call, &args, (&old, &schema))).await?;
    library.written(&call, &args.to, copied.copied, copied.failures);
    let switched = match &args.alias {
        // An alias is not moved to a copy that lacks something.
        Some(alias) if copied.failures == 0 => {
            library.store.alias(&call, alias, Some(&args.to)).await?;
            true
        }
        _ => false,
    };
    library.listed();
    let text = format!("{} documents were copied, {} were not", copied.copied, copied.failures);
    let mut reply = Reply::new(Copied { switched, ..copied }).text(text);
    if args.alias.is_some() && !switched {
        reply = reply.warn("the alias was not moved, because some documents could not be copied");
    }
    Ok(reply)
}

async fn copy(
    library: &Library,
    call: &Call,
    args: &Reindex,
    (old, schema): (&Schema, &Schema),
) -> Result<Copied, ToolError> {
    // Vectors that were made of other texts, or by another model, are made anew.
    let stays = |name: &str| {
        let there = |schema: &Schema| schema.fields.iter().find(|field| field.name == name).cloned();
        there(schema).is_some_and(|field| {
            field.vector.is_none() || there(old).is_some_and(|before| before.vector == field.vector)
        })
    };
    let mut copied = Copied { copied: 0, failed: Vec::new(), failures: 0, switched: false };
    let total = library.store.status(call, &args.from).await?.documents;
    let mut after = None;
    loop {
        let (documents, next) = library.store.scroll(call, &args.from, after.as_ref()).await?;
        if documents.is_empty() {
            return Ok(copied);
        }
        let fitting = |document: Document| {
            let mut source = document.source;
            source.retain(|name, _| stays(name));
            Document { id: document.id, source }
        };
        let documents: Vec<_> = documents.into_iter().map(fitting).collect();
        let written = library.write(call, &args.to, documents).await?;
        copied.copied += written.indexed;
        copied.failures += written.failed.len();
        copied.failed.extend(written.failed);
        copied.failed.truncate(TOLD);
        #[expect(clippy::cast_precision_loss, reason = "far fewer documents than 2^52")]
        call.progress((copied.copied + copied.failures) as f64, Some(total as f64), None);
        if next.is_none() {
            return Ok(copied);
        }
        after = next;
    }
}
