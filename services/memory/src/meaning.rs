//! Texts → vectors, by the one model that a partition's vectors are of.
//!
//! Vectors of different models mean nothing to each other. So a partition remembers its model, in a record of a partition of its own that
//! no caller can name; without one it is [`Words`]. Where the settings name another model than that, nothing is compared by meaning and
//! what is written gets no vector, until `consolidate` with `what=vectors` made all of them again.

use std::{error::Error as _, sync::Arc};

use weft_embed::{EmbedError, Embedder, EmbedderSettings, Embedding};
use weft_kit::{Call, ToolError};

use crate::{
    memory::Memory,
    model::{Kind, Record},
    store::{Committed, Write},
    words,
};

/// The id of the record that tells a partition's model.
const MARK: &str = "meaning";
/// Among its topics: not all vectors are of that model yet.
const PENDING: &str = "pending";
/// The model of [`Words`]; another number means that the same text gets another vector.
const WORDS: &str = "words/1";
/// How often a mark is written again because another instance was first.
const ROUNDS: usize = 8;

/// The embedder that is built in: spelling and inflection, no sense, and nothing but arithmetic.
#[derive(Debug)]
pub(crate) struct Words;

impl Embedder for Words {
    fn model(&self) -> &'static str {
        WORDS
    }

    fn dimensions(&self) -> usize {
        words::DIMENSIONS
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a> {
        Box::pin(async move { Ok(texts.iter().map(|text| words::embed(text)).collect()) })
    }
}

/// What a partition's vectors are to our embedder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Of the same model.
    Ours,
    /// Being made again by it.
    Pending,
    /// Of this one.
    Other(String),
}

/// The embedder that the settings mean.
pub(crate) fn open(settings: Option<&EmbedderSettings>) -> Result<Arc<dyn Embedder>, anyhow::Error> {
    Ok(match settings {
        Some(settings) => weft_embed::open(settings)?,
        None => Arc::new(Words),
    })
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

/// Where the mark of a partition is: no partition of a caller has a second slash in its key.
fn beside(key: &str) -> String {
    format!("{key}/{MARK}")
}

impl Memory {
    /// Whether vectors are made of words alone, at no cost.
    pub(crate) fn is_lexical(&self) -> bool {
        self.embedder.model() == WORDS
    }

    /// Vectors of length one.
    pub(crate) async fn embed(&self, call: &Call, texts: &[String]) -> Result<Vec<Vec<f32>>, ToolError> {
        let work = async { weft_embed::embed(&*self.embedder, texts).await.map_err(|error| told(&error)) };
        let mut vectors = call.run(work).await??;
        vectors.iter_mut().for_each(|vector| weft_embed::normalise(vector));
        Ok(vectors)
    }

    /// What the vectors of a partition are.
    pub(crate) async fn fit(&self, call: &Call, key: &str) -> Result<Fit, ToolError> {
        Ok(self.marked(call, key).await?.1)
    }

    /// The mark of a partition, and what follows from it.
    async fn marked(&self, call: &Call, key: &str) -> Result<(Option<Record>, Fit), ToolError> {
        let found = self.observe(call, self.store.get(&beside(key), &[MARK.to_owned()])).await?;
        let mark = found.into_iter().next();
        let (model, dimensions) = mark.as_ref().map_or((WORDS, words::DIMENSIONS.to_string()), |mark| {
            (mark.text.as_str(), mark.topics.first().cloned().unwrap_or_default())
        });
        let is_ours = model == self.embedder.model() && dimensions == self.embedder.dimensions().to_string();
        let is_pending = mark.as_ref().is_some_and(|mark| mark.topics.iter().any(|topic| topic == PENDING));
        let fit = match (is_ours, is_pending) {
            (true, false) => Fit::Ours,
            (true, true) => Fit::Pending,
            (false, _) => Fit::Other(format!("{model} ({dimensions})")),
        };
        Ok((mark, fit))
    }

    /// Remembers that the vectors of a partition are of our model, or will be.
    pub(crate) async fn mark(&self, call: &Call, key: &str, pending: bool) -> Result<(), ToolError> {
        for _ in 0..ROUNDS {
            let (before, _) = self.marked(call, key).await?;
            let expected = before.as_ref().map_or(0, |before| before.version);
            let mut topics = vec![self.embedder.dimensions().to_string()];
            topics.extend(pending.then(|| PENDING.to_owned()));
            let mark = Record::new(MARK.to_owned(), Kind::Note, self.embedder.model().to_owned(), &call.caller().id);
            let mark = Record { version: expected + 1, recorded_at: self.now(), topics, ..mark };
            let write = Write { record: mark, expected, index: None, nodes: Vec::new() };
            if self.observe(call, self.store.commit(&beside(key), vec![write])).await? == Committed::Done {
                return Ok(());
            }
        }
        Err(ToolError::conflict("others mark the same partition").hint("try again in a moment").retryable())
    }

    /// Gives vectors to what is to be written, if the partition's are of our model.
    pub(crate) async fn fill(&self, call: &Call, key: &str, batch: &mut [Write]) -> Result<(), ToolError> {
        let searched: Vec<&mut Write> = batch.iter_mut().filter(|write| write.index.is_some()).collect();
        if searched.is_empty() || !self.takes(call, key).await? {
            return Ok(());
        }
        let texts: Vec<String> = searched.iter().map(|write| write.record.searched()).collect();
        let vectors = self.embed(call, &texts).await?;
        for (write, vector) in searched.into_iter().zip(vectors) {
            if let Some(index) = &mut write.index {
                index.vector = vector;
            }
        }
        Ok(())
    }

    /// Whether vectors of our model go into a partition; one that is empty is made ours.
    async fn takes(&self, call: &Call, key: &str) -> Result<bool, ToolError> {
        let (mark, fit) = self.marked(call, key).await?;
        match fit {
            Fit::Ours | Fit::Pending => Ok(true),
            Fit::Other(_) if mark.is_none() && self.observe(call, self.store.count(key)).await? == 0 => {
                self.mark(call, key, false).await?;
                Ok(true)
            }
            Fit::Other(_) => Ok(false),
        }
    }

    /// The vector of a text where it can be compared with those of a partition.
    pub(crate) async fn comparable(&self, call: &Call, key: &str, text: &str) -> Result<Option<Vec<f32>>, ToolError> {
        if self.fit(call, key).await? != Fit::Ours {
            return Ok(None);
        }
        Ok(self.embed(call, &[text.to_owned()]).await?.pop())
    }
}
