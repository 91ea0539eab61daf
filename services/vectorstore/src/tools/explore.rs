//! Tools that learn from examples: recommend and discover.
//!
//! Both are made of searches, so that every store can do them; candidates are those near to any example, and what they are worth is
//! decided here.

use std::sync::Arc;

use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Reply, ToolError};

use super::{
    points::{Include, with},
    search::{Hit, rendered},
};
use crate::{
    check,
    desk::{Desk, Place},
    distance, filter,
    model::{self, Filter, Metric, Near, Query, Spec, With},
    rank,
    seek::ScoreKind,
};

/// Examples of one call.
const EXAMPLES: usize = 32;
/// Candidates that examples bring in.
const CANDIDATES: usize = 200;

/// A point by its id, or a vector.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Example {
    Id(String),
    Vector(Vec<f32>),
}

/// How examples are weighed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    /// Near to the middle of the positive ones, away from the negative ones.
    #[default]
    Average,
    /// Near to any positive one, and nearer to it than to any negative one.
    Best,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recommend {
    collection: String,
    /// Ids or vectors, at least one.
    #[schemars(with = "Vec<Value>")]
    positive: Vec<Example>,
    #[serde(default)]
    #[schemars(with = "Vec<Value>")]
    negative: Vec<Example>,
    /// average (default): near to the middle of the positive ones; best: near to any of them.
    #[serde(default)]
    #[schemars(with = "String")]
    strategy: Strategy,
    /// As in search.
    filter: Option<Value>,
    /// Default 10, at most 100.
    limit: Option<usize>,
    /// Of text, metadata, vector; default: the first two.
    #[schemars(with = "Option<Vec<String>>")]
    include: Option<Vec<Include>>,
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discover {
    collection: String,
    /// An id or vector to be near to; without it the pairs alone decide.
    #[schemars(with = "Option<Value>")]
    target: Option<Example>,
    /// Ids or vectors: hits should be nearer to the positive than to the negative.
    pairs: Vec<Pair>,
    /// As in search.
    filter: Option<Value>,
    /// Default 10, at most 100.
    limit: Option<usize>,
    /// Of text, metadata, vector; default: the first two.
    #[schemars(with = "Option<Vec<String>>")]
    include: Option<Vec<Include>>,
    store: Option<String>,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    #[schemars(with = "Value")]
    positive: Example,
    #[schemars(with = "Value")]
    negative: Example,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Explored {
    #[schemars(with = "String")]
    score_kind: ScoreKind,
    hits: Vec<Hit>,
}

/// The vector of a point.
pub(crate) async fn vector_of(call: &Call, place: &Place, id: &str) -> Result<Vec<f32>, ToolError> {
    check::id(id)?;
    let with = With { text: false, metadata: false, vector: true };
    let mut found = call.run(place.store.get(&place.tenant, &place.name, &[id.to_owned()], with)).await??;
    let point = found.pop();
    point
        .map(|point| point.vector)
        .ok_or_else(|| ToolError::not_found(format!("there is no point `{}` in `{}`", check::shorten(id), place.name)))
}

/// A filter that leaves out some points as well.
pub(crate) fn but(filter: Option<Filter>, ids: Vec<String>) -> Option<Filter> {
    if ids.is_empty() {
        return filter;
    }
    let others = Filter::Not(Box::new(Filter::Ids(ids)));
    Some(match filter {
        None => others,
        Some(filter) => Filter::All(vec![filter, others]),
    })
}

fn named(examples: &[&Example]) -> Vec<String> {
    let id = |example: &&Example| if let Example::Id(id) = example { Some(id.clone()) } else { None };
    examples.iter().filter_map(id).collect()
}

async fn vectors(call: &Call, place: &Place, spec: &Spec, examples: &[&Example]) -> Result<Vec<Vec<f32>>, ToolError> {
    if examples.len() > EXAMPLES {
        return Err(ToolError::too_large(format!("at most {EXAMPLES} examples at once")));
    }
    let mut vectors = Vec::with_capacity(examples.len());
    for example in examples {
        let vector = match example {
            Example::Id(id) => vector_of(call, place, id).await?,
            Example::Vector(vector) => vector.clone(),
        };
        check::vector(&vector, spec.dimensions)?;
        vectors.push(vector);
    }
    Ok(vectors)
}

pub(crate) fn bounded(limit: Option<usize>, default: usize, most: usize) -> Result<usize, ToolError> {
    let limit = limit.unwrap_or(default);
    if (1..=most).contains(&limit) { Ok(limit) } else { Err(ToolError::invalid(format!("limit is 1 to {most}"))) }
}

pub(crate) async fn recommend(desk: Arc<Desk>, call: Call, args: Recommend) -> Result<Reply<Explored>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let spec = place.spec(&call).await?;
    let limit = bounded(args.limit, 10, 100)?;
    if args.positive.is_empty() {
        return Err(ToolError::invalid("recommend needs at least one positive example"));
    }
    let examples: Vec<&Example> = args.positive.iter().chain(&args.negative).collect();
    let mut positive = vectors(&call, &place, &spec, &examples).await?;
    let negative = positive.split_off(args.positive.len());
    let filter = but(filter::parse(args.filter.as_ref())?, named(&examples));
    let with = with(args.include.as_deref());
    if args.strategy == Strategy::Average {
        let near = Near::Vector(middle(&positive, &negative));
        let query = Query { near, filter, limit, ef: None, exact: false, with };
        let hits = call.run(place.store.search(&place.tenant, &place.name, &query)).await??;
        return Ok(explored(spec.metric.into(), hits));
    }
    let mut hits = candidates(&call, &place, &positive, (filter, with)).await?;
    for hit in &mut hits {
        let best = |examples: &[Vec<f32>]| nearest(spec.metric, examples, &hit.point.vector);
        let (liked, disliked) = (best(&positive), best(&negative));
        hit.score = if liked > disliked { liked } else { liked - disliked - 1.0 };
    }
    Ok(explored(ScoreKind::Preference, chosen(hits, limit, with)))
}

pub(crate) async fn discover(desk: Arc<Desk>, call: Call, args: Discover) -> Result<Reply<Explored>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let spec = place.spec(&call).await?;
    let limit = bounded(args.limit, 10, 100)?;
    if args.target.is_none() && args.pairs.is_empty() {
        return Err(ToolError::invalid("discover needs a target or at least one pair"));
    }
    let sides = |side: fn(&Pair) -> &Example| args.pairs.iter().map(side).collect::<Vec<_>>();
    let (likes, dislikes) = (sides(|pair| &pair.positive), sides(|pair| &pair.negative));
    let targets: Vec<&Example> = args.target.iter().collect();
    let positive = vectors(&call, &place, &spec, &likes).await?;
    let negative = vectors(&call, &place, &spec, &dislikes).await?;
    let target = vectors(&call, &place, &spec, &targets).await?;
    let all: Vec<&Example> = likes.into_iter().chain(dislikes).chain(targets).collect();
    let filter = but(filter::parse(args.filter.as_ref())?, named(&all));
    let with = with(args.include.as_deref());
    let around: Vec<Vec<f32>> = target.iter().chain(&positive).cloned().collect();
    let mut hits = candidates(&call, &place, &around, (filter, with)).await?;
    for hit in &mut hits {
        let near = |vector: &[f32]| similarity(spec.metric, vector, &hit.point.vector);
        let agrees = |(like, dislike): (&Vec<f32>, &Vec<f32>)| if near(like) > near(dislike) { 1.0 } else { -1.0 };
        let pairs: f32 = positive.iter().zip(&negative).map(agrees).sum();
        // Pairs decide first; nearness to the target only between those that agree with as many.
        hit.score = pairs + target.first().map_or(0.0, |target| near(target).tanh() * 0.9);
    }
    Ok(explored(ScoreKind::Preference, chosen(hits, limit, with)))
}

/// What is near to any of the vectors, with vectors to measure by.
async fn candidates(
    call: &Call,
    place: &Place,
    around: &[Vec<f32>],
    (filter, with): (Option<Filter>, With),
) -> Result<Vec<model::Hit>, ToolError> {
    let with = With { vector: true, ..with };
    let query = |vector: &Vec<f32>| Query {
        near: Near::Vector(vector.clone()),
        filter: filter.clone(),
        limit: CANDIDATES,
        ef: None,
        exact: false,
        with,
    };
    let queries: Vec<Query> = around.iter().map(query).collect();
    let searches = queries.iter().map(|query| place.store.search(&place.tenant, &place.name, query));
    let lists = call.run(try_join_all(searches)).await??;
    Ok(rank::fuse(lists.into_iter().map(|list| (list, 1.0)).collect()))
}

fn chosen(mut hits: Vec<model::Hit>, limit: usize, with: With) -> Vec<model::Hit> {
    rank::sort(&mut hits);
    hits.truncate(limit);
    if !with.vector {
        hits.iter_mut().for_each(|hit| hit.point.vector.clear());
    }
    hits
}

fn explored(score_kind: ScoreKind, hits: Vec<model::Hit>) -> Reply<Explored> {
    let hits: Vec<Hit> = hits.into_iter().map(Hit::of).collect();
    let text = rendered(&hits);
    Reply::new(Explored { score_kind, hits }).text(text)
}

/// Larger is nearer, for every metric.
fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let score = distance::score(metric, a, b);
    if metric == Metric::Euclidean { 1.0 / (1.0 + score) } else { score }
}

fn nearest(metric: Metric, examples: &[Vec<f32>], vector: &[f32]) -> f32 {
    examples.iter().map(|one| similarity(metric, one, vector)).fold(f32::NEG_INFINITY, f32::max)
}

/// The middle of the positive, moved away from the middle of the negative by as much.
fn middle(positive: &[Vec<f32>], negative: &[Vec<f32>]) -> Vec<f32> {
    let mean = |list: &[Vec<f32>], place: usize| {
        #[expect(clippy::cast_precision_loss, reason = "at most a few examples")]
        let count = list.len() as f32;
        list.iter().map(|vector| vector[place]).sum::<f32>() / count
    };
    let places = 0..positive.first().map_or(0, Vec::len);
    let at = |place| {
        let like = mean(positive, place);
        if negative.is_empty() { like } else { 2.0 * like - mean(negative, place) }
    };
    places.map(at).collect()
}
