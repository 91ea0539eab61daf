//! What works without any model, as a provider like the others: vectors and order by shared words. It says what it is.
//!
//! Its `lexical` knows words, not meaning: "car" and "automobile" have nothing in common for it. It is there so that a mesh without
//! models embeds, reranks and classifies at all, always in the same way, and at no cost.

use weft_embed::{Embedder, Lexical};

use crate::{
    fault::Fault,
    model::{Capability, Model, Vectors},
    provider::{Exchange, Provider},
};

pub(crate) mod lexical;
pub(crate) mod summary;
pub(crate) mod tokens;

/// The name of the provider.
pub(crate) const NAME: &str = "builtin";
/// The id of its only model.
pub(crate) const LEXICAL: &str = "lexical";
/// What results of it are told with.
pub(crate) const NO_MODEL: &str = "no model was used: builtin/lexical compares words, not meaning";

/// Computes on a thread that may take its time. What it is given is bounded by the tools, so it ends soon even if nobody waits.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|why| Fault::Broken(why.to_string()))
}

/// The provider that is no model.
#[derive(Debug)]
pub(crate) struct Builtin;

impl Provider for Builtin {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn models(&self) -> Exchange<'_, Vec<Model>> {
        let lexical = Model {
            capabilities: vec![Capability::Embed, Capability::Rerank],
            dimensions: Some(Embedder::dimensions(&Lexical) as u64),
            digest: Some(Embedder::model(&Lexical).to_owned()),
            details: Some("no model: hashed words and parts of words, BM25".to_owned()),
            ..Model::named(LEXICAL)
        };
        Box::pin(std::future::ready(Ok(vec![lexical])))
    }

    fn embed<'a>(&'a self, _: &'a str, texts: &'a [String], _: bool) -> Exchange<'a, Vectors> {
        let texts = texts.to_vec();
        Box::pin(beside(move || {
            let vectors = texts.iter().map(|text| Lexical::vector(text)).collect();
            let prompt_tokens = Some(texts.iter().map(|text| tokens::estimate(text)).sum());
            Vectors { vectors, prompt_tokens, ..Vectors::default() }
        }))
    }

    fn rerank<'a>(&'a self, _: &'a str, query: &'a str, documents: &'a [String]) -> Exchange<'a, Vec<f64>> {
        let (query, documents) = (query.to_owned(), documents.to_vec());
        Box::pin(beside(move || lexical::relevance(&query, &documents)))
    }

    fn count<'a>(&'a self, _: &'a str, text: &'a str) -> Exchange<'a, u64> {
        Box::pin(std::future::ready(Ok(tokens::estimate(text))))
    }
}
