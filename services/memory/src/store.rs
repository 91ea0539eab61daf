//! What every store can do; all that remembering means is made of it, once, above it.
//!
//! A store keeps versions of records in partitions and finds the current ones by id, term, vector, node and time. It decides nothing
//! but this: a batch is written whole or not at all, and only if every record in it is still at the version that the writer saw.
//! What it finds is filtered by the one predicate of `filter.rs`. A call that is dropped ends the work that it began.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use weft_kit::ToolError;

use crate::{
    filter::Filter,
    model::{Kind, Record, Uses},
    moment::Moment,
    words,
};

mod embedded;
mod neo4j;
mod postgres;
mod redis;

pub(crate) use self::{embedded::Embedded, neo4j::Neo4j, postgres::Postgres, redis::Redis};

/// What a store answers with.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, ToolError>>;
/// Told of a partition and an id that another instance wrote.
pub(crate) type Tell = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// A record to be written.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) record: Record,
    /// The version that must be the current one; 0 if there must be none.
    pub(crate) expected: u64,
    /// By what it is found; `None` for what is not searched.
    pub(crate) index: Option<Index>,
    /// The nodes that it touches; none if it is forgotten.
    pub(crate) nodes: Vec<String>,
}

/// By what a record is found.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) tokens: Vec<String>,
    /// Empty where it is not known: then it is not found by likeness.
    pub(crate) vector: Vec<f32>,
}

impl Index {
    /// The vector as bytes, if there is one.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        (!self.vector.is_empty()).then(|| bytes(&self.vector))
    }
}

/// A vector as it is kept: little-endian numbers, one after the other.
pub(crate) fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|place| place.to_le_bytes()).collect()
}

/// A vector made again: that of a record, if it is still at that version.
#[derive(Debug, Clone)]
pub(crate) struct Refit {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) vector: Vec<f32>,
}

impl Write {
    /// The record as what follows version `expected`, without its vector.
    pub(crate) fn after(expected: u64, record: Record) -> Self {
        let searched = !record.forgotten && !matches!(record.kind, Kind::Turn | Kind::Erasure);
        let index = searched.then(|| {
            let text = record.searched();
            let tokens = words::terms(&text).keys().map(|term| words::token(term)).collect();
            Index { tokens, vector: Vec::new() }
        });
        let nodes = if record.forgotten { Vec::new() } else { record.nodes() };
        Self { record, expected, index, nodes }
    }
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All of it is written.
    Done,
    /// Nothing is: this one is no longer at the version that was seen.
    Clash(String),
}

/// A version, and until when it was the current one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) ended_at: Option<Moment>,
}

/// How much is in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Census {
    pub(crate) kinds: BTreeMap<String, u64>,
    pub(crate) versions: u64,
}

/// One place where memory is kept. `space` is the key of a partition.
pub(crate) trait Store: Send + Sync + Debug {
    /// `embedded`, `postgres`, `redis` or `neo4j`.
    fn kind(&self) -> &'static str;

    /// Whether it can be used now; fails with what is wrong.
    fn healthy(&self) -> Answer<'_, ()>;

    /// Current versions by id, forgotten ones too; what is not there is left out.
    fn get<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Record>>;

    /// All versions of a record, newest first.
    fn history<'a>(&'a self, space: &'a str, id: &'a str) -> Answer<'a, Vec<Row>>;

    /// Writes a batch whole or not at all. What is acknowledged stays.
    fn commit<'a>(&'a self, space: &'a str, batch: Vec<Write>) -> Answer<'a, Committed>;

    /// Current records, newest first, those recorded before `before` (with the greater id first where two were at once).
    fn newest<'a>(
        &'a self,
        space: &'a str,
        before: Option<&'a (Moment, String)>,
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>>;

    /// What was current at a moment, by id.
    fn believed<'a>(&'a self, space: &'a str, at: Moment, filter: &'a Filter) -> Answer<'a, Vec<Record>>;

    /// Current records that have any of the tokens; if there are more than `limit`, those with most of them.
    fn matching<'a>(
        &'a self,
        space: &'a str,
        tokens: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>>;

    /// Current records by how alike they are to the vector.
    fn nearest<'a>(
        &'a self,
        space: &'a str,
        vector: &'a [f32],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<(Record, f64)>>;

    /// Current records that touch any of the nodes, newest first.
    fn touching<'a>(
        &'a self,
        space: &'a str,
        nodes: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>>;

    /// Gives current records new vectors; those that moved on are left as they are.
    fn refit<'a>(&'a self, space: &'a str, batch: Vec<Refit>) -> Answer<'a, ()>;

    /// Counts a use (or that it misled) of each.
    fn count_use<'a>(&'a self, space: &'a str, ids: &'a [String], misled: bool, at: Moment) -> Answer<'a, ()>;

    /// Counts that each was recalled, of those that are there: what is erased meanwhile gets no trace again.
    fn count_recall<'a>(&'a self, space: &'a str, ids: &'a [String], at: Moment) -> Answer<'a, ()>;

    /// How often each was used or recalled; those that never were are left out.
    fn uses<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, BTreeMap<String, Uses>>;

    /// Removes every version and trace of these; says how many versions there were.
    fn erase<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, u64>;

    /// How many current records there are.
    fn count<'a>(&'a self, space: &'a str) -> Answer<'a, u64>;

    /// How many live ones of each kind, and how many versions.
    fn census<'a>(&'a self, space: &'a str) -> Answer<'a, Census>;

    /// The keys of all partitions in which there is, or was, something.
    fn spaces(&self) -> Answer<'_, Vec<String>>;

    /// Removes what is past its time, in all partitions; says how many records.
    fn sweep(&self, now: Moment) -> Answer<'_, u64>;

    /// Tells of what other instances write, until `stop`.
    fn watch(&self, tell: Tell, stop: CancellationToken) -> BoxFuture<'_, ()>;

    /// Lets go of what is held.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The best of many by a score, then by id, the same in every store.
pub(crate) fn best(mut scored: Vec<(Record, f64)>, limit: usize) -> Vec<(Record, f64)> {
    scored.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.id.cmp(&right.0.id)));
    scored.truncate(limit);
    scored
}
