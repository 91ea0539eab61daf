//! What collections are called: Qdrant's own aliases, for callers and for drafts that take the name of their collection.
//!
//! An alias that is set again is exchanged by the server under its lock, at once. A draft takes its name in the same way; only where
//! a collection of that very name is in the way must that one go first. So that nothing is lost then, the draft is marked as whole
//! before, and whoever finds neither sets the alias himself ([`finish`]).

use std::collections::BTreeMap;

use qdrant_client::qdrant::CreateAlias;
use weft_kit::ToolError;

use super::Qdrant;
use super::calls::{ask, failed};
use super::catalogue::{self, Found};
use crate::model::Spec;
use crate::stores::draft;

/// All aliases of a tenant, with Qdrant's names of what they stand for; names that drafts took are among them.
pub(super) async fn all(store: &Qdrant, tenant: &str) -> Result<BTreeMap<String, String>, ToolError> {
    let prefix = catalogue::prefix(tenant);
    let listed = ask(&store.client, "ListAliases", store.client.list_aliases()).await.map_err(failed)?;
    let ours = listed.aliases.into_iter().filter(|one| one.collection_name.starts_with(&prefix));
    Ok(ours.filter_map(|one| Some((one.alias_name.strip_prefix(&prefix)?.to_owned(), one.collection_name))).collect())
}

/// The name of a collection, out of Qdrant's.
fn named(tenant: &str, theirs: &str) -> String {
    draft::target(theirs.strip_prefix(&catalogue::prefix(tenant)).unwrap_or_default()).to_owned()
}

pub(super) async fn aliases(store: &Qdrant, tenant: &str) -> Result<BTreeMap<String, String>, ToolError> {
    let all = all(store, tenant).await?.into_iter().map(|(alias, theirs)| (alias, named(tenant, &theirs)));
    Ok(all.filter(|(alias, target)| alias != target).collect())
}

async fn point(store: &Qdrant, tenant: &str, alias: &str, theirs: &str) -> Result<(), ToolError> {
    let unfit = || ToolError::invalid("the alias has characters it cannot have, or too many");
    let alias_name = catalogue::theirs(tenant, alias).ok_or_else(unfit)?;
    let create = CreateAlias { collection_name: theirs.to_owned(), alias_name };
    ask(&store.client, "UpdateAliases", store.client.create_alias(create)).await.map(drop).map_err(failed)
}

pub(super) async fn set(store: &Qdrant, tenant: &str, alias: &str, target: Option<&str>) -> Result<(), ToolError> {
    if let Some(target) = target {
        let place = catalogue::find(store, tenant, target).await?;
        return point(store, tenant, alias, &place.name).await;
    }
    let Some(theirs) = catalogue::theirs(tenant, alias) else { return Ok(()) };
    ask(&store.client, "UpdateAliases", store.client.delete_alias(theirs)).await.map(drop).map_err(failed)
}

pub(super) async fn resolve(store: &Qdrant, tenant: &str, name: &str) -> Result<String, ToolError> {
    let Some(theirs) = catalogue::theirs(tenant, name) else { return Ok(name.to_owned()) };
    let found = catalogue::look(&store.client, tenant, &theirs).await?;
    Ok(found.map_or_else(|| name.to_owned(), |found| found.spec.name))
}

/// Drafts that have no name: Qdrant's names of them.
async fn unnamed(store: &Qdrant, tenant: &str) -> Result<Vec<String>, ToolError> {
    let aliases = all(store, tenant).await?;
    let is_named = |theirs: &String| aliases.get(&named(tenant, theirs)) == Some(theirs);
    let listed = catalogue::listed(store, tenant).await?;
    Ok(listed.into_iter().filter(|theirs| draft::is(theirs) && !is_named(theirs)).collect())
}

/// Makes a draft; those of the tenant that were left behind go, or are finished.
pub(super) async fn draft(store: &Qdrant, tenant: &str, spec: &Spec) -> Result<String, ToolError> {
    for theirs in unnamed(store, tenant).await?.into_iter().filter(|theirs| draft::is_left(theirs)) {
        let is_whole = catalogue::look(&store.client, tenant, &theirs).await?.is_some_and(|found| found.is_whole);
        // What is whole may be all that there is.
        let is_needed = is_whole && catalogue::find(store, tenant, &named(tenant, &theirs)).await?.name == theirs;
        if !is_needed {
            catalogue::remove(store, &theirs).await?;
        }
    }
    let name = draft::of(&spec.name);
    catalogue::make(store, tenant, &name, spec).await?;
    Ok(name)
}

pub(super) async fn publish(store: &Qdrant, tenant: &str, draft: &str) -> Result<(), ToolError> {
    let place = catalogue::find(store, tenant, draft).await?;
    catalogue::mark(&place).await?;
    let name = draft::target(draft);
    let unfit = || ToolError::internal(&"a draft without a name");
    let theirs = catalogue::theirs(tenant, name).ok_or_else(unfit)?;
    let old = catalogue::look(&store.client, tenant, &theirs).await?.map(|old| old.home);
    if let Some(old) = &old {
        let aliases = all(store, tenant).await?;
        for alias in aliases.into_iter().filter(|(_, home)| home == old).map(|(alias, _)| alias) {
            point(store, tenant, &alias, &place.name).await?;
        }
        catalogue::remove(store, old).await?;
    }
    // A name that is an alias was exchanged with the others.
    if old.is_none_or(|old| old == theirs) { point(store, tenant, name, &place.name).await } else { Ok(()) }
}

/// Forgets what was to take the place of a collection.
pub(super) async fn forget(store: &Qdrant, tenant: &str, name: &str) -> Result<(), ToolError> {
    for theirs in
        unnamed(store, tenant).await?.into_iter().filter(|theirs| !draft::is(name) && named(tenant, theirs) == name)
    {
        if catalogue::look(&store.client, tenant, &theirs).await?.is_some_and(|found| found.is_whole) {
            catalogue::remove(store, &theirs).await?;
        }
    }
    Ok(())
}

/// Gives a draft that is whole the name of its collection, which nothing has.
pub(super) async fn finish(store: &Qdrant, tenant: &str, name: &str) -> Result<Option<Found>, ToolError> {
    if draft::is(name) {
        return Ok(None);
    }
    for theirs in catalogue::listed(store, tenant).await? {
        if !draft::is(&theirs) || named(tenant, &theirs) != name {
            continue;
        }
        let found = catalogue::look(&store.client, tenant, &theirs).await?;
        if let Some(found) = found.filter(|found| found.is_whole) {
            point(store, tenant, name, &theirs).await?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}
