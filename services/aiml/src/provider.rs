//! What a provider of models can be asked, whatever it speaks.
//!
//! Every method is one exchange; dropping its future closes the connection, so that a cancelled call stops the model. Queues,
//! breakers, budgets and the cache are no business of a provider.

use futures_util::future::BoxFuture;

use crate::{
    fault::Fault,
    model::{Ask, Model, Said, Vectors},
};

mod folder;
mod http;
mod lines;
mod ollama;
mod openai;

pub(crate) use folder::Folder;
pub(crate) use ollama::Ollama;
pub(crate) use openai::OpenAi;

/// Told of each piece of an answer as it comes; a piece of what is no text (thinking, a tool's arguments) is empty.
pub(crate) type Heard<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// What is being done, in the provider's words.
    pub(crate) status: &'a str,
    /// The part of the model that the numbers are about.
    pub(crate) part: Option<&'a str>,
    /// Bytes of it that are there.
    pub(crate) done: u64,
    /// Bytes of it in all.
    pub(crate) total: u64,
}

/// Told how far a download is.
pub(crate) type Pulled<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

/// The outcome of one exchange.
pub(crate) type Exchange<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// A model in memory.
#[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Loaded {
    pub(crate) model: String,
    /// Bytes of memory in all.
    pub(crate) size: Option<u64>,
    /// Bytes of them on the accelerator.
    pub(crate) vram: Option<u64>,
    pub(crate) context: Option<u64>,
    /// When it is unloaded, if it stays unused.
    pub(crate) until: Option<String>,
}

/// A server of models.
pub(crate) trait Provider: Send + Sync + std::fmt::Debug {
    /// What it speaks.
    fn kind(&self) -> &'static str;

    /// All its models. Also how its health is seen.
    fn models(&self) -> Exchange<'_, Vec<Model>>;

    /// All that can be learned of one model.
    fn describe<'a>(&'a self, model: &'a Model) -> Exchange<'a, Model> {
        Box::pin(async move { Ok(model.clone()) })
    }

    /// Lets the model answer.
    fn chat<'a>(&'a self, _model: &'a str, _ask: &'a Ask, _heard: Heard<'a>) -> Exchange<'a, Said> {
        unsupported()
    }

    /// Vectors of texts; `truncate` lets texts that are too long be cut.
    fn embed<'a>(&'a self, _model: &'a str, _texts: &'a [String], _truncate: bool) -> Exchange<'a, Vectors> {
        unsupported()
    }

    /// How well each document answers the query.
    fn rerank<'a>(&'a self, _model: &'a str, _query: &'a str, _documents: &'a [String]) -> Exchange<'a, Vec<f64>> {
        unsupported()
    }

    /// Exact number of tokens of a text.
    fn count<'a>(&'a self, _model: &'a str, _text: &'a str) -> Exchange<'a, u64> {
        unsupported()
    }

    /// Models in memory.
    fn running(&self) -> Exchange<'_, Vec<Loaded>> {
        unsupported()
    }

    /// Downloads a model.
    fn pull<'a>(&'a self, _model: &'a str, _pulled: Pulled<'a>) -> Exchange<'a, ()> {
        unsupported()
    }

    /// Gives a model a second name.
    fn copy<'a>(&'a self, _model: &'a str, _to: &'a str) -> Exchange<'a, ()> {
        unsupported()
    }

    /// Removes a model from memory.
    fn unload<'a>(&'a self, _model: &'a str) -> Exchange<'a, ()> {
        unsupported()
    }

    /// Deletes a model.
    fn delete<'a>(&'a self, _model: &'a str) -> Exchange<'a, ()> {
        unsupported()
    }
}

fn unsupported<'a, T: Send + 'a>() -> Exchange<'a, T> {
    Box::pin(std::future::ready(Err(Fault::Unsupported)))
}
