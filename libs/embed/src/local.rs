//! Models of a folder, computed here: sentence embedders and rerankers of the families of BERT.
//!
//! A [`Local`] reads what the folder says at once, the weights when they are first needed, and lets them go after a time without use.
//! Computing blocks, so it happens on threads for that, at most as many at once as the settings say; a caller that is gone stops its
//! work at the next text. `docs/adr/0014-local-models.md` says why the computation is ours and not a framework's.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use crate::{Embedder, Embedding, error::EmbedError};

mod card;
mod encoder;
mod model;
mod shelf;
mod tokens;
mod weights;

pub use card::{Card, Kind};
use model::{Computed, Model};
use shelf::Shelf;

/// Texts of one piece of work.
const PIECE: usize = 16;

/// Why a folder holds no model that can be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(
        "cannot read {path:?}; a model's folder has config.json, tokenizer.json or vocab.txt, and model.safetensors"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It says what cannot be computed.
    #[error("{path:?} cannot be used: {why}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
}

/// What came of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Work<T> {
    /// One for each text, in order.
    pub of: Vec<T>,
    /// Tokens that the model read.
    pub tokens: usize,
    /// Places of the texts that were longer than the model reads, and were cut.
    pub cut: Vec<usize>,
}

/// Weights in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Bytes.
    pub bytes: usize,
    /// When they are let go, if nobody uses them; never without one.
    pub left: Option<Duration>,
}

/// Places for work that computes; models that share them compute no more at once together than one alone.
#[derive(Debug, Clone)]
pub struct Threads {
    number: usize,
    places: Arc<Semaphore>,
}

impl Threads {
    /// So many, and at least one.
    pub fn new(number: usize) -> Self {
        let number = number.max(1);
        Self { number, places: Arc::new(Semaphore::new(number)) }
    }
}

/// A model of a folder.
#[derive(Debug)]
pub struct Local {
    name: String,
    card: Card,
    threads: Threads,
    idle: Option<Duration>,
    shelf: Arc<Shelf>,
    /// One at a time loads.
    loading: tokio::sync::Mutex<()>,
}

/// Says no once it is dropped.
#[derive(Debug, Default)]
struct Interest(Arc<AtomicBool>);

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The models of a folder, by name: the folder itself if it is one, or those of its folders that are.
pub fn folders(root: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_model = |path: &Path| path.join("config.json").is_file();
    if is_model(root) {
        return Ok(vec![(name(&root.canonicalize()?).unwrap_or_default(), root.to_owned())]);
    }
    let paths = std::fs::read_dir(root)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let mut found: Vec<_> =
        paths.into_iter().filter(|path| is_model(path)).filter_map(|path| Some((name(&path)?, path))).collect();
    found.sort_unstable();
    Ok(found)
}

impl Local {
    /// A model that errors and vectors call `name`, computed on `threads`, kept for `idle` after its last use.
    pub fn open(name: &str, folder: &Path, threads: &Threads, idle: Option<Duration>) -> Result<Self, LoadError> {
        Ok(Self {
            name: name.to_owned(),
            card: Card::read(folder)?,
            threads: threads.clone(),
            idle,
            shelf: Arc::default(),
            loading: tokio::sync::Mutex::default(),
        })
    }

    /// What it is.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What it holds in memory, if anything.
    pub fn held(&self) -> Option<Held> {
        let (model, unused) = self.shelf.look()?;
        Some(Held { bytes: model.bytes(), left: self.idle.map(|idle| idle.saturating_sub(unused)) })
    }

    /// Lets the weights go. Work that has begun keeps them until it is done.
    pub fn unload(&self) {
        self.shelf.clear();
    }

    /// Vectors of texts.
    pub async fn vectors(&self, texts: &[String]) -> Result<Work<Vec<f32>>, EmbedError> {
        let work = |model: &Model, texts: &[String], go_on: &dyn Fn() -> bool| model.embed(texts, go_on);
        self.each(texts, work).await
    }

    /// How well each document answers the query, from 0 to 1.
    pub async fn scores(&self, query: &str, documents: &[String]) -> Result<Work<f32>, EmbedError> {
        let query = query.to_owned();
        let work = move |model: &Model, texts: &[String], go_on: &dyn Fn() -> bool| model.rank(&query, texts, go_on);
        let Work { of, tokens, cut } = self.each(documents, work).await?;
        Ok(Work { of: of.into_iter().map(|row| row.into_iter().sum()).collect(), tokens, cut })
    }

    /// Tokens of each text as far as the model reads it, and whether the text goes on.
    pub async fn lengths(&self, texts: &[String]) -> Result<Vec<(usize, bool)>, EmbedError> {
        let (model, texts) = (self.loaded().await?, texts.to_vec());
        let counted = self.compute(move || texts.iter().map(|text| model.count(text)).collect::<Result<_, _>>());
        counted.await?.map_err(|cause| self.broken(cause))
    }

    /// Pieces of the texts, on as many threads as may be, in order.
    async fn each<F>(&self, texts: &[String], work: F) -> Result<Work<Vec<f32>>, EmbedError>
    where
        F: Fn(&Model, &[String], &dyn Fn() -> bool) -> Result<Option<Computed>, tokenizers::Error>
            + Clone
            + Send
            + 'static,
    {
        let model = self.loaded().await?;
        let interest = Interest::default();
        let pieces = stream::iter(texts.chunks(PIECE).map(<[String]>::to_vec)).map(|piece| {
            let (model, work, gone) = (Arc::clone(&model), work.clone(), Arc::clone(&interest.0));
            self.compute(move || work(&model, &piece, &|| !gone.load(Ordering::Relaxed)))
        });
        let pieces: Vec<_> = pieces.buffered(self.threads.number).try_collect().await?;
        let mut all = Work { of: Vec::with_capacity(texts.len()), tokens: 0, cut: Vec::new() };
        for piece in pieces {
            // Nobody is gone while this future is polled.
            let Some(Computed { rows, tokens, cut }) = piece.map_err(|cause| self.broken(cause))? else { continue };
            all.cut.extend(cut.into_iter().map(|place| all.of.len() + place));
            all.of.extend(rows);
            all.tokens += tokens;
        }
        self.shelf.touch();
        Ok(all)
    }

    /// Computes on a thread for that, when one is free. Its place is free again when the work really ends.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, EmbedError> {
        let place =
            Arc::clone(&self.threads.places).acquire_owned().await.map_err(|cause| self.broken(cause.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|cause| self.broken(cause.into()))
    }

    /// The model, loaded if it is not.
    async fn loaded(&self) -> Result<Arc<Model>, EmbedError> {
        let _turn = self.loading.lock().await;
        if let Some(model) = self.shelf.touch() {
            return Ok(model);
        }
        let card = self.card.clone();
        let began = Instant::now();
        let loaded = self.compute(move || Model::load(&card)).await?;
        let model = Arc::new(loaded.map_err(|cause| self.broken(cause.into()))?);
        tracing::info!(model = self.name, bytes = model.bytes(), took = ?began.elapsed(), "a local model was loaded");
        self.shelf.put(Arc::clone(&model), self.idle);
        Ok(model)
    }

    fn broken(&self, cause: Box<dyn std::error::Error + Send + Sync>) -> EmbedError {
        EmbedError::Broken { embedder: self.name.clone(), cause }
    }
}

impl Embedder for Local {
    fn model(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.card.dimensions
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a> {
        Box::pin(async move {
            let work = self.vectors(texts).await?;
            if !work.cut.is_empty() {
                let (cut, most) = (work.cut.len(), self.card.context);
                tracing::warn!(model = self.name, cut, most, "texts were longer than the model reads, and were cut");
            }
            Ok(work.of)
        })
    }
}
