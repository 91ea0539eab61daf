//! One suite for every remote store (the embedded one, which refuses metadata of another type than an indexed field's, has a suite of
//! its own in `tests/it/property.rs`): the same scripted and seeded random acts on the store and on the naive model, and the same answers.
//!
//! A store passes when no caller could tell it from another one, but for the order of words' scores, which each engine has its own
//! formula for: there the suite asks for the right texts and for more fitting ones first. Everything of the tenants
//! `conform-a` and `conform-b` is dropped first: a failed run leaves its collections behind.

mod compare;
mod draw;
pub(crate) mod naming;

use serde_json::{Map, Value, json};

use self::compare::Pair;
use self::draw::Draw;
use super::naive::Naive;
use crate::model::{Conflict, FieldType, Filter, Metric, Near, Point, Quantisation, Query, Spec, Which, With};
use crate::store::{Alter, Store};

pub(crate) const ALL: With = With { text: true, metadata: true, vector: true };
const NOTHING: With = With { text: false, metadata: false, vector: false };
pub(crate) const TENANT: &str = "conform-a";
pub(crate) const OTHER: &str = "conform-b";

/// Runs everything; panics with what differs.
pub(crate) async fn conform(store: &dyn Store) {
    store.healthy().await.unwrap();
    for tenant in [TENANT, OTHER] {
        for left in store.collections(tenant).await.unwrap() {
            store.drop(tenant, &left.spec.name).await.unwrap();
        }
    }
    collections_are_made_once_and_belong_to_their_tenant(store).await;
    naming::aliases_and_drafts(store).await;
    conflicts_do_what_they_say(store).await;
    projections_show_what_was_asked_for(store).await;
    words_find_the_texts_that_have_them(store).await;
    for (round, metric) in (1..).zip([Metric::Cosine, Metric::Dot, Metric::Euclidean]) {
        random_acts_agree(store, spec("random", metric, Quantisation::None), round).await;
    }
    random_acts_agree(store, spec("random", Metric::Cosine, Quantisation::Scalar), 4).await;
    random_acts_agree(store, spec("random", Metric::Euclidean, Quantisation::Binary), 5).await;
    assert!(store.collections(TENANT).await.unwrap().is_empty(), "all were dropped");
}

/// Eight dimensions, and a field of each type; one has an awkward name.
pub(crate) fn spec(name: &str, metric: Metric, quantisation: Quantisation) -> Spec {
    let fields = [
        ("kind", FieldType::Keyword),
        ("size", FieldType::Integer),
        ("weight", FieldType::Float),
        ("open", FieldType::Bool),
        ("at", FieldType::Datetime),
        ("it's; a.b", FieldType::Keyword),
    ];
    Spec {
        name: name.to_owned(),
        dimensions: 8,
        metric,
        model: Some("lexical/1".to_owned()),
        index: crate::model::IndexSettings::default(),
        quantisation,
        fields: fields.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect(),
        description: None,
    }
}

pub(crate) fn point(id: &str, text: &str) -> Point {
    let mut vector = vec![0.5; 8];
    vector[id.len() % 8] = 1.0;
    let metadata = Map::from_iter([("kind".to_owned(), json!("scripted")), ("n".to_owned(), json!(id.len()))]);
    Point { id: id.to_owned(), vector, text: Some(text.to_owned()), metadata }
}

async fn collections_are_made_once_and_belong_to_their_tenant(store: &dyn Store) {
    let first = spec("first", Metric::Cosine, Quantisation::None);
    assert!(store.create(TENANT, &first).await.unwrap());
    assert!(!store.create(TENANT, &first).await.unwrap(), "the same again");
    let differs = Spec { dimensions: 9, ..first.clone() };
    assert_eq!(store.create(TENANT, &differs).await.unwrap_err().code(), "conflict");
    let long = Spec { name: format!("A{}", "z_-".repeat(20)), ..first.clone() };
    assert!(store.create(TENANT, &long).await.unwrap());
    assert!(store.create(OTHER, &differs).await.unwrap(), "the other tenant's name is its own");
    store.upsert(TENANT, "first", vec![point("p", "mine")], Conflict::Replace).await.unwrap();

    let names: Vec<String> = store.collections(TENANT).await.unwrap().into_iter().map(|one| one.spec.name).collect();
    assert_eq!(names, [long.name.as_str(), "first"]);
    let found = store.collection(TENANT, "first").await.unwrap();
    assert_eq!((found.spec, found.points), (first.clone(), 1));
    let theirs = store.collection(OTHER, "first").await.unwrap();
    assert_eq!((theirs.spec, theirs.points), (differs, 0));

    let change = Alter {
        index: Some(crate::model::IndexSettings { m: 8, ef_construction: 64, ef_search: 50 }),
        add_fields: vec![("n".to_owned(), FieldType::Integer)],
        description: Some("about \\ it's \"this\"".to_owned()),
    };
    store.alter(TENANT, "first", &change).await.unwrap();
    let altered = store.collection(TENANT, "first").await.unwrap().spec;
    assert_eq!((altered.index.ef_search, altered.description), (50, change.description));
    assert_eq!(altered.fields.get("n"), Some(&FieldType::Integer));

    store.drop(OTHER, "first").await.unwrap();
    nothing_is_found_of(store, OTHER, "first").await;
    assert_eq!(store.count(TENANT, "first", None).await.unwrap(), 1, "theirs was dropped, not mine");
    store.drop(TENANT, "first").await.unwrap();
    store.drop(TENANT, &long.name).await.unwrap();
    nothing_is_found_of(store, TENANT, "first").await;
}

/// Every act on a collection that is not this tenant's says the same.
async fn nothing_is_found_of(store: &dyn Store, tenant: &str, name: &str) {
    let ids = ["p".to_owned()];
    let which = Which::Ids(ids.to_vec());
    let query =
        Query { near: Near::Vector(vec![1.0; 8]), filter: None, limit: 1, ef: None, exact: true, with: NOTHING };
    let failures = [
        store.collection(tenant, name).await.err(),
        store.alter(tenant, name, &Alter::default()).await.err(),
        store.drop(tenant, name).await.err(),
        store.upsert(tenant, name, vec![point("p", "x")], Conflict::Replace).await.err(),
        store.get(tenant, name, &ids, ALL).await.err(),
        store.scroll(tenant, name, None, None, 1, ALL).await.err(),
        store.count(tenant, name, None).await.err(),
        store.facet(tenant, name, "kind", None, 1).await.err(),
        store.search(tenant, name, &query).await.err(),
        store.update(tenant, name, &which, &Map::new(), &[]).await.err(),
        store.delete(tenant, name, &which).await.err(),
    ];
    for (act, failure) in failures.into_iter().enumerate() {
        assert_eq!(failure.unwrap_or_else(|| panic!("act {act} found it")).code(), "not_found", "act {act}");
    }
}

async fn conflicts_do_what_they_say(store: &dyn Store) {
    let mut pair = Pair::new(store, TENANT, spec("conflicts", Metric::Cosine, Quantisation::None)).await;
    pair.upsert(vec![point("a", "old"), point("bb", "old")], Conflict::Error).await;
    pair.upsert(vec![point("a", "newer"), point("ccc", "new"), point("a", "newest")], Conflict::Replace).await;
    pair.upsert(vec![point("dddd", "one"), point("bb", "lost"), point("dddd", "two")], Conflict::Skip).await;
    pair.upsert(vec![point("eeeee", "lost"), point("a", "lost")], Conflict::Error).await;
    pair.upsert(vec![point("f", "lost"), point("f", "lost")], Conflict::Error).await;
    pair.upsert(Vec::new(), Conflict::Replace).await;
    pair.everything_agrees().await;
    assert_eq!(pair.naive.points["a"].text.as_deref(), Some("newest"));
    pair.drop().await;
}

async fn projections_show_what_was_asked_for(store: &dyn Store) {
    let mut pair = Pair::new(store, TENANT, spec("with", Metric::Euclidean, Quantisation::None)).await;
    let bare = Point { text: None, metadata: Map::new(), ..point("bare", "") };
    pair.upsert(vec![point("zebra", "stripes"), bare], Conflict::Replace).await;
    let ids = ["zebra", "nobody", "bare", "zebra"].map(str::to_owned);
    let got = store.get(TENANT, "with", &ids, NOTHING).await.unwrap();
    assert_eq!(got[0], Point { id: "zebra".to_owned(), ..Point::default() });
    let got = store.get(TENANT, "with", &ids[..3], ALL).await.unwrap();
    assert_eq!(got.iter().map(|point| point.id.as_str()).collect::<Vec<_>>(), ["zebra", "bare"]);
    assert_eq!((got[1].text.as_deref(), got[1].metadata.len()), (None, 0));
    assert!(store.get(TENANT, "with", &[], ALL).await.unwrap().is_empty());
    pair.drop().await;
}

async fn words_find_the_texts_that_have_them(store: &dyn Store) {
    let mut pair = Pair::new(store, TENANT, spec("words", Metric::Dot, Quantisation::None)).await;
    let texts = [
        ("both", "amber and cobalt in one glass"),
        ("amber", "amber alone in a green glass"),
        ("cobalt", "the COBALT, alone, in a glass"),
        ("neither", "birch and elm in a green wood"),
        ("part", "ambergris is not the same word"),
    ];
    let mut points: Vec<Point> = texts.iter().map(|(id, text)| point(id, text)).collect();
    points.push(Point { text: None, ..point("silent", "") });
    pair.upsert(points, Conflict::Replace).await;
    let found = async |words: &str, filter: Option<Filter>, limit: usize| {
        let near = Near::Words(words.to_owned());
        let query = Query { near, filter, limit, ef: None, exact: false, with: ALL };
        let hits = store.search(TENANT, "words", &query).await.unwrap();
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first: {hits:?}");
        assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.point.text.is_some()));
        hits.into_iter().map(|hit| hit.point.id).collect::<Vec<String>>()
    };
    let mut all = found("amber cobalt", None, 10).await;
    assert_eq!(all[0], "both", "more words first");
    all.sort();
    assert_eq!(all, ["amber", "both", "cobalt"]);
    assert_eq!(found("Amber!", None, 10).await.len(), 2);
    assert_eq!(found("amber cobalt", None, 1).await, ["both"]);
    assert_eq!(found("unheard", None, 10).await, Vec::<String>::new());
    assert_eq!(found("?!", None, 10).await, Vec::<String>::new());
    let six = Filter::In { field: "n".to_owned(), values: vec![json!(6)] };
    assert_eq!(found("amber cobalt", Some(six), 10).await, ["cobalt"]);
    pair.delete(&Which::Ids(vec!["both".to_owned()])).await;
    pair.upsert(vec![point("amber", "now of elm")], Conflict::Replace).await;
    assert_eq!(found("amber cobalt", None, 10).await, ["cobalt"], "what was overwritten is not found");
    pair.drop().await;
}

async fn random_acts_agree(store: &dyn Store, spec: Spec, seed: u64) {
    let mut draw = Draw::new(seed);
    let mut pair = Pair::new(store, TENANT, spec).await;
    for round in 0..6 {
        let points = (0..25).map(|_| draw.point()).collect();
        let conflict = [Conflict::Replace, Conflict::Skip][draw.below(2)];
        pair.upsert(points, conflict).await;
        pair.everything_agrees().await;
        for _ in 0..8 {
            let filter = draw.filter(3);
            pair.readers_agree(&filter, &mut draw).await;
        }
        let which = draw.which();
        let unset = if round % 2 == 0 { vec!["size".to_owned()] } else { Vec::new() };
        let set: Map<String, Value> =
            [("kind".to_owned(), json!(["cat", round])), ("title".to_owned(), json!("Set Anew"))].into_iter().collect();
        pair.update(&which, &set, &unset).await;
        pair.delete(&draw.which()).await;
    }
    pair.everything_agrees().await;
    assert!(pair.naive.points.len() > 10, "something is left to be compared: {}", pair.naive.points.len());
    pair.drop().await;
}

/// Random points with ids of their own, for suites of one store alone.
pub(crate) fn seeded(count: usize, seed: u64) -> Naive {
    let mut draw = Draw::new(seed);
    let points = (0..count).map(|number| Point { id: format!("p{number:05}"), ..draw.point() }).collect();
    let mut naive = Naive::default();
    naive.upsert(points, Conflict::Replace);
    naive
}
