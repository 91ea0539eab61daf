//! Several writers, several instances, one memory: nothing is lost and all agree at the end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use weft_memory::Settings;

use crate::{desk::Desk, stores};

/// Entities that all of them write to.
const LOGS: u64 = 20;

/// How long they write, as fast as they can; the end-to-end test does so for a minute, through a gateway.
const TIME: Duration = Duration::from_secs(3);

/// Adds one to the number in a record, however often others are first.
async fn count_up(desk: &Desk, id: &str) -> u64 {
    loop {
        let record = desk.ok("get", json!({"ids": [id]})).await["records"][0]["record"].clone();
        let next = record["text"].as_str().unwrap().parse::<u64>().unwrap() + 1;
        let patch = json!({"text": next.to_string()});
        let called = desk.call("update", json!({"id": id, "if_match": record["version"], "patch": patch})).await;
        if !called.is_error {
            return next;
        }
        assert_eq!(called.code(), "conflict", "{}", called.structured);
    }
}

/// One agent, through one instance; how often it counted, which is once at least however busy the machine is, and what it stored.
async fn agent(desk: Arc<Desk>, name: usize, until: Instant) -> (u64, Vec<String>) {
    let (mut counted, mut stored) = (0, Vec::new());
    loop {
        count_up(&desk, "counter").await;
        counted += 1;
        let text = format!("agent {name} saw thing {counted}");
        stored.push(desk.store(json!({"text": text, "topics": ["seen"]})).await);
        let contents = [format!("{name}-{counted}")];
        desk.ok(
            "add_observations",
            json!({"observations": [{"entityName": (format!("log {}", counted % LOGS)), "contents": contents}]}),
        )
        .await;
        let own = desk.ok("get", json!({"ids": [stored.last().unwrap()]})).await;
        assert_eq!(own["records"][0]["record"]["text"], text.as_str(), "a writer reads what it wrote");
        if Instant::now() >= until {
            return (counted, stored);
        }
    }
}

async fn five_through_three(settings: Settings) {
    let settings = Settings { graph_tools: true, ..settings };
    let first = Arc::new(Desk::of(settings.clone()));
    let mut instances = vec![first.clone()];
    for _ in 0..2 {
        instances.push(Arc::new(Desk::on(settings.clone(), first.folder.clone())));
    }
    first.store(json!({"id": "counter", "text": "0"})).await;
    let log = |number| json!({"name": (format!("log {number}")), "entityType": "thing", "observations": []});
    let logs: Vec<_> = (0..LOGS).map(log).collect();
    first.ok("create_entities", json!({ "entities": logs })).await;
    let until = Instant::now() + TIME;
    let mut agents = tokio::task::JoinSet::new();
    for name in 0..5 {
        agents.spawn(agent(instances[name % 3].clone(), name, until));
    }
    let done = agents.join_all().await;
    let counted: u64 = done.iter().map(|(counted, _)| counted).sum();
    println!("{counted} rounds");
    assert!(counted >= 5);
    for desk in &instances {
        let counter = desk.ok("get", json!({"ids": ["counter"]})).await["records"][0]["record"].clone();
        assert_eq!(
            (counter["text"].as_str(), counter["version"].as_u64()),
            (Some(counted.to_string().as_str()), Some(counted + 1))
        );
        let mut observed = 0;
        for number in 0..LOGS {
            let log = desk.ok("open_nodes", json!({"names": [(format!("log {number}"))]})).await;
            observed += log["entities"][0]["observations"].as_array().unwrap().len() as u64;
        }
        assert_eq!(observed, counted);
        for ids in done.iter().flat_map(|(_, ids)| ids.chunks(50)) {
            assert_eq!(desk.ok("get", json!({"ids": ids})).await["missing"], json!([]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_agents_through_three_instances_on_one_postgresql_lose_nothing() {
    let Some(settings) = stores::postgres() else { return };
    five_through_three(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_agents_through_three_instances_on_one_redis_lose_nothing() {
    let Some(settings) = stores::redis() else { return };
    five_through_three(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_agents_through_three_instances_on_one_graph_database_lose_nothing() {
    let Some(settings) = stores::neo4j() else { return };
    five_through_three(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_agents_through_three_instances_on_one_file_lose_nothing() {
    five_through_three(Settings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_stored_at_once_is_one_record() {
    for settings in stores::all() {
        let one = Arc::new(Desk::of(settings.clone()));
        let two = Arc::new(Desk::on(settings, one.folder.clone()));
        let mut storing = tokio::task::JoinSet::new();
        for number in 0..20 {
            let desk = if number % 2 == 0 { one.clone() } else { two.clone() };
            storing.spawn(async move { desk.store("All agents notice this at once").await });
        }
        let ids = storing.join_all().await;
        assert!(ids.iter().all(|id| *id == ids[0]));
        let stats = one.ok("stats", json!({})).await;
        let versions: u64 =
            stats["parts"].as_array().unwrap().iter().map(|part| part["versions"].as_u64().unwrap()).sum();
        assert_eq!(versions, 1);
    }
}
