//! What collections are called, in every store alike: aliases, and drafts that take the place of a collection.

use super::{OTHER, TENANT, point, spec};
use crate::model::{Conflict, Metric, Point, Quantisation, Spec};
use crate::store::{Alter, Store};

/// Runs both parts; leaves nothing behind.
pub(crate) async fn aliases_and_drafts(store: &dyn Store) {
    an_alias_is_exchanged_and_goes_with_its_collection(store).await;
    a_draft_is_unseen_until_it_takes_its_place(store).await;
}

pub(crate) fn named(name: &str) -> Spec {
    spec(name, Metric::Cosine, Quantisation::None)
}

pub(crate) fn points(count: usize) -> Vec<Point> {
    (1..=count).map(|length| point(&"p".repeat(length), "a text")).collect()
}

async fn resolved(store: &dyn Store, name: &str) -> String {
    store.resolve(TENANT, name).await.unwrap()
}

async fn aliases(store: &dyn Store) -> Vec<(String, String)> {
    store.aliases(TENANT).await.unwrap().into_iter().collect()
}

fn pair(alias: &str, target: &str) -> (String, String) {
    (alias.to_owned(), target.to_owned())
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.collections(TENANT).await.unwrap().into_iter().map(|one| one.spec.name).collect()
}

async fn an_alias_is_exchanged_and_goes_with_its_collection(store: &dyn Store) {
    assert_eq!((resolved(store, "nobody").await.as_str(), aliases(store).await.len()), ("nobody", 0));
    for name in ["a", "b"] {
        store.create(TENANT, &named(name)).await.unwrap();
    }
    store.set_alias(TENANT, "live", Some("a")).await.unwrap();
    assert_eq!((resolved(store, "live").await, resolved(store, "a").await), pair("a", "a"));
    store.set_alias(TENANT, "live", Some("b")).await.unwrap();
    store.set_alias(TENANT, "other", Some("a")).await.unwrap();
    assert_eq!(resolved(store, "live").await, "b");
    assert_eq!(aliases(store).await, [pair("live", "b"), pair("other", "a")]);
    assert_eq!(store.resolve(OTHER, "live").await.unwrap(), "live", "theirs is their own");
    assert!(store.aliases(OTHER).await.unwrap().is_empty());
    assert_eq!(names(store).await, ["a", "b"], "an alias is no collection");
    store.drop(TENANT, "a").await.unwrap();
    assert_eq!(aliases(store).await, [pair("live", "b")], "the other went with its collection");
    store.set_alias(TENANT, "live", None).await.unwrap();
    assert_eq!((resolved(store, "live").await.as_str(), aliases(store).await.len()), ("live", 0));
    store.drop(TENANT, "b").await.unwrap();
}

async fn a_draft_is_unseen_until_it_takes_its_place(store: &dyn Store) {
    let spec = named("docs");
    store.create(TENANT, &spec).await.unwrap();
    store.upsert(TENANT, "docs", points(1), Conflict::Replace).await.unwrap();
    store.set_alias(TENANT, "live", Some("docs")).await.unwrap();
    // The second one replaces what was a draft itself.
    for count in [2, 3] {
        let draft = store.draft(TENANT, &spec).await.unwrap();
        store.upsert(TENANT, &draft, points(count), Conflict::Replace).await.unwrap();
        assert_eq!(store.count(TENANT, "docs", None).await.unwrap(), count as u64 - 1);
        assert_eq!(store.count(TENANT, &draft, None).await.unwrap(), count as u64);
        assert_eq!(names(store).await, ["docs"]);
        store.publish(TENANT, &draft).await.unwrap();
        assert_eq!(store.count(TENANT, "docs", None).await.unwrap(), count as u64);
        let there = store.collection(TENANT, "docs").await.unwrap();
        assert_eq!((there.spec, there.points), (spec.clone(), count as u64));
        assert_eq!((names(store).await, resolved(store, "live").await), (vec!["docs".to_owned()], "docs".to_owned()));
        assert_eq!(aliases(store).await, [pair("live", "docs")]);
        assert!(!store.create(TENANT, &spec).await.unwrap(), "it is there, the same");
    }
    let given_up = store.draft(TENANT, &spec).await.unwrap();
    store.drop(TENANT, &given_up).await.unwrap();
    assert_eq!(store.publish(TENANT, &given_up).await.unwrap_err().code(), "not_found");
    store.upsert(TENANT, "docs", points(4), Conflict::Replace).await.unwrap();
    let described = Alter { description: Some("changed".to_owned()), ..Alter::default() };
    store.alter(TENANT, "docs", &described).await.unwrap();
    assert_eq!(store.collection(TENANT, "docs").await.unwrap().spec.description, described.description);
    assert_eq!(store.count(TENANT, "docs", None).await.unwrap(), 4);

    let fresh = store.draft(TENANT, &named("fresh")).await.unwrap();
    store.publish(TENANT, &fresh).await.unwrap();
    assert_eq!((names(store).await, aliases(store).await.len()), (vec!["docs".to_owned(), "fresh".to_owned()], 1));
    for name in ["docs", "fresh"] {
        store.drop(TENANT, name).await.unwrap();
        assert_eq!(store.collection(TENANT, name).await.unwrap_err().code(), "not_found");
    }
    assert!(names(store).await.is_empty() && aliases(store).await.is_empty());
}
