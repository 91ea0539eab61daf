//! How good and how quick a store is, measured without a client: for the benchmarks.
//!
//! Points lie in clusters, as embeddings do. Everything is told as plain numbers, so that who asks need not know the store.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Map;

use crate::{
    distance,
    model::{Conflict, IndexSettings, Metric, Near, Point, Quantisation, Query, Spec, With},
    settings::{EmbeddedSettings, StoreSettings},
    store::Store,
    stores,
};

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Points to write.
    pub points: usize,
    /// Their length.
    pub dimensions: usize,
    /// Searches to time.
    pub queries: usize,
    /// Points of a batch.
    pub batch: usize,
    /// With a graph, which is waited for; without it only writing and size are measured.
    pub graph: bool,
    /// What the graph sees of each number.
    pub codes: Codes,
}

/// What the index keeps of each number of a vector, where the store lets one choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// What the store does by itself: eight bits in the embedded one, all in the others.
    Default,
    /// Less: half of it in pgvector, eight bits in Qdrant.
    Scalar,
    /// One bit.
    Binary,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// To write all points, each batch durable.
    pub written: Duration,
    /// From then until the graph held them.
    pub built: Duration,
    /// Share of the ten nearest (by comparing all of them here) that the default search found.
    pub recall: f64,
    /// Half of the searches took at most this.
    pub p50: Duration,
    /// All but one in a hundred took at most this.
    pub p99: Duration,
    /// Half of those that look at every vector did.
    pub exact_p50: Duration,
    /// Bytes on disk.
    pub bytes: u64,
}

const TENANT: &str = "measure";
const NAME: &str = "points";
/// Searches that look at every vector; some stores take seconds for each.
const EXACT: usize = 50;

/// Measures a new embedded store in `folder`.
pub async fn measure(folder: &Path, load: Load) -> Result<Measured, anyhow::Error> {
    let settings = EmbeddedSettings { name: "measured".to_owned(), read_only: false, path: None, max_gib: 64 };
    measure_at(&StoreSettings::Embedded(settings), folder, load).await
}

/// Measures any store; `folder` is for those that keep their data here.
pub async fn measure_at(settings: &StoreSettings, folder: &Path, load: Load) -> Result<Measured, anyhow::Error> {
    let store = stores::open(settings, folder)?;
    store.create(TENANT, &spec(load)).await?;
    let mut clusters = Clusters::new(load.dimensions);
    let mut all = All::default();
    let mut written = Duration::ZERO;
    for first in (0..load.points).step_by(load.batch) {
        let last = load.points.min(first + load.batch);
        let points: Vec<Point> = (first..last).map(|number| clusters.point(number)).collect();
        points.iter().filter(|_| load.graph).for_each(|point| all.add(&point.vector));
        let start = Instant::now();
        store.upsert(TENANT, NAME, points, Conflict::Replace).await?;
        written += start.elapsed();
    }
    let mut measured = Measured {
        written,
        built: Duration::ZERO,
        recall: 0.0,
        p50: Duration::ZERO,
        p99: Duration::ZERO,
        exact_p50: Duration::ZERO,
        bytes: 0,
    };
    if load.graph {
        let start = Instant::now();
        // Other stores say nothing of their index: they are asked as they are.
        let embedded = matches!(settings, StoreSettings::Embedded(_));
        while embedded && fact(&*store, "scanned").await?.is_none_or(|scanned| scanned > stores::LAG) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        measured.built = start.elapsed();
        let queries: Vec<Vec<f32>> = (0..load.queries).map(|_| clusters.vector()).collect();
        ask(&*store, &all, &queries, &mut measured).await?;
    }
    // The graph's file is whole at an end.
    store.settle().await;
    measured.bytes = fact(&*store, "bytes").await?.unwrap_or(0);
    // The next one may be measured in the same server.
    Store::drop(&*store, TENANT, NAME).await?;
    Ok(measured)
}

async fn ask(store: &dyn Store, all: &All, queries: &[Vec<f32>], measured: &mut Measured) -> Result<(), anyhow::Error> {
    let (mut quick, mut exact, mut found) = (Vec::new(), Vec::new(), 0_usize);
    for query in queries {
        let (hits, time) = timed(store, query, false).await?;
        quick.push(time);
        found += hits.intersection(&all.nearest(query, 10)).count();
    }
    for query in queries.iter().take(EXACT) {
        exact.push(timed(store, query, true).await?.1);
    }
    quick.sort();
    exact.sort();
    let at =
        |times: &[Duration], hundredth: usize| times.get(times.len() * hundredth / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a share of a few thousand")]
    let recall = found as f64 / (queries.len().max(1) * 10) as f64;
    (measured.recall, measured.p50, measured.p99) = (recall, at(&quick, 50), at(&quick, 99));
    measured.exact_p50 = at(&exact, 50);
    Ok(())
}

/// All vectors that were written, of length one, to know the nearest without asking a store.
#[derive(Default)]
struct All(Vec<f32>);

impl All {
    fn add(&mut self, vector: &[f32]) {
        let long = distance::norm(vector).max(f32::MIN_POSITIVE);
        self.0.extend(vector.iter().map(|place| place / long));
    }

    /// The ids of the points nearest by cosine.
    fn nearest(&self, query: &[f32], count: usize) -> BTreeSet<String> {
        let vectors = self.0.chunks_exact(query.len().max(1));
        let mut ranked: Vec<(f32, usize)> = vectors.zip(0..).map(|(one, number)| (dot(one, query), number)).collect();
        let count = count.min(ranked.len());
        if count < ranked.len() {
            ranked.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0));
        }
        ranked[..count].iter().map(|(_, number)| id(*number)).collect()
    }
}

/// In lanes, which a compiler may add side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks(lanes.len()).zip(b.chunks(lanes.len())) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter().sum()
}

fn id(number: usize) -> String {
    format!("p{number:09}")
}

async fn timed(store: &dyn Store, vector: &[f32], exact: bool) -> Result<(BTreeSet<String>, Duration), anyhow::Error> {
    let with = With { text: false, metadata: false, vector: false };
    let query = Query { near: Near::Vector(vector.to_vec()), filter: None, limit: 10, ef: None, exact, with };
    let start = Instant::now();
    let hits = store.search(TENANT, NAME, &query).await?;
    Ok((hits.into_iter().map(|hit| hit.point.id).collect(), start.elapsed()))
}

async fn fact(store: &dyn Store, name: &str) -> Result<Option<u64>, anyhow::Error> {
    Ok(store.collection(TENANT, NAME).await?.facts.get(name).and_then(serde_json::Value::as_u64))
}

/// Dot products are searched exactly: without a graph nothing but the points is written.
fn spec(load: Load) -> Spec {
    Spec {
        name: NAME.to_owned(),
        dimensions: load.dimensions,
        metric: if load.graph { Metric::Cosine } else { Metric::Dot },
        model: None,
        index: IndexSettings::default(),
        quantisation: match load.codes {
            Codes::Default => Quantisation::None,
            Codes::Scalar => Quantisation::Scalar,
            Codes::Binary => Quantisation::Binary,
        },
        fields: std::collections::BTreeMap::default(),
        description: None,
    }
}

/// Vectors around a thousand middles, the same in each run.
struct Clusters {
    random: StdRng,
    middles: Vec<Vec<f32>>,
}

impl Clusters {
    fn new(dimensions: usize) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let mut middle = || (0..dimensions).map(|_| random.random_range(-1.0..1.0)).collect();
        let middles = (0..1_000).map(|_| middle()).collect();
        Self { random, middles }
    }

    fn vector(&mut self) -> Vec<f32> {
        let middle = self.random.random_range(0..self.middles.len());
        let Self { random, middles } = self;
        middles[middle].iter().map(|place| place + 0.5 * random.random_range(-1.0_f32..1.0)).collect()
    }

    fn point(&mut self, number: usize) -> Point {
        Point { id: id(number), vector: self.vector(), text: None, metadata: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_small_load_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let load = Load { points: 2_600, dimensions: 16, queries: 20, batch: 256, graph: true, codes: Codes::Default };
        let measured = measure(folder.path(), load).await.unwrap();
        assert!(measured.recall > 0.9 && measured.bytes > 2_600 * 64, "{measured:?}");
        assert!(measured.p50 <= measured.p99 && !measured.written.is_zero());
    }
}
