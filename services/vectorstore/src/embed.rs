//! A collection → the embedder that it was made with.
//!
//! A collection remembers its model: vectors of different models mean nothing to each other, and a mismatch is refused before anything
//! is written or compared. What the embedders are is `weft_embed`'s.

use std::{collections::BTreeMap, error::Error as _, sync::Arc};

use weft_embed::{EmbedError, Embedder, Lexical};
use weft_kit::ToolError;

use crate::model::Spec;

/// All embedders, by model.
#[derive(Debug)]
pub(crate) struct Embedders {
    first: Arc<dyn Embedder>,
    by_model: BTreeMap<String, Arc<dyn Embedder>>,
}

impl Embedders {
    /// The lexical one, and what is configured before it.
    pub(crate) fn new(configured: Vec<Arc<dyn Embedder>>) -> Self {
        let lexical: Arc<dyn Embedder> = Arc::new(Lexical);
        let first = configured.first().unwrap_or(&lexical).clone();
        let all = configured.into_iter().chain([lexical]);
        Self { first, by_model: all.map(|embedder| (embedder.model().to_owned(), embedder)).collect() }
    }

    /// The embedder for new collections.
    pub(crate) fn first(&self) -> &Arc<dyn Embedder> {
        &self.first
    }

    /// The embedder of a model.
    pub(crate) fn named(&self, model: &str) -> Result<&Arc<dyn Embedder>, ToolError> {
        self.by_model.get(model).ok_or_else(|| {
            let known: Vec<_> = self.by_model.keys().map(String::as_str).collect();
            ToolError::new("unknown_model", format!("no embedder is configured for `{}`", crate::check::shorten(model)))
                .hint(format!("there are: {}", known.join(", ")))
        })
    }

    /// The embedder that a collection was made with.
    pub(crate) fn of(&self, spec: &Spec) -> Result<&Arc<dyn Embedder>, ToolError> {
        let Some(model) = &spec.model else {
            let none = format!("the collection `{}` has no embedding model: it takes vectors, not texts", spec.name);
            return Err(ToolError::new("model_mismatch", none).hint("give `vector`"));
        };
        let embedder = self.named(model)?;
        if embedder.dimensions() == spec.dimensions {
            return Ok(embedder);
        }
        let (is, was) = (embedder.dimensions(), spec.dimensions);
        Err(ToolError::new("model_mismatch", format!("`{model}` gives {is} dimensions now, the collection has {was}"))
            .hint("ask the operator to configure the model that the collection was made with"))
    }

    /// Fails if a caller's vectors come from another model than the collection's.
    pub(crate) fn same(spec: &Spec, model: Option<&str>) -> Result<(), ToolError> {
        match (model, spec.model.as_deref()) {
            (Some(theirs), Some(ours)) if theirs != ours => Err(ToolError::new(
                "model_mismatch",
                format!("the vectors are of `{}`, the collection is of `{ours}`", crate::check::shorten(theirs)),
            )
            .hint("embed with the collection's model, or give texts and let the collection do it")),
            _ => Ok(()),
        }
    }

    /// Embeds texts for a collection.
    pub(crate) async fn embed(&self, spec: &Spec, texts: &[String]) -> Result<Vec<Vec<f32>>, ToolError> {
        let embedder = self.of(spec)?;
        weft_embed::embed(&**embedder, texts).await.map_err(|error| told(&error))
    }
}

/// An embedder's error as a caller may see it.
fn told(error: &EmbedError) -> ToolError {
    tracing::warn!(error = %error, cause = error.source().map(tracing::field::display), "texts were not embedded");
    let told = ToolError::new(error.code().to_owned(), error.to_string());
    let told = if error.is_retryable() { told.retryable() } else { told };
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
