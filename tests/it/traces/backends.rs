//! What servers ask of their backends, as a collector sees it: each command, query and request below the work that it was for.

use std::sync::{Arc, Mutex, mpsc};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};

use super::*;

/// Spans of a server's own requests, by their names.
fn asked(spans: &[Span], service: &str) -> Vec<Span> {
    let own = |span: &&Span| span.service == service && span.kind == 3 && span.attributes.contains_key("server.port");
    let mut own: Vec<Span> = spans.iter().filter(own).cloned().collect();
    own.sort_by(|left, right| left.name.cmp(&right.name));
    own
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
}

/// No value that a caller wrote, in any attribute of any span.
fn keeps_secrets(spans: &[Span]) {
    let told =
        |span: &Span| span.name.contains("secret") || span.attributes.values().any(|value| value.contains("secret"));
    assert!(!spans.iter().any(told), "{spans:#?}");
}

/// The tool's work on its store, below which the requests lie.
fn work<'s>(spans: &'s [Span], service: &str) -> &'s Span {
    let server = spans.iter().find(|span| span.service == service && span.kind == 2).unwrap();
    child(spans, &server.id, service)
}

#[test]
fn every_command_and_query_of_a_database_is_a_span_below_the_tools_work() {
    let (Some(redis), Some(bolt)) = (weft_testkit::redis(), weft_testkit::bolt()) else { return };
    let collector = Collector::start(Duration::ZERO);
    let mesh = traced(&collector);
    let config = mesh.path("database.toml");
    let redis = redis.trim_end_matches("/0");
    write(
        &config,
        &format!(
            "[[service.redis]]\nname = \"cache\"\nurl = \"{redis}\"\n\n[[service.neo4j]]\nname = \"friends\"\nurl = \"{bolt}\"\n"
        ),
    );
    let _database = mesh.serve("database", &config);
    let gateway = mesh.gateway();
    until_known(&gateway, "database");

    let (trace, parent) = context(60);
    let get = json!({ "connection": "cache", "command": "STRLEN", "args": ["secret-key"] });
    let result = call(gateway.port, "database_redis_command", &get, &json!({ "traceparent": parent }), &[]);
    assert_ne!(result["isError"], true, "{result}");
    let spans = collector.trace(&trace, 5);
    let (own, tool) = (asked(&spans, "mcp-database"), work(&spans, "mcp-database"));
    let command = named(&own, "STRLEN 0");
    assert_eq!((&command.parent, tool.name.as_str()), (&tool.id, "redis_command cache"));
    assert_eq!((command.get("db.system.name"), command.get("db.operation.name")), ("redis", "STRLEN"));
    assert_eq!((command.get("db.namespace"), command.get("server.address")), ("0", "127.0.0.1"));
    assert!(redis.ends_with(&format!(":{}", command.get("server.port"))), "{command:?}");
    keeps_secrets(&spans);

    let (trace, parent) = context(61);
    let query = json!({ "connection": "friends", "cypher": "UNWIND ['secret', $x] AS name RETURN name", "params": { "x": "secret" } });
    let result = call(gateway.port, "database_graph_query", &query, &json!({ "traceparent": parent }), &[]);
    assert_ne!(result["isError"], true, "{result}");
    let spans = collector.trace(&trace, 7);
    let (own, tool) = (asked(&spans, "mcp-database"), work(&spans, "mcp-database"));
    assert!(own.iter().all(|span| span.parent == tool.id && span.get("db.system.name") == "neo4j"), "{own:#?}");
    let ran = named(&own, "UNWIND");
    assert!(bolt.ends_with(&format!(":{}", ran.get("server.port"))) && ran.status == 0, "{ran:?}");
    named(&own, "BEGIN");
    keeps_secrets(&spans);

    let (trace, parent) = context(62);
    let wrong = json!({ "connection": "friends", "cypher": "RETURN secret" });
    let result = call(gateway.port, "database_graph_query", &wrong, &json!({ "traceparent": parent }), &[]);
    assert_eq!(result["isError"], true, "{result}");
    let spans = collector.trace(&trace, 6);
    let own = asked(&spans, "mcp-database");
    let failed = own.iter().find(|span| span.status == 2).unwrap_or_else(|| panic!("{spans:#?}"));
    assert!(failed.get("error.type").starts_with("Neo."), "{failed:?}");
    keeps_secrets(&spans);
}

/// An embedder that keeps the contexts that it was told.
struct Embedder {
    port: u16,
    told: Arc<Mutex<Vec<String>>>,
}

impl Embedder {
    fn start() -> Self {
        let (told, (tell, port)) = (Arc::<Mutex<Vec<String>>>::default(), mpsc::channel());
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, Router::new().route("/v1/embeddings", post(embed)).with_state(kept))
                    .await
                    .unwrap();
            });
        });
        Self { port: port.recv().unwrap(), told }
    }
}

async fn embed(
    State(kept): State<Arc<Mutex<Vec<String>>>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Json<Value> {
    let told = headers.get("traceparent").map_or("", |value| value.to_str().unwrap());
    kept.lock().unwrap().push(told.to_owned());
    let count = asked["input"].as_array().unwrap().len();
    let data: Vec<Value> =
        (0..count).map(|index| json!({ "index": index, "embedding": [1.0, 0.5, 0.25, 0.125] })).collect();
    Json(json!({ "data": data }))
}

#[test]
fn a_memory_shows_its_embedder_and_its_commands_and_tells_the_embedder_of_the_trace() {
    let Some(redis) = weft_testkit::redis() else { return };
    let (collector, embedder) = (Collector::start(Duration::ZERO), Embedder::start());
    let mesh = traced(&collector);
    let config = mesh.path("memory.toml");
    write(
        &config,
        &format!(
            "[service.store]\nkind = \"redis\"\nurl = \"text:{redis}\"\nprefix = \"traced\"\n\n[service.embedder]\nprotocol = \"openai\"\n\
             url = \"http://127.0.0.1:{}\"\nmodel = \"small\"\ndimensions = 4\n",
            embedder.port
        ),
    );
    let _memory = mesh.serve("memory", &config);
    let gateway = mesh.gateway();
    until_known(&gateway, "memory");

    let (trace, parent) = context(63);
    let items = json!({ "items": [{ "text": "the word is secret" }] });
    let result = call(gateway.port, "memory_store", &items, &json!({ "traceparent": parent }), &[]);
    assert_ne!(result["isError"], true, "{result}");
    eventually("the batch arrived", || {
        collector.spans().iter().any(|span| span.trace == trace && span.name == "MULTI 0")
    });
    let spans = collector.trace(&trace, 6);
    let own = asked(&spans, "mcp-memory");
    let batch = named(&own, "MULTI 0");
    let tool = spans.iter().find(|span| span.id == batch.parent).unwrap();
    assert_eq!((tool.service.as_str(), tool.name.as_str()), ("mcp-memory", "store redis"));
    assert!(batch.get("db.operation.batch.size").parse::<u32>().unwrap() > 1, "{batch:?}");
    named(&own, "WATCH 0");

    let asked = named(&own, "embeddings small");
    assert_eq!((asked.get("gen_ai.operation.name"), asked.get("gen_ai.request.model")), ("embeddings", "small"));
    assert_eq!((asked.get("http.request.method"), asked.get("http.response.status_code")), ("POST", "200"));
    assert_eq!(asked.get("server.port"), embedder.port.to_string());
    let told = format!("00-{trace}-{}-01", asked.id);
    assert!(embedder.told.lock().unwrap().contains(&told), "{told} of {:?}", embedder.told.lock().unwrap());
    keeps_secrets(&spans);
}
