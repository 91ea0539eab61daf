//! Tools that change what a collection is called and how it is searched: alter, alias.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    check,
    desk::Desk,
    model::{FieldType, IndexSettings},
    store::Alter,
};

/// Aliases of one store and tenant.
const ALIASES: usize = 256;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    collection: String,
    /// Candidates in the index while searching.
    ef_search: Option<u16>,
    /// Fields to index from now on, by type as in create_collection.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    add_fields: BTreeMap<String, FieldType>,
    description: Option<String>,
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Altered {
    collection: String,
    /// All that are indexed now.
    fields: Vec<String>,
}

pub(crate) async fn alter(desk: Arc<Desk>, call: Call, args: Change) -> Result<Reply<Altered>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let spec = place.spec(&call).await?;
    check::fields(&spec.fields.clone().into_iter().chain(args.add_fields.clone()).collect())?;
    let index = args.ef_search.map(|ef_search| IndexSettings { ef_search, ..spec.index });
    index.map_or(Ok(()), check::index)?;
    let change = Alter { index, add_fields: args.add_fields.into_iter().collect(), description: args.description };
    call.run(place.store.alter(&place.tenant, &place.name, &change)).await??;
    let fields: Vec<String> = place.spec(&call).await?.fields.into_keys().collect();
    Ok(Reply::new(Altered { collection: place.name, fields }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAlias {
    /// 1 to 63 of A-Z, a-z, 0-9, _ and -.
    alias: String,
    /// What it stands for from now on; without it the alias is removed.
    collection: Option<String>,
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Aliased {
    alias: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    /// What it stood for before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

pub(crate) async fn set_alias(desk: Arc<Desk>, call: Call, args: SetAlias) -> Result<Reply<Aliased>, ToolError> {
    let named = desk.writable(args.store.as_deref())?;
    let alias = check::name(&args.alias)?.to_owned();
    let mut target = None;
    if let Some(asked) = &args.collection {
        let resolved = call.run(named.store.resolve(call.namespace(), check::name(asked)?)).await??;
        target = Some(call.run(named.store.collection(call.namespace(), &resolved)).await??.spec.name);
        let there = call.run(named.store.collection(call.namespace(), &alias)).await?;
        if there.is_ok_and(|there| there.spec.name == alias) {
            return Err(ToolError::conflict(format!(
                "there is a collection `{alias}`: an alias needs a name of its own"
            )));
        }
    }
    let aliases = call.run(named.store.aliases(call.namespace())).await??;
    let before = aliases.get(&alias).cloned();
    if args.collection.is_none() && before.is_none() {
        return Err(ToolError::not_found(format!("there is no alias `{alias}`"))
            .hint("list_collections shows those that there are"));
    }
    if before.is_none() && aliases.len() >= ALIASES {
        return Err(ToolError::too_large(format!("there are {ALIASES} aliases already")).hint("remove one"));
    }
    call.run(named.store.set_alias(call.namespace(), &alias, target.as_deref())).await??;
    Ok(Reply::new(Aliased { alias, collection: target, before }))
}
