//! What happens to hits after they were found: one order, the threshold, reranking, variety, groups.

use std::collections::HashMap;

use serde_json::Value;
use weft_kit::{Call, ToolError};

use super::{Hit, Search};
use crate::{
    check,
    desk::Desk,
    distance,
    model::{self, Metric},
    rank,
    rerank::Ranked,
    seek::ScoreKind,
    tools::points::with,
};

/// Hits of one call.
const LIMIT: usize = 100;

/// What was asked for.
pub(super) struct After {
    pub(super) limit: usize,
    pub(super) group: Option<(String, usize)>,
    pub(super) mmr: Option<f32>,
    pub(super) rerank: Option<String>,
    threshold: Option<f32>,
    shows_vectors: bool,
}

/// Hits of several collections under ids that are unique among them.
pub(super) struct Gathered {
    kind: ScoreKind,
    hits: Vec<model::Hit>,
    /// Collection and own id.
    homes: HashMap<String, (Option<String>, String)>,
}

/// What is shown.
pub(super) struct Finished {
    pub(super) kind: ScoreKind,
    pub(super) hits: Vec<Hit>,
    pub(super) reranked_by: Option<String>,
    pub(super) warning: Option<String>,
}

impl Gathered {
    /// Hits with the collection that each is of, where there are several.
    pub(super) fn of(kind: ScoreKind, found: Vec<(Option<String>, model::Hit)>) -> Self {
        let mut homes = HashMap::new();
        let mut hits = Vec::new();
        for (home, mut hit) in found {
            let key = home.as_deref().map_or_else(|| hit.point.id.clone(), |home| format!("{home}\0{}", hit.point.id));
            homes.insert(key.clone(), (home, std::mem::replace(&mut hit.point.id, key)));
            hits.push(hit);
        }
        Self { kind, hits, homes }
    }
}

impl After {
    pub(super) fn of(args: &Search) -> Result<Self, ToolError> {
        let limit = args.limit.unwrap_or(10);
        let size = args.group_size.unwrap_or(1);
        if !(1..=LIMIT).contains(&limit) || !(1..=10).contains(&size) {
            return Err(ToolError::invalid("limit is 1 to 100 and group_size 1 to 10"));
        }
        let is_share = |share: Option<f32>| share.is_none_or(|share| (0.0..=1.0).contains(&share));
        if !is_share(args.mmr) || !is_share(args.hybrid_weight) {
            return Err(ToolError::invalid("mmr and hybrid_weight are 0 to 1"));
        }
        if args.text.as_ref().is_some_and(|text| text.len() > check::TEXT) {
            return Err(ToolError::too_large(format!("a text to search for has at most {} bytes", check::TEXT)));
        }
        if args.rerank && args.text.is_none() {
            return Err(ToolError::invalid("rerank needs `text`"));
        }
        let group = args.group_by.as_deref().map(|field| Ok::<_, ToolError>((check::field(field)?.to_owned(), size)));
        Ok(Self {
            limit,
            group: group.transpose()?,
            mmr: args.mmr,
            rerank: args.text.clone().filter(|_| args.rerank),
            threshold: args.score_threshold,
            shows_vectors: with(args.include.as_deref()).vector,
        })
    }

    /// Ranks what was found, and does what was asked with it.
    pub(super) async fn finish(self, desk: &Desk, call: &Call, found: Gathered) -> Result<Finished, ToolError> {
        let Gathered { kind, mut hits, homes } = found;
        let metric = if kind == ScoreKind::Euclidean { Metric::Euclidean } else { Metric::Dot };
        hits.sort_by(|a, b| distance::nearer(metric, a.score, b.score).then_with(|| a.point.id.cmp(&b.point.id)));
        let is_good =
            |hit: &model::Hit| self.threshold.is_none_or(|worst| distance::nearer(metric, hit.score, worst).is_le());
        hits.retain(is_good);
        let mut finished = Finished { kind, hits: Vec::new(), reranked_by: None, warning: None };
        if let Some(query) = &self.rerank {
            let ranked = call.run(desk.reranker.rank(query, hits)).await?;
            let Ranked { hits: anew, by, kind, warning } = ranked;
            hits = anew;
            (finished.kind, finished.reranked_by, finished.warning) = (kind, Some(by), warning);
        }
        if let Some(lambda) = self.mmr {
            let all = if self.group.is_some() { hits.len() } else { self.limit };
            hits = rank::vary(hits, lambda, all);
        }
        finished.hits = self.shown(hits, &homes);
        Ok(finished)
    }

    /// As callers see them, in groups if they asked for some.
    fn shown(&self, hits: Vec<model::Hit>, homes: &HashMap<String, (Option<String>, String)>) -> Vec<Hit> {
        let show = |group: Option<&Value>, mut hit: model::Hit| {
            let (collection, id) = homes.get(&hit.point.id).cloned().unwrap_or_default();
            hit.point.id = id;
            if !self.shows_vectors {
                hit.point.vector.clear();
            }
            Hit { group: group.cloned(), collection, ..Hit::of(hit) }
        };
        let Some((field, size)) = &self.group else {
            return hits.into_iter().take(self.limit).map(|hit| show(None, hit)).collect();
        };
        let groups = rank::group(hits, field, *size, self.limit);
        let members =
            groups.into_iter().flat_map(|(value, hits)| hits.into_iter().map(move |hit| (value.clone(), hit)));
        members.map(|(value, hit)| show(Some(&value), hit)).collect()
    }
}
