//! What every store can do. Tools know this trait alone; searching several indexes, ingest, copies and did-you-mean are made of it,
//! once, above it.
//!
//! The caller's namespace is taken from the call by the store itself: an index of another namespace does not exist (`not_found`).
//! Names were checked before (`names.rs`), questions fit the schema. What returns `Ok` after a write is durable, and seen by the next
//! search as [`Status::visibility`](crate::model::Status) says.

use std::{fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use weft_kit::{Call, ToolError};

use crate::{
    model::{Counts, Document, Explained, Found, Listed, Question, Schema, Status, Wanted, Written},
    names,
    vectors::Seek,
};

/// What a store answers with.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, ToolError>>;

/// What could be typed further, or should have been typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// Documents that hold it.
    pub(crate) documents: u64,
}

/// A document, and what moves when it is written anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) version: String,
}

impl Version {
    /// That of a document whose store counts no versions: a digest of what is in it.
    pub(crate) fn of(document: &Document) -> Self {
        let source = serde_json::to_vec(&document.source).unwrap_or_default();
        Self { id: document.id.clone(), version: names::hex(&Sha256::digest(source)) }
    }

    /// One text for all of them, in whichever order they come.
    pub(crate) fn digest(mut versions: Vec<Self>) -> String {
        versions.sort();
        let mut hasher = Sha256::new();
        for Self { id, version } in versions {
            hasher.update(format!("{id}\0{version}\0"));
        }
        names::hex(&hasher.finalize())
    }
}

/// One place where indexes are.
pub(crate) trait Store: Send + Sync + Debug {
    /// `embedded`, `elasticsearch` or `opensearch`.
    fn kind(&self) -> &'static str;

    /// All indexes and aliases, by name.
    fn list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Listed>>;

    /// The schema of an index or of what an alias points to.
    fn schema<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Arc<Schema>>;

    /// Makes an index; false if one with the same schema is there, `conflict` if it differs.
    fn create<'a>(&'a self, call: &'a Call, name: &'a str, schema: &'a Schema) -> Answer<'a, bool>;

    /// Removes an index with everything in it.
    fn discard<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, ()>;

    /// Lets an alias point to an index, at once for all; `None` removes it.
    fn alias<'a>(&'a self, call: &'a Call, alias: &'a str, index: Option<&'a str>) -> Answer<'a, ()>;

    /// Replaces the synonyms.
    fn synonyms<'a>(&'a self, call: &'a Call, name: &'a str, groups: Vec<Vec<String>>) -> Answer<'a, ()>;

    /// Writes documents, replacing those with the same id. Each is taken or not for itself.
    fn write<'a>(&'a self, call: &'a Call, name: &'a str, documents: Vec<Document>) -> Answer<'a, Written>;

    /// Removes documents by id; gives how many there were.
    fn remove<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, u64>;

    /// The documents that a question means, with their versions; `None` if they are more than `most`.
    fn versions<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        most: usize,
    ) -> Answer<'a, Option<Vec<Version>>>;

    /// What moves with every change of an index, and is another for one that is made anew under its name.
    fn state<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, String>;

    /// Removes the documents that a question means: all, or those of them that are said.
    fn remove_where<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        only: Option<&'a [String]>,
    ) -> Answer<'a, u64>;

    /// Documents by id; those that are not there are left out.
    fn get<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Document>>;

    /// Searches.
    fn search<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        wanted: &'a Wanted,
    ) -> Answer<'a, Found>;

    /// The documents whose vectors are nearest to one, of those that the filters of a question leave; scores tell how near.
    fn similar<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        asked: (&'a Question, &'a Seek),
        wanted: &'a Wanted,
    ) -> Answer<'a, Found>;

    /// Why a document has its score for a question; `None` if it is not found by it.
    fn explain<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        id: &'a str,
    ) -> Answer<'a, Option<Explained>>;

    /// Words of the index (or values of a keyword field) that begin so, most frequent first.
    fn complete<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        field: Option<&'a str>,
        start: &'a str,
    ) -> Answer<'a, Vec<Word>>;

    /// Words of the index that are nearly `word`, best first; none if it is there itself.
    fn correct<'a>(&'a self, call: &'a Call, name: &'a str, word: &'a str) -> Answer<'a, Vec<Word>>;

    /// How an index is doing.
    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Status>;

    /// Documents in the order of the store, after `after`: for copies. The second is where to go on.
    fn scroll<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        after: Option<&'a Value>,
    ) -> Answer<'a, (Vec<Document>, Option<Value>)>;

    /// Work beside the calls, from time to time: lets go of what is not used.
    fn tend(&self) -> BoxFuture<'_, ()>;

    /// A query in the store's own language, already looked through.
    fn native<'a>(&'a self, call: &'a Call, name: &'a str, body: &'a Value) -> Answer<'a, Value>;
}

/// Counts of several indexes as those of one.
pub(crate) fn merge(into: &mut Vec<Counts>, more: Vec<Counts>) {
    if into.is_empty() {
        *into = more;
        return;
    }
    for (mine, other) in into.iter_mut().zip(more) {
        mine.others += other.others;
        for bucket in other.buckets {
            match mine.buckets.iter_mut().find(|own| own.key == bucket.key) {
                Some(own) => own.count += bucket.count,
                None => mine.buckets.push(bucket),
            }
        }
        mine.buckets.sort_by_key(|bucket| std::cmp::Reverse(bucket.count));
    }
}
