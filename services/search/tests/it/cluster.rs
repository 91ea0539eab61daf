//! A stand-in for a cluster: an HTTP server that speaks the wire format of the published references of Elasticsearch and OpenSearch.
//!
//! No engine of theirs can be had where these tests run, so what the service sends is compared with the references, and what it is
//! answered is written after them: field by field what real ones send for these requests, with made-up values.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use weft_kit::Reference;
use weft_search::{ClusterSettings, Settings, SharedIndex};

use crate::desk::Desk;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What is answered to requests whose method and path hold these.
type Rule = (Method, String, StatusCode, String);

#[derive(Default)]
struct Inner {
    got: Mutex<Vec<Got>>,
    rules: Mutex<Vec<Rule>>,
}

/// The stand-in.
pub(crate) struct Fake {
    inner: Arc<Inner>,
    pub(crate) url: String,
}

/// The greeting of Elasticsearch 8.
pub(crate) fn elasticsearch() -> Value {
    json!({"name": "node-1", "cluster_name": "test", "cluster_uuid": "x", "version": {"number": "8.15.0", "build_flavor": "default",
        "build_type": "docker", "lucene_version": "9.11.1", "minimum_wire_compatibility_version": "7.17.0"}, "tagline": "You Know, for Search"})
}

/// The greeting of OpenSearch 2.
pub(crate) fn opensearch() -> Value {
    json!({"name": "node-1", "cluster_name": "test", "cluster_uuid": "x", "version": {"distribution": "opensearch", "number": "2.17.0",
        "build_type": "tar", "lucene_version": "9.11.1"}, "tagline": "The OpenSearch Project: https://opensearch.org/"})
}

impl Fake {
    pub(crate) async fn start(greeting: Value) -> Self {
        let inner = Arc::new(Inner::default());
        let own = Arc::clone(&inner);
        let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let inner = Arc::clone(&own);
            async move { inner.answer(method, &uri, &headers, &body) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let fake = Self { inner, url };
        fake.on(Method::GET, "=/", 200, greeting);
        fake.on(Method::GET, "_cat/aliases", 200, json!([]));
        fake.on(Method::GET, "_cat/indices", 200, json!([]));
        fake.on(Method::GET, "_mapping", 200, mapping());
        fake
    }

    /// Answers so from now on; the last rule that fits counts. `=` in front means the whole path.
    pub(crate) fn on(&self, method: Method, path: &str, status: u16, body: Value) {
        self.on_text(method, path, status, &body.to_string());
    }

    pub(crate) fn on_text(&self, method: Method, path: &str, status: u16, body: &str) {
        let rule = (method, path.to_owned(), StatusCode::from_u16(status).unwrap(), body.to_owned());
        self.inner.rules.lock().unwrap().push(rule);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.got.lock().unwrap().clone()
    }

    /// The last request whose path holds this.
    #[track_caller]
    pub(crate) fn last(&self, path: &str) -> Got {
        self.got()
            .into_iter()
            .rev()
            .find(|got| got.path.contains(path))
            .unwrap_or_else(|| panic!("nobody asked for {path}"))
    }

    pub(crate) fn settings(&self) -> Settings {
        let shared =
            SharedIndex { name: "logs".to_owned(), target: "prod-logs".to_owned(), tenants: vec!["local".to_owned()] };
        let cluster = ClusterSettings {
            url: Reference::Text(self.url.clone()),
            authorization: Some(Reference::Text("ApiKey hidden-key".to_owned())),
            authorities: None,
            prefix: "weft".to_owned(),
            shared: vec![shared],
            request_ms: 60_000,
        };
        Settings { cluster: Some(cluster), ..Settings::default() }
    }

    pub(crate) fn desk(&self) -> Desk {
        Desk::of(self.settings())
    }
}

impl Inner {
    fn answer(&self, method: Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.got.lock().unwrap().push(Got { method: method.clone(), path: path.clone(), authorization, body });
        let rules = self.rules.lock().unwrap();
        let fits = |(of, held, ..): &&Rule| {
            *of == method && held.strip_prefix('=').map_or_else(|| path.contains(held.as_str()), |whole| path == whole)
        };
        match rules.iter().rev().find(fits) {
            Some((_, _, status, body)) if status.is_redirection() => {
                (*status, [("location", body.clone())]).into_response()
            }
            Some((_, _, status, body)) => {
                (*status, [("content-type", "application/json")], body.clone()).into_response()
            }
            None => (StatusCode::NOT_FOUND, missing().to_string()).into_response(),
        }
    }
}

/// The mapping of an index that was made here, under any name.
pub(crate) fn mapping() -> Value {
    let schema = json!({"fields": [{"name": "title", "kind": "text", "boost": 2.0}, {"name": "body", "kind": "text"}, {"name": "author", "kind": "keyword"},
        {"name": "year", "kind": "integer"}, {"name": "day", "kind": "date"}], "language": "english", "synonyms": [["car", "automobile"]]});
    json!({"weft-physical": {"mappings": {"dynamic": "strict", "_meta": {"weft": schema}, "properties": {}}}})
}

/// What a cluster says of an index that is not there.
pub(crate) fn missing() -> Value {
    let why =
        json!({"type": "index_not_found_exception", "reason": "no such index [weft-secret]", "index": "weft-secret"});
    json!({"error": {"root_cause": [why], "type": "index_not_found_exception", "reason": "no such index [weft-secret]"}, "status": 404})
}
