//! Pipelines, single commands, listening, resources, and what servers tell of themselves.

use std::time::Duration;

use serde_json::{Value, json};
use weft_kit::Body;

use super::{admin, app, call, data, desk, done, guarded, tells_nothing, tenant};
use crate::RedisSettings;

#[tokio::test]
async fn a_pipeline_gives_one_result_for_each_command() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    let ops = json!([
        ["SET", "a", 1],
        ["INCR", "a"],
        ["LPUSH", "a", "x"],
        ["MSET", "b", "1", "c", "2"],
        ["MGET", "a", "b", "no"]
    ]);
    let called = done(call(&desk, "redis_pipeline", json!({"ops": ops})).await);
    let results = &called.data()["results"];
    assert_eq!(results[1], json!({"reply": 2}));
    assert!(results[2]["error"].as_str().unwrap().contains("another kind"), "{results}");
    assert_eq!(results[4], json!({"reply": ["2", "1", null]}));
    assert!(called.structured["warnings"][0].as_str().unwrap().contains("1 of 5"));
    let keys = data(&desk, "redis_scan", json!({})).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3, "{keys}");
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    let wrong = json!({"atomic": true, "ops": [["SET", "a", 1], ["SET", "b"]]});
    let told = call(&desk, "redis_pipeline", wrong).await;
    assert_eq!(told.code(), "invalid_arguments", "{}", told.text);
    assert_eq!(data(&desk, "redis_scan", json!({})).await["keys"], json!([]));
    let right = json!({"atomic": true, "ops": [["SET", "a", 1], ["INCRBY", "a", 4]]});
    assert_eq!(data(&desk, "redis_pipeline", right).await["results"], json!([{"reply": "OK"}, {"reply": 5}]));
}

#[tokio::test]
async fn compare_and_set_lets_exactly_one_of_many_win() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    let swap = |from: Value, to: i32| {
        call(&desk, "redis_pipeline", json!({"expect": [{"key": "lock", "value": from}], "ops": [["SET", "lock", to]]}))
    };
    let first = futures_util::future::join_all((0..20).map(|number| swap(Value::Null, number))).await;
    let won: Vec<_> = first.iter().filter(|called| !called.is_error).collect();
    assert_eq!(won.len(), 1);
    assert!(first.iter().filter(|called| called.is_error).all(|called| called.code() == "conflict"));
    let holder = data(&desk, "redis_read", json!({"key": "lock"})).await["value"].clone();
    assert_eq!(swap(json!("no such"), 99).await.code(), "conflict");
    assert_eq!(swap(holder, 77).await.data()["results"], json!([{"reply": "OK"}]));
}

/// Asks the server until its answer ends like this: who listens must be there before anything is said to them.
async fn heard_by(server: &super::Server, question: &str, answer: &str) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let ask = format!("AUTH admin admin-secret\r\n{question}\r\n");
    while !server.say(&ask).is_some_and(|told| told.ends_with(answer)) {
        assert!(std::time::Instant::now() < end, "nobody listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn transactions_wait_for_a_place_and_say_so_when_there_is_none() {
    let Some(server) = guarded() else { return };
    let channels = vec!["app:{tenant}:*".to_owned()];
    let desk = desk([RedisSettings { pool: 1, timeout_ms: 5_000, channels, ..app(&server) }]);
    let ask = json!({"channels": ["app:local:x"], "for_ms": 30_000, "max": 1});
    let listening = call(&desk, "redis_subscribe_wait", ask);
    let late = async {
        heard_by(&server, "PUBSUB NUMSUB app:local:x", "app:local:x\r\n:1\r\n").await;
        let expect = json!([{"key": "a"}]);
        let told = call(&desk, "redis_pipeline", json!({"expect": expect, "ops": [["SET", "a", 1]]})).await;
        // Only now the place is free: who listens has enough with one message.
        server.say("AUTH admin admin-secret\r\nPUBLISH app:local:x enough\r\n").unwrap();
        told
    };
    let (heard, told) = tokio::join!(listening, late);
    assert!(!heard.is_error, "{}", heard.text);
    assert_eq!(told.code(), "unavailable");
    assert!(told.text.contains("busy"), "{}", told.text);
}

#[tokio::test]
async fn messages_are_heard_while_the_call_waits_and_only_of_allowed_channels() {
    let Some(server) = guarded() else { return };
    let channels = vec!["app:{tenant}:*".to_owned()];
    let desk = desk([RedisSettings { channels, ..app(&server) }]);
    let listening = call(
        &desk,
        "redis_subscribe_wait",
        json!({"channels": ["app:local:*", "app:local:news"], "for_ms": 30_000, "max": 3}),
    );
    let speaking = async {
        heard_by(&server, "PUBSUB NUMSUB app:local:news\r\nPUBSUB NUMPAT", "app:local:news\r\n:1\r\n:1\r\n").await;
        let say = |channel| server.say(&format!("AUTH admin admin-secret\r\nPUBLISH {channel} hello\r\n"));
        say("app:local:news").unwrap();
        say("app:other:news").unwrap();
        say("app:local:more").unwrap();
    };
    let (heard, ()) = tokio::join!(listening, speaking);
    let heard = done(heard);
    let messages = heard.data()["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages.iter().all(|one| one["message"] == "hello" && one["channel"] != "app:other:news"));
    for channel in ["app:other:news", "app:*", "*", "app:local", "app:local:[a-z]"] {
        let told = call(&desk, "redis_subscribe_wait", json!({"channels": [channel], "for_ms": 50})).await;
        assert_eq!(told.code(), "refused", "{channel}");
    }
    let quiet = data(&desk, "redis_subscribe_wait", json!({"channels": ["app:local:x"], "for_ms": 50})).await;
    assert_eq!(quiet["messages"], json!([]));
}

#[tokio::test]
async fn a_key_is_a_resource_too() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    data(&desk, "redis_write", json!({"op": "set", "key": "a b/ß", "value": "text"})).await;
    data(&desk, "redis_write", json!({"op": "set", "key": "bin", "value": {"base64": "AP8="}})).await;
    data(&desk, "redis_write", json!({"op": "sadd", "key": "set", "values": ["x"]})).await;
    let text = desk.read("redis://cache/a%20b%2F%C3%9F").await.unwrap();
    assert_eq!(text[0].body, Body::Text("text".to_owned()));
    assert_eq!(desk.read("redis://cache/bin").await.unwrap()[0].body, Body::Bytes(vec![0, 255]));
    let Body::Text(set) = desk.read("redis://cache/set").await.unwrap().remove(0).body else { panic!() };
    assert!(set.contains("\"items\":[\"x\"]"), "{set}");
    assert_eq!(desk.by(tenant("b")).read("redis://cache/bin").await.unwrap_err().code(), "not_found");
    assert_eq!(desk.read("redis://other/bin").await.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn servers_tell_of_themselves_without_saying_where_they_are() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server), admin(&server)]);
    for tool in ["redis_info", "redis_slowlog", "redis_memory"] {
        assert_eq!(call(&desk, tool, json!({})).await.code(), "refused", "{tool}");
    }
    let health = data(&desk, "check_health", json!({})).await;
    assert_eq!((&health[0]["status"], &health[1]["status"]), (&json!("ok"), &json!("unknown")));
    server.say("AUTH admin admin-secret\r\nCONFIG SET slowlog-log-slower-than 0\r\n").unwrap();
    data(&desk, "redis_write", json!({"op": "set", "key": "a", "value": "very private"})).await;
    for tool in ["redis_info", "redis_slowlog", "redis_memory", "check_health"] {
        let told = done(call(&desk, tool, json!({"connection": "all"})).await);
        tells_nothing(&told, &server);
        assert!(!told.text.contains("private"), "{}", told.text);
    }
    let slow = data(&desk, "redis_slowlog", json!({"connection": "all"})).await;
    assert!(slow.as_array().unwrap().iter().any(|one| one["command"] == "SET" && one["arguments"] == 2), "{slow}");
    let info = data(&desk, "redis_info", json!({"connection": "all", "section": "server"})).await;
    assert!(info["masters"][0]["server"]["redis_version"].is_string());
    let health = data(&desk, "check_health", json!({"connection": "all"})).await;
    assert!(health.as_array().unwrap().iter().all(|one| one["status"] == "ok"), "{health}");
    assert!(data(&desk, "redis_memory", json!({"key": "a"})).await["key_bytes"].as_u64().unwrap() > 10);
}
