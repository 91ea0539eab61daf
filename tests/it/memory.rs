//! Five agents, three memory servers on one PostgreSQL, one gateway: nothing is lost, everybody reads what was written, all agree.
//!
//! Every call goes to whichever instance is next, so that a writer reads at another one than it wrote at. It takes a minute, in which the
//! agents leave the machine time for other tests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    data::{call, data, database, given, healthy},
    harness::eventually,
    mesh::{Gateway, Mesh, Process, write},
};

/// How long they write.
const TIME: Duration = Duration::from_secs(60);
/// What an agent does something else for after each round.
const PAUSE: Duration = Duration::from_millis(100);

fn get(gateway: &Gateway, id: &str) -> Value {
    data(&call(gateway, "memory_get", &json!({ "ids": [id] })))["records"][0]["record"].clone()
}

/// Adds one to the number in a record, however often others are first.
fn count_up(gateway: &Gateway) {
    loop {
        let record = get(gateway, "counter");
        let next = record["text"].as_str().unwrap().parse::<u64>().unwrap() + 1;
        let patch = json!({ "text": next.to_string() });
        let change = json!({ "id": "counter", "if_match": record["version"], "patch": patch });
        let result = call(gateway, "memory_update", &change);
        if result["isError"] != true {
            return;
        }
        assert_eq!(result["structuredContent"]["error"]["code"], "conflict", "{result}");
    }
}

/// One agent; the ids of what it remembered, one for each time that it counted.
fn agent(gateway: &Gateway, name: usize, until: Instant) -> Vec<String> {
    let mut stored = Vec::new();
    while Instant::now() < until {
        count_up(gateway);
        let (id, text) = (format!("a{name}-{}", stored.len()), format!("agent {name} saw thing {}", stored.len()));
        let items = json!({ "items": [{ "id": id, "text": text, "topics": ["seen"] }] });
        data(&call(gateway, "memory_store", &items));
        assert_eq!(get(gateway, &id)["text"], text.as_str(), "who wrote it reads it, wherever it is asked");
        stored.push(id);
        std::thread::sleep(PAUSE);
    }
    stored
}

#[test]
fn five_agents_through_three_memory_servers_behind_a_gateway_lose_nothing() {
    let Some(url) = database("mesh_memory") else { return };
    let mesh = Mesh::patient();
    let (config, balance) = (mesh.path("memory.toml"), mesh.path("gateway.toml"));
    let key = mesh.path("shared.key").display().to_string();
    write(
        &config,
        &format!("[host]\nseal_key = {key:?}\n[service.store]\nkind = \"postgres\"\nurl = \"text:{url}\"\n"),
    );
    write(&balance, "[[service]]\nname = \"memory\"\npolicy = \"round_robin\"\n");
    let _instances: Vec<Process> = (0..3).map(|_| mesh.serve("memory", &config)).collect();
    let gateway = mesh.gateway_with(&["--config", balance.to_str().unwrap()]);
    eventually("three instances take calls", || healthy(&gateway, "memory").len() == 3);
    eventually("the tools are known", || gateway.status().to_string().contains("session_context"));
    data(&call(&gateway, "memory_store", &json!({ "items": [{ "id": "counter", "text": "0" }] })));
    let until = Instant::now() + TIME;
    let stored: Vec<String> = std::thread::scope(|scope| {
        let gateway = &gateway;
        let agents: Vec<_> = (0..5).map(|name| scope.spawn(move || agent(gateway, name, until))).collect();
        agents.into_iter().flat_map(|agent| agent.join().unwrap()).collect()
    });
    eprintln!("{} rounds of five agents", stored.len());
    let counter = get(&gateway, "counter");
    assert_eq!(counter["text"], stored.len().to_string());
    assert_eq!(counter["version"], stored.len() + 1);
    // As often as there are instances: all of them agree.
    for _ in 0..3 {
        for ids in stored.chunks(50) {
            assert_eq!(data(&call(&gateway, "memory_get", &json!({ "ids": ids })))["missing"], json!([]));
        }
        let stats = data(&call(&gateway, "memory_stats", &json!({}))).to_string();
        assert!(stats.contains(&format!("\"fact\":{}", stored.len() + 1)), "{stats}");
    }
    eventually("all instances were checked", || given(&mesh, "memory").len() == 3);
    let given = given(&mesh, "memory");
    assert!(given.values().all(|calls| *calls > 0), "an instance was never asked: {given:?}");
}
