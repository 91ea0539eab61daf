//! What every store can do. Tools know this trait alone; hybrid search, grouping, recommendation, re-ranking, ingest, snapshots and
//! copies are made of it, once, above it. Aliases are the store's: all instances that share it know the same ones.
//!
//! `tenant` is the caller's namespace: a store must keep tenants apart in whatever way cannot be circumvented by a filter, and a
//! collection of another tenant does not exist (`not_found`). Calls are cancelled by dropping the future; a store whose work goes on
//! without it must stop it then. Everything that returns `Ok` after a write is durable as far as the store promises.

use std::{collections::BTreeMap, fmt::Debug};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use weft_kit::ToolError;

use crate::model::{
    Collection, Conflict, FieldType, Filter, Hit, IndexSettings, Outcome, Point, Query, Spec, Which, With,
};

/// What a store answers with.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, ToolError>>;

/// A change of a collection; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Alter {
    pub(crate) index: Option<IndexSettings>,
    /// Fields to index from now on.
    pub(crate) add_fields: Vec<(String, FieldType)>,
    pub(crate) description: Option<String>,
}

/// One place where collections are.
pub(crate) trait Store: Send + Sync + Debug {
    /// `embedded`, `qdrant`, `chroma` or `pgvector`.
    fn kind(&self) -> &'static str;

    /// Ends the work that goes on beside the acts, and waits for that; acts still work.
    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Whether it can be used now; fails with what is wrong.
    fn healthy(&self) -> Answer<'_, ()>;

    /// All collections of a tenant, by name.
    fn collections<'a>(&'a self, tenant: &'a str) -> Answer<'a, Vec<Collection>>;

    /// One collection; `not_found`.
    fn collection<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, Collection>;

    /// Makes a collection; false if one of this name and the same spec is there. `conflict` if it differs.
    fn create<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, bool>;

    /// Changes what can be changed of a collection.
    fn alter<'a>(&'a self, tenant: &'a str, name: &'a str, change: &'a Alter) -> Answer<'a, ()>;

    /// Deletes a collection with all its points.
    fn drop<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, ()>;

    /// Other names of a tenant's collections: alias → collection.
    fn aliases<'a>(&'a self, tenant: &'a str) -> Answer<'a, BTreeMap<String, String>>;

    /// Lets an alias stand for a collection from now on, whatever it stood for, or for none any more. A collection takes its aliases
    /// with it when it is deleted, and leaves them to the one that takes its place.
    fn set_alias<'a>(&'a self, tenant: &'a str, alias: &'a str, target: Option<&'a str>) -> Answer<'a, ()>;

    /// What a name stands for: a collection for an alias, itself otherwise.
    fn resolve<'a>(&'a self, tenant: &'a str, name: &'a str) -> Answer<'a, String>;

    /// Makes a collection that is in no list, to be filled; gives the name that acts know it by until it is published.
    fn draft<'a>(&'a self, tenant: &'a str, spec: &'a Spec) -> Answer<'a, String>;

    /// Lets a draft take the name of its specification. What had that name is there until then, whole, and gone after it.
    fn publish<'a>(&'a self, tenant: &'a str, draft: &'a str) -> Answer<'a, ()>;

    /// Writes a batch, all or none where the store can; vectors have the right length and are finite.
    fn upsert<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        points: Vec<Point>,
        conflict: Conflict,
    ) -> Answer<'a, Vec<Outcome>>;

    /// Points by id; those that are not there are left out, the order is that of `ids`.
    fn get<'a>(&'a self, tenant: &'a str, name: &'a str, ids: &'a [String], with: With) -> Answer<'a, Vec<Point>>;

    /// Points in the order of their ids (bytewise), after `after`.
    #[expect(clippy::too_many_arguments, reason = "a tenant and a collection go before every act\'s own arguments")]
    fn scroll<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        filter: Option<&'a Filter>,
        after: Option<&'a str>,
        limit: usize,
        with: With,
    ) -> Answer<'a, Vec<Point>>;

    /// How many points fulfil the filter.
    fn count<'a>(&'a self, tenant: &'a str, name: &'a str, filter: Option<&'a Filter>) -> Answer<'a, u64>;

    /// The most frequent values of a field, by falling count, ties by value.
    #[expect(clippy::too_many_arguments, reason = "a tenant and a collection go before every act\'s own arguments")]
    fn facet<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        field: &'a str,
        filter: Option<&'a Filter>,
        limit: usize,
    ) -> Answer<'a, Vec<(Value, u64)>>;

    /// Searches.
    fn search<'a>(&'a self, tenant: &'a str, name: &'a str, query: &'a Query) -> Answer<'a, Vec<Hit>>;

    /// Sets and removes fields of the metadata; gives how many points were changed.
    #[expect(clippy::too_many_arguments, reason = "a tenant and a collection go before every act\'s own arguments")]
    fn update<'a>(
        &'a self,
        tenant: &'a str,
        name: &'a str,
        which: &'a Which,
        set: &'a Map<String, Value>,
        unset: &'a [String],
    ) -> Answer<'a, u64>;

    /// Deletes points; gives how many there were.
    fn delete<'a>(&'a self, tenant: &'a str, name: &'a str, which: &'a Which) -> Answer<'a, u64>;
}
