//! A service over scratch directories, and short ways to call it.

use serde_json::{Value, json};
use weft_kit::{Called, Caller, Confirm, Direct, Rules};
use weft_search::{Settings, service};

pub(crate) struct Desk {
    pub(crate) direct: Direct,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::of(Settings::default())
    }

    pub(crate) fn of(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let direct = direct(settings, folder.path());
        Self { direct, folder }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Called {
        self.direct.call(tool, arguments).await
    }

    /// The data of a call that must work.
    #[track_caller]
    pub(crate) fn done(&self, tool: &str, arguments: Value) -> impl Future<Output = Value> {
        let told = format!("{tool} {arguments}");
        let called = self.direct.call(tool, arguments);
        async move {
            let called = called.await;
            assert!(!called.is_error, "{told}: {}", called.structured);
            called.data().clone()
        }
    }

    /// The ids that a search finds, in their order.
    pub(crate) async fn found(&self, mut search: Value) -> Vec<String> {
        search["indices"] = json!(["books"]);
        ids(&self.done("search", search).await)
    }

    /// Six books.
    pub(crate) async fn books() -> Self {
        let desk = Self::new();
        desk.shelve().await;
        desk
    }

    pub(crate) async fn shelve(&self) {
        let fields = json!([
            {"name": "title", "kind": "text", "boost": 2.0}, {"name": "body", "kind": "text"}, {"name": "code", "kind": "code"},
            {"name": "author", "kind": "keyword"}, {"name": "year", "kind": "integer"}, {"name": "price", "kind": "number"},
            {"name": "lent", "kind": "boolean"}, {"name": "bought", "kind": "date"}
        ]);
        self.done("create_index", json!({"name": "books", "fields": fields, "language": "english"})).await;
        let written = self.done("index_documents", json!({"index": "books", "documents": books()})).await;
        assert_eq!((&written["indexed"], &written["failed"]), (&json!(6), &json!([])));
    }
}

pub(crate) fn direct(settings: Settings, state: &std::path::Path) -> Direct {
    let rules = Rules { confirm: Confirm::Ask, ..Rules::default() };
    Direct::new(service(settings, state).unwrap(), rules).unwrap()
}

pub(crate) fn ids(data: &Value) -> Vec<String> {
    data["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn of_tenant(desk: &Desk, namespace: &str) -> Direct {
    desk.direct.by(Caller::local(namespace))
}

pub(crate) fn books() -> Value {
    json!([
        {"id": "sea", "title": "The old sea", "body": "Ships were sailing over the old sea, running before the wind.", "author": "Ada", "year": 1901, "price": 4.5, "lent": true, "bought": "2026-01-01"},
        {"id": "wind", "title": "Wind and weather", "body": "How the wind blows, and how ships run before it. The sea is mentioned once.", "author": "Ada", "year": 1950, "price": 20.0, "lent": false, "bought": "2026-01-02T10:00:00Z"},
        {"id": "cars", "title": "Motor cars", "body": "A car has four wheels and no sails.", "author": "Bob", "year": 1999, "price": 15.25, "bought": "2026-02-01"},
        {"id": "code", "title": "Programming", "body": "On parsers.", "code": "fn parseHttpHeader(max_retry_count: usize)", "author": "Cyd", "year": 2020, "price": 40.0, "lent": false},
        {"id": "cook", "title": "Cooking", "body": "Crème brûlée and other dishes of the café.", "author": "Bob", "year": 1999, "price": 9.99, "lent": true, "bought": "2025-12-31T23:59:59.5Z"},
        {"id": "none", "title": "An empty one", "year": 1850}
    ])
}

#[track_caller]
pub(crate) fn refused(called: &Called, codes: &[&str]) {
    assert!(called.is_error, "{}", called.structured);
    assert!(codes.contains(&called.code()), "{}", called.structured);
}
