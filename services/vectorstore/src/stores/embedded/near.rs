//! A query → ranked points: by the graph, by an exact scan, or by words.
//!
//! Whatever finds the candidates, the scores come from the exact vectors, so that a hit's score never depends on how it was found.

use roaring::RoaringBitmap;

use super::{
    fault::Fault,
    graph::{Ask, Graph},
    lexicon, read,
    table::{Number, Sight},
};
use crate::{
    distance::{self, Probe},
    model::{Hit, Near, Query},
};

/// Up to so many candidates a scan is as quick as the graph, and exact.
const SCAN: u64 = 2_000;
/// A walk that looks for this many times as many points as it has to give looks at about as many codes as a scan at vectors,
/// each of which costs five times as much.
const WALK: u64 = 4;
/// How many more candidates than wanted are scored when the graph sees vectors coarsely.
const OVERSAMPLE: usize = 8;

/// Answers a query.
pub(crate) fn search(sight: Sight<'_>, graph: Option<&Graph>, query: &Query) -> Result<Vec<Hit>, Fault> {
    let candidates = read::chosen(sight, query.filter.as_ref())?;
    match &query.near {
        Near::Words(words) => {
            let ranked = lexicon::rank(sight, words, query.filter.is_some().then_some(&candidates))?;
            hits(sight, query, ranked, |a, b| b.total_cmp(&a))
        }
        Near::Vector(vector) => {
            let metric = sight.spec.metric;
            let ranked = nearest(sight, graph, query, vector, &candidates)?;
            hits(sight, query, ranked, |a, b| distance::nearer(metric, a, b))
        }
    }
}

fn nearest(
    sight: Sight<'_>,
    graph: Option<&Graph>,
    query: &Query,
    vector: &[f32],
    candidates: &RoaringBitmap,
) -> Result<Vec<(Number, f32)>, Fault> {
    let probe = Probe::new(sight.spec.metric, vector);
    let ef = usize::from(query.ef.unwrap_or(sight.spec.index.ef_search)).max(query.limit);
    let (few, all) = (candidates.len(), sight.live.len());
    // The fewer candidates there are, the more others a walk passes for each.
    let is_few = few <= SCAN || few.saturating_mul(few) < all.saturating_mul(WALK * ef as u64);
    // Nothing is near to a vector of zeros: the graph has no way to go.
    let Some(graph) = graph.filter(|_| !query.exact && !is_few && distance::norm(vector) > f32::MIN_POSITIVE) else {
        return scan(sight, &probe, candidates);
    };
    let count = if graph.is_coarse() { ef.max(query.limit * OVERSAMPLE) } else { ef };
    let found = graph.search(Ask { vector, count, candidates }, sight.stop)?;
    let mut ranked = scan(sight, &probe, &(candidates - &found.held))?;
    for number in found.numbers {
        ranked.push((number, probe.score(sight.tables.vector(sight.txn, number)?)));
    }
    Ok(ranked)
}

fn scan(sight: Sight<'_>, probe: &Probe, candidates: &RoaringBitmap) -> Result<Vec<(Number, f32)>, Fault> {
    let mut ranked = Vec::with_capacity(usize::try_from(candidates.len()).unwrap_or_default());
    if candidates.len() > sight.live.len() / 4 {
        for entry in sight.tables.vectors.iter(sight.txn)? {
            let (number, vector) = entry?;
            sight.check()?;
            if candidates.contains(number) {
                ranked.push((number, probe.score(vector)));
            }
        }
        return Ok(ranked);
    }
    for number in candidates {
        sight.check()?;
        ranked.push((number, probe.score(sight.tables.vector(sight.txn, number)?)));
    }
    Ok(ranked)
}

/// The best of what was ranked, ties by id.
fn hits(
    sight: Sight<'_>,
    query: &Query,
    mut ranked: Vec<(Number, f32)>,
    order: impl Fn(f32, f32) -> std::cmp::Ordering,
) -> Result<Vec<Hit>, Fault> {
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    if ranked.len() > query.limit {
        ranked.select_nth_unstable_by(query.limit - 1, |(_, a), (_, b)| order(*a, *b));
        let last = ranked[query.limit - 1].1;
        // Those that are as good as the last one compete by their ids.
        ranked.retain(|(_, score)| order(*score, last).is_le());
    }
    let mut named = Vec::with_capacity(ranked.len());
    for (number, score) in ranked {
        sight.check()?;
        named.push(Hit { point: sight.tables.point(sight.txn, number, query.with)?, score });
    }
    named.sort_by(|a, b| order(a.score, b.score).then_with(|| a.point.id.cmp(&b.point.id)));
    named.truncate(query.limit);
    Ok(named)
}
