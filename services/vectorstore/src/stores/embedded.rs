//! The embedded store: collections in a folder, durable, without any other program.
//!
//! Every act runs on a thread that may block; dropping its future tells it to stop, and a change that was told so in time leaves
//! nothing behind. What is acknowledged is on the disk (LMDB commits with `fsync`). The graph follows in the background; until it has, what
//! it lacks is scanned, so that an acknowledged point is always found.

mod acts;
mod alias;
mod fault;
pub(crate) mod folder;
mod graph;
mod lexicon;
mod near;
mod posting;
mod read;
mod select;
mod shelf;
mod table;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use weft_kit::ToolError;

pub(crate) use self::{acts::Embedded, graph::LAG};
use crate::{
    model::{Collection, Conflict, Filter, Hit, Metric, Outcome, Point, Quantisation, Query, Spec, Which, With},
    store::{Alter, Answer, Store},
};

/// What this store cannot do.
fn possible(spec: &Spec) -> Result<(), ToolError> {
    match (spec.quantisation, spec.metric) {
        // What has no graph has no codes. With one, `none` has codes of eight bits already, and `scalar` is the same.
        (Quantisation::Scalar | Quantisation::Binary, Metric::Dot) => {
            Err(ToolError::invalid("the embedded store searches dot products exactly")
                .hint("use quantisation none with dot, or another metric"))
        }
        _ => Ok(()),
    }
}

impl Store for Embedded {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.settled())
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(async {
            if self.inner.ending.is_cancelled() { Err(ToolError::unavailable("closed")) } else { Ok(()) }
        })
    }

    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>> {
        let tenant = tenant.to_owned();
        Box::pin(self.act(move |inner, _| {
            let names = inner.folder.collections(&tenant)?;
            names.into_iter().map(|(name, _)| inner.shelf(&tenant, &name)?.describe()).collect()
        }))
    }

    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        Box::pin(self.act(move |inner, _| inner.shelf(&tenant, &name)?.describe()))
    }

    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool> {
        Box::pin(async move {
            possible(spec)?;
            let _arranging = self.inner.arranging.lock().await;
            let (tenant, spec) = (tenant.to_owned(), spec.clone());
            self.act(move |inner, _| inner.create(&tenant, &spec)).await
        })
    }

    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()> {
        let alter = change.clone();
        Box::pin(self.change(tenant, name, move |change| change.alter(&alter)))
    }

    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let _arranging = self.inner.arranging.lock().await;
            let (tenant, name) = (tenant.to_owned(), name.to_owned());
            self.act(move |inner, _| inner.withdraw(&tenant, &name)).await
        })
    }

    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        Box::pin(async { Ok(self.inner.aliases.of(tenant)) })
    }

    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()> {
        let (tenant, alias, target) = (tenant.to_owned(), alias.to_owned(), target.map(str::to_owned));
        Box::pin(self.act(move |inner, _| {
            inner.aliases.change(&tenant, |own| {
                match target {
                    Some(target) => own.insert(alias, target),
                    None => own.remove(&alias),
                };
            })
        }))
    }

    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String> {
        Box::pin(async { Ok(self.inner.aliases.of(tenant).remove(name).unwrap_or_else(|| name.to_owned())) })
    }

    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String> {
        Box::pin(async move {
            possible(spec)?;
            let _arranging = self.inner.arranging.lock().await;
            let (tenant, spec) = (tenant.to_owned(), spec.clone());
            self.act(move |inner, _| inner.draft(&tenant, &spec)).await
        })
    }

    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let _arranging = self.inner.arranging.lock().await;
            let (tenant, draft) = (tenant.to_owned(), draft.to_owned());
            self.act(move |inner, _| inner.publish(&tenant, &draft)).await
        })
    }

    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>> {
        Box::pin(self.change(tenant, name, move |change| change.upsert(points, conflict)))
    }

    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>> {
        let ids = ids.to_vec();
        Box::pin(self.see(tenant, name, move |sight, _| read::get(sight, &ids, with)))
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
        let (filter, after) = (filter.cloned(), after.map(str::to_owned));
        Box::pin(
            self.see(tenant, name, move |sight, _| read::scroll(sight, filter.as_ref(), after.as_deref(), limit, with)),
        )
    }

    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64> {
        let filter = filter.cloned();
        Box::pin(self.see(tenant, name, move |sight, _| Ok(read::chosen(sight, filter.as_ref())?.len())))
    }

    fn facet<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        field: &'a str,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> Answer<'a, Vec<(Value, u64)>> {
        let (field, filter) = (field.to_owned(), filter.cloned());
        Box::pin(self.see(tenant, name, move |sight, _| read::facet(sight, &field, filter.as_ref(), limit)))
    }

    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>> {
        let query = query.clone();
        Box::pin(self.see(tenant, name, move |sight, graph| near::search(sight, graph, &query)))
    }

    fn update<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        which: &'a Which,
        set: &'a Map<String, Value>,
        unset: &'a [String],
    ) -> Answer<'a, u64> {
        let (which, set, unset) = (which.clone(), set.clone(), unset.to_vec());
        Box::pin(self.change(tenant, name, move |change| change.update(&which, &set, &unset)))
    }

    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64> {
        let which = which.clone();
        Box::pin(self.change(tenant, name, move |change| change.delete(&which)))
    }
}
