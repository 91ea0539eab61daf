//! The stateless era over HTTP: discovery, lists, calls, headers, prompts, resources, completion.

use serde_json::json;

use crate::harness::{Client, Events, call, request, served, soon};
use crate::rack::Rack;

#[tokio::test]
async fn discover_tells_versions_capabilities_and_identity() {
    let running = served(&Rack::new()).await;
    let (status, answer) = Client::open(running.address()).await.modern(&request("server/discover", json!({}))).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    assert_eq!(result["capabilities"]["resources"], json!({"subscribe": true, "listChanged": true}));
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "rack");
}

#[tokio::test]
async fn the_tool_list_carries_closed_schemas_all_annotations_and_cache_hints() {
    let running = served(&Rack::new()).await;
    let (status, answer) = Client::open(running.address()).await.modern(&request("tools/list", json!({}))).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert_eq!((&result["cacheScope"], result["ttlMs"].as_u64() > Some(0)), (&json!("public"), true));
    for tool in result["tools"].as_array().unwrap() {
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(tool["outputSchema"]["properties"]["data"].is_object(), "{tool}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint} of {tool}");
        }
    }
    let delete = result["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "delete").unwrap();
    assert_eq!(delete["inputSchema"]["properties"]["plan_id"]["type"], "string");
}

#[tokio::test]
async fn a_result_comes_in_its_envelope_with_the_server_named() {
    let running = served(&Rack::new()).await;
    let result = Client::open(running.address()).await.tool("list", json!({})).await;
    let structured = &result["structuredContent"];
    assert_eq!(structured["data"], json!(["a", "b"]));
    assert_eq!(structured["page"]["total"], 5);
    assert_eq!(
        (&structured["provenance"]["source"], &structured["provenance"]["trusted"]),
        (&json!("rack"), &json!(false))
    );
    assert!(structured["timing_ms"].is_number());
    assert!(result["content"][0]["text"].as_str().unwrap().starts_with(r#"["a","b"]"#));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["version"], "1.2.3");
    assert_eq!(result["resultType"], "complete");
}

#[tokio::test]
async fn a_header_that_contradicts_the_body_is_a_mismatch() {
    let running = served(&Rack::new()).await;
    let message = call("list", json!({}));
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "write")];
    let response = Client::open(running.address()).await.send(&message, &headers).await;
    assert_eq!(response.status(), 400);
    let body: serde_json::Value = serde_json::from_slice(&crate::harness::body(response).await).unwrap();
    assert_eq!(body["error"]["code"], -32020);
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_and_a_failing_one_a_result() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    let (status, answer) = client.modern(&call("nothing", json!({}))).await;
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32602)), "{answer}");
    let result = client.tool("delete", json!({"name": "zzz"})).await;
    assert_eq!(result["isError"], true);
    assert_eq!(result["structuredContent"]["error"]["code"], "not_found");
}

#[tokio::test]
async fn unknown_and_wrong_arguments_are_refused_by_name() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    for (arguments, named) in [
        (json!({"colour": 1}), "colour"),
        (json!({"prefix": 1}), "string"),
        (json!({"Prefix": "a"}), "Prefix"),
        (json!({"plan_id": "x"}), "plan_id"),
    ] {
        let result = client.tool("list", arguments).await;
        assert_eq!(result["structuredContent"]["error"]["code"], "invalid_arguments");
        assert!(result["content"][0]["text"].as_str().unwrap().contains(named), "{result}");
    }
    let result = client.tool("text", json!({"bytes": true})).await;
    assert_eq!(result["isError"], true, "a boolean is no number");
}

#[tokio::test]
async fn prompts_check_their_arguments() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    let ask = |arguments| request("prompts/get", json!({"name": "review", "arguments": arguments}));
    let (_, answer) = client.modern(&ask(json!({"what": "this"}))).await;
    assert_eq!(answer["result"]["messages"][0]["content"]["text"], "Review this");
    for wrong in [json!({}), json!({"what": 1}), json!({"what": "x", "who": "y"})] {
        let (_, answer) = client.modern(&ask(wrong)).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn resources_are_listed_read_completed_and_missing_ones_told_apart() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    let (_, listed) = client.modern(&request("resources/list", json!({}))).await;
    assert_eq!(listed["result"]["resources"][0]["uri"], "note:a");
    assert_eq!(listed["result"]["cacheScope"], "private");
    let (_, read) = client.modern(&request("resources/read", json!({"uri": "note:b"}))).await;
    assert_eq!(read["result"]["contents"][0]["text"], "text of b");
    let (_, missing) = client.modern(&request("resources/read", json!({"uri": "note:zz"}))).await;
    assert_eq!(missing["error"]["code"], -32602, "{missing}");
    let completing =
        json!({"ref": {"type": "ref/resource", "uri": "note:{name}"}, "argument": {"name": "name", "value": "c"}});
    let (_, completed) = client.modern(&request("completion/complete", completing)).await;
    assert_eq!(completed["result"]["completion"]["values"], json!(["c"]), "{completed}");
}

#[tokio::test]
async fn progress_and_messages_come_only_when_asked_for_and_only_grow() {
    let running = served(&Rack::new()).await;
    let mut client = Client::open(running.address()).await;
    assert_eq!(client.tool("steps", json!({})).await["structuredContent"]["data"], 3);

    let mut message = call("steps", json!({}));
    message["params"]["_meta"]["progressToken"] = json!("p1");
    message["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
    let headers = crate::harness::modern_headers(&message);
    let mut events = Events::of(client.send(&message, &headers).await);
    let mut seen = Vec::new();
    let mut logged = None;
    let result = loop {
        let event = soon("an event", events.next()).await.expect("the stream ends with the result");
        match event["method"].as_str() {
            Some("notifications/progress") => {
                assert_eq!(event["params"]["progressToken"], "p1");
                seen.push(event["params"]["progress"].as_f64().unwrap());
            }
            Some("notifications/message") => logged = event["params"]["data"].as_str().map(str::to_owned),
            _ => break event,
        }
    };
    assert_eq!(result["result"]["structuredContent"]["data"], 3);
    assert_eq!(seen, [1.0, 2.0, 3.0]);
    assert_eq!(logged.as_deref(), Some("all steps done"));
}

#[tokio::test]
async fn a_handler_with_a_bug_answers_without_saying_where() {
    let running = served(&Rack::new()).await;
    let result = Client::open(running.address()).await.tool("panic", json!({})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "internal");
    assert!(!result.to_string().contains("secret"), "{result}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_in_both_eras() {
    let mut host = crate::harness::host();
    host.body_limit = 1_000;
    let running = weft_kit::serve(Rack::new().service(), host).await.unwrap();
    let arguments = json!({"name": "x", "text": "t".repeat(1_000)});
    let (status, _) = Client::open(running.address()).await.modern(&call("write", arguments.clone())).await;
    assert_eq!(status, 413);
    let (status, _) =
        Client::open(running.address()).await.legacy(&crate::harness::legacy_call(1, "write", arguments)).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn foreign_hosts_origins_and_paths_are_turned_away() {
    let running = served(&Rack::new()).await;
    let message = request("tools/list", json!({}));
    for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let mut headers = crate::harness::modern_headers(&message);
        headers.push((header, value));
        let response = Client::open(running.address()).await.send(&message, &headers).await;
        assert_eq!(response.status(), 403, "{header}");
    }
    assert_eq!(Client::open(running.address()).await.get("/other").await.0, 404);
}
