//! The embedded store: one tantivy index in a directory for each index of each namespace. No other program is needed.
//!
//! Writes are acknowledged when they are committed and on disk, and are seen by the next search. One process writes to an index at
//! a time, held by a lock of the kernel's (`flock`), which ends with the process however it ends; others may read.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;
use weft_kit::{Call, ToolError};

use crate::{
    fault,
    model::{Document, Explained, Found, Listed, Question, Schema, Status, Wanted, Written},
    names,
    settings::Limits,
    store::{Answer, Store, Version, Word},
    vectors::Seek,
};

mod analysis;
mod careful;
mod compile;
mod convert;
mod find;
mod groups;
mod near;
mod remove;
mod shelf;
mod similar;
mod views;
mod volume;
mod words;

use shelf::Shelf;
use volume::Volume;

/// Writes at once. Each waits on a thread for its turn at the index: more would leave no threads to those who search.
const WRITES: usize = 8;
/// A writer that was not used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// All embedded indexes.
#[derive(Debug)]
pub(crate) struct Embedded {
    shelf: Arc<Shelf>,
    writes: Semaphore,
}

impl Embedded {
    /// The indexes below `state`.
    pub(crate) fn open(state: &Path, limits: Limits) -> Result<Self, anyhow::Error> {
        let shelf = Arc::new(Shelf::open(state.join("indexes"), limits)?);
        Ok(Self { shelf, writes: Semaphore::new(WRITES) })
    }

    /// Work on the shelf of the caller's namespace.
    fn shelved<'a, T, F>(&self, call: &'a Call, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Shelf, &str, &Call) -> Result<T, ToolError> + Send + 'static,
    {
        let shelf = Arc::clone(&self.shelf);
        Box::pin(call.blocking(move |call| work(&shelf, &names::tenant(call.namespace()), call)))
    }

    /// Work on one index.
    fn with<'a, T, F>(&self, call: &'a Call, name: &str, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Volume, &Call) -> Result<T, ToolError> + Send + 'static,
    {
        let name = name.to_owned();
        self.shelved(call, move |shelf, tenant, call| work(&*shelf.volume(tenant, &name)?, call))
    }

    /// A change of one index.
    fn change<'a, T, F>(&'a self, call: &'a Call, name: &str, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Volume, &Call) -> Result<T, ToolError> + Send + 'static,
    {
        let work = self.with(call, name, work);
        Box::pin(async move {
            let _turn = call.run(self.writes.acquire()).await?;
            work.await
        })
    }
}

impl Store for Embedded {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Listed>> {
        self.shelved(call, Shelf::list)
    }

    fn schema<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Arc<Schema>> {
        self.with(call, name, |volume, _| Ok(volume.schema()))
    }

    fn create<'a>(&'a self, call: &'a Call, name: &'a str, schema: &'a Schema) -> Answer<'a, bool> {
        let (name, schema) = (name.to_owned(), schema.clone());
        self.shelved(call, move |shelf, tenant, _| shelf.create(tenant, &name, &schema))
    }

    fn discard<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, ()> {
        let name = name.to_owned();
        self.shelved(call, move |shelf, tenant, _| shelf.remove(tenant, &name))
    }

    fn alias<'a>(&'a self, call: &'a Call, alias: &'a str, index: Option<&'a str>) -> Answer<'a, ()> {
        let (alias, index) = (alias.to_owned(), index.map(str::to_owned));
        self.shelved(call, move |shelf, tenant, _| shelf.alias(tenant, &alias, index.as_deref()))
    }

    fn synonyms<'a>(&'a self, call: &'a Call, name: &'a str, groups: Vec<Vec<String>>) -> Answer<'a, ()> {
        self.change(call, name, move |volume, _| volume.set_synonyms(groups))
    }

    fn write<'a>(&'a self, call: &'a Call, name: &'a str, documents: Vec<Document>) -> Answer<'a, Written> {
        self.change(call, name, move |volume, call| volume.write(call, documents))
    }

    fn remove<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, u64> {
        let ids = ids.to_vec();
        self.change(call, name, move |volume, _| remove::by_ids(volume, &ids))
    }

    fn versions<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        most: usize,
    ) -> Answer<'a, Option<Vec<Version>>> {
        let question = question.clone();
        self.with(call, name, move |volume, call| remove::versions(volume, call, &question, most))
    }

    fn state<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, String> {
        self.with(call, name, |volume, _| volume.state())
    }

    fn remove_where<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        only: Option<&'a [String]>,
    ) -> Answer<'a, u64> {
        let (question, only) = (question.clone(), only.map(<[String]>::to_vec));
        self.change(call, name, move |volume, _| remove::by_question(volume, &question, only.as_deref()))
    }

    fn get<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Document>> {
        let ids = ids.to_vec();
        self.with(call, name, move |volume, _| volume.get(&ids))
    }

    fn search<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        wanted: &'a Wanted,
    ) -> Answer<'a, Found> {
        let (question, wanted) = (question.clone(), wanted.clone());
        self.with(call, name, move |volume, call| find::search(volume, call, &question, &wanted))
    }

    fn similar<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        (question, seek): (&'a Question, &'a Seek),
        wanted: &'a Wanted,
    ) -> Answer<'a, Found> {
        let (question, seek, wanted) = (question.clone(), seek.clone(), wanted.clone());
        self.with(call, name, move |volume, _| similar::search(volume, &question, &seek, &wanted))
    }

    fn explain<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        id: &'a str,
    ) -> Answer<'a, Option<Explained>> {
        let (question, id) = (question.clone(), id.to_owned());
        self.with(call, name, move |volume, _| find::explain(volume, &question, &id))
    }

    fn complete<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        field: Option<&'a str>,
        start: &'a str,
    ) -> Answer<'a, Vec<Word>> {
        let (field, start) = (field.map(str::to_owned), start.to_owned());
        self.with(call, name, move |volume, call| words::complete(volume, call, field.as_deref(), &start))
    }

    fn correct<'a>(&'a self, call: &'a Call, name: &'a str, word: &'a str) -> Answer<'a, Vec<Word>> {
        let word = word.to_owned();
        self.with(call, name, move |volume, call| words::correct(volume, call, &word))
    }

    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Status> {
        self.with(call, name, |volume, _| volume.status())
    }

    fn scroll<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        after: Option<&'a Value>,
    ) -> Answer<'a, (Vec<Document>, Option<Value>)> {
        let after = after.and_then(Value::as_str).map(str::to_owned);
        self.with(call, name, move |volume, _| {
            let documents = find::scroll(volume, after.as_deref())?;
            let last = documents.last().map(|document| Value::String(document.id.clone()));
            Ok((documents, last))
        })
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        let shelf = Arc::clone(&self.shelf);
        Box::pin(async move {
            let _ = tokio::task::spawn_blocking(move || shelf.rest(IDLE)).await;
        })
    }

    fn native<'a>(&'a self, _: &'a Call, _: &'a str, _: &'a Value) -> Answer<'a, Value> {
        Box::pin(async { Err(fault::beyond("a native query")) })
    }
}
