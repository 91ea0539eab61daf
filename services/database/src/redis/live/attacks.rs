//! The attack corpus: what must not work, tried on a real server.

use serde_json::json;

use super::{admin, all, app, call, data, desk, done, guarded, tenant};

/// D01: no pattern and no key name leads out of the prefix, whatever the prefix holds.
#[tokio::test]
async fn no_pattern_leads_out_of_the_prefix() {
    let Some(server) = guarded() else { return };
    let desk = desk([
        app(&server),
        super::RedisSettings { name: "odd".to_owned(), prefix: "we*ird[?]:".to_owned(), ..admin(&server) },
        admin(&server),
    ]);
    let set = |connection, key| json!({"connection": connection, "op": "set", "key": key, "value": "v"});
    for (connection, key) in
        [("all", "other:1"), ("all", "app:x"), ("all", "wexirdx:1"), ("odd", "mine"), ("cache", "own")]
    {
        done(call(&desk, "redis_write", set(connection, key)).await);
    }
    done(call(&desk.by(tenant("b")), "redis_write", set("cache", "theirs")).await);
    for pattern in ["*", "other:*", "*other*", "../*", "\\", "[", "?*", "*]"] {
        let found = all(&desk, "redis_scan", json!({"pattern": pattern}), |page| &page["keys"]).await;
        assert!(found.iter().all(|key| key == "own"), "{pattern}: {found:?}");
        let found =
            all(&desk, "redis_scan", json!({"connection": "odd", "pattern": pattern}), |page| &page["keys"]).await;
        assert!(found.iter().all(|key| key == "mine"), "{pattern}: {found:?}");
    }
    let found = all(&desk, "redis_scan", json!({"connection": "odd"}), |page| &page["keys"]).await;
    assert_eq!(found, [json!("mine")]);
    for key in ["theirs", "../b:theirs", "app:b:theirs", "*", ":b:theirs"] {
        assert_eq!(call(&desk, "redis_read", json!({"key": key})).await.code(), "not_found", "{key}");
    }
    let plan = call(&desk, "redis_delete", json!({"pattern": "*"})).await;
    assert_eq!(plan.data()["plan"]["effects"]["keys"], 1);
}

/// D05: keys and values are bytes and nothing else.
#[tokio::test]
async fn keys_and_values_of_any_bytes_are_only_bytes() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server), admin(&server)]);
    let keys =
        [json!("a\r\nFLUSHALL\r\n"), json!("nul\0in"), json!({"base64": "//79"}), json!("*3\r\n$3\r\nSET"), json!("")];
    for key in &keys {
        data(&desk, "redis_write", json!({"op": "set", "key": key, "value": {"base64": "AP+A"}})).await;
        let read = data(&desk, "redis_read", json!({"key": key})).await;
        assert_eq!(read["value"], json!({"base64": "AP+A", "bytes": 3}), "{key}");
    }
    let found = all(&desk, "redis_scan", json!({}), |page| &page["keys"]).await;
    assert_eq!(found.len(), keys.len());
    assert!(found.contains(&json!({"base64": "//79", "bytes": 3})), "{found:?}");
    let long = "k".repeat(1 << 20);
    assert_eq!(call(&desk, "redis_read", json!({"key": long})).await.code(), "too_large");
    assert_eq!(call(&desk, "redis_write", json!({"op": "set", "key": long, "value": "v"})).await.code(), "too_large");
}

/// What reaches other keys, runs code, blocks or administers.
const ATTEMPTS: &[&str] = &[
    "RANDOMKEY",
    "DBSIZE",
    "KEYS *",
    "OBJECT ENCODING l",
    "DEBUG SLEEP 0",
    "CONFIG GET *",
    "CLIENT LIST",
    "ACL LIST",
    "MODULE LIST",
    "EVAL return(1) 0",
    "EVAL_RO while(true)do(end) 0",
    "FUNCTION LOAD x",
    "FCALL f 0",
    "SCRIPT LOAD x",
    "SORT l STORE other",
    "SORT_RO l BY other:*",
    "GEORADIUS g 0 0 1 m STORE other",
    "COPY l other:l",
    "RENAME l other:l",
    "MIGRATE 127.0.0.1 1 l 0 1",
    "RESTORE other 0 x",
    "BLPOP l 0",
    "XREAD BLOCK 0 STREAMS s $",
    "WAIT 1 0",
    "SUBSCRIBE c",
    "MONITOR",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF NO ONE",
    "SHUTDOWN NOSAVE",
    "FLUSHALL",
    "SELECT 1",
    "AUTH admin x",
    "SAVE",
    "HELLO 3",
    "RESET",
    "QUIT",
    "MULTI",
    "EXEC",
    "ASKING",
    "CLUSTER RESET",
    "get\r\nFLUSHALL a",
    "GET\0 a",
];

/// D02, D03, D04, D07: none of it is offered, by any tool.
#[tokio::test]
async fn commands_that_are_not_offered_do_not_run() {
    let Some(server) = guarded() else { return };
    // The user who may do everything: the server's access list must not be what refuses.
    let desk = desk([super::RedisSettings { name: "cache".to_owned(), prefix: "app:".to_owned(), ..admin(&server) }]);
    data(&desk, "redis_write", json!({"op": "rpush", "key": "l", "values": ["3", "1"]})).await;
    for attempt in ATTEMPTS {
        let words: Vec<_> = attempt.split(' ').collect();
        let told = call(&desk, "redis_command", json!({"command": words[0], "args": words[1..]})).await;
        assert_eq!(told.code(), "refused", "{attempt}: {}", told.text);
        let told = call(&desk, "redis_pipeline", json!({"ops": [["SET", "touched", 1], words]})).await;
        assert_eq!(told.code(), "refused", "{attempt}: {}", told.text);
    }
    let keys = all(&desk, "redis_scan", json!({}), |page| &page["keys"]).await;
    assert_eq!(keys, [json!("l")], "nothing of a refused pipeline was done");
    for write in ["SET a 1", "LPOP l", "GETEX l"] {
        let words: Vec<_> = write.split(' ').collect();
        let told = call(&desk, "redis_command", json!({"command": words[0], "args": words[1..]})).await;
        assert_eq!(told.code(), "refused", "{write}");
    }
    let sum = json!({"command": "zunion", "args": ["5", "l"]});
    assert_eq!(call(&desk, "redis_command", sum).await.code(), "invalid_arguments");
    let range = json!({"command": "lrange", "args": ["l", 0, -1]});
    assert_eq!(data(&desk, "redis_command", range).await["reply"], json!(["3", "1"]));
}

/// D02, D03: what the operator allows runs, and still tells no secret.
#[tokio::test]
async fn dangerous_groups_run_only_where_they_are_allowed() {
    use crate::Dangerous::{Config, Flush, Keys, Scripting};
    let Some(server) = guarded() else { return };
    let allow = vec![Scripting, Keys, Config, Flush];
    let desk = desk([super::RedisSettings { name: "cache".to_owned(), allow, ..admin(&server) }]);
    data(&desk, "redis_write", json!({"op": "set", "key": "a", "value": "1"})).await;
    let run = |command: &'static str, args: serde_json::Value| {
        call(&desk, "redis_command", json!({"command": command, "args": args}))
    };
    assert_eq!(run("DBSIZE", json!([])).await.data()["reply"], 1);
    let script = "return redis.call('get', KEYS[1])";
    assert_eq!(run("EVAL_RO", json!([script, 1, "a"])).await.data()["reply"], "1");
    let wrote = run("EVAL_RO", json!(["return redis.call('set', KEYS[1], '2')", 1, "a"])).await;
    assert!(wrote.is_error);
    assert_eq!(data(&desk, "redis_read", json!({"key": "a"})).await["value"], "1");
    let config = done(run("CONFIG", json!(["GET", "*"])).await);
    let told = config.data()["reply"].to_string();
    assert!(told.contains("maxmemory") && !told.contains("requirepass") && !told.contains("aclfile"), "{told}");
    assert_eq!(run("CONFIG", json!(["SET", "maxmemory", "1"])).await.code(), "refused");
    let plan = data(&desk, "redis_delete", json!({"everything": true})).await;
    assert_eq!(plan["plan"]["effects"]["keys"], 1);
    let id = &plan["plan"]["plan_id"];
    let gone = data(&desk, "redis_delete", json!({"everything": true, "plan_id": id})).await;
    assert_eq!(gone["result"]["deleted"], 1);
    assert_eq!(run("DBSIZE", json!([])).await.data()["reply"], 0);
}

/// Bytes that the server has sent so far.
fn sent(server: &super::Server) -> u64 {
    let told = server.say("AUTH admin admin-secret\r\nINFO stats\r\n").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    line.unwrap_or_else(|| panic!("{told}")).parse().unwrap()
}

/// D06: values of a million elements answer in windows, and nothing answers them whole.
#[tokio::test]
async fn values_of_a_million_elements_are_read_in_windows() {
    let Some(server) = guarded() else { return };
    let desk = desk([app(&server), admin(&server)]);
    let fill = "AUTH admin admin-secret\r\n\
        EVAL \"for i=1,1000000 do redis.call('rpush','app:local:l','e'..i) redis.call('hset','app:local:h','f'..i,i) \
        redis.call('sadd','app:local:s','m'..i) redis.call('zadd','app:local:z',i,'m'..i) end return 1\" 0\r\n";
    server.say_long(fill, ":1");
    for (key, what) in [("l", "items"), ("h", "fields"), ("s", "items"), ("z", "members")] {
        let before = sent(&server);
        let page = done(call(&desk, "redis_read", json!({"key": key, "window": {"count": 500}})).await);
        assert_eq!(page.data()[what].as_array().unwrap().len(), 500, "{key}");
        assert_eq!(page.data()["length"], 1_000_000);
        assert!(page.structured["page"]["has_more"] == true);
        let sent = sent(&server) - before;
        assert!(sent < 1 << 20, "{key}: {sent} bytes for a window of it");
    }
    let last = data(&desk, "redis_read", json!({"key": "l", "window": {"start": -1}})).await;
    assert_eq!(last["items"], json!(["e1000000"]));
    for (command, args) in [
        ("LRANGE", json!(["l", 0, -1])),
        ("HGETALL", json!(["h"])),
        ("SMEMBERS", json!(["s"])),
        ("ZRANGE", json!(["z", 0, -1])),
        ("SUNION", json!(["s", "s"])),
    ] {
        let told = call(&desk, "redis_command", json!({"command": command, "args": args})).await;
        assert_eq!(told.code(), "too_large", "{command}: {}", told.text);
    }
    let popped = call(&desk, "redis_pipeline", json!({"ops": [["LPOP", "l", 1_000_000]]})).await;
    assert_eq!(popped.code(), "too_large");
    assert_eq!(
        call(&desk, "redis_read", json!({"key": "l", "window": {"count": 501}})).await.code(),
        "invalid_arguments"
    );
}

/// D06: a hash of a thousand fields comes whole by pages, each field once.
#[tokio::test]
async fn pages_of_a_hash_hold_each_field_once() {
    let Some(server) = guarded() else { return };
    let desk = desk([super::RedisSettings { max_bytes: 4_096, ..app(&server) }]);
    for keys in [100, 1_000] {
        let pairs: Vec<_> = (0..keys).map(|number| json!([format!("f{number}"), "v".repeat(40)])).collect();
        let key = format!("h{keys}");
        data(&desk, "redis_write", json!({"op": "hset", "key": key, "pairs": pairs})).await;
        let fields =
            all(&desk, "redis_read", json!({"key": key, "window": {"count": 37}}), |page| &page["fields"]).await;
        let distinct: std::collections::BTreeSet<_> = fields.iter().map(|field| field["field"].to_string()).collect();
        assert_eq!((fields.len(), distinct.len()), (keys, keys));
    }
}
