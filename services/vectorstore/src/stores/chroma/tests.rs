//! Chroma against a real server: the suite of all stores, and what is Chroma's own.

use serde_json::json;

use super::*;
use crate::model::{Metric, Near, Quantisation};
use crate::stores::conform;

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        token: Some("s3cret".to_owned()),
        tenant: "default_tenant".to_owned(),
        connections: 4,
        timeout: Duration::from_secs(60),
    }
}

/// None, said aloud, if there is no server.
fn store() -> Option<Chroma> {
    Some(Chroma::open(&settings(&weft_testkit::chroma()?.url)).unwrap())
}

#[tokio::test]
async fn it_answers_as_every_store_does() {
    let Some(store) = store() else { return };
    conform::conform(&store).await;
}

/// An empty collection of a tenant of the test's own, without indexed fields.
async fn bare(store: &Chroma, tenant: &str) -> Spec {
    let spec =
        Spec { fields: std::collections::BTreeMap::new(), ..conform::spec("c", Metric::Euclidean, Quantisation::None) };
    drop(store.drop(tenant, "c").await);
    assert!(store.create(tenant, &spec).await.unwrap());
    spec
}

#[tokio::test]
async fn a_filtered_search_goes_on_until_it_has_enough() {
    let Some(store) = store() else { return };
    bare(&store, "enough").await;
    let mut points: Vec<Point> = conform::seeded(400, 11).points.into_values().collect();
    for (number, point) in points.iter_mut().enumerate() {
        // The farther away, the more likely to be what is wanted; nothing tells the server which these are.
        point.vector = vec![0.01 * f32::from(u16::try_from(number).unwrap()); 8];
        point.metadata.insert("rare".to_owned(), json!(number >= 390));
    }
    store.upsert("enough", "c", points, Conflict::Error).await.unwrap();
    let filter = Some(Filter::In { field: "rare".to_owned(), values: vec![json!(true)] });
    let with = With { text: false, metadata: false, vector: false };
    let query = Query { near: Near::Vector(vec![0.0; 8]), filter, limit: 3, ef: None, exact: false, with };
    let hits = store.search("enough", "c", &query).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.point.id.as_str()).collect::<Vec<_>>(), ["p00390", "p00391", "p00392"]);
    store.drop("enough", "c").await.unwrap();
}

#[tokio::test]
async fn a_field_that_is_indexed_later_finds_what_was_there_before() {
    let Some(store) = store() else { return };
    bare(&store, "later").await;
    let naive = conform::seeded(50, 12);
    store.upsert("later", "c", naive.points.values().cloned().collect(), Conflict::Error).await.unwrap();
    let add_fields = conform::spec("c", Metric::Dot, Quantisation::None).fields.into_iter().collect();
    store.alter("later", "c", &Alter { add_fields, ..Alter::default() }).await.unwrap();
    let cat = Filter::In { field: "kind".to_owned(), values: vec![json!("cat")] };
    for filter in [cat.clone(), Filter::Not(Box::new(cat)), Filter::IsNull { field: "size".to_owned() }] {
        let count = store.count("later", "c", Some(&filter)).await.unwrap();
        assert_eq!(count, naive.matching(Some(&filter)).len() as u64, "{filter:?}");
    }
    store.drop("later", "c").await.unwrap();
}

#[tokio::test]
async fn words_that_too_many_texts_have_are_left_out() {
    let Some(store) = store() else { return };
    let store = Chroma { texts: 20, ..store };
    bare(&store, "common").await;
    let text = |number: usize| if number == 17 { "the quick fox".to_owned() } else { format!("the dog {number}") };
    let point = |number: usize| Point { text: Some(text(number)), ..conform::point(&format!("p{number}"), "") };
    store.upsert("common", "c", (0..60).map(point).collect(), Conflict::Error).await.unwrap();
    let ask = |words: &str| {
        let with = With { text: true, metadata: false, vector: false };
        Query { near: Near::Words(words.to_owned()), filter: None, limit: 10, ef: None, exact: false, with }
    };
    let hits = store.search("common", "c", &ask("the fox")).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.point.id.as_str()).collect::<Vec<_>>(), ["p17"]);
    assert_eq!(store.search("common", "c", &ask("the dog")).await.unwrap_err().code(), "too_common");
    store.drop("common", "c").await.unwrap();
}

#[tokio::test]
async fn a_deleted_collection_leaves_nothing_to_the_next_one() {
    let Some(store) = store() else { return };
    bare(&store, "first").await;
    let naive = conform::seeded(30, 13);
    store.upsert("first", "c", naive.points.values().cloned().collect(), Conflict::Error).await.unwrap();
    store.drop("first", "c").await.unwrap();
    bare(&store, "second").await;
    let empty = |id: &String| Point { id: id.clone(), vector: vec![1.0; 8], ..Point::default() };
    store.upsert("second", "c", naive.points.keys().map(empty).collect(), Conflict::Error).await.unwrap();
    let read = store.scroll("second", "c", None, None, 100, conform::ALL).await.unwrap();
    assert!(read.len() == 30 && read.iter().all(|point| point.metadata.is_empty() && point.text.is_none()));
    assert!(store.facet("second", "c", "kind", None, 10).await.unwrap().is_empty());
    store.drop("second", "c").await.unwrap();
}

#[tokio::test]
async fn a_restore_that_was_stopped_before_the_name_was_free_is_finished_by_a_reader() {
    use crate::stores::conform::naming::{named, points};
    let Some(store) = store() else { return };
    for left in store.collections("stopped").await.unwrap() {
        store.drop("stopped", &left.spec.name).await.unwrap();
    }
    store.create("stopped", &named("docs")).await.unwrap();
    let draft = store.draft("stopped", &named("docs")).await.unwrap();
    store.upsert("stopped", &draft, points(3), Conflict::Replace).await.unwrap();
    let place = catalogue::find(&store.api, "stopped", &draft).await.unwrap();
    naming::mark(&place).await.unwrap();
    assert_eq!(store.count("stopped", "docs", None).await.unwrap(), 0, "marked, but the old one is there");
    catalogue::remove(&store.api, "stopped", "docs").await.unwrap();
    assert_eq!(store.count("stopped", "docs", None).await.unwrap(), 3);
    assert_eq!(store.collections("stopped").await.unwrap().len(), 1);
    store.drop("stopped", "docs").await.unwrap();
}

#[tokio::test]
async fn names_that_no_collection_can_have_are_not_asked_for() {
    // Nobody listens there: asking would be `unavailable`.
    let store = Chroma::open(&settings("http://127.0.0.1:1")).unwrap();
    for name in ["", "../x", "a/b", "a%2fb", "x?y", "ü", &"x".repeat(64)] {
        assert_eq!(store.count("t", name, None).await.unwrap_err().code(), "not_found", "{name}");
    }
    let refusal = store.count("t", "c", None).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.is_retryable()), ("unavailable", true));
    assert!(!format!("{refusal:?}{store:?}").contains("s3cret"));
}

#[test]
fn every_tenant_has_a_database_of_its_own() {
    let tenants = ["a", "A", "a/b", "../a", "", "ü", "t-a", "h-a", &"x".repeat(64), &"x".repeat(65)];
    let databases: std::collections::HashSet<String> =
        tenants.iter().map(|tenant| catalogue::database(tenant)).collect();
    assert_eq!(databases.len(), tenants.len());
    assert!(databases.iter().all(|name| http::is_plain(name)));
}
