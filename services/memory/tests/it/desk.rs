//! A service over scratch stores: embedded always, PostgreSQL and Redis where they are installed.

use serde_json::{Value, json};
use weft_kit::{Called, Caller, Confirm, Direct, Rules};
use weft_memory::{Settings, service};

pub(crate) struct Desk {
    pub(crate) direct: Direct,
    pub(crate) folder: std::sync::Arc<tempfile::TempDir>,
}

impl Desk {
    pub(crate) fn of(settings: Settings) -> Self {
        Self::on(settings, std::sync::Arc::new(tempfile::tempdir().unwrap()))
    }

    /// One more instance over the same folder.
    pub(crate) fn on(settings: Settings, folder: std::sync::Arc<tempfile::TempDir>) -> Self {
        let rules = Rules { confirm: Confirm::Ask, ..Rules::default() };
        let direct = Direct::new(service(settings, folder.path()).unwrap(), rules).unwrap();
        Self { direct, folder }
    }

    pub(crate) fn embedded() -> Self {
        Self::of(Settings::default())
    }

    /// The same instance, called by another.
    pub(crate) fn by(&self, id: &str, namespace: &str, roles: &[&str]) -> Self {
        let caller = Caller {
            id: id.to_owned(),
            namespace: namespace.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        Self { direct: self.direct.by(caller), folder: self.folder.clone() }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Called {
        self.direct.call(tool, arguments).await
    }

    /// The data of a call that works.
    #[track_caller]
    pub(crate) fn ok(&self, tool: &str, arguments: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let called = self.call(tool, arguments).await;
            assert!(!called.is_error, "{place}: {tool}: {}", called.structured);
            called.data().clone()
        }
    }

    /// The code of a call that does not.
    pub(crate) async fn code(&self, tool: &str, arguments: Value) -> String {
        let called = self.call(tool, arguments).await;
        assert!(called.is_error, "{tool}: {}", called.structured);
        called.code().to_owned()
    }

    /// Remembers one text; its id.
    pub(crate) async fn store(&self, item: impl Into<Value>) -> String {
        let mut item = item.into();
        if item.is_string() {
            item = json!({ "text": item });
        }
        let data = self.ok("store", json!({"items": [item]})).await;
        data["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The texts that a question finds, best first.
    pub(crate) async fn texts(&self, arguments: Value) -> Vec<String> {
        let data = self.ok("search", arguments).await;
        let text = |hit: &Value| hit["record"]["text"].as_str().unwrap().to_owned();
        data["hits"].as_array().unwrap().iter().map(text).collect()
    }
}
