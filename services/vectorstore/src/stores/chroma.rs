//! Collections in Chroma, over its HTTP API (version 2).
//!
//! A tenant is a Chroma database of its own, made when the first collection is; a collection's specification is in its metadata.
//! [`record`] says how a point is kept.
//!
//! A filter runs twice: as a `where` that may let too much through ([`prefilter`]), and then exactly, here, on what came. So counts,
//! pages and facets read the metadata of every candidate, and a filtered search asks for more until it has enough. Fields that are
//! not indexed are told apart here alone.
//!
//! Words are looked for by a regular expression over the documents and ranked here by BM25; how rare a word is comes from the texts
//! that were found under the filter. Words that more texts have than can be read are left out, the commonest first: they tell the least.
//! If none is left, the refusal is `too_common`. A search that must be exact reads every vector. Both grow with the collection; the graph does not.
//!
//! Aliases are records of a small collection of the tenant's database ([`naming`]).
//!
//! Chroma has no transactions: a change of many records may stop in the middle, and says so by failing.

mod catalogue;
mod http;
mod naming;
mod prefilter;
mod read;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value};
use weft_kit::ToolError;

use self::http::Api;
use crate::model::{Collection, Conflict, Filter, Hit, Outcome, Point, Query, Spec, Which, With};
use crate::store::{Alter, Answer, Store};

/// How long an act that walks through a collection may take, in timeouts of one request.
const WALK: u32 = 4;
/// The same for a change of the collection itself.
const BUILD: u32 = 20;

/// Texts that are read for one ranking by words, at most.
const TEXTS: usize = 20_000;

/// Where the server is and how it is used.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `http://host:port`; never shown.
    pub(crate) url: String,
    /// Sent as `x-chroma-token`.
    pub(crate) token: Option<String>,
    /// Chroma's own tenant that has all databases, mostly `default_tenant`.
    pub(crate) tenant: String,
    /// Idle connections that are kept.
    pub(crate) connections: usize,
    /// For one request.
    pub(crate) timeout: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Chroma {
    api: Api,
    timeout: Duration,
    /// Texts that are read for one ranking by words, at most.
    texts: usize,
}

/// A collection and where it is.
struct Place<'a> {
    api: &'a Api,
    /// `/{database}/collections/{id}`
    path: String,
    spec: Spec,
}

impl Place<'_> {
    async fn call(&self, method: Method, act: &str, body: Option<&Value>) -> Result<Value, ToolError> {
        self.api.call(method, &format!("{}/{act}", self.path), body).await
    }
}

impl Chroma {
    /// Does not connect yet.
    pub(crate) fn open(settings: &Settings) -> Result<Self, ToolError> {
        Ok(Self { api: Api::new(settings)?, timeout: settings.timeout, texts: TEXTS })
    }

    async fn bounded<T>(&self, factor: u32, act: impl Future<Output = Result<T, ToolError>>) -> Result<T, ToolError> {
        tokio::time::timeout(self.timeout * factor, act).await.unwrap_or_else(|_| Err(ToolError::deadline()))
    }
}

impl Store for Chroma {
    fn kind(&self) -> &'static str {
        "chroma"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(self.api.heartbeat())
    }

    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>> {
        Box::pin(self.bounded(WALK, async move { catalogue::all(&self.api, tenant).await }))
    }

    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            catalogue::describe(place).await
        }))
    }

    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool> {
        Box::pin(self.bounded(WALK, async move { catalogue::create(&self.api, tenant, spec).await }))
    }

    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            catalogue::alter(place, change).await
        }))
    }

    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, async move { catalogue::delete(&self.api, tenant, name).await }))
    }

    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        Box::pin(self.bounded(WALK, naming::aliases(&self.api, tenant)))
    }

    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(self.bounded(WALK, naming::set(&self.api, tenant, alias, target)))
    }

    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String> {
        Box::pin(self.bounded(WALK, naming::resolve(&self.api, tenant, name)))
    }

    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String> {
        Box::pin(self.bounded(BUILD, naming::draft(&self.api, tenant, spec)))
    }

    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, naming::publish(&self.api, tenant, draft)))
    }

    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            write::upsert(&place, points, conflict).await
        }))
    }

    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            read::get(&place, ids, with).await
        }))
    }

    fn scroll<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        filter: Option<&'a Filter>,
        after: Option<&'a str>,
        limit: usize,
        with: With,
    ) -> Answer<'a, Vec<Point>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            read::scroll(&place, filter, (after, limit), with).await
        }))
    }

    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            read::count(&place, filter).await
        }))
    }

    fn facet<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        field: &'a str,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> Answer<'a, Vec<(Value, u64)>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            read::facet(&place, field, filter, limit).await
        }))
    }

    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            search::search(&place, query, self.texts).await
        }))
    }

    fn update<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        which: &'a Which,
        set: &'a Map<String, Value>,
        unset: &'a [String],
    ) -> Answer<'a, u64> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            write::update(&place, which, set, unset).await
        }))
    }

    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(&self.api, tenant, name).await?;
            write::delete(&place, which).await
        }))
    }
}
