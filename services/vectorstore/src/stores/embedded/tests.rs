//! The embedded store: what collections are called, what is left of a draft after a crash, and how far the graph may be behind.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::stores::conform::{TENANT, naming};

#[tokio::test]
async fn aliases_and_drafts_are_as_in_every_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), 1).unwrap();
    naming::aliases_and_drafts(&store).await;
}

#[tokio::test]
async fn a_crash_on_either_side_of_the_instant_leaves_one_whole_collection() {
    let folder = tempfile::tempdir().unwrap();
    let spec = naming::named("docs");
    for (is_published, expected) in [(false, 1), (true, 2)] {
        let store = Embedded::open(folder.path(), 1).unwrap();
        store.create(TENANT, &spec).await.unwrap();
        store.upsert(TENANT, "docs", naming::points(1), Conflict::Replace).await.unwrap();
        let draft = store.draft(TENANT, &spec).await.unwrap();
        store.upsert(TENANT, &draft, naming::points(2), Conflict::Replace).await.unwrap();
        let place = |name: &str| store.inner.folder.find(TENANT, name).unwrap().unwrap();
        if is_published {
            folder::succeed(&place(&draft), Some(&place("docs"))).unwrap();
        }
        drop(store);
        let store = Embedded::open(folder.path(), 1).unwrap();
        assert_eq!(store.count(TENANT, "docs", None).await.unwrap(), expected, "published: {is_published}");
        assert_eq!(store.collections(TENANT).await.unwrap().len(), 1);
        let tenant = place_of_tenant(folder.path());
        assert_eq!(std::fs::read_dir(tenant).unwrap().count(), 1, "nothing else is left");
        store.drop(TENANT, "docs").await.unwrap();
    }
}

fn place_of_tenant(folder: &std::path::Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.is_dir()).unwrap()
}

fn around(numbers: std::ops::Range<u16>) -> Vec<Point> {
    let place = |number: u16, at: u16| (f32::from(number + 1) * f32::from(at + 1)).sin();
    let vector = |number: u16| (0..8).map(|at| place(number, at)).collect();
    let point = |number| Point { id: format!("{number:05}"), vector: vector(number), text: None, metadata: Map::new() };
    numbers.map(point).collect()
}

/// How many points the graph holds; none where it is not begun.
async fn linked(store: &Embedded) -> u64 {
    let facts = store.collection(TENANT, "many").await.unwrap().facts;
    facts.get("indexed").map_or(0, |indexed| indexed.as_u64().unwrap())
}

/// Waits for the graph, which follows in the background.
async fn soon(is_there: impl AsyncFn() -> bool) {
    let there = async {
        while !is_there().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), there).await.expect("the graph follows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_of_many_lacks_no_more_than_one_of_few_and_is_kept_at_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let index = crate::model::IndexSettings { m: 4, ef_construction: 8, ef_search: 8 };
    let spec = crate::model::Spec { index, ..naming::named("many") };
    let store = Embedded::open(folder.path(), 1).unwrap();
    store.create(TENANT, &spec).await.unwrap();
    store.upsert(TENANT, "many", around(0..12_000), Conflict::Replace).await.unwrap();
    soon(async || linked(&store).await >= 11_000).await;
    // Fewer than a tenth of what is there, and more than are scanned.
    store.upsert(TENANT, "many", around(12_000..13_100), Conflict::Replace).await.unwrap();
    soon(async || linked(&store).await == 13_100).await;
    store.settle().await;
    drop(store);
    let store = Embedded::open(folder.path(), 1).unwrap();
    assert_eq!(linked(&store).await, 13_100, "read from the file");
    store.drop(TENANT, "many").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn points_without_a_direction_are_not_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), 1).unwrap();
    store.create(TENANT, &naming::named("many")).await.unwrap();
    let mut points = around(0..1_500);
    points.iter_mut().for_each(|point| point.vector.fill(0.0));
    store.upsert(TENANT, "many", points, Conflict::Replace).await.unwrap();
    let lags = || {
        let shelf = store.inner.shelf(TENANT, "many").unwrap();
        shelf
            .read(&CancellationToken::new(), |sight| Ok(graph::Graph::lags(shelf.graph().as_deref(), sight.live)))
            .unwrap()
    };
    soon(async || !lags()).await;
    assert_eq!(linked(&store).await, 0);
    // Whoever put the zeros aside may not be at its end yet: it must see these too. (`settle` would end the following for good.)
    store.upsert(TENANT, "many", around(0..1_500), Conflict::Replace).await.unwrap();
    soon(async || linked(&store).await == 1_500).await;
}
