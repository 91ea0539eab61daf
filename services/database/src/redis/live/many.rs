//! More than one server: a cluster, Sentinels and their failover, and TLS before any of them.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    PATIENCE_MS, RedisSettings, all, call, data, desk, done,
    servers::{Cluster, Server, Watched},
};

#[tokio::test]
async fn a_cluster_is_one_keyspace() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let settings = RedisSettings { timeout_ms: PATIENCE_MS, ..RedisSettings::new("cache", cluster.url()) };
    let desk = desk([RedisSettings { prefix: "app:".to_owned(), ..settings }]);
    for number in 0..300 {
        data(&desk, "redis_write", json!({"op": "set", "key": format!("k{number}"), "value": number})).await;
    }
    assert_eq!(data(&desk, "redis_read", json!({"key": "k299"})).await["value"], "299");
    let keys = all(&desk, "redis_scan", json!({"count": 50}), |page| &page["keys"]).await;
    let distinct: std::collections::BTreeSet<_> = keys.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 300);
    let ops: Vec<_> = (0..20).map(|number| json!(["INCR", format!("k{number}")])).collect();
    let results = data(&desk, "redis_pipeline", json!({"ops": ops})).await;
    assert_eq!(results["results"][19], json!({"reply": 20}));
    let apart = json!({"atomic": true, "ops": [["SET", "a", 1], ["SET", "b", 1]]});
    let told = call(&desk, "redis_pipeline", apart).await;
    assert!(told.code() == "invalid_arguments" && told.text.contains("hash tag"), "{}", told.text);
    let together = json!({"expect": [{"key": "{t}a"}], "ops": [["SET", "{t}a", 1], ["SET", "{t}b", 1]]});
    done(call(&desk, "redis_pipeline", together).await);
    assert_eq!(
        data(&desk, "redis_command", json!({"command": "mget", "args": ["{t}a", "{t}b"]})).await["reply"],
        json!(["1", "1"])
    );
    assert!(
        call(&desk, "redis_command", json!({"command": "mget", "args": ["a", "b"]})).await.text.contains("hash tag")
    );
    let plan = data(&desk, "redis_delete", json!({"pattern": "k1*"})).await;
    assert_eq!(plan["plan"]["effects"]["keys"], 111);
    let gone = data(&desk, "redis_delete", json!({"pattern": "k1*", "plan_id": plan["plan"]["plan_id"]})).await;
    assert_eq!(gone["result"]["deleted"], 111);
    let info = data(&desk, "redis_info", json!({"section": "cluster"})).await;
    assert_eq!(info["masters"].as_array().unwrap().len(), 3);
}

/// A slot that wanders: `ASK` while it does, `MOVED` when it has.
#[tokio::test]
async fn keys_are_found_while_their_slot_moves_and_after() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let desk = desk([RedisSettings { timeout_ms: PATIENCE_MS, ..RedisSettings::new("cache", cluster.url()) }]);
    // Slot 12182 ("foo") is the third node's.
    data(&desk, "redis_write", json!({"op": "set", "key": "foo", "value": "here"})).await;
    let (from, to) = (cluster.id(2), cluster.id(0));
    let tell = |node: usize, command: String| {
        let answer = cluster.nodes[node].say(&format!("{command}\r\n")).unwrap();
        assert!(answer.starts_with('+'), "{command}: {answer}");
    };
    tell(0, format!("CLUSTER SETSLOT 12182 IMPORTING {from}"));
    tell(2, format!("CLUSTER SETSLOT 12182 MIGRATING {to}"));
    assert_eq!(data(&desk, "redis_read", json!({"key": "foo"})).await["value"], "here");
    tell(2, format!("MIGRATE 127.0.0.1 {} foo 0 60000", cluster.nodes[0].port));
    assert_eq!(data(&desk, "redis_read", json!({"key": "foo"})).await["value"], "here");
    data(&desk, "redis_write", json!({"op": "set", "key": "{foo}new", "value": "there"})).await;
    for node in [0, 2, 1] {
        tell(node, format!("CLUSTER SETSLOT 12182 NODE {to}"));
    }
    assert_eq!(data(&desk, "redis_read", json!({"key": "foo"})).await["value"], "here");
    let both = json!({"atomic": true, "ops": [["APPEND", "foo", "!"], ["GET", "{foo}new"]]});
    assert_eq!(data(&desk, "redis_pipeline", both).await["results"][1], json!({"reply": "there"}));
}

/// A master that is killed as by a power failure: writes fail honestly, then go to the new one.
#[tokio::test]
async fn a_failover_is_survived() {
    let Some(mut watched) = Watched::start() else { return };
    let desk = desk([RedisSettings { timeout_ms: 3_000, ..RedisSettings::new("cache", watched.url()) }]);
    data(&desk, "redis_write", json!({"op": "set", "key": "before", "value": "kept"})).await;
    super::servers::until("the replica has it", || {
        watched.servers[1].say("GET before\r\n").unwrap_or_default().contains("kept")
    });
    watched.watch_closely();
    watched.servers[0].kill();
    let began = Instant::now();
    let mut failures = 0;
    loop {
        let told = call(&desk, "redis_write", json!({"op": "set", "key": "after", "value": "2"})).await;
        if !told.is_error {
            break;
        }
        failures += 1;
        assert_eq!(told.code(), "unavailable", "{}", told.text);
        assert!(began.elapsed() < Duration::from_secs(180), "{}", told.text);
    }
    eprintln!("writes went on after {:?} and {failures} failures", began.elapsed());
    assert_eq!(data(&desk, "redis_read", json!({"key": "before"})).await["value"], "kept");
    assert_eq!(data(&desk, "redis_read", json!({"key": "after"})).await["value"], "2");
    assert!(watched.servers[1].say("GET after\r\n").unwrap().contains('2'));
}

/// A master that no longer answers but whose connections stand: it is left behind all the same.
#[tokio::test]
async fn a_master_that_hangs_is_left_behind() {
    let Some(watched) = Watched::start() else { return };
    let desk = desk([RedisSettings { timeout_ms: 3_000, ..RedisSettings::new("cache", watched.url()) }]);
    data(&desk, "redis_write", json!({"op": "set", "key": "before", "value": "kept"})).await;
    super::servers::until("the replica has it", || {
        watched.servers[1].say("GET before\r\n").unwrap_or_default().contains("kept")
    });
    watched.watch_closely();
    watched.servers[0].freeze();
    let began = Instant::now();
    while call(&desk, "redis_write", json!({"op": "set", "key": "after", "value": "2"})).await.is_error {
        assert!(began.elapsed() < Duration::from_secs(180));
    }
    eprintln!("writes went on after {:?}", began.elapsed());
    assert_eq!(data(&desk, "redis_read", json!({"key": "before"})).await["value"], "kept");
    assert!(watched.servers[1].say("GET after\r\n").unwrap().contains('2'));
}

/// Makes an authority and a certificate of `localhost` in `dir`; `false` without the program for it.
fn certificates(dir: &Path) -> bool {
    let made = "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=ca -keyout ca.key -out ca.crt && \
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout redis.key -out redis.csr && \
        printf 'subjectAltName=DNS:localhost' > ext && \
        openssl x509 -req -in redis.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3 -extfile ext -out redis.crt";
    Command::new("sh").args(["-c", made]).current_dir(dir).output().is_ok_and(|made| made.status.success())
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate_and_name_alone() {
    let dir = tempfile::tempdir().unwrap();
    let port = weft_testkit::free_port();
    if !certificates(dir.path()) {
        eprintln!("skipped: there is no openssl to make certificates with");
        return;
    }
    let file = |name: &str| dir.path().join(name).display().to_string();
    let flags = |_: &Path| {
        let all = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", file("redis.crt")),
            ("--tls-key-file", file("redis.key")),
            ("--tls-ca-cert-file", file("ca.crt")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        all.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    };
    let Some(server) = Server::start(flags) else { return };
    let settings = |url: String, authorities: Option<&str>| RedisSettings {
        authorities: authorities.map(|name| dir.path().join(name)),
        ..RedisSettings::new("cache", url)
    };
    let right = settings(format!("rediss://localhost:{port}"), Some("ca.crt"));
    let trusted = desk([RedisSettings { timeout_ms: PATIENCE_MS, ..right }]);
    data(&trusted, "redis_write", json!({"op": "set", "key": "a", "value": "1"})).await;
    assert_eq!(data(&trusted, "redis_read", json!({"key": "a"})).await["value"], "1");
    let refused = [
        settings(format!("rediss://localhost:{port}"), None),
        settings(format!("rediss://127.0.0.1:{port}"), Some("ca.crt")),
        settings(format!("rediss://localhost:{}", server.port), Some("ca.crt")),
        settings(format!("redis://localhost:{port}"), None),
    ];
    for wrong in refused {
        let url = wrong.url.clone();
        let told = call(&desk([wrong]), "redis_read", json!({"key": "a"})).await;
        assert_eq!(told.code(), "unavailable", "{url}: {}", told.text);
    }
}

/// Answers one connection: that it holds all slots itself, and to everything else that the key is `elsewhere`.
async fn lie(mut stream: TcpStream, kind: &str, port: u16, elsewhere: u16) {
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let said = String::from_utf8_lossy(&bytes[..read]).to_uppercase();
        let answer = if said.contains("SLOTS") {
            format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
        } else if said.contains("AUTH") {
            "+OK\r\n".to_owned()
        } else {
            format!("-{kind} 1 127.0.0.1:{elsewhere}\r\n")
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// D08: a redirection to a host that is no master of the view is not followed, and no credentials go there.
#[tokio::test]
async fn a_redirection_to_a_stranger_is_not_followed() {
    let stranger = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = stranger.local_addr().unwrap().port();
    for kind in ["MOVED", "ASK"] {
        let liar = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = liar.local_addr().unwrap().port();
        let lying = tokio::spawn(async move {
            while let Ok((stream, _)) = liar.accept().await {
                tokio::spawn(lie(stream, kind, port, elsewhere));
            }
        });
        let password = Some(weft_kit::Reference::Text("secret".to_owned()));
        for layout in ["redis-cluster", "redis"] {
            let url = format!("{layout}://127.0.0.1:{port}");
            let desk = desk([RedisSettings { password: password.clone(), ..RedisSettings::new("cache", url) }]);
            let told = call(&desk, "redis_read", json!({"key": "a"})).await;
            assert_eq!(told.code(), "unavailable", "{kind} {layout}: {}", told.text);
            assert!(!told.text.contains(&elsewhere.to_string()), "{}", told.text);
        }
        lying.abort();
    }
    let visited = tokio::time::timeout(Duration::from_millis(100), stranger.accept()).await;
    assert!(visited.is_err(), "someone followed the redirection");
}
