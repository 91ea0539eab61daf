//! Collections of tenants into Qdrant's collections, their indexes and metadata, and back.

use std::collections::HashMap;

use qdrant_client::Qdrant as Client;
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::{
    BinaryQuantization, CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance, FieldType as TheirType,
    HnswConfigDiff, Modifier, QuantizationConfig, QuantizationType, ScalarQuantization, SparseVectorConfig,
    SparseVectorParams, UpdateCollection, Value as Field, VectorParams, VectorParamsMap, VectorsConfig, vectors_config,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weft_kit::ToolError;

use super::calls::{ask, failed};
use super::payload::key;
use super::{DENSE, Place, Qdrant, WORDS, naming, read};
use crate::model::{Collection, FieldType, IndexSettings, Metric, Quantisation, Spec};
use crate::store::Alter;
use crate::stores::draft;

/// Keys of a collection's metadata.
const SPEC: &str = "weft_spec";
const TENANT: &str = "weft_tenant";
/// The draft that it was made as, if it was.
const DRAFT: &str = "weft_draft";
/// A draft that is whole.
const WHOLE: &str = "weft_whole";
/// Longer names and other characters become a hash.
const LONGEST: usize = 64;

/// What the names of a tenant's collections begin with. A plain tenant has no `_` and no capital letter, so no prefix is the start
/// of another one.
pub(super) fn prefix(tenant: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !tenant.is_empty() && tenant.len() <= LONGEST && tenant.bytes().all(plain) {
        return format!("{tenant}__");
    }
    let digest = Sha256::digest(tenant.as_bytes());
    format!("H{}__", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// None: no collection can have this name.
pub(super) fn theirs(tenant: &str, name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_name = |name: &str| !name.is_empty() && name.len() <= LONGEST && name.bytes().all(plain);
    let fits = match name.split_once('.') {
        Some((target, rest)) => is_name(target) && is_name(rest),
        None => is_name(name),
    };
    fits.then(|| format!("{}{name}", prefix(tenant)))
}

fn not_found(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no collection `{name}`")).hint("list the collections, or create it")
}

/// What is found under a name: a collection's own, or an alias.
pub(super) struct Found {
    pub(super) spec: Spec,
    pub(super) info: CollectionInfo,
    /// Qdrant's own name of it, whatever it was asked for by.
    pub(super) home: String,
    /// A draft that is whole.
    pub(super) is_whole: bool,
}

pub(super) async fn find<'a>(store: &'a Qdrant, tenant: &str, name: &str) -> Result<Place<'a>, ToolError> {
    let found = found(store, tenant, name).await?;
    Ok(Place { client: &store.client, timeout: store.timeout, name: found.home, spec: found.spec })
}

async fn found(store: &Qdrant, tenant: &str, name: &str) -> Result<Found, ToolError> {
    let theirs = theirs(tenant, name).ok_or_else(|| not_found(name))?;
    match look(&store.client, tenant, &theirs).await? {
        Some(found) => Ok(found),
        None => naming::finish(store, tenant, name).await?.ok_or_else(|| not_found(name)),
    }
}

/// None if it is not there, or not this tenant's.
pub(super) async fn look(client: &Client, tenant: &str, theirs: &str) -> Result<Option<Found>, ToolError> {
    let info = match ask(client, "GetCollectionInfo", client.collection_info(theirs)).await.map_err(failed) {
        Err(refusal) if refusal.code() == "not_found" => return Ok(None),
        info => info?.result,
    };
    let Some(info) = info else { return Ok(None) };
    let string = |key: &str| {
        let metadata = &info.config.as_ref()?.metadata;
        metadata.get(key).and_then(|value| value.as_str()).cloned()
    };
    let spec = string(SPEC).and_then(|spec| serde_json::from_str::<Spec>(&spec).ok());
    let Some(spec) = spec.filter(|_| string(TENANT).as_deref() == Some(tenant)) else { return Ok(None) };
    let (draft, is_whole) = (string(DRAFT), string(WHOLE).is_some());
    let home = draft.as_deref().and_then(|draft| self::theirs(tenant, draft));
    // Asked for by its own name or by an alias; only what was a draft has a name that is not its specification's.
    let home = home.or_else(|| self::theirs(tenant, &spec.name)).unwrap_or_default();
    Ok(Some(Found { spec, info, home, is_whole }))
}

pub(super) async fn describe(place: Place<'_>, info: Option<CollectionInfo>) -> Result<Collection, ToolError> {
    let points = read::count(&place, None).await?;
    let facts = info.map(|info| {
        let status = info.status().as_str_name().to_lowercase();
        json!({"segments": info.segments_count, "indexed_vectors": info.indexed_vectors_count, "status": status})
    });
    let facts = facts.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(Collection { spec: place.spec, points, facts })
}

pub(super) async fn one(store: &Qdrant, tenant: &str, name: &str) -> Result<Collection, ToolError> {
    let Found { spec, info, home, .. } = found(store, tenant, name).await?;
    describe(Place { client: &store.client, timeout: store.timeout, name: home, spec }, Some(info)).await
}

/// Drafts are in it only under the name that they took.
pub(super) async fn all(store: &Qdrant, tenant: &str) -> Result<Vec<Collection>, ToolError> {
    let mut collections = Vec::new();
    let aliases = naming::all(store, tenant).await?;
    for theirs in listed(store, tenant).await? {
        // One that is deleted meanwhile is no failure.
        let Some(found) = look(&store.client, tenant, &theirs).await? else { continue };
        let is_named = !draft::is(&theirs) || aliases.get(&found.spec.name) == Some(&theirs);
        if is_named {
            let place = Place { client: &store.client, timeout: store.timeout, name: theirs, spec: found.spec };
            collections.push(describe(place, Some(found.info)).await?);
        }
    }
    collections.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(collections)
}

/// Qdrant's names of all that a tenant has.
pub(super) async fn listed(store: &Qdrant, tenant: &str) -> Result<Vec<String>, ToolError> {
    let prefix = prefix(tenant);
    let listed = ask(&store.client, "ListCollections", store.client.list_collections()).await.map_err(failed)?;
    Ok(listed.collections.into_iter().map(|found| found.name).filter(|name| name.starts_with(&prefix)).collect())
}

fn metadata(tenant: &str, spec: &Spec) -> Result<HashMap<String, Field>, ToolError> {
    let spec = serde_json::to_string(spec).map_err(|error| ToolError::internal(&error))?;
    Ok(HashMap::from([(SPEC.to_owned(), Field::from(spec)), (TENANT.to_owned(), Field::from(tenant.to_owned()))]))
}

fn graph(index: IndexSettings) -> HnswConfigDiff {
    let (m, ef_construct) = (Some(index.m.into()), Some(index.ef_construction.into()));
    HnswConfigDiff { m, ef_construct, ..HnswConfigDiff::default() }
}

/// What makes a collection; as a draft if it is called so.
fn request(name: &str, tenant: &str, spec: &Spec) -> Result<CreateCollection, ToolError> {
    let mut metadata = metadata(tenant, spec)?;
    if draft::is(name) {
        let own = name.strip_prefix(&prefix(tenant)).unwrap_or_default();
        metadata.insert(DRAFT.to_owned(), Field::from(own.to_owned()));
    }
    let distance = match spec.metric {
        Metric::Cosine => Distance::Cosine,
        Metric::Dot => Distance::Dot,
        Metric::Euclidean => Distance::Euclid,
    };
    let quantization = match spec.quantisation {
        Quantisation::None => None,
        Quantisation::Scalar => Some(Quantization::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8 as i32,
            ..ScalarQuantization::default()
        })),
        Quantisation::Binary => Some(Quantization::Binary(BinaryQuantization::default())),
    };
    let size = spec.dimensions as u64;
    let dense = VectorParams { size, distance: distance as i32, ..VectorParams::default() };
    let map = VectorParamsMap { map: HashMap::from([(DENSE.to_owned(), dense)]) };
    let sparse = SparseVectorParams { modifier: Some(Modifier::Idf as i32), ..SparseVectorParams::default() };
    Ok(CreateCollection {
        collection_name: name.to_owned(),
        hnsw_config: Some(graph(spec.index)),
        vectors_config: Some(VectorsConfig { config: Some(vectors_config::Config::ParamsMap(map)) }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from([(WORDS.to_owned(), sparse)]) }),
        quantization_config: quantization.map(|one| QuantizationConfig { quantization: Some(one) }),
        metadata,
        ..CreateCollection::default()
    })
}

/// Indexes are made even if the collection is there: whoever made it may have been stopped before.
pub(super) async fn create(store: &Qdrant, tenant: &str, spec: &Spec) -> Result<bool, ToolError> {
    // One under an alias would be hidden by it.
    let taken = naming::all(store, tenant).await?.contains_key(&spec.name);
    let made = if taken { Ok(false) } else { make(store, tenant, &spec.name, spec).await };
    if made? {
        return Ok(true);
    }
    let there = found(store, tenant, &spec.name).await?;
    if there.spec != *spec {
        let refusal = ToolError::conflict(format!("the collection `{}` exists with other settings", spec.name));
        return Err(refusal.hint("choose another name, or delete it first"));
    }
    index(&store.client, &there.home, spec.fields.iter()).await?;
    Ok(false)
}

/// Makes a collection under a name that may not be its specification's; false if the name is taken.
pub(super) async fn make(store: &Qdrant, tenant: &str, name: &str, spec: &Spec) -> Result<bool, ToolError> {
    let unfit = || ToolError::invalid("the collection's name has characters it cannot have, or too many");
    let name = theirs(tenant, name).ok_or_else(unfit)?;
    let made = store.client.create_collection(request(&name, tenant, spec)?);
    if let Err(error) = ask(&store.client, "CreateCollection", made).await {
        // An older server says that the argument is invalid when the name is taken.
        return look(&store.client, tenant, &name).await?.map(|_| false).ok_or_else(|| failed(error));
    }
    make_index(&store.client, &name, "order".to_owned(), TheirType::Integer).await?;
    make_index(&store.client, &name, "has".to_owned(), TheirType::Keyword).await?;
    index(&store.client, &name, spec.fields.iter()).await?;
    Ok(true)
}

async fn index(
    client: &Client,
    name: &str,
    fields: impl Iterator<Item = (&String, &FieldType)>,
) -> Result<(), ToolError> {
    for (field, kind) in fields {
        make_index(client, name, key("eq", field), TheirType::Keyword).await?;
        match kind {
            FieldType::Integer | FieldType::Float => {
                make_index(client, name, key("num", field), TheirType::Float).await?;
            }
            FieldType::Datetime => make_index(client, name, key("at", field), TheirType::Integer).await?,
            FieldType::Keyword | FieldType::Bool => {}
        }
    }
    Ok(())
}

async fn make_index(client: &Client, name: &str, field_name: String, kind: TheirType) -> Result<(), ToolError> {
    let request = CreateFieldIndexCollection {
        collection_name: name.to_owned(),
        wait: Some(true),
        field_name,
        field_type: Some(kind as i32),
        ..CreateFieldIndexCollection::default()
    };
    ask(client, "CreateFieldIndex", client.create_field_index(request)).await.map(drop).map_err(failed)
}

pub(super) async fn alter(mut place: Place<'_>, tenant: &str, change: &Alter) -> Result<(), ToolError> {
    index(place.client, &place.name, change.add_fields.iter().map(|(field, kind)| (field, kind))).await?;
    place.spec.fields.extend(change.add_fields.iter().cloned());
    place.spec.index = change.index.unwrap_or(place.spec.index);
    place.spec.description = change.description.clone().or(place.spec.description);
    let metadata = metadata(tenant, &place.spec)?;
    update(&place, UpdateCollection { hnsw_config: change.index.map(graph), metadata, ..UpdateCollection::default() })
        .await
}

/// Says of a draft that it is whole.
pub(super) async fn mark(place: &Place<'_>) -> Result<(), ToolError> {
    let metadata = HashMap::from([(WHOLE.to_owned(), Field::from("yes".to_owned()))]);
    update(place, UpdateCollection { metadata, ..UpdateCollection::default() }).await
}

async fn update(place: &Place<'_>, change: UpdateCollection) -> Result<(), ToolError> {
    let request = UpdateCollection { collection_name: place.name.clone(), ..change };
    ask(place.client, "UpdateCollection", place.client.update_collection(request)).await.map(drop).map_err(failed)
}

/// Deletes a collection with its aliases, which Qdrant does by itself, and with what was to take its place.
pub(super) async fn delete(store: &Qdrant, tenant: &str, name: &str) -> Result<(), ToolError> {
    let place = find(store, tenant, name).await?;
    naming::forget(store, tenant, name).await?;
    remove(store, &place.name).await
}

/// Deletes what Qdrant calls so.
pub(super) async fn remove(store: &Qdrant, theirs: &str) -> Result<(), ToolError> {
    let gone = ask(&store.client, "DeleteCollection", store.client.delete_collection(theirs)).await;
    gone.map(drop).map_err(failed)
}
