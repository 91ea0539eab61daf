//! Both eras on one URL, decided request by request.

use serde_json::json;

use crate::{
    harness::{STATELESS, Weft, stateless_body},
    http::Connection,
};

#[test]
fn the_era_is_decided_by_each_request() {
    let weft = Weft::up(&["--with-echo"]);
    let discovered = weft.stateless("/mcp", "server/discover", &json!({})).message();
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert!(discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());
    let token = weft.initialize("/mcp", "2025-11-25");
    let session =
        weft.within("/mcp", &token, (1, "tools/call"), &json!({ "name": "echo_add", "arguments": { "a": 2, "b": 3 } }));
    assert_eq!(session.message()["result"]["content"][0]["text"], "5");
    assert!(session.message()["result"].get("resultType").is_none(), "the session era has no resultType");
    let stateless = weft.call("echo_add", &json!({ "a": 2, "b": 3 }));
    assert_eq!(
        (stateless["resultType"].as_str(), stateless["content"][0]["text"].as_str()),
        (Some("complete"), Some("5"))
    );
    let ping = weft.within("/mcp", &token, (2, "ping"), &json!({}));
    assert_eq!(ping.message()["result"], json!({}));
}

#[test]
fn one_connection_carries_both_eras_by_turns() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-11-25");
    let mut connection = Connection::open(weft.port);
    let call = |text: &str| json!({ "name": "echo_echo", "arguments": { "text": text } });
    let mirrored = [("mcp-protocol-version", STATELESS), ("mcp-method", "tools/call"), ("mcp-name", "echo_echo")];
    for turn in ["first", "second"] {
        let stateless = connection.post("/mcp", &mirrored, &stateless_body("tools/call", &call(turn))).message();
        assert_eq!(stateless["result"]["resultType"], "complete", "{stateless}");
        assert_eq!(stateless["result"]["content"][0]["text"], turn);
        let body = json!({ "jsonrpc": "2.0", "id": turn, "method": "tools/call", "params": call(turn) }).to_string();
        let session = connection.post("/mcp", &[("mcp-session-id", &token)], &body).message();
        assert_eq!(
            (&session["id"], &session["result"]["content"][0]["text"]),
            (&json!(turn), &json!(turn)),
            "{session}"
        );
        assert!(session["result"].get("resultType").is_none(), "{session}");
    }
    // A client that does not repeat its session's id is served as its caller.
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(connection.post("/mcp", &[], ping).status, 200);
}

#[test]
fn methods_of_the_other_era_do_not_exist() {
    let weft = Weft::up(&[]);
    for method in ["ping", "logging/setLevel", "resources/subscribe", "no/such"] {
        let answer = weft.stateless("/mcp", method, &json!({ "uri": "file:///x" }));
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (404, Some(-32601)), "{method}");
    }
    let token = weft.initialize("/mcp", "2025-06-18");
    let listen = weft.within("/mcp", &token, (1, "subscriptions/listen"), &json!({ "notifications": {} }));
    assert_eq!((listen.status, listen.json()["error"]["code"].as_i64()), (200, Some(-32601)));
}

#[test]
fn what_the_stateless_era_demands_is_demanded() {
    let weft = Weft::up(&[]);
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let without = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let answer = weft.post("/mcp", &headers, without);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32602)));
    let half = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    assert_eq!(weft.post("/mcp", &headers, half).json()["error"]["code"], -32602);
    let future = stateless_body("tools/list", &json!({})).replace("2026-07-28", "2031-01-01");
    let answer = weft.post("/mcp", &[("mcp-protocol-version", "2031-01-01"), ("mcp-method", "tools/list")], &future);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32022)));
    assert_eq!(answer.json()["error"]["data"], json!({ "supported": ["2026-07-28"], "requested": "2031-01-01" }));
}

#[test]
fn batches_are_answered_where_the_version_has_them_and_refused_elsewhere() {
    let weft = Weft::up(&["--with-echo"]);
    let call = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo_add", "arguments": { "a": id, "b": 1 } } });
    let batch = json!([call(1), { "jsonrpc": "2.0", "method": "notifications/initialized" }, call(2), { "jsonrpc": "2.0", "id": 3 }, { "jsonrpc": "2.0", "id": 4, "method": "ping" }]).to_string();
    let token = weft.initialize("/mcp", "2025-03-26");
    let answer = weft.post("/mcp", &[("mcp-session-id", &token)], &batch);
    let answers = answer.json();
    let by_id = |id: u32| {
        answers
            .as_array()
            .unwrap()
            .iter()
            .find(|answer| answer["id"] == id)
            .unwrap_or_else(|| panic!("{answers}"))
            .clone()
    };
    assert_eq!(answers.as_array().unwrap().len(), 4, "{answers}");
    assert_eq!(by_id(2)["result"]["content"][0]["text"], "3");
    assert_eq!(by_id(3)["error"]["code"], -32600);
    assert_eq!(by_id(4)["result"], json!({}));
    let quiet =
        weft.post("/mcp", &[("mcp-session-id", &token)], r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#);
    assert_eq!((quiet.status, quiet.body.len()), (202, 0));
    let many: Vec<_> = (0..101).map(call).collect();
    assert_eq!(weft.post("/mcp", &[("mcp-session-id", &token)], &json!(many).to_string()).status, 400);
    let newer = weft.initialize("/mcp", "2025-11-25");
    assert_eq!(weft.post("/mcp", &[("mcp-session-id", &newer)], &batch).status, 400);
    assert_eq!(weft.post("/mcp", &[("mcp-protocol-version", "2026-07-28")], &batch).status, 400);
}

#[test]
fn ids_come_back_as_they_were_sent() {
    let weft = Weft::up(&["--with-echo"]);
    for id in ["0", "-7", "\"a b\"", "\"\\u00e9\"", "123456789012345678901234567890"] {
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
        let list = stateless_body("tools/list", &json!({})).replacen("\"id\":1", &format!("\"id\":{id}"), 1);
        let answer = weft.post("/mcp", &headers, &list);
        assert!(answer.text().contains(&format!("\"id\":{id}")), "{id}: {}", &answer.text()[..80]);
    }
}
