//! Texts → vectors.
//!
//! An [`Embedder`] is named by its model, and whoever keeps vectors keeps that name with them: vectors of different models mean
//! nothing to each other. [`open`] makes one from its settings: words alone ([`Lexical`]), a model of a folder ([`local`]), a model
//! behind HTTP, or the aiml service of the mesh through a gateway. [`Service`], the client of the last, calls any tool of any service in
//! the same way. It is a library so that the services that compare texts do it alike; it knows nothing of the kit, whose tools tell its
//! errors in their own words.
//!
//! ```
//! use weft_embed::{EmbedderSettings, embed, open};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let embedder = open(&EmbedderSettings::Lexical)?;
//! let vectors = embed(&*embedder, &["a text".to_owned()]).await?;
//! assert_eq!((embedder.model(), vectors[0].len()), ("lexical/1", embedder.dimensions()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # });
//! ```

use std::{fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;

mod client;
mod error;
mod http;
mod lexical;
pub mod local;
mod mesh;
mod service;
mod settings;
mod words;

pub use crate::{
    error::{EmbedError, OpenError},
    lexical::Lexical,
    service::{CallError, Service},
    settings::{EmbedderSettings, HttpSettings, LocalSettings, MeshSettings, ServiceSettings},
    words::words,
};

/// The longest vector, in elements.
pub const DIMENSIONS: usize = 4_096;

/// Vectors of texts, or why there are none.
pub type Embedding<'a> = BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>>;

/// What turns texts into vectors.
pub trait Embedder: Send + Sync + Debug {
    /// `protocol/model`: what is kept with vectors, so that they are never compared with those of another.
    fn model(&self) -> &str;

    /// Length of its vectors.
    fn dimensions(&self) -> usize;

    /// A vector for each text, in order. Dropping the future ends the work, a computation at the next batch. What comes from
    /// outside is not yet proven: [`embed`] does that.
    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a>;
}

/// The embedder that the settings mean.
pub fn open(settings: &EmbedderSettings) -> Result<Arc<dyn Embedder>, OpenError> {
    Ok(match settings {
        EmbedderSettings::Lexical => Arc::new(Lexical),
        EmbedderSettings::Openai(own) => Arc::new(http::Http::open(http::Protocol::Openai, own)?),
        EmbedderSettings::Ollama(own) => Arc::new(http::Http::open(http::Protocol::Ollama, own)?),
        EmbedderSettings::Mesh(own) => Arc::new(mesh::Mesh::open(own)?),
        EmbedderSettings::Local(own) => Arc::new(own.open()?),
    })
}

/// Embeds texts, and proves that the embedder did what it should: a vector for each, of its length, of finite numbers.
pub async fn embed(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let vectors = embedder.embed(texts).await?;
    let fits = |vector: &Vec<f32>| vector.len() == embedder.dimensions() && vector.iter().all(|one| one.is_finite());
    if vectors.len() == texts.len() && vectors.iter().all(fits) {
        return Ok(vectors);
    }
    Err(EmbedError::Mismatch { embedder: embedder.model().to_owned(), dimensions: embedder.dimensions() })
}

/// Makes the length 1; a vector of zeros stays.
pub fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|element| element * element).sum::<f32>().sqrt();
    if norm > f32::MIN_POSITIVE {
        vector.iter_mut().for_each(|element| *element /= norm);
    }
}
