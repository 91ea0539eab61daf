//! Servers that die, cut, or never were: what the client sees, and what it does not.

use serde_json::json;

use crate::{
    fake::Foreign,
    harness::{Folder, Weft, eventually},
};

#[test]
fn a_dead_server_is_named_to_the_model_and_harms_nobody_else() {
    let foreign = Foreign::start();
    let weft = Weft::up(&["--with-echo", "--add", &foreign.named("foreign")]);
    let pong = weft.call("foreign_ping", &json!({}));
    assert_eq!(pong["content"][0]["text"], "pong");
    foreign.stop();
    let dead = weft.call("foreign_slow", &json!({}));
    assert_eq!(dead["isError"], true);
    let text = dead["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("\"foreign\"") && text.contains("retry in"), "{text}");
    assert_eq!(dead["structuredContent"]["service"], "foreign");
    let token = weft.initialize("/mcp", "2025-11-25");
    let session = weft.within("/mcp", &token, (1, "tools/call"), &json!({ "name": "foreign_ping", "arguments": {} }));
    assert_eq!((session.status, session.message()["result"]["isError"].as_bool()), (200, Some(true)));
    assert_eq!(weft.call("echo_echo", &json!({ "text": "fine" }))["content"][0]["text"], "fine");
    let listed = weft.stateless("/mcp", "tools/list", &json!({})).message();
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"foreign_ping") && names.contains(&"echo_echo"), "the list stays whole: {names:?}");
}

#[test]
fn a_list_that_is_old_says_so() {
    let foreign = Foreign::start();
    let folder = Folder::new();
    let config = folder.path("gateway.toml");
    std::fs::write(&config, "[catalogue]\nrefresh_seconds = 1\n").unwrap();
    let weft = Weft::up(&["--with-echo", "--add", &foreign.named("foreign"), "--config", config.to_str().unwrap()]);
    let list = || weft.stateless("/mcp", "tools/list", &json!({})).message()["result"].clone();
    let stale = || list()["_meta"].get("weft/stale").cloned();
    // Each second it is asked again, and one question may have failed in a pause of the machine.
    eventually("nothing is old", || stale().is_none());
    let before = list();
    foreign.stop();
    eventually("the list says which part of it is old", || stale() == Some(json!(["foreign"])));
    assert_eq!(list()["tools"], before["tools"], "what is old stays listed");
    let stale = |status: &serde_json::Value, name: &str| {
        let mut services = status["services"].as_array().unwrap().iter();
        services.find(|service| service["service"] == name).unwrap()["stale"].clone()
    };
    eventually("operators see the same", || {
        let status = weft.status();
        stale(&status, "foreign") == json!(true) && stale(&status, "echo") == json!(false)
    });
}

#[test]
fn a_server_that_never_answered_is_known_to_operators_and_named_to_clients() {
    let weft = Weft::up_at_once(&["--with-echo", "--add", "nobody=http://127.0.0.1:1/mcp"]);
    let echo = || weft.stateless("/mcp", "tools/list", &json!({})).text().contains("echo_echo");
    eventually("the others are known", echo);
    let status = weft.status();
    let services = status["services"].as_array().unwrap();
    assert_eq!(services.iter().filter(|service| service["service"] == "nobody").count(), 1, "{status}");
    let own = weft.stateless("/mcp/nobody", "tools/list", &json!({}));
    let error = own.message()["error"].clone();
    assert_eq!(
        (own.status, error["data"]["service"].as_str()),
        (200, Some("nobody")),
        "an outage is an answer: {error}"
    );
    assert!(error["message"].as_str().unwrap().contains("\"nobody\""), "{error}");
    let all = weft.stateless("/mcp", "tools/list", &json!({})).message();
    assert!(all["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo_echo"), "{all}");
}

#[test]
fn a_stream_that_breaks_off_still_ends_with_an_answer() {
    let foreign = Foreign::start();
    let weft = Weft::up(&["--add", &foreign.named("foreign")]);
    let call = json!({ "name": "foreign_cut", "arguments": {}, "_meta": { "progressToken": 1 } });
    let stateless = weft.stateless("/mcp", "tools/call", &call).messages();
    assert_eq!(stateless[0]["method"], "notifications/progress", "{stateless:?}");
    assert_eq!(stateless.last().unwrap()["result"]["isError"], true, "{stateless:?}");
    let token = weft.initialize("/mcp", "2025-11-25");
    let session = weft.within("/mcp", &token, (3, "tools/call"), &call).messages();
    assert_eq!(
        (session.last().unwrap()["id"].as_i64(), session.last().unwrap()["result"]["isError"].as_bool()),
        (Some(3), Some(true)),
        "{session:?}"
    );
}

#[test]
fn a_tool_that_is_not_there_is_an_error_of_the_call() {
    let weft = Weft::up(&["--with-echo"]);
    for name in ["echo_absent", "absent_echo", "echo", ""] {
        let answer = weft.stateless("/mcp", "tools/call", &json!({ "name": name, "arguments": {} }));
        assert_eq!(
            (answer.status, answer.message()["error"]["code"].as_i64()),
            (200, Some(-32602)),
            "{name:?}: {}",
            answer.text()
        );
    }
    let stateless = weft.stateless("/mcp", "resources/read", &json!({ "uri": "no://such" })).message();
    assert_eq!(
        (stateless["error"]["code"].as_i64(), stateless["error"]["data"]["uri"].as_str()),
        (Some(-32602), Some("no://such"))
    );
    let token = weft.initialize("/mcp", "2025-11-25");
    let session = weft.within("/mcp", &token, (1, "resources/read"), &json!({ "uri": "no://such" })).message();
    assert_eq!(session["error"]["code"], -32002);
    let failed = weft.call("echo_fail", &json!({ "text": "as asked" }));
    assert_eq!(failed["isError"], true);
    eventually("failures of tools are counted apart", || {
        weft.admin("/metrics").text().contains(r#"outcome="tool_error""#)
    });
    assert_eq!(
        weft.status()["services"][0]["instances"][0]["breaker"],
        "admits",
        "a tool that fails is no server that fails"
    );
}
