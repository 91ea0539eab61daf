//! Traces as a collector sees them: one tree for each call, through gateways and servers, in either era.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use weft_testkit::free_port;

use crate::{
    harness::{Folder, Pulse, Weft, command, eventually, stateless_body, variable},
    http::{Answer, request},
    mesh::{Gateway, Mesh, write},
};

mod backends;
mod collector;

use collector::{Collector, Span};

/// A trace that the client began; `n` tells the tests' traces apart.
fn context(n: u8) -> (String, String) {
    let trace = format!("{n:02x}").repeat(16);
    (trace.clone(), format!("00-{trace}-b7ad6b7169203331-01"))
}

const CLIENT: &str = "b7ad6b7169203331";

fn post(port: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    all.extend(headers);
    request(port, "POST", "/mcp", &all, body.as_bytes())
}

/// A tool call of the stateless era with this `_meta`; gives the result.
fn call(port: u16, tool: &str, arguments: &Value, meta: &Value, headers: &[(&str, &str)]) -> Value {
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let mut all = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
    all.extend(headers);
    let answer = post(port, &all, &stateless_body("tools/call", &params));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.message()["result"].clone()
}

#[track_caller]
fn child<'s>(spans: &'s [Span], of: &str, service: &str) -> &'s Span {
    let found: Vec<_> = spans.iter().filter(|span| span.parent == of && span.service == service).collect();
    assert_eq!(found.len(), 1, "below {of} of {service}: {spans:#?}");
    found[0]
}

/// A mesh whose processes tell a collector.
fn traced(collector: &Collector) -> Mesh {
    let mut mesh = Mesh::start();
    mesh.traces = Some(collector.url());
    mesh
}

fn until_known(gateway: &Gateway, service: &str) {
    eventually("the tools are known", || {
        let status = gateway.status();
        let services = status["services"].as_array().cloned().unwrap_or_default();
        services
            .iter()
            .any(|one| one["service"] == service && one["tools"].as_array().is_some_and(|tools| !tools.is_empty()))
    });
}

#[test]
fn a_call_is_one_tree_from_its_client_to_postgresql_in_either_era() {
    let Some(server) = weft_testkit::postgres() else { return };
    let collector = Collector::start(Duration::ZERO);
    let mesh = traced(&collector);
    let config = mesh.path("database.toml");
    let url = server.url_as("admin", "postgres");
    write(
        &config,
        &format!("[[service.postgres]]\nname = \"shop\"\nurl = \"text:{url}\"\nallow_privileged_role = true\n"),
    );
    let _database = mesh.serve("database", &config);
    let gateway = mesh.gateway();
    until_known(&gateway, "database");
    let query = json!({ "connection": "shop", "sql": "SELECT 41 + 1 AS answer WHERE 'secret' <> 'x'" });

    let ((trace, parent), (_, other)) = (context(1), context(2));
    let meta = json!({ "traceparent": parent, "tracestate": "vendor=1", "baggage": "team=blue" });
    let result = call(gateway.port, "database_query", &query, &meta, &[("traceparent", &other)]);
    assert_ne!(result["isError"], true, "{result}");
    tree(&collector.trace(&trace, 4), "2026-07-28");
    assert!(collector.spans().iter().all(|span| span.trace != context(2).0), "_meta did not win over the header");

    let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let session = post(gateway.port, &[], &begin.to_string()).header("mcp-session-id").unwrap().to_owned();
    let (trace, parent) = context(3);
    let asked = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": "database_query", "arguments": query } });
    let headers = [("mcp-session-id", session.as_str()), ("traceparent", parent.as_str())];
    let answer = post(gateway.port, &headers, &asked.to_string());
    assert_ne!(answer.message()["result"]["isError"], true, "{}", answer.text());
    let spans = collector.trace(&trace, 4);
    tree(&spans, "2025-11-25");
    let id = child(&spans, CLIENT, "mcp-gateway").get("mcp.session.id").to_owned();
    assert!(id.len() == 16 && !session.contains(&id), "a session's token is a secret: {id}");
}

/// Client → gateway → attempt → server → database.
fn tree(spans: &[Span], version: &str) {
    let call = child(spans, CLIENT, "mcp-gateway");
    assert_eq!((call.name.as_str(), call.kind, call.status), ("tools/call query", 2, 0));
    assert_eq!((call.get("mcp.method.name"), call.get("gen_ai.tool.name")), ("tools/call", "query"));
    assert_eq!((call.get("mcp.protocol.version"), call.get("weft.outcome")), (version, "ok"));
    assert!(!call.get("jsonrpc.request.id").is_empty());
    let attempt = child(spans, &call.id, "mcp-gateway");
    assert_eq!((attempt.kind, attempt.get("weft.outcome"), attempt.get("weft.attempt")), (3, "ok", "1"));
    assert_eq!(attempt.get("server.address"), "127.0.0.1");
    assert!(attempt.get("weft.instance.id").starts_with("mcp-database-"));
    let work = child(spans, &attempt.id, "mcp-database");
    assert_eq!((work.name.as_str(), work.kind), ("tools/call query", 2));
    let query = child(spans, &work.id, "mcp-database");
    assert_eq!((query.kind, query.get("db.system.name"), query.get("db.namespace")), (3, "postgresql", "shop"));
    assert_eq!(query.get("db.query.text"), "SELECT ? + ? AS answer WHERE ? <> ?");
}

#[test]
fn a_retry_lies_beside_the_attempt_that_failed() {
    let collector = Collector::start(Duration::ZERO);
    let mesh = traced(&collector);
    let mut instances = [mesh.echo(), mesh.echo(), mesh.echo()];
    // In turn, and each with its whole share from the start, so that the dead one's comes within three calls.
    let config = mesh.path("gateway.toml");
    write(&config, "[balance]\nslow_start_seconds = 0\n[[service]]\nname = \"echo\"\npolicy = \"round_robin\"\n");
    let gateway = mesh.gateway_with(&["--config", config.to_str().unwrap()]);
    gateway.await_healthy(3);
    // The registry is held up, and does not learn before the calls that one is dead.
    mesh.consul.signal("STOP");
    instances[0].process.signal("KILL");
    instances[0].process.wait();
    let tried = |trace: &str| {
        let own = |span: &Span| span.trace == trace && span.kind == 3 && span.service == "mcp-gateway";
        collector.spans().into_iter().filter(own).collect::<Vec<_>>()
    };
    let traces: Vec<String> = (10..16)
        .map(|n| {
            let (trace, parent) = context(n);
            let meta = json!({ "traceparent": parent });
            let result = call(gateway.port, "echo_echo", &json!({ "text": "hello" }), &meta, &[]);
            assert_ne!(result["isError"], true, "{result}");
            trace
        })
        .collect();
    eventually("all attempts arrived", || traces.iter().all(|trace| !tried(trace).is_empty()));
    let twice = || traces.iter().map(|trace| tried(trace)).find(|spans| spans.len() == 2);
    eventually("a call was tried twice", || twice().is_some());
    let mut pair = twice().unwrap();
    pair.sort_by_key(|span| span.get("weft.attempt").to_owned());
    let [failed, right] = &pair[..] else { unreachable!() };
    assert_eq!(failed.parent, right.parent);
    assert_eq!((failed.get("weft.instance.id"), failed.status), (instances[0].id.as_str(), 2));
    // A kept connection that broke off, where its end was not seen before.
    assert!(["upstream_unreachable", "upstream_lost"].contains(&failed.get("error.type")), "{failed:#?}");
    assert_eq!(right.get("weft.outcome"), "ok");
    assert_ne!(failed.get("weft.instance.id"), right.get("weft.instance.id"));
}

#[test]
fn a_malformed_context_is_no_context_and_headers_of_the_collector_are_sent() {
    let collector = Collector::start(Duration::ZERO);
    let folder = Folder::new();
    let config = folder.path("gateway.toml");
    let telemetry = format!(
        "[telemetry]\notlp = \"{}\"\nprotocol = \"http/protobuf\"\nheaders = {{ authorization = \"text:Bearer t\" }}\n",
        collector.url()
    );
    std::fs::write(&config, telemetry).unwrap();
    let weft = Weft::up(&["--with-echo", "--config", config.to_str().unwrap()]);
    let meta = json!({ "traceparent": "00-1-2-01" });
    let bad = [("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01")];
    call(weft.port, "echo_echo", &json!({ "text": "hello" }), &meta, &bad);
    let roots = || {
        let spans = collector.spans().into_iter();
        spans.filter(|span| span.name == "tools/call echo" && span.parent.is_empty()).collect::<Vec<_>>()
    };
    eventually("a trace of our own began", || !roots().is_empty());
    let spans = collector.trace(&roots()[0].trace, 3);
    assert!(spans.iter().all(|span| span.service == "weft"), "{spans:#?}");
    assert!(collector.requests().iter().all(|authorization| authorization == "Bearer t"));
    let sent = weft.admin("/metrics").text();
    assert!(sent.contains("weft_trace_spans_sent_total "), "{sent}");
}

#[test]
fn a_collector_that_is_down_or_slow_holds_up_nobody() {
    let slow = Collector::start(Duration::from_secs(30));
    for url in [format!("http://127.0.0.1:{}", free_port()), slow.url()] {
        let mut weft = Weft::up(&["--with-echo", "--otlp", &url]);
        // Less than the collector takes for a single answer.
        let (began, pulse) = (std::time::Instant::now(), Pulse::start());
        for _ in 0..200 {
            weft.call("echo_echo", &json!({ "text": "hello" }));
        }
        let (took, lost) = (began.elapsed(), pulse.lost());
        assert!(took < Duration::from_secs(20) + lost, "{took:?} at {url}, {lost:?} were lost");
        let lost = || weft.admin("/metrics").text().contains("weft_trace_spans_lost_total{reason=\"export\"}");
        eventually("what was lost is counted", lost);
        let pulse = Pulse::start();
        let (status, took) = weft.end_by("TERM");
        let lost = pulse.lost();
        assert!(status.success() && took < Duration::from_secs(8) + lost, "{status} after {took:?} at {url}");
    }
}

#[test]
fn log_lines_of_a_call_name_its_trace_with_and_without_a_collector() {
    let collector = Collector::start(Duration::ZERO);
    for (n, otlp) in [(50, None), (51, Some(collector.url()))] {
        let folder = Folder::new();
        let log = folder.path("log");
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["up", "--with-echo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-json", "--log"]);
        weft.arg("warn,weft::call=info")
            .arg("--root")
            .arg(folder.path("root"))
            .arg("--state")
            .arg(folder.path("state"));
        weft.args(otlp.iter().flat_map(|url| ["--otlp", url.as_str()]));
        weft.stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut weft = Started(weft.spawn().unwrap());
        let (trace, parent) = context(n);
        call(weft.port(), "echo_echo", &json!({ "text": "hello" }), &json!({ "traceparent": parent }), &[]);
        let line = || {
            let text = std::fs::read_to_string(&log).unwrap();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(|line| line["target"] == "weft::call" && line["method"] == "tools/call")
        };
        eventually("the call was logged", || line().is_some());
        let line = line().unwrap();
        assert_eq!(line["trace_id"], trace.as_str(), "{line}");
        // Without a collector there is no span of our own, and the caller's is named.
        assert_eq!(line["span_id"] == CLIENT, otlp.is_none(), "{line}");
    }
}

/// A program that ends with the test.
struct Started(std::process::Child);

impl Started {
    /// Where it says that clients connect.
    fn port(&mut self) -> u16 {
        use std::io::BufRead as _;
        let mut lines = std::io::BufReader::new(self.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("endpoint")).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        line.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
