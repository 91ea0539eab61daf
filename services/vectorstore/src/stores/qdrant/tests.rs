//! Qdrant's store against a server of the tests' own (see the module), or, if `WEFT_QDRANT_URL` names one, a real one besides.

mod aliases;
mod conditions;
mod memory;
mod server;

use super::*;
use crate::model::{Metric, Quantisation};
use crate::stores::conform;

fn open(url: &str) -> Qdrant {
    let key = Some("s3cret".to_owned());
    Qdrant::open(&Settings { url: url.to_owned(), key, connections: 2, timeout: Duration::from_secs(60) }).unwrap()
}

#[tokio::test]
async fn it_answers_as_every_store_does() {
    let server = server::start();
    conform::conform(&open(&server.url)).await;
    assert!(server.keys().iter().all(|key| key == "s3cret"), "every request has the key");
}

#[tokio::test]
async fn a_restore_that_was_stopped_before_the_name_was_free_is_finished_by_a_reader() {
    use crate::stores::conform::naming::{named, points};
    let server = server::start();
    let store = open(&server.url);
    store.create("t", &named("docs")).await.unwrap();
    store.set_alias("t", "live", Some("docs")).await.unwrap();
    let draft = store.draft("t", &named("docs")).await.unwrap();
    store.upsert("t", &draft, points(3), Conflict::Replace).await.unwrap();
    let place = catalogue::find(&store, "t", &draft).await.unwrap();
    catalogue::mark(&place).await.unwrap();
    assert_eq!(store.count("t", "docs", None).await.unwrap(), 0, "marked, but the old one is there");
    catalogue::remove(&store, "t__docs").await.unwrap();
    assert_eq!(store.count("t", "docs", None).await.unwrap(), 3);
    let listed = store.collections("t").await.unwrap();
    assert_eq!((listed.len(), listed[0].spec.name.as_str()), (1, "docs"));
}

#[tokio::test]
async fn a_real_server_answers_the_same() {
    let Ok(url) = std::env::var("WEFT_QDRANT_URL") else {
        eprintln!("skipped: WEFT_QDRANT_URL is not set, set it to the gRPC address of a scratch server");
        return;
    };
    conform::conform(&open(&url)).await;
}

#[tokio::test]
async fn settings_of_the_graph_and_of_quantisation_are_sent() {
    let server = server::start();
    let store = open(&server.url);
    let mut spec = conform::spec("kept", Metric::Dot, Quantisation::Scalar);
    spec.index = crate::model::IndexSettings { m: 24, ef_construction: 200, ef_search: 90 };
    store.create("acme", &spec).await.unwrap();
    let memory = server.memory();
    let kept = &memory.collections["acme__kept"];
    let graph = kept.made.hnsw_config.unwrap();
    assert_eq!((graph.m, graph.ef_construct), (Some(24), Some(200)));
    let quantised = kept.made.quantization_config.and_then(|config| config.quantization);
    assert!(matches!(quantised, Some(qdrant_client::qdrant::quantization_config::Quantization::Scalar(_))));
    let mut indexes: Vec<&str> = kept.indexes.keys().map(String::as_str).collect();
    indexes.sort_unstable();
    let wanted = ["at.at", "eq.at", "eq.it-27s-3b-20a-2eb", "eq.kind", "eq.open", "eq.size", "eq.weight", "has"];
    assert_eq!(indexes[..8], wanted);
    assert_eq!(indexes[8..], ["num.size", "num.weight", "order"]);
}

#[tokio::test]
async fn a_collection_that_says_another_tenant_is_not_there() {
    let server = server::start();
    let store = open(&server.url);
    let spec = conform::spec("notes", Metric::Dot, Quantisation::None);
    store.create("acme", &spec).await.unwrap();
    // Somebody renamed it by hand: the name says `other`, the metadata says `acme`.
    let moved = server.memory().collections.remove("acme__notes").unwrap();
    server.memory().collections.insert("other__notes".to_owned(), moved);
    assert_eq!(store.count("other", "notes", None).await.unwrap_err().code(), "not_found");
    assert!(store.collections("other").await.unwrap().is_empty());
}

#[tokio::test]
async fn no_tenant_reaches_another_one_by_its_name() {
    let server = server::start();
    let store = open(&server.url);
    let tenants =
        ["a", "a__b", "A", "", "ü", "a/b", "../a", "Hca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"];
    for (number, tenant) in (1..).zip(tenants) {
        assert!(
            store.create(tenant, &conform::spec("b__c", Metric::Dot, Quantisation::None)).await.unwrap(),
            "{tenant}"
        );
        assert_eq!(server.memory().collections.len(), number);
        assert_eq!(store.collections(tenant).await.unwrap().len(), 1, "{tenant}");
    }
    for name in ["", "../x", "a/b", "b__c?x=1", "ü"] {
        assert_eq!(store.count("a", name, None).await.unwrap_err().code(), "not_found", "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_its_key_stays_unsaid() {
    let store = open("http://127.0.0.1:1");
    let refusal = store.healthy().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.is_retryable()), ("unavailable", true));
    assert!(!format!("{refusal:?}{store:?}").contains("s3cret"));
}

#[tokio::test]
async fn many_ids_with_one_beginning_are_paged_in_their_order() {
    let server = server::start();
    let store = open(&server.url);
    store.create("t", &conform::spec("c", Metric::Dot, Quantisation::None)).await.unwrap();
    let mut ids: Vec<String> = (0..700).map(|number| format!("the same beginning {number}")).collect();
    ids.extend(["a", "the same", "the samf", "\u{10ffff}"].map(str::to_owned));
    let points = ids.iter().map(|id| Point { id: id.clone(), vector: vec![1.0; 8], ..Point::default() });
    store.upsert("t", "c", points.collect(), Conflict::Error).await.unwrap();
    ids.sort();
    let (mut read, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    let with = With { text: false, metadata: false, vector: false };
    loop {
        let page = store.scroll("t", "c", None, after.as_deref(), 333, with).await.unwrap();
        read.extend(page.iter().map(|point| point.id.clone()));
        after = read.last().cloned();
        if page.len() < 333 {
            break;
        }
    }
    assert_eq!(read, ids);
}
