//! The graph (HNSW) over the vectors of one collection, in memory and in a file beside the collection.
//!
//! It is derived: which points it holds is asked of itself, whatever it lacks is scanned exactly, whatever it holds too much is no
//! candidate. So it may lag, and a crash costs nothing but what was linked since the file was written. It is ours because it was
//! measured to be built and searched many times quicker than one that keeps vectors and links in LMDB (ADR 0015).

mod codes;
mod file;
mod hnsw;
mod order;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use roaring::RoaringBitmap;
use tokio_util::sync::CancellationToken;

use self::{
    codes::{Codes, Shape},
    hnsw::{Hnsw, Width},
};
use super::{
    fault::Fault,
    table::{Number, Sight},
};
use crate::{
    distance,
    model::{Metric, Quantisation, Spec},
};

/// Points that may be scanned rather than put into the graph.
pub(crate) const LAG: u64 = 1_000;
/// The file may lack one point in this many, which are linked again after a crash: it is written as a whole.
const SHARE: u64 = 8;
/// Vectors that the centre is taken from.
const SAMPLE: usize = 4_096;

/// An open graph.
#[derive(Debug)]
pub(crate) struct Graph {
    file: PathBuf,
    shape: Shape,
    state: RwLock<State>,
    /// Points in the file.
    saved: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// `None` before the first point.
    graph: Option<Hnsw>,
    held: RoaringBitmap,
    /// Seen, and without a direction to put them in: always scanned.
    aside: RoaringBitmap,
}

/// What a search in the graph gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Nearest first, by the graph's own measure.
    pub(crate) numbers: Vec<Number>,
    /// All points that the graph holds.
    pub(crate) held: RoaringBitmap,
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) vector: &'a [f32],
    pub(crate) count: usize,
    pub(crate) candidates: &'a RoaringBitmap,
}

impl Graph {
    /// Whether a collection like this has a graph: a dot product is no distance.
    pub(crate) fn serves(spec: &Spec) -> bool {
        spec.metric != Metric::Dot
    }

    /// Opens the graph of a collection whose next point gets the number `next`; a file that is of no use is as none.
    pub(crate) fn open(folder: &Path, spec: &Spec, next: u64) -> Result<Self, Fault> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join("hnsw");
        let shape = Shape {
            dimensions: spec.dimensions,
            turned: spec.metric == Metric::Cosine,
            bits: spec.quantisation == Quantisation::Binary,
        };
        let graph = file::load(&file, shape, width(spec), next)?;
        let held: RoaringBitmap = graph.iter().flat_map(|graph| graph.numbers.iter().copied()).collect();
        let saved = AtomicU64::new(held.len());
        Ok(Self { file, shape, state: RwLock::new(State { graph, held, ..State::default() }), saved })
    }

    /// The points nearest to a vector.
    pub(crate) fn search(&self, ask: Ask<'_>, stop: &CancellationToken) -> Result<Found, Fault> {
        let state = self.read();
        let Some(graph) = &state.graph else { return Ok(Found::default()) };
        let code = graph.codes.code(ask.vector);
        let found = graph.search(&code, ask.count, ask.candidates, &|| stop.is_cancelled());
        Ok(Found { numbers: found.ok_or(Fault::Stopped)?, held: state.held.clone() })
    }

    /// The points that the graph holds.
    pub(crate) fn held(&self) -> RoaringBitmap {
        self.read().held.clone()
    }

    /// Whether so much changed that the graph should follow.
    pub(crate) fn lags(graph: Option<&Self>, live: &RoaringBitmap) -> bool {
        let changed = match graph.map(Self::read) {
            Some(state) => (&state.held ^ live).difference_len(&state.aside),
            None => live.len(),
        };
        changed > LAG
    }

    /// Brings the graph to the state of `sight`: it holds or has put aside every point of it.
    pub(crate) fn follow(&self, sight: Sight<'_>) -> Result<(), Fault> {
        let held = self.held();
        let gone = &held - sight.live;
        {
            let mut state = self.write();
            state.held -= &gone;
            state.aside &= sight.live;
        }
        let kept = held.len() - gone.len();
        let slots = self.read().graph.as_ref().map_or(0, |graph| graph.numbers.len() as u64);
        // Points that are gone stay as steps of the way, until they are most of it.
        if slots > 0 && slots >= 2 * kept.max(1) {
            let fresh = self.fresh(sight)?;
            let fresh = RwLock::new(State { graph: Some(fresh), ..State::default() });
            grow(&fresh, sight, sight.live)?;
            *self.write() = fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.saved.store(0, Ordering::Relaxed);
            return Ok(());
        }
        if slots == 0 {
            let fresh = self.fresh(sight)?;
            self.write().graph = Some(fresh);
        }
        let lacks = sight.live - &held - &self.read().aside;
        grow(&self.state, sight, &lacks)
    }

    /// Writes the file if it lacks much, or anything where `all` is to be kept.
    pub(crate) fn save(&self, all: bool) -> Result<(), Fault> {
        let state = self.read();
        let Some(graph) = &state.graph else { return Ok(()) };
        let (slots, saved) = (graph.numbers.len() as u64, self.saved.load(Ordering::Relaxed));
        if slots == saved || !(all || slots.abs_diff(saved) > LAG.max(saved / SHARE)) {
            return Ok(());
        }
        file::save(&self.file, graph)?;
        self.saved.store(slots, Ordering::Relaxed);
        Ok(())
    }

    /// Whether more candidates than wanted should be scored, because the graph sees one bit of each number.
    pub(crate) fn is_coarse(&self) -> bool {
        self.shape.bits
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    /// A graph without points, around the middle of those that there are.
    fn fresh(&self, sight: Sight<'_>) -> Result<Hnsw, Fault> {
        let apart = usize::try_from(sight.live.len()).unwrap_or(usize::MAX).div_ceil(SAMPLE).max(1);
        let mut sample = Vec::new();
        for number in sight.live.iter().step_by(apart) {
            sight.check()?;
            sample.push(distance::decode(sight.tables.vector(sight.txn, number)?));
        }
        Ok(Hnsw::new(Codes::around(self.shape, &sample), width(sight.spec)))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn width(spec: &Spec) -> Width {
    let (links, looked_at) = (usize::from(spec.index.m).max(2), usize::from(spec.index.ef_construction));
    Width { links, looked_at: looked_at.max(links) }
}

/// Links points into a graph, one after the other; searches wait only while links are set.
fn grow(state: &RwLock<State>, sight: Sight<'_>, numbers: &RoaringBitmap) -> Result<(), Fault> {
    for number in numbers {
        sight.check()?;
        let vector = distance::decode(sight.tables.vector(sight.txn, number)?);
        // A vector of zeros has no direction; the graph would take it for near to everything.
        if distance::norm(&vector) <= f32::MIN_POSITIVE {
            state.write().unwrap_or_else(PoisonError::into_inner).aside.insert(number);
            continue;
        }
        let placed = {
            let state = state.read().unwrap_or_else(PoisonError::into_inner);
            state.graph.as_ref().map(|graph| graph.place(number, &vector))
        };
        let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
        let State { graph, held, .. } = &mut *state;
        if let (Some(graph), Some(placed)) = (graph, placed) {
            graph.link(placed);
            held.insert(number);
        }
    }
    Ok(())
}
