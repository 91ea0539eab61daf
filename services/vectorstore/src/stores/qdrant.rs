//! Collections in Qdrant, over gRPC (1.16 or later, which keeps metadata of collections).
//!
//! A collection's name is `<tenant>__<name>`; tenant and specification are in its metadata and are compared when it is found.
//! [`payload`] says how a point is kept: every condition of ours becomes one that Qdrant decides exactly. The words of a text are a
//! sparse vector named `words`, weighted as BM25 does; how rare a word is, is the server's part (modifier IDF).
//!
//! Aliases are Qdrant's own ([`naming`]).
//!
//! A dropped future resets its gRPC stream, whereupon Qdrant gives up a read; a write that it has begun is finished.
//!
//! No Qdrant server could be had where this was written. The tests run against a server of their own that speaks the published wire
//! format (the types and service stubs that `qdrant-client` generates from Qdrant's protocol files) and keeps points in memory: they
//! hold what we send and understand, not how a real server plans, orders equal scores or names its failures.

mod calls;
mod catalogue;
mod filter;
mod naming;
mod payload;
mod read;
mod search;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use qdrant_client::Qdrant as Client;
use serde_json::{Map, Value};
use weft_kit::ToolError;

use crate::model::{Collection, Conflict, Filter, Hit, Outcome, Point, Query, Spec, Which, With};
use crate::store::{Alter, Answer, Store};

/// Names of the two vectors of a point.
const DENSE: &str = "dense";
const WORDS: &str = "words";
/// How long an act of many requests may take, in timeouts of one.
const WALK: u32 = 4;
/// The same for a change of the collection itself.
const BUILD: u32 = 20;

/// Where the server is and how it is used.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `http://host:6334`, the gRPC port; never shown.
    pub(crate) url: String,
    /// The API key.
    pub(crate) key: Option<String>,
    /// Connections at once.
    pub(crate) connections: usize,
    /// For one request.
    pub(crate) timeout: Duration,
}

/// See the module.
pub(crate) struct Qdrant {
    client: Client,
    timeout: Duration,
}

impl fmt::Debug for Qdrant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Qdrant")
    }
}

/// A collection and where it is.
struct Place<'a> {
    client: &'a Client,
    timeout: Duration,
    /// Qdrant's name of it.
    name: String,
    spec: Spec,
}

impl Place<'_> {
    /// The server's own time limit for a request.
    #[expect(clippy::unnecessary_wraps, reason = "the field of every request is optional")]
    fn seconds(&self) -> Option<u64> {
        Some(self.timeout.as_secs().max(1))
    }
}

impl Qdrant {
    /// Does not connect yet.
    pub(crate) fn open(settings: &Settings) -> Result<Self, ToolError> {
        Ok(Self { client: calls::client(settings)?, timeout: settings.timeout })
    }

    async fn bounded<T>(&self, factor: u32, act: impl Future<Output = Result<T, ToolError>>) -> Result<T, ToolError> {
        tokio::time::timeout(self.timeout * factor, act).await.unwrap_or_else(|_| Err(ToolError::deadline()))
    }
}

impl Store for Qdrant {
    fn kind(&self) -> &'static str {
        "qdrant"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(self.bounded(1, async move {
            calls::ask(&self.client, "HealthCheck", self.client.health_check()).await.map(drop).map_err(calls::failed)
        }))
    }

    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>> {
        Box::pin(self.bounded(WALK, async move { catalogue::all(self, tenant).await }))
    }

    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection> {
        Box::pin(self.bounded(WALK, async move { catalogue::one(self, tenant, name).await }))
    }

    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool> {
        Box::pin(self.bounded(BUILD, async move { catalogue::create(self, tenant, spec).await }))
    }

    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, async move {
            let place = catalogue::find(self, tenant, name).await?;
            catalogue::alter(place, tenant, change).await
        }))
    }

    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, async move { catalogue::delete(self, tenant, name).await }))
    }

    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        Box::pin(self.bounded(WALK, naming::aliases(self, tenant)))
    }

    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(self.bounded(WALK, naming::set(self, tenant, alias, target)))
    }

    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String> {
        Box::pin(self.bounded(WALK, naming::resolve(self, tenant, name)))
    }

    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String> {
        Box::pin(self.bounded(BUILD, naming::draft(self, tenant, spec)))
    }

    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()> {
        Box::pin(self.bounded(BUILD, naming::publish(self, tenant, draft)))
    }

    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(self, tenant, name).await?;
            write::upsert(&place, points, conflict).await
        }))
    }

    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(self, tenant, name).await?;
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
            let place = catalogue::find(self, tenant, name).await?;
            read::scroll(&place, filter, (after, limit), with).await
        }))
    }

    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(self, tenant, name).await?;
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
            let place = catalogue::find(self, tenant, name).await?;
            read::facet(&place, field, filter, limit).await
        }))
    }

    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(self, tenant, name).await?;
            search::search(&place, query).await
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
            let place = catalogue::find(self, tenant, name).await?;
            write::update(&place, which, set, unset).await
        }))
    }

    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64> {
        Box::pin(self.bounded(WALK, async move {
            let place = catalogue::find(self, tenant, name).await?;
            write::delete(&place, which).await
        }))
    }
}
