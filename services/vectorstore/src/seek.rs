//! What a caller looks for → hits, over any store: by vectors, by words, or by both at once.
//!
//! A store answers one vector or one set of words; everything that combines them is here, once. Where lists are fused, varied or
//! grouped, more is asked of the store than the caller gets, because the best of a combination need not be the best of a part.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

use crate::{
    desk::Place,
    model::{Filter, Hit, Metric, Near, Query, With},
    rank,
};

/// How candidates are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// By vector and by words, fused.
    Hybrid,
    /// By vector.
    Dense,
    /// By words (BM25).
    Sparse,
}

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScoreKind {
    /// -1 to 1; larger is nearer.
    Cosine,
    /// Larger is nearer.
    Dot,
    /// A distance; smaller is nearer.
    Euclidean,
    /// Larger is better; only good for comparing hits of one query.
    Bm25,
    /// Reciprocal ranks; larger is better; only good for comparing hits of one query.
    Rrf,
    /// 0 to 1: words in common and rank; larger is better.
    Overlap,
    /// Larger is better; what a reranking model gave, only good for comparing hits of one query.
    Rerank,
    /// Larger is better; how a recommendation was computed.
    Preference,
}

impl From<Metric> for ScoreKind {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Cosine => Self::Cosine,
            Metric::Dot => Self::Dot,
            Metric::Euclidean => Self::Euclidean,
        }
    }
}

/// A wish, checked.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Each is searched for; none for words alone.
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) words: Option<String>,
    /// What vectors count against words, 0 to 1.
    pub(crate) weight: f32,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: usize,
    pub(crate) ef: Option<u16>,
    pub(crate) exact: bool,
    pub(crate) with: With,
}

/// The most that is asked of a store for one list.
pub(crate) const DEPTH: usize = 400;

impl Wish {
    /// What the scores of the result will be.
    pub(crate) fn kind(&self, metric: Metric) -> ScoreKind {
        match (self.vectors.len(), &self.words) {
            (1, None) => metric.into(),
            (0, Some(_)) => ScoreKind::Bm25,
            _ => ScoreKind::Rrf,
        }
    }

    fn query(&self, near: Near, limit: usize) -> Query {
        let Self { filter, ef, exact, with, .. } = self;
        Query { near, filter: filter.clone(), limit, ef: *ef, exact: *exact, with: *with }
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Sought {
    pub(crate) hits: Vec<Hit>,
    /// Every word was in more texts than the store can rank: the vectors alone decided.
    pub(crate) wordless: bool,
}

/// Fulfils a wish in one collection.
pub(crate) async fn seek(call: &Call, place: &Place, wish: &Wish) -> Result<Sought, ToolError> {
    let parts = wish.vectors.len() + usize::from(wish.words.is_some());
    let limit = if parts > 1 { (wish.limit * 4).clamp(50, DEPTH) } else { wish.limit };
    let dense = wish.vectors.iter().map(|vector| wish.query(Near::Vector(vector.clone()), limit));
    let sparse = wish.words.iter().map(|words| wish.query(Near::Words(words.clone()), limit));
    let queries: Vec<Query> = dense.chain(sparse).collect();
    let searches = queries.iter().map(|query| place.store.search(&place.tenant, &place.name, query));
    let lists = call.run(join_all(searches)).await?;
    let (mut lists, wordless) = usable(lists, wish.vectors.len())?;
    if parts == 1 {
        return Ok(Sought { hits: lists.pop().unwrap_or_default(), wordless });
    }
    #[expect(clippy::cast_precision_loss, reason = "at most a few vectors")]
    let each = if wish.words.is_some() { wish.weight / wish.vectors.len() as f32 } else { 1.0 };
    let weigh = |(list, query): (Vec<Hit>, &Query)| match query.near {
        Near::Vector(_) => (list, each),
        Near::Words(_) => (list, 1.0 - wish.weight),
    };
    let mut hits = rank::fuse(lists.into_iter().zip(&queries).map(weigh).collect());
    hits.truncate(wish.limit);
    Ok(Sought { hits, wordless })
}

/// The lists, and whether that of the words, which is last, is left out because the store could not rank it. It must not be alone.
fn usable(lists: Vec<Result<Vec<Hit>, ToolError>>, dense: usize) -> Result<(Vec<Vec<Hit>>, bool), ToolError> {
    let is_left_out =
        |list: &Result<Vec<Hit>, ToolError>| list.as_ref().is_err_and(|error| error.code() == "too_common");
    let wordless = dense > 0 && lists.last().is_some_and(is_left_out);
    let kept = if wordless { dense } else { lists.len() };
    Ok((lists.into_iter().take(kept).collect::<Result<_, _>>()?, wordless))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_cannot_be_ranked_are_left_out_beside_vectors_only() {
        let common = || Err(ToolError::new("too_common", "too many texts"));
        let (lists, wordless) = usable(vec![Ok(Vec::new()), common()], 1).unwrap();
        assert_eq!((lists.len(), wordless), (1, true));
        assert_eq!(usable(vec![common()], 0).unwrap_err().code(), "too_common");
        let (lists, wordless) = usable(vec![Ok(Vec::new()), Ok(Vec::new())], 1).unwrap();
        assert_eq!((lists.len(), wordless), (2, false));
        let away = || Err(ToolError::unavailable("away"));
        assert_eq!(usable(vec![Ok(Vec::new()), away()], 1).unwrap_err().code(), "unavailable");
        assert_eq!(usable(vec![away(), common()], 1).unwrap_err().code(), "unavailable");
    }
}
