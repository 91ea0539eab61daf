//! Finding, reading, writing and deleting on one server with an access list.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{admin, all, app, call, data, desk, done, guarded, tells_nothing, tenant};

#[tokio::test]
async fn every_type_is_written_and_read_back() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    let write = |arguments| data(&desk, "redis_write", arguments);
    let read = |arguments| data(&desk, "redis_read", arguments);

    assert_eq!(write(json!({"op": "set", "key": "s", "value": "hällo", "ttl_ms": 60_000})).await["changed"], true);
    let string = read(json!({"key": "s"})).await;
    assert_eq!((&string["type"], &string["value"], &string["length"]), (&json!("string"), &json!("hällo"), &json!(6)));
    assert!((1..=60_000).contains(&string["ttl_ms"].as_i64().unwrap()) && string["memory_bytes"].is_u64());
    assert_eq!(string["encoding"], "embstr");
    assert_eq!(write(json!({"op": "set", "key": "s", "value": "x", "if_absent": true})).await["changed"], false);
    assert_eq!(write(json!({"op": "append", "key": "s", "value": "!"})).await["reply"], 7);
    assert_eq!(write(json!({"op": "persist", "key": "s"})).await["changed"], true);
    assert!(read(json!({"key": "s"})).await["ttl_ms"].is_null());

    assert_eq!(write(json!({"op": "incr", "key": "n", "amount": 41})).await["reply"], 41);
    assert_eq!(write(json!({"op": "incr", "key": "n", "amount": 0.5})).await["reply"], "41.5");

    write(json!({"op": "hset", "key": "h", "pairs": [["a", "1"], ["b", 2], ["c", {"base64": "/wA="}]]})).await;
    let hash = read(json!({"key": "h"})).await;
    assert_eq!(hash["fields"][1], json!({"field": "b", "value": "2"}));
    assert_eq!(hash["fields"][2]["value"], json!({"base64": "/wA=", "bytes": 2}));
    assert_eq!(read(json!({"key": "h", "field": "a"})).await["value"], "1");
    assert_eq!(write(json!({"op": "hdel", "key": "h", "values": ["a"]})).await["reply"], 1);

    write(json!({"op": "rpush", "key": "l", "values": ["a", "b", "c", "d"]})).await;
    assert_eq!(read(json!({"key": "l", "window": {"start": -2}})).await["items"], json!(["c", "d"]));
    write(json!({"op": "lset", "key": "l", "start": 0, "value": "A"})).await;
    write(json!({"op": "ltrim", "key": "l", "start": 0, "stop": 2})).await;
    assert_eq!(write(json!({"op": "lpop", "key": "l"})).await["reply"], json!(["A"]));

    write(json!({"op": "sadd", "key": "set", "values": ["x", "y"]})).await;
    assert_eq!(read(json!({"key": "set", "member": "x"})).await["items"], json!(["x"]));
    write(json!({"op": "zadd", "key": "z", "pairs": [["one", 1], ["two", 2.5]]})).await;
    write(json!({"op": "zincr", "key": "z", "pairs": [["one", 9]]})).await;
    assert_eq!(read(json!({"key": "z"})).await["members"][1], json!({"member": "one", "score": "10"}));
    assert_eq!(read(json!({"key": "z", "member": "one"})).await["members"][0]["rank"], 1);

    for value in 0..5 {
        write(json!({"op": "xadd", "key": "x", "pairs": [["n", value]]})).await;
    }
    let entries = all(&desk, "redis_read", json!({"key": "x", "window": {"count": 2}}), |page| &page["entries"]).await;
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[4]["fields"], json!([{"field": "n", "value": "4"}]));
    assert_eq!(write(json!({"op": "xtrim", "key": "x", "amount": 2})).await["reply"], 3);
}

#[tokio::test]
async fn pages_of_keys_hold_all_of_them_and_no_others() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server), admin(&server)]);
    for number in 0..1_200 {
        data(&desk, "redis_write", json!({"op": "set", "key": format!("k:{number}"), "value": "v"})).await;
    }
    data(&desk, "redis_write", json!({"op": "rpush", "key": "list", "values": ["v"]})).await;
    done(call(&desk, "redis_write", json!({"connection": "all", "op": "set", "key": "other:k:1", "value": "v"})).await);
    let pages = all(&desk, "redis_scan", json!({"pattern": "k:*", "count": 137}), |page| &page["keys"]).await;
    let distinct: std::collections::BTreeSet<_> = pages.iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(distinct.len(), 1_200);
    assert!(distinct.contains("k:77"));
    let lists = data(&desk, "redis_scan", json!({"type": "list"})).await;
    assert_eq!(lists["keys"], json!(["list"]));
    assert_eq!(data(&desk, "redis_scan", json!({"pattern": "none*"})).await["keys"], json!([]));
}

#[tokio::test]
async fn a_cursor_is_worth_nothing_to_another_caller_or_another_pattern() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    for number in 0..20 {
        data(&desk, "redis_write", json!({"op": "set", "key": number, "value": "v"})).await;
    }
    let page = done(call(&desk, "redis_scan", json!({"count": 5})).await);
    let cursor = &page.structured["page"]["cursor"];
    assert_eq!(page.structured["page"]["returned"], 5);
    let other = call(&desk.by(tenant("b")), "redis_scan", json!({"count": 5, "cursor": cursor})).await;
    assert_eq!(other.code(), "invalid_cursor");
    let pattern = call(&desk, "redis_scan", json!({"count": 5, "pattern": "1*", "cursor": cursor})).await;
    assert_eq!(pattern.code(), "invalid_cursor");
}

#[tokio::test]
async fn a_large_string_comes_by_pages_that_split_no_character() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    let text = "aß€😀".repeat(40_000);
    data(&desk, "redis_write", json!({"op": "set", "key": "big", "value": text})).await;
    let (mut read, mut cursor, mut pages) = (String::new(), json!(null), 0);
    loop {
        let page = done(call(&desk, "redis_read", json!({"key": "big", "cursor": cursor})).await);
        read.push_str(page.data()["value"].as_str().unwrap());
        cursor = page.structured["page"]["cursor"].clone();
        pages += 1;
        if cursor.is_null() {
            break;
        }
        assert_eq!(page.blocks, 1, "a link to the whole");
    }
    assert!(read == text && pages > 5, "{pages} pages");
    let part = data(&desk, "redis_read", json!({"key": "big", "window": {"start": 1, "count": 2}})).await;
    assert_eq!(part["value"], "ß");
}

#[tokio::test]
async fn a_deletion_shows_what_goes_and_takes_exactly_that() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    for key in ["d:1", "d:2", "keep"] {
        data(&desk, "redis_write", json!({"op": "set", "key": key, "value": "v"})).await;
    }
    let plan = data(&desk, "redis_delete", json!({"pattern": "d:*"})).await;
    assert_eq!((&plan["applied"], &plan["plan"]["effects"]["keys"]), (&json!(false), &json!(2)));
    assert_eq!(plan["plan"]["effects"]["sample"][0]["type"], "string");
    let id = &plan["plan"]["plan_id"];
    data(&desk, "redis_write", json!({"op": "set", "key": "d:2", "value": "w"})).await;
    let stale = call(&desk, "redis_delete", json!({"pattern": "d:*", "plan_id": id})).await;
    assert_eq!(stale.code(), "stale_plan");
    let plan = data(&desk, "redis_delete", json!({"pattern": "d:*"})).await;
    let id = &plan["plan"]["plan_id"];
    let applied = data(&desk, "redis_delete", json!({"pattern": "d:*", "plan_id": id})).await;
    assert_eq!(applied["result"]["deleted"], 2);
    assert_eq!(data(&desk, "redis_scan", json!({})).await["keys"], json!(["keep"]));
    let again = call(&desk, "redis_delete", json!({"keys": ["d:1"]})).await;
    assert_eq!(again.code(), "not_found");
    let flush = call(&desk, "redis_delete", json!({"everything": true})).await;
    assert_eq!(flush.code(), "refused");
}

#[tokio::test]
async fn where_nothing_may_be_changed_nothing_is() {
    let Some(server) = guarded() else { return };
    let closed = super::RedisSettings { read_only: true, ..app(&server) };
    let alone = desk([closed.clone()]);
    let told = call(&alone, "redis_write", json!({"op": "set", "key": "a", "value": "v"})).await;
    assert_eq!(told.code(), "not_found", "nothing can be written, so there is no tool for it");
    // Beside a connection that may be written to, the tools are there, and this one still refuses.
    let desk = desk([closed, admin(&server)]);
    for (tool, arguments) in [
        ("redis_write", json!({"op": "set", "key": "a", "value": "v"})),
        ("redis_pipeline", json!({"ops": [["SET", "a", "v"]]})),
        ("redis_delete", json!({"keys": ["a"]})),
        ("redis_delete", json!({"everything": true})),
    ] {
        assert_eq!(call(&desk, tool, arguments).await.code(), "refused", "{tool}");
    }
}

#[tokio::test]
async fn a_wrong_type_is_told_by_its_name() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server)]);
    data(&desk, "redis_write", json!({"op": "sadd", "key": "set", "values": ["x"]})).await;
    let wrong = call(&desk, "redis_write", json!({"op": "incr", "key": "set"})).await;
    assert_eq!(wrong.code(), "invalid_arguments");
    assert!(wrong.text.contains("holds a set"), "{}", wrong.text);
    let unused = call(&desk, "redis_write", json!({"op": "incr", "key": "n", "value": "x"})).await;
    assert!(unused.text.contains("value is not for this operation"), "{}", unused.text);
}

#[tokio::test]
async fn a_refused_server_and_an_absent_one_tell_no_secret() {
    let Some(mut server) = guarded() else { return };
    let wrong = Some(weft_kit::Reference::Text("guess".to_owned()));
    let refused = desk([super::RedisSettings { password: wrong, ..app(&server) }]);
    let told = call(&refused, "redis_read", json!({"key": "a"})).await;
    assert_eq!(told.code(), "refused");
    tells_nothing(&told, &server);
    let desk = desk([app(&server)]);
    data(&desk, "redis_write", json!({"op": "set", "key": "a", "value": "v"})).await;
    server.kill();
    let told = call(&desk, "redis_read", json!({"key": "a"})).await;
    assert_eq!(told.code(), "unavailable");
    assert!(told.structured["error"]["retryable"] == true);
    tells_nothing(&told, &server);
}

#[tokio::test]
async fn a_server_that_hangs_takes_no_longer_than_its_timeout() {
    let Some(server) = guarded() else { return };
    let timeout = Duration::from_secs(3);
    let desk = desk([super::RedisSettings { timeout_ms: 3_000, ..app(&server) }]);
    let write = |value: &'static str| call(&desk, "redis_write", json!({"op": "set", "key": "a", "value": value}));
    for _ in 0..10 {
        // What was tried before may have left the line closed for a moment.
        let began = Instant::now();
        while write("v").await.is_error {
            assert!(began.elapsed() < Duration::from_secs(60), "it answers again");
        }
        server.freeze();
        let began = Instant::now();
        let told = write("w").await;
        assert_eq!(told.code(), "unavailable");
        // Five times would be tried again and again.
        assert!(began.elapsed() < timeout * 4, "{:?}", began.elapsed());
        if told.text.contains("may have been made") {
            return;
        }
        // The machine paused: a line that was silent for a second is asked first, and then nothing was sent.
        server.thaw();
    }
    panic!("a change that was sent may have been made, and nobody says so");
}

#[test]
fn settings_that_cannot_hold_are_refused_at_the_start() {
    use super::super::{Dangerous, Redis, RedisSettings};
    let open = |change: fn(&mut RedisSettings)| {
        let mut settings = RedisSettings::new("x", "redis://localhost");
        change(&mut settings);
        Redis::open(&settings).map(drop).map_err(|fault| fault.to_string())
    };
    assert_eq!(open(|_| {}), Ok(()));
    assert!(open(|own| own.url = "redis://u:hunter2@h".to_owned()).is_err_and(|told| !told.contains("hunter2")));
    assert!(open(|own| own.prefix = "{tenant}".to_owned()).is_err());
    assert!(open(|own| own.pool = 0).is_err_and(|told| told.contains("pool")));
    assert!(open(|own| own.authorities = Some("/nowhere.pem".into())).is_err());
    assert!(
        open(|own| {
            own.prefix = "a:".to_owned();
            own.allow = vec![Dangerous::Scripting];
        })
        .is_err()
    );
    assert!(open(|own| (own.url, own.database) = ("redis-cluster://h".to_owned(), 1)).is_err());
}
