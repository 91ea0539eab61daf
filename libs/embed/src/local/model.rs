//! A loaded model: texts → vectors, pairs of texts → scores. It computes on the thread that calls it.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{
    LoadError,
    card::{Card, Kind, Pooling},
    encoder::{Encoder, length},
    tokens::{Splitter, Tokens},
    weights::{self, Linear, Weights},
};

/// Tokens that are computed together: enough to keep the matrices busy, and few enough to be given up soon.
const TOGETHER: usize = 1_024;

/// Everything of a model, in memory.
#[derive(Debug)]
pub(crate) struct Model {
    encoder: Encoder,
    splitter: Splitter,
    head: Option<Head>,
    pooling: Pooling,
    normalise: bool,
    dimensions: usize,
}

/// What a reranker has behind the encoder: first token → score.
#[derive(Debug)]
struct Head {
    dense: Linear,
    out: Linear,
}

/// What was computed of some texts.
#[derive(Debug)]
pub(crate) struct Computed {
    /// A row for each text: its vector, or its score alone.
    pub(crate) rows: Vec<Vec<f32>>,
    /// Tokens that were read.
    pub(crate) tokens: usize,
    /// Places of the texts that were cut.
    pub(crate) cut: Vec<usize>,
}

impl Model {
    pub(crate) fn load(card: &Card) -> Result<Self, LoadError> {
        let path = card.folder.join("model.safetensors");
        let bytes = weights::read(&path)?;
        let weights = Weights::new(&path, &bytes)?;
        let head = (card.kind == Kind::Reranker).then(|| Head::load(&weights, card)).transpose()?;
        Ok(Self {
            encoder: Encoder::load(&weights, &card.shape)?,
            splitter: Splitter::load(card)?,
            head,
            pooling: card.pooling,
            normalise: card.normalise,
            dimensions: card.dimensions,
        })
    }

    /// Bytes of its weights in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.encoder.bytes() + self.head.as_ref().map_or(0, |head| head.dense.bytes() + head.out.bytes())
    }

    /// Vectors of texts. `go_on` is asked before each step; `None` if it said no.
    pub(crate) fn embed(
        &self,
        texts: &[String],
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Computed>, tokenizers::Error> {
        self.each(texts.len(), &|place| self.splitter.one(&texts[place]), go_on)
    }

    /// How well each document answers the query, from 0 to 1.
    pub(crate) fn rank(
        &self,
        query: &str,
        documents: &[String],
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Computed>, tokenizers::Error> {
        self.each(documents.len(), &|place| self.splitter.pair(query, &documents[place]), go_on)
    }

    /// Tokens of a text as far as the model reads it, and whether that is less than the text.
    pub(crate) fn count(&self, text: &str) -> Result<(usize, bool), tokenizers::Error> {
        self.splitter.one(text).map(|tokens| (tokens.ids.len(), tokens.is_cut))
    }

    fn each(
        &self,
        texts: usize,
        split: &dyn Fn(usize) -> Result<Tokens, tokenizers::Error>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Computed>, tokenizers::Error> {
        let mut done = Computed { rows: Vec::with_capacity(texts), tokens: 0, cut: Vec::new() };
        let mut waiting: Vec<Tokens> = Vec::new();
        for place in 0..texts {
            if !go_on() {
                return Ok(None);
            }
            let tokens = split(place)?;
            done.tokens += tokens.ids.len();
            done.cut.extend(tokens.is_cut.then_some(place));
            let together = waiting.iter().map(|one| one.ids.len()).sum::<usize>() + tokens.ids.len();
            if together > TOGETHER && !waiting.is_empty() {
                done.rows.extend(self.compute(&waiting));
                waiting.clear();
            }
            waiting.push(tokens);
        }
        if !go_on() {
            return Ok(None);
        }
        done.rows.extend(self.compute(&waiting));
        Ok(Some(done))
    }

    fn compute(&self, texts: &[Tokens]) -> Vec<Vec<f32>> {
        let (rows, spans) = self.encoder.of(texts);
        let one = |span: &std::ops::Range<usize>| {
            let text = rows.slice(s![span.clone(), ..]);
            match &self.head {
                Some(head) => vec![head.score(&text)],
                None => self.pool(&text),
            }
        };
        spans.iter().map(one).collect()
    }

    fn pool(&self, tokens: &ArrayView2<'_, f32>) -> Vec<f32> {
        let mut vector = match self.pooling {
            _ if tokens.nrows() == 0 => vec![0.0; self.dimensions],
            Pooling::First => tokens.row(0).to_vec(),
            Pooling::Mean => (tokens.sum_axis(Axis(0)) / length(tokens.nrows())).to_vec(),
            Pooling::Max => {
                let most =
                    |column: ndarray::ArrayView1<'_, f32>| column.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                tokens.columns().into_iter().map(most).collect()
            }
        };
        if self.normalise {
            crate::normalise(&mut vector);
        }
        vector
    }
}

impl Head {
    /// BERT has a pooler and one layer, RoBERTa two layers of the classifier.
    fn load(weights: &Weights<'_>, card: &Card) -> Result<Self, LoadError> {
        let width = card.dimensions;
        if weights.has("classifier.dense.weight") {
            let (dense, out) = ("classifier.dense", "classifier.out_proj");
            return Ok(Self { dense: weights.head(dense, width, width)?, out: weights.head(out, width, 1)? });
        }
        Ok(Self { dense: weights.linear("pooler.dense", width, width)?, out: weights.head("classifier", width, 1)? })
    }

    fn score(&self, tokens: &ArrayView2<'_, f32>) -> f32 {
        let first: Array2<f32> = tokens.slice(s![..1, ..]).to_owned();
        let mut dense = self.dense.of(&first);
        dense.mapv_inplace(f32::tanh);
        let score = self.out.of(&dense).sum();
        1.0 / (1.0 + (-score).exp())
    }
}
