//! The documents whose vectors are nearest to one, by looking at each vector that the filters leave.
//!
//! No graph is built: a look at a hundred thousand vectors of 384 numbers takes some tens of milliseconds, is exact whatever the
//! filters are, and needs nothing that must be kept in step with the index. What is beyond that belongs into a cluster, or the
//! vectorstore. The vectors of a part of the index are read once and kept while they are used; a part never changes.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tantivy::{DocId, SegmentReader, collector::TopDocs, columnar::Column, index::SegmentId};
use weft_kit::ToolError;

use super::{compile, volume::Volume};
use crate::{
    model::{Document, Found, Hit, Metric, Question, Wanted},
    vectors::{self, Seek},
};

/// Vectors that were not looked at for so long are let go.
const KEPT: Duration = Duration::from_secs(300);

/// The vectors of one field in one part of the index.
struct Matrix {
    /// One after the other, equal ones once.
    rows: Vec<f32>,
    /// Which row a document has.
    places: Column<u64>,
    dimensions: usize,
}

struct Kept {
    matrix: Arc<Matrix>,
    used: Instant,
}

/// The vectors that are in memory.
#[derive(Default)]
pub(crate) struct Matrices(Mutex<HashMap<(SegmentId, String), Kept>>);

impl fmt::Debug for Matrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matrices").finish_non_exhaustive()
    }
}

impl Matrices {
    fn of(&self, reader: &SegmentReader, (field, dimensions): (&str, usize)) -> tantivy::Result<Arc<Matrix>> {
        let key = (reader.segment_id(), field.to_owned());
        let there = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key).map(|kept| {
            kept.used = Instant::now();
            Arc::clone(&kept.matrix)
        });
        if let Some(matrix) = there {
            return Ok(matrix);
        }
        let matrix = Arc::new(Matrix::read(reader, field, dimensions)?);
        let kept = Kept { matrix: Arc::clone(&matrix), used: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, kept);
        Ok(matrix)
    }

    /// Lets go of those that nobody looked at: also those of parts that were merged away.
    pub(crate) fn tend(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, kept| kept.used.elapsed() < KEPT);
    }
}

impl Matrix {
    fn read(reader: &SegmentReader, field: &str, dimensions: usize) -> tantivy::Result<Self> {
        let Some(column) = reader.fast_fields().bytes(field)? else {
            let places = Column::build_empty_column(reader.max_doc());
            return Ok(Self { rows: Vec::new(), places, dimensions });
        };
        let mut rows = Vec::with_capacity(column.num_terms() * dimensions);
        let mut stored = column.dictionary().stream()?;
        while stored.advance() {
            rows.extend(vectors::of_bytes(stored.key()));
        }
        Ok(Self { rows, places: column.ords().clone(), dimensions })
    }

    fn of(&self, doc: DocId) -> Option<&[f32]> {
        let start = usize::try_from(self.places.first(doc)?).ok()? * self.dimensions;
        self.rows.get(start..start + self.dimensions)
    }
}

/// The key of each document of a part.
type Nearness = Box<dyn FnMut(DocId) -> f32>;

/// What orders by nearness; nothing for documents without a vector.
fn nearness(matrices: Arc<Matrices>, seek: Seek) -> impl Fn(&SegmentReader) -> Nearness + Send + Sync + 'static {
    move |reader| {
        let matrix = matrices.of(reader, (&seek.field, seek.vector.len()));
        let (matrix, vector, metric) = (matrix.ok(), seek.vector.clone(), seek.metric);
        Box::new(move |doc| {
            let own = matrix.as_ref().and_then(|matrix| matrix.of(doc));
            own.map_or(f32::NEG_INFINITY, |own| similarity(metric, own, &vector))
        })
    }
}

/// More is nearer.
fn similarity(metric: Metric, one: &[f32], other: &[f32]) -> f32 {
    match metric {
        // Vectors of the cosine were made of length 1 when they were written.
        Metric::Cosine | Metric::Dot => dot(one, other),
        Metric::Euclidean => {
            -one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum::<f32>().sqrt()
        }
    }
}

/// Eight sums at a time, which the compiler makes one instruction of.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (ones, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(one, other)| one * other).sum();
    let mut sums = [0.0_f32; 8];
    for (one, other) in ones.zip(others) {
        for (sum, (one, other)) in sums.iter_mut().zip(one.iter().zip(other)) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}

pub(crate) fn search(volume: &Volume, question: &Question, seek: &Seek, wanted: &Wanted) -> Result<Found, ToolError> {
    let query = compile::question(volume, question)?;
    let searcher = volume.searcher();
    let top = TopDocs::with_limit(wanted.take.max(1)).order_by(nearness(Arc::clone(&volume.matrices), seek.clone()));
    let top = searcher.search(&query, &top).map_err(|error| volume.failed(error))?;
    let mut hits = Vec::with_capacity(top.len());
    for (score, address) in top.into_iter().filter(|(score, _)| score.is_finite()) {
        let Document { id, mut source } = volume.read(&searcher, address)?;
        if let Some(only) = &wanted.only {
            source.retain(|name, _| only.contains(name));
        }
        hits.push(Hit {
            id,
            score: Some(score),
            sorted: None,
            behind: None,
            source,
            highlights: std::collections::BTreeMap::new(),
        });
    }
    Ok(Found { total: hits.len() as u64, hits, ..Found::default() })
}
