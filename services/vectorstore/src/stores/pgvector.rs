//! Collections in PostgreSQL with the extension pgvector: one table a collection, one row a point.
//!
//! A schema of our own has the catalogue (`collections`: tenant, name, specification) and `points_<n>` for each collection. A table's
//! name is a number, so neither a tenant nor a collection's name ever becomes an identifier, and a filter runs in one table: there is
//! no other tenant's row that it could reach.
//!
//! What is kept besides the point is made by [`super::terms`] when it is written: `tokens` (words of metadata), `times` (dates as
//! numbers) and `words` (a `tsvector` of the text, as the configuration `simple` would make it but split at what is no letter or
//! digit, so `a/b.txt` is found by `txt`). Conditions then mean the same under every locale. Words are ranked by `ts_rank_cd`
//! (cover density; PostgreSQL has no BM25).
//!
//! Aliases are rows of `aliases`. A draft ([`super::draft`]) is a row of the catalogue under its own name, and takes its collection's
//! name in the transaction that deletes the one before it.
//!
//! The vectors stay 32-bit; quantisation is the index's: `halfvec` for scalar (and beyond 2,000 dimensions, where `vector` cannot be
//! indexed), `bit` for binary (and beyond 4,000). Candidates of these are ranked again by the exact distance.
//!
//! Every act is one transaction with a `statement_timeout`. If its future is dropped, the statement is cancelled on the server
//! ([`session`] says how). The extension is made if it is missing and the user may do so.

mod catalogue;
mod filter;
mod naming;
mod read;
mod search;
mod session;
#[cfg(test)]
mod tests;
mod write;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use weft_kit::ToolError;

use self::catalogue::Table;
use self::read::Page;
use self::session::{Server, Session};
use crate::model::{Collection, Conflict, Filter, Hit, Outcome, Point, Query, Spec, Which, With};
use crate::store::{Alter, Answer, Store};

/// How long an act that builds an index may take, in timeouts of other acts.
const BUILD: u32 = 20;

/// Where the server is and how it is used.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `postgres://user:password@host:port/database?sslmode=..`; never shown.
    pub(crate) url: String,
    /// The schema that has everything; made if it is missing.
    pub(crate) schema: String,
    /// Connections at most.
    pub(crate) connections: u32,
    /// For one act.
    pub(crate) timeout: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pgvector {
    server: Server,
}

impl Pgvector {
    /// Does not connect yet.
    pub(crate) fn open(settings: &Settings) -> Result<Self, ToolError> {
        Ok(Self { server: Server::new(settings)? })
    }

    /// A transaction, and the table of a collection that is the tenant's.
    async fn enter(&self, tenant: &str, name: &str) -> Result<(Session, Table), ToolError> {
        let mut session = self.server.begin(1).await?;
        match catalogue::find(&mut session, tenant, name).await {
            Ok(table) => Ok((session, table)),
            Err(refusal) => session.end(Err(refusal)).await,
        }
    }
}

impl Store for Pgvector {
    fn kind(&self) -> &'static str {
        "pgvector"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(self.server.bounded(1, async move { self.server.begin(1).await?.end(Ok(())).await }))
    }

    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = catalogue::all(&mut session, tenant).await;
            session.end(done).await
        }))
    }

    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = catalogue::describe(&mut session, table).await;
            session.end(done).await
        }))
    }

    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = catalogue::create(&mut session, tenant, spec).await;
            session.end(done).await
        }))
    }

    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()> {
        Box::pin(self.server.bounded(BUILD, async move {
            let mut session = self.server.begin(BUILD).await?;
            let done = catalogue::alter(&mut session, tenant, name, change).await;
            session.end(done).await
        }))
    }

    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = catalogue::delete(&mut session, tenant, name).await;
            session.end(done).await
        }))
    }

    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = naming::aliases(&mut session, tenant).await;
            session.end(done).await
        }))
    }

    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = naming::set(&mut session, tenant, alias, target).await;
            session.end(done).await
        }))
    }

    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String> {
        Box::pin(self.server.bounded(1, naming::resolve(&self.server, tenant, name)))
    }

    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = naming::draft(&mut session, tenant, spec).await;
            session.end(done).await
        }))
    }

    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()> {
        Box::pin(self.server.bounded(1, async move {
            let mut session = self.server.begin(1).await?;
            let done = naming::publish(&mut session, tenant, draft).await;
            session.end(done).await
        }))
    }

    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = write::upsert(&mut session, &table, points, conflict).await;
            session.end(done).await
        }))
    }

    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = read::get(&mut session, &table, ids, with).await;
            session.end(done).await
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
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = read::scroll(&mut session, &table, &Page { filter, after, limit }, with).await;
            session.end(done).await
        }))
    }

    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = read::count(&mut session, &table, filter).await;
            session.end(done).await
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
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = read::facet(&mut session, &table, field, &Page { filter, after: None, limit }).await;
            session.end(done).await
        }))
    }

    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = search::search(&mut session, &table, query).await;
            session.end(done).await
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
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = write::update(&mut session, &table, which, set, unset).await;
            session.end(done).await
        }))
    }

    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64> {
        Box::pin(self.server.bounded(1, async move {
            let (mut session, table) = self.enter(tenant, name).await?;
            let done = write::delete(&mut session, &table, which).await;
            session.end(done).await
        }))
    }
}
