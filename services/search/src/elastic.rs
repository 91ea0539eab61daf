//! A cluster of Elasticsearch or OpenSearch as a store, over plain HTTP: a dozen requests that both understand.
//!
//! An index of a namespace is called `<prefix>-<namespace>-<name>` there, and callers only ever write the last part, so no name of
//! theirs can mean another index. Indexes that others made are searched, never changed, and only those that the operator named.

use std::sync::Arc;

use anyhow::ensure;
use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::{Call, ToolError};

use crate::{
    fault,
    model::{Document, Explained, Found, Listed, Question, Schema, Status, Wanted, Written},
    names,
    settings::{ClusterSettings, Limits, SharedIndex},
    store::{Answer, Store, Version, Word},
    vectors::Seek,
};

mod admin;
mod compile;
mod dialect;
mod documents;
mod find;
pub(crate) mod guard;
mod http;
mod mapping;
mod remove;
mod view;

use dialect::{Dialect, Foreign};
use http::{Body, Http};

/// What is told of an answer to a native query: which shard answered on which node is the operator's affair.
const TOLD: [&str; 5] = ["hits", "aggregations", "timed_out", "terminated_early", "took"];

/// The cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    http: Http,
    prefix: String,
    shared: Vec<SharedIndex>,
    limits: Limits,
}

/// An index as it is called in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// As callers write it.
    name: String,
    physical: String,
    read_only: bool,
}

impl Place {
    /// The path of something about it. Names hold nothing that would need to be encoded.
    fn path(&self, what: &str) -> String {
        format!("{}/{what}", self.physical)
    }

    fn writable(self) -> Result<Self, ToolError> {
        if self.read_only {
            return Err(ToolError::refused(format!("{:?} can be searched, not changed", self.name)));
        }
        Ok(self)
    }
}

impl Cluster {
    /// The way to the cluster. That it is away is no fault: it is asked when it is needed.
    pub(crate) fn open(settings: &ClusterSettings, limits: Limits) -> Result<Self, anyhow::Error> {
        ensure!(names::is_plain(&settings.prefix), "the prefix of the cluster is a-z, 0-9, _ and -");
        for shared in &settings.shared {
            ensure!(names::is_plain(&shared.name), "a shared index is called by a-z, 0-9, _ and -: {:?}", shared.name);
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter);
            let fits = shared.target.chars().all(plain) && !shared.target.starts_with(['-', '_']);
            ensure!(fits && !shared.target.is_empty(), "the target of {:?} is the name of one index", shared.name);
        }
        Ok(Self {
            http: Http::open(settings)?,
            prefix: settings.prefix.clone(),
            shared: settings.shared.clone(),
            limits,
        })
    }

    /// Makes sure that what answers is what is expected; asked until it is known.
    async fn known(&self, call: &Call) -> Result<Dialect, ToolError> {
        if let Some(known) = self.http.dialect.get() {
            return Ok(*known);
        }
        let greeting = self.http.ask(call, (Method::GET, ""), Body::Nothing).await?.ok("", "")?;
        let dialect = Dialect::read(&greeting).map_err(|foreign: Foreign| {
            tracing::error!(why = %foreign, "the search cluster cannot be used");
            ToolError::unavailable("the search cluster that is configured cannot be used")
        })?;
        tracing::info!(dialect = ?dialect, "the search cluster is known");
        Ok(*self.http.dialect.get_or_init(|| dialect))
    }

    /// What begins the names of all indexes of a namespace.
    fn own(&self, call: &Call) -> String {
        format!("{}-{}-", self.prefix, names::tenant(call.namespace()))
    }

    /// The index that a caller means.
    fn place(&self, call: &Call, name: &str) -> Result<Place, ToolError> {
        names::index(name)?;
        let namespace = call.namespace();
        let may = |shared: &&SharedIndex| {
            shared.name == name
                && (shared.tenants.is_empty() || shared.tenants.iter().any(|tenant| tenant == namespace))
        };
        let name = name.to_owned();
        Ok(match self.shared.iter().find(may) {
            Some(shared) => Place { name, physical: shared.target.clone(), read_only: true },
            None => Place { physical: format!("{}{name}", self.own(call)), name, read_only: false },
        })
    }

    /// Sends a request about an index and takes the body of the answer.
    async fn ask(&self, call: &Call, place: &Place, request: (Method, &str), body: Body) -> Result<Value, ToolError> {
        self.known(call).await?;
        self.http.ask(call, request, body).await?.ok(&place.name, &place.physical)
    }

    /// Asks by POST, with a body of JSON.
    async fn post(&self, call: &Call, place: &Place, what: &str, body: Value) -> Result<Value, ToolError> {
        self.ask(call, place, (Method::POST, &place.path(what)), Body::Json(body)).await
    }
}

impl Store for Cluster {
    fn kind(&self) -> &'static str {
        self.http.dialect.get().map_or("cluster", |dialect| dialect.name())
    }

    fn list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Listed>> {
        Box::pin(admin::list(self, call))
    }

    fn schema<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Arc<Schema>> {
        Box::pin(admin::schema(self, call, name))
    }

    fn create<'a>(&'a self, call: &'a Call, name: &'a str, schema: &'a Schema) -> Answer<'a, bool> {
        Box::pin(admin::create(self, call, name, schema))
    }

    fn discard<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let place = self.place(call, name)?.writable()?;
            self.ask(call, &place, (Method::DELETE, &place.physical), Body::Nothing).await.map(drop)
        })
    }

    fn alias<'a>(&'a self, call: &'a Call, alias: &'a str, index: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(admin::alias(self, call, alias, index))
    }

    fn synonyms<'a>(&'a self, call: &'a Call, name: &'a str, groups: Vec<Vec<String>>) -> Answer<'a, ()> {
        Box::pin(async move {
            let place = self.place(call, name)?.writable()?;
            let schema = admin::schema(self, call, name).await?;
            let schema = Schema { synonyms: groups, ..(*schema).clone() };
            let body = Body::Json(json!({"_meta": mapping::meta(&schema)}));
            self.ask(call, &place, (Method::PUT, &place.path("_mapping")), body).await.map(drop)
        })
    }

    fn write<'a>(&'a self, call: &'a Call, name: &'a str, documents: Vec<Document>) -> Answer<'a, Written> {
        Box::pin(documents::write(self, call, name, documents))
    }

    fn remove<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, u64> {
        Box::pin(remove::by_ids(self, call, name, ids))
    }

    fn versions<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        most: usize,
    ) -> Answer<'a, Option<Vec<Version>>> {
        Box::pin(remove::versions(self, call, name, (question, most)))
    }

    fn state<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, String> {
        Box::pin(remove::state(self, call, name))
    }

    fn remove_where<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        only: Option<&'a [String]>,
    ) -> Answer<'a, u64> {
        Box::pin(remove::by_question(self, call, name, (question, only)))
    }

    fn get<'a>(&'a self, call: &'a Call, name: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Document>> {
        Box::pin(documents::get(self, call, name, ids))
    }

    fn search<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        wanted: &'a Wanted,
    ) -> Answer<'a, Found> {
        Box::pin(find::search(self, call, name, (question, wanted)))
    }

    fn similar<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        asked: (&'a Question, &'a Seek),
        wanted: &'a Wanted,
    ) -> Answer<'a, Found> {
        Box::pin(find::similar(self, call, name, (asked, wanted)))
    }

    fn explain<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        question: &'a Question,
        id: &'a str,
    ) -> Answer<'a, Option<Explained>> {
        Box::pin(find::explain(self, call, name, (question, id)))
    }

    fn complete<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        field: Option<&'a str>,
        start: &'a str,
    ) -> Answer<'a, Vec<Word>> {
        Box::pin(find::complete(self, call, name, (field, start)))
    }

    fn correct<'a>(&'a self, call: &'a Call, name: &'a str, word: &'a str) -> Answer<'a, Vec<Word>> {
        Box::pin(find::correct(self, call, name, word))
    }

    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> Answer<'a, Status> {
        Box::pin(admin::status(self, call, name))
    }

    fn scroll<'a>(
        &'a self,
        call: &'a Call,
        name: &'a str,
        after: Option<&'a Value>,
    ) -> Answer<'a, (Vec<Document>, Option<Value>)> {
        Box::pin(documents::scroll(self, call, name, after))
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn native<'a>(&'a self, call: &'a Call, name: &'a str, body: &'a Value) -> Answer<'a, Value> {
        Box::pin(async move {
            guard::check(body)?;
            let place = self.place(call, name)?;
            let mut answer = self.post(call, &place, "_search", guard::bounded(body)).await?;
            if let Some(answer) = answer.as_object_mut() {
                answer.retain(|key, _| TOLD.contains(&key.as_str()));
            }
            for hit in answer["hits"]["hits"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                hit.insert("_index".to_owned(), json!(place.name));
            }
            Ok(answer)
        })
    }
}

/// An answer that lacks what it must have.
fn odd(what: &str) -> ToolError {
    fault::away(&format!("the answer has no {what}"))
}
