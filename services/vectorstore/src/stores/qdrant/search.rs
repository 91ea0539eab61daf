//! A query into Qdrant's: the dense vector or the sparse one of the words.

use qdrant_client::qdrant::{
    DenseVector, QuantizationSearchParams, Query as Theirs, QueryPoints, SearchParams, VectorInput, query, vector_input,
};
use weft_kit::ToolError;

use super::calls::{ask, failed};
use super::payload::{point, wanted};
use super::{DENSE, Place, WORDS, filter, read};
use crate::model::{Hit, Near, Quantisation, Query};
use crate::stores::distance;

/// Hits that are asked for beyond those wanted: Qdrant orders equal scores as it likes, we do by id.
const MARGIN: usize = 8;
/// At which no more are asked for: the order of more equal scores than this is Qdrant's.
const MOST: usize = 10_000;

pub(super) async fn search(place: &Place<'_>, query: &Query) -> Result<Vec<Hit>, ToolError> {
    let (near, using) = match &query.near {
        Near::Vector(vector) => (vector_input::Variant::Dense(DenseVector { data: vector.clone() }), DENSE),
        Near::Words(words) => {
            let words = wanted(words);
            if words.indices.is_empty() {
                return Ok(Vec::new());
            }
            (vector_input::Variant::Sparse(words), WORDS)
        }
    };
    let mut limit = query.limit.saturating_add(MARGIN);
    loop {
        let near = VectorInput { variant: Some(near.clone()) };
        let request = QueryPoints {
            collection_name: place.name.clone(),
            query: Some(Theirs { variant: Some(query::Variant::Nearest(near)) }),
            using: Some(using.to_owned()),
            filter: query.filter.as_ref().map(filter::whole),
            params: Some(parameters(place, query)),
            limit: Some(limit as u64),
            with_payload: Some(read::keys(query.with)),
            with_vectors: Some(read::vectors(query.with)),
            timeout: place.seconds(),
            ..QueryPoints::default()
        };
        let found = ask(place.client, "Query", place.client.query(request)).await.map_err(failed)?.result;
        let complete = found.len() < limit || limit >= MOST;
        let mut hits: Vec<Hit> =
            found.into_iter().map(|hit| Hit { score: hit.score, point: point(hit.payload, hit.vectors).0 }).collect();
        let settled = hits.get(query.limit.saturating_sub(1)).zip(hits.last());
        let settled = settled.is_some_and(|(at, last)| at.score.total_cmp(&last.score).is_ne());
        if complete || settled {
            order(place, query, &mut hits);
            return Ok(hits);
        }
        limit = limit.saturating_mul(4).min(MOST);
    }
}

fn parameters(place: &Place<'_>, query: &Query) -> SearchParams {
    // Ranked again by the vectors themselves; of one bit each, more candidates are needed.
    let oversampling = match place.spec.quantisation {
        Quantisation::None => None,
        Quantisation::Scalar => Some(2.0),
        Quantisation::Binary => Some(4.0),
    };
    let ranked_again = QuantizationSearchParams { ignore: Some(query.exact), rescore: Some(true), oversampling };
    SearchParams {
        hnsw_ef: Some(query.ef.unwrap_or(place.spec.index.ef_search).into()),
        exact: Some(query.exact),
        quantization: oversampling.map(|_| ranked_again),
        ..SearchParams::default()
    }
}

/// Equal scores by id.
fn order(place: &Place<'_>, query: &Query, hits: &mut Vec<Hit>) {
    let metric = match query.near {
        Near::Vector(_) => place.spec.metric,
        Near::Words(_) => crate::model::Metric::Dot,
    };
    hits.sort_by(|a, b| distance::nearer(metric, a.score, b.score).then_with(|| a.point.id.cmp(&b.point.id)));
    hits.truncate(query.limit);
}
