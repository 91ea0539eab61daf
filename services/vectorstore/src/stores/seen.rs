//! A store, seen from outside: the same store, each of its acts timed, and a span in the trace of the call that asked for it.
//!
//! Around all stores at once, so that none has to remember it. No span is made where nothing is traced.

use std::{collections::BTreeMap, time::Instant};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use weft_kit::{ToolError, names, span::backend};

use crate::{
    model::{Collection, Conflict, Filter, Hit, Outcome, Point, Query, Spec, Which, With},
    store::{Alter, Answer, Store},
};

/// The store under its name.
#[derive(Debug)]
pub(super) struct Seen<S> {
    pub(super) name: String,
    pub(super) store: S,
}

impl<S: Store> Seen<S> {
    fn see<'a, T: Send + 'a>(&'a self, act: &'static str, collection: &'a str, work: Answer<'a, T>) -> Answer<'a, T> {
        let about = move || {
            let mut about = vec![
                ("db.system.name", self.store.kind().into()),
                ("db.operation.name", act.into()),
                ("db.namespace", self.name.clone().into()),
            ];
            if !collection.is_empty() {
                about.push(("db.collection.name", collection.to_owned().into()));
            }
            (format!("{act} {collection}").trim_end().to_owned().into(), about)
        };
        let timed = async move {
            let mut timer =
                Timer { store: &self.name, backend: self.store.kind(), act, outcome: None, begun: Instant::now() };
            let done = work.await;
            timer.outcome = Some(done.as_ref().err().map_or_else(|| "ok".to_owned(), |error| error.code().to_owned()));
            done
        };
        Box::pin(backend(about, |error: &ToolError| error.code().to_owned().into(), timed))
    }

    /// Counts points that something was done with.
    fn tell(&self, outcome: &'static str, points: u64) {
        let labels =
            [("store", self.name.clone()), ("backend", self.store.kind().to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!(names::VECTORSTORE_POINTS.name, &labels).increment(points);
    }
}

/// Measures an act, also one that is dropped before its end.
struct Timer<'a> {
    store: &'a str,
    backend: &'static str,
    act: &'static str,
    outcome: Option<String>,
    begun: Instant,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let labels = [
            ("store", self.store.to_owned()),
            ("backend", self.backend.to_owned()),
            ("operation", self.act.to_owned()),
            ("outcome", self.outcome.take().unwrap_or_else(|| "dropped".to_owned())),
        ];
        metrics::histogram!(names::VECTORSTORE_OPERATION_DURATION.name, &labels)
            .record(self.begun.elapsed().as_secs_f64());
    }
}

impl<S: Store> Store for Seen<S> {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        self.store.settle()
    }

    fn healthy(&self) -> Answer<'_, ()> {
        self.see("healthy", "", self.store.healthy())
    }

    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>> {
        self.see("collections", "", self.store.collections(tenant))
    }

    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection> {
        self.see("collection", name, self.store.collection(tenant, name))
    }

    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool> {
        self.see("create", "", self.store.create(tenant, spec))
    }

    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()> {
        self.see("alter", name, self.store.alter(tenant, name, change))
    }

    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()> {
        self.see("drop", name, self.store.drop(tenant, name))
    }

    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        self.see("aliases", "", self.store.aliases(tenant))
    }

    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()> {
        self.see("set_alias", alias, self.store.set_alias(tenant, alias, target))
    }

    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String> {
        self.see("resolve", name, self.store.resolve(tenant, name))
    }

    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String> {
        self.see("draft", "", self.store.draft(tenant, spec))
    }

    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()> {
        self.see("publish", draft, self.store.publish(tenant, draft))
    }

    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>> {
        Box::pin(async move {
            let outcomes = self.see("upsert", name, self.store.upsert(tenant, name, points, conflict)).await?;
            let named = [("created", Outcome::Created), ("replaced", Outcome::Replaced), ("skipped", Outcome::Skipped)];
            for (label, outcome) in named {
                self.tell(label, outcomes.iter().filter(|one| **one == outcome).count() as u64);
            }
            Ok(outcomes)
        })
    }

    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>> {
        self.see("get", name, self.store.get(tenant, name, ids, with))
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
        self.see("scroll", name, self.store.scroll(tenant, name, filter, after, limit, with))
    }

    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64> {
        self.see("count", name, self.store.count(tenant, name, filter))
    }

    fn facet<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        field: &'a str,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> Answer<'a, Vec<(Value, u64)>> {
        self.see("facet", name, self.store.facet(tenant, name, field, filter, limit))
    }

    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>> {
        self.see("search", name, self.store.search(tenant, name, query))
    }

    fn update<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        which: &'a Which,
        set: &'a Map<String, Value>,
        unset: &'a [String],
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            let points = self.see("update", name, self.store.update(tenant, name, which, set, unset)).await?;
            self.tell("changed", points);
            Ok(points)
        })
    }

    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64> {
        Box::pin(async move {
            let points = self.see("delete", name, self.store.delete(tenant, name, which)).await?;
            self.tell("deleted", points);
            Ok(points)
        })
    }
}
