//! The tests' server: the service stubs that `qdrant-client` generates, over [`super::memory`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use qdrant_client::qdrant as q;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::aliases::{aliases, change_aliases};
use super::conditions::{uuid, values};
use super::memory::{Collection, Done, Memory};

/// A running server; it ends when it is dropped.
pub(super) struct Running {
    pub(super) url: String,
    served: Served,
    task: JoinHandle<()>,
}

impl Running {
    /// What it keeps.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.served.memory.lock().unwrap()
    }

    /// The API keys of all requests.
    pub(super) fn keys(&self) -> Vec<String> {
        self.served.keys.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Default)]
struct Served {
    memory: Arc<Mutex<Memory>>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn note<T>(&self, request: &Request<T>) {
        let key = request.metadata().get("api-key").map(|key| key.to_str().unwrap().to_owned());
        self.keys.lock().unwrap().push(key.unwrap_or_default());
    }
}

pub(super) fn start() -> Running {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap().with_nodelay(Some(true));
    let url = format!("http://{}", incoming.local_addr().unwrap());
    let served = Served::default();
    let router = Server::builder()
        .add_service(q::points_server::PointsServer::new(served.clone()))
        .add_service(q::collections_server::CollectionsServer::new(served.clone()))
        .add_service(q::qdrant_server::QdrantServer::new(served.clone()));
    let task = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    Running { url, served, task }
}

macro_rules! service {
    ($trait:path { $($method:ident($request:ty) -> $reply:ty = $act:ident;)* }) => {
        #[tonic::async_trait]
        impl $trait for Served {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$reply>, Status> {
                self.note(&request);
                $act(&mut self.lock(), request.into_inner()).map(Response::new)
            })*
        }
    };
}

service!(q::qdrant_server::Qdrant {
    health_check(q::HealthCheckRequest) -> q::HealthCheckReply = health;
});

service!(q::points_server::Points {
    upsert(q::UpsertPoints) -> q::PointsOperationResponse = upsert;
    delete(q::DeletePoints) -> q::PointsOperationResponse = delete;
    get(q::GetPoints) -> q::GetResponse = get;
    update_vectors(q::UpdatePointVectors) -> q::PointsOperationResponse = unsupported;
    delete_vectors(q::DeletePointVectors) -> q::PointsOperationResponse = unsupported;
    set_payload(q::SetPayloadPoints) -> q::PointsOperationResponse = unsupported;
    overwrite_payload(q::SetPayloadPoints) -> q::PointsOperationResponse = unsupported;
    delete_payload(q::DeletePayloadPoints) -> q::PointsOperationResponse = unsupported;
    clear_payload(q::ClearPayloadPoints) -> q::PointsOperationResponse = unsupported;
    create_field_index(q::CreateFieldIndexCollection) -> q::PointsOperationResponse = index;
    delete_field_index(q::DeleteFieldIndexCollection) -> q::PointsOperationResponse = unsupported;
    create_vector_name(q::CreateVectorNameRequest) -> q::PointsOperationResponse = unsupported;
    delete_vector_name(q::DeleteVectorNameRequest) -> q::PointsOperationResponse = unsupported;
    search(q::SearchPoints) -> q::SearchResponse = unsupported;
    search_batch(q::SearchBatchPoints) -> q::SearchBatchResponse = unsupported;
    search_groups(q::SearchPointGroups) -> q::SearchGroupsResponse = unsupported;
    scroll(q::ScrollPoints) -> q::ScrollResponse = scroll;
    recommend(q::RecommendPoints) -> q::RecommendResponse = unsupported;
    recommend_batch(q::RecommendBatchPoints) -> q::RecommendBatchResponse = unsupported;
    recommend_groups(q::RecommendPointGroups) -> q::RecommendGroupsResponse = unsupported;
    discover(q::DiscoverPoints) -> q::DiscoverResponse = unsupported;
    discover_batch(q::DiscoverBatchPoints) -> q::DiscoverBatchResponse = unsupported;
    count(q::CountPoints) -> q::CountResponse = count;
    update_batch(q::UpdateBatchPoints) -> q::UpdateBatchResponse = update;
    query(q::QueryPoints) -> q::QueryResponse = query;
    query_batch(q::QueryBatchPoints) -> q::QueryBatchResponse = unsupported;
    query_groups(q::QueryPointGroups) -> q::QueryGroupsResponse = unsupported;
    facet(q::FacetCounts) -> q::FacetResponse = facet;
    search_matrix_pairs(q::SearchMatrixPoints) -> q::SearchMatrixPairsResponse = unsupported;
    search_matrix_offsets(q::SearchMatrixPoints) -> q::SearchMatrixOffsetsResponse = unsupported;
});

service!(q::collections_server::Collections {
    get(q::GetCollectionInfoRequest) -> q::GetCollectionInfoResponse = info;
    list(q::ListCollectionsRequest) -> q::ListCollectionsResponse = list;
    create(q::CreateCollection) -> q::CollectionOperationResponse = create;
    update(q::UpdateCollection) -> q::CollectionOperationResponse = alter;
    delete(q::DeleteCollection) -> q::CollectionOperationResponse = remove;
    update_aliases(q::ChangeAliases) -> q::CollectionOperationResponse = change_aliases;
    list_collection_aliases(q::ListCollectionAliasesRequest) -> q::ListAliasesResponse = unsupported;
    list_aliases(q::ListAliasesRequest) -> q::ListAliasesResponse = aliases;
    collection_cluster_info(q::CollectionClusterInfoRequest) -> q::CollectionClusterInfoResponse = unsupported;
    collection_exists(q::CollectionExistsRequest) -> q::CollectionExistsResponse = unsupported;
    update_collection_cluster_setup(q::UpdateCollectionClusterSetupRequest) -> q::UpdateCollectionClusterSetupResponse = unsupported;
    create_shard_key(q::CreateShardKeyRequest) -> q::CreateShardKeyResponse = unsupported;
    delete_shard_key(q::DeleteShardKeyRequest) -> q::DeleteShardKeyResponse = unsupported;
    list_shard_keys(q::ListShardKeysRequest) -> q::ListShardKeysResponse = unsupported;
});

fn unsupported<Q, R>(_: &mut Memory, _: Q) -> Done<R> {
    Err(Status::unimplemented("no store of ours calls this"))
}

#[expect(clippy::unnecessary_wraps, reason = "every act of the server may fail")]
fn health(_: &mut Memory, _: q::HealthCheckRequest) -> Done<q::HealthCheckReply> {
    Ok(q::HealthCheckReply { title: "qdrant".to_owned(), version: "1.17.0".to_owned(), commit: None })
}

fn yes() -> q::CollectionOperationResponse {
    q::CollectionOperationResponse { result: true, time: 0.0 }
}

fn create(memory: &mut Memory, made: q::CreateCollection) -> Done<q::CollectionOperationResponse> {
    if memory.collections.contains_key(&made.collection_name) {
        return Err(Status::invalid_argument("Wrong input: Collection already exists!"));
    }
    memory.collections.insert(made.collection_name.clone(), Collection::new(made));
    Ok(yes())
}

fn info(memory: &mut Memory, asked: q::GetCollectionInfoRequest) -> Done<q::GetCollectionInfoResponse> {
    let collection = memory.of(&asked.collection_name)?;
    let config = q::CollectionConfig { metadata: collection.made.metadata.clone(), ..q::CollectionConfig::default() };
    let info = q::CollectionInfo { config: Some(config), segments_count: 1, ..q::CollectionInfo::default() };
    Ok(q::GetCollectionInfoResponse { result: Some(info), time: 0.0 })
}

#[expect(clippy::unnecessary_wraps, reason = "every act of the server may fail")]
fn list(memory: &mut Memory, _: q::ListCollectionsRequest) -> Done<q::ListCollectionsResponse> {
    let names = memory.collections.keys().rev().cloned();
    let collections = names.map(|name| q::CollectionDescription { name }).collect();
    Ok(q::ListCollectionsResponse { collections, time: 0.0 })
}

fn alter(memory: &mut Memory, change: q::UpdateCollection) -> Done<q::CollectionOperationResponse> {
    memory.of(&change.collection_name)?.made.metadata.extend(change.metadata);
    Ok(yes())
}

#[expect(clippy::unnecessary_wraps, reason = "every act of the server may fail")]
fn remove(memory: &mut Memory, asked: q::DeleteCollection) -> Done<q::CollectionOperationResponse> {
    // By its own name alone; its aliases go with it.
    let removed = memory.collections.remove(&asked.collection_name).is_some();
    memory.aliases.retain(|_, collection| *collection != asked.collection_name);
    Ok(q::CollectionOperationResponse { result: removed, time: 0.0 })
}

/// What a write is answered with; it must have been waited for.
fn written(wait: Option<bool>) -> q::PointsOperationResponse {
    assert_eq!(wait, Some(true), "a write that is not waited for is not read back");
    q::PointsOperationResponse::default()
}

fn index(memory: &mut Memory, asked: q::CreateFieldIndexCollection) -> Done<q::PointsOperationResponse> {
    let kind = asked.field_type();
    memory.of(&asked.collection_name)?.indexes.insert(asked.field_name, kind);
    Ok(written(asked.wait))
}

fn upsert(memory: &mut Memory, asked: q::UpsertPoints) -> Done<q::PointsOperationResponse> {
    let insert_only = asked.update_mode() == q::UpdateMode::InsertOnly;
    let collection = memory.of(&asked.collection_name)?;
    for point in asked.points {
        let there = collection.points.contains_key(&uuid(point.id.as_ref().unwrap()));
        if !(there && insert_only) {
            collection.put(point)?;
        }
    }
    Ok(written(asked.wait))
}

fn delete(memory: &mut Memory, asked: q::DeletePoints) -> Done<q::PointsOperationResponse> {
    let collection = memory.of(&asked.collection_name)?;
    for id in collection.selected(asked.points) {
        collection.points.remove(&id);
    }
    Ok(written(asked.wait))
}

fn update(memory: &mut Memory, asked: q::UpdateBatchPoints) -> Done<q::UpdateBatchResponse> {
    use q::points_update_operation::Operation;
    let collection = memory.of(&asked.collection_name)?;
    for operation in asked.operations {
        let Some(Operation::OverwritePayload(new)) = operation.operation else { panic!("only this is sent") };
        for id in collection.selected(new.points_selector) {
            collection.points.get_mut(&id).unwrap().overwrite(new.payload.clone());
        }
    }
    written(asked.wait);
    Ok(q::UpdateBatchResponse::default())
}

fn get(memory: &mut Memory, asked: q::GetPoints) -> Done<q::GetResponse> {
    let collection = memory.of(&asked.collection_name)?;
    let show = |id| collection.shown(&uuid(id), asked.with_payload.as_ref(), asked.with_vectors.as_ref());
    Ok(q::GetResponse { result: asked.ids.iter().filter_map(show).collect(), ..q::GetResponse::default() })
}

fn count(memory: &mut Memory, asked: q::CountPoints) -> Done<q::CountResponse> {
    let count = memory.of(&asked.collection_name)?.matching(asked.filter.as_ref()).len() as u64;
    Ok(q::CountResponse { result: Some(q::CountResult { count }), ..q::CountResponse::default() })
}

fn scroll(memory: &mut Memory, asked: q::ScrollPoints) -> Done<q::ScrollResponse> {
    let collection = memory.of(&asked.collection_name)?;
    let limit = asked.limit.unwrap_or(10) as usize;
    let found = collection.matching(asked.filter.as_ref());
    let mut ids: Vec<String> = found.iter().map(|(id, _)| (*id).clone()).collect();
    let mut next = None;
    if let Some(by) = &asked.order_by {
        collection.indexed(&by.key, q::FieldType::Integer)?;
        let Some(q::start_from::Value::Integer(from)) = by.start_from.as_ref().and_then(|from| from.value.clone())
        else {
            panic!("a start is sent")
        };
        let numbers = found.iter().filter_map(|(id, stored)| Some((stored.number(&by.key)?, (*id).clone())));
        let mut numbers: Vec<(i64, String)> = numbers.filter(|(number, _)| *number >= from).collect();
        numbers.sort();
        ids = numbers.into_iter().map(|(_, id)| id).take(limit).collect();
    } else {
        let from = asked.offset.as_ref().map(uuid).unwrap_or_default();
        ids.retain(|id| *id >= from);
        next = ids.get(limit).map(|id| q::PointId::from(id.clone()));
        ids.truncate(limit);
    }
    let show = |id: &String| collection.shown(id, asked.with_payload.as_ref(), asked.with_vectors.as_ref());
    let result = ids.iter().filter_map(show).collect();
    Ok(q::ScrollResponse { result, next_page_offset: next, ..q::ScrollResponse::default() })
}

fn query(memory: &mut Memory, asked: q::QueryPoints) -> Done<q::QueryResponse> {
    let collection = memory.of(&asked.collection_name)?;
    let Some(q::query::Variant::Nearest(near)) = asked.query.and_then(|query| query.variant) else {
        panic!("nearest is sent")
    };
    let scored = match (near.variant.unwrap(), asked.using.as_deref()) {
        (q::vector_input::Variant::Dense(near), Some("dense")) => {
            collection.nearest(&near.data, asked.filter.as_ref())?
        }
        (q::vector_input::Variant::Sparse(near), Some("words")) => collection.by_words(&near, asked.filter.as_ref()),
        other => panic!("{other:?} is not sent"),
    };
    let limit = usize::try_from(asked.limit.unwrap_or(10)).unwrap();
    let hit = |(id, score): (String, f32)| {
        let shown = collection.shown(&id, asked.with_payload.as_ref(), asked.with_vectors.as_ref())?;
        let (id, payload, vectors) = (shown.id, shown.payload, shown.vectors);
        Some(q::ScoredPoint { id, payload, score, vectors, ..q::ScoredPoint::default() })
    };
    Ok(q::QueryResponse {
        result: scored.into_iter().take(limit).filter_map(hit).collect(),
        ..q::QueryResponse::default()
    })
}

fn facet(memory: &mut Memory, asked: q::FacetCounts) -> Done<q::FacetResponse> {
    let collection = memory.of(&asked.collection_name)?;
    collection.indexed(&asked.key, q::FieldType::Keyword)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (_, stored) in collection.matching(asked.filter.as_ref()) {
        let mut words: Vec<&str> =
            values(&stored.json, &asked.key).into_iter().filter_map(|value| value.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    counts.truncate(usize::try_from(asked.limit.unwrap_or(10)).unwrap());
    let hit = |(word, count): (String, u64)| {
        let value = q::FacetValue { variant: Some(q::facet_value::Variant::StringValue(word)) };
        q::FacetHit { value: Some(value), count }
    };
    Ok(q::FacetResponse { hits: counts.into_iter().map(hit).collect(), ..q::FacetResponse::default() })
}
