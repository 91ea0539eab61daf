//! What the graph finds, against what there is.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::bench::{Bench, ids, refused};

const POINTS: u64 = 4_096;
const DIMENSIONS: usize = 64;
const CLUSTERS: u64 = 64;

/// A number from -1 to 1 that looks random and is the same each time (SplitMix64).
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Points lie around the middles of clusters.
fn vector(n: u64) -> Vec<f64> {
    let middle = noise(n ^ 0xabcd).abs() * CLUSTERS as f64;
    let place = |at: usize| noise(middle as u64 * 1_000 + at as u64) + 0.4 * noise(n * 100_003 + at as u64);
    (0..DIMENSIONS).map(place).collect()
}

/// Writes the points and waits until the graph holds all but the few that may be scanned.
async fn filled(metric: &str, quantisation: &str) -> Bench {
    let bench = Bench::new();
    let made = json!({ "name": "c", "dimensions": DIMENSIONS, "metric": metric, "quantisation": quantisation, "fields": { "half": "integer" } });
    bench.ok("create_collection", made).await;
    for batch in 0..POINTS / 256 {
        let item = |n: u64| json!({ "id": format!("{n:05}"), "vector": vector(n), "metadata": { "half": n % 2 } });
        let items: Vec<Value> = (batch * 256..(batch + 1) * 256).map(item).collect();
        bench.ok("upsert", json!({ "collection": "c", "items": items })).await;
    }
    let followed = async {
        loop {
            let facts = bench.ok("describe_collection", json!({ "collection": "c" })).await["facts"].clone();
            if facts["scanned"].as_u64().is_some_and(|scanned| scanned <= 1_000) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), followed).await.expect("the graph follows");
    bench
}

async fn recall(bench: &Bench, filter: &Value) -> f64 {
    let mut found = 0;
    for query in 0..50 {
        let ask = |exact: bool| json!({ "collection": "c", "vector": vector(1_000_000 + query), "limit": 10, "exact": exact, "filter": filter });
        let exact = bench.ok("search", ask(true)).await["hits"].clone();
        let graph = bench.ok("search", ask(false)).await["hits"].clone();
        let exact: BTreeSet<&str> = ids(&exact).into_iter().collect();
        found += ids(&graph).iter().filter(|id| exact.contains(*id)).count();
    }
    f64::from(u32::try_from(found).unwrap()) / 500.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_finds_at_least_95_of_100_nearest() {
    let bench = filled("cosine", "none").await;
    let all = recall(&bench, &json!({ "all": [] })).await;
    let half = recall(&bench, &json!({ "field": "half", "eq": 1 })).await;
    println!("recall@10 cosine: {all}, half of the points filtered away: {half}");
    assert!(all >= 0.95 && half >= 0.95, "{all} {half}");
    let gone = bench.ok("delete_points", json!({ "collection": "c", "filter": { "field": "half", "eq": 0 } })).await;
    assert_eq!(gone["result"]["points"], POINTS / 2);
    let left = recall(&bench, &json!({ "all": [] })).await;
    assert!(left >= 0.95, "deleted points are no hits and no hindrance: {left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_eight_bits_may_be_asked_for_by_name_where_there_is_a_graph() {
    let bench = filled("cosine", "scalar").await;
    let shown = bench.ok("describe_collection", json!({ "collection": "c" })).await;
    assert_eq!((shown["quantisation"].as_str(), shown["facts"]["index"].as_str()), (Some("scalar"), Some("hnsw")));
    let all = recall(&bench, &json!({ "all": [] })).await;
    assert!(all >= 0.95, "{all}");
    for quantisation in ["scalar", "binary"] {
        let made = json!({ "name": "d", "dimensions": 2, "metric": "dot", "quantisation": quantisation });
        refused(&bench.call("create_collection", made).await, "invalid_arguments");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coarse_graph_gives_exact_scores_and_finds_a_point_by_itself() {
    let bench = filled("euclidean", "binary").await;
    for n in [0, 77, 4_000] {
        let found = bench.ok("search", json!({ "collection": "c", "vector": vector(n), "limit": 1 })).await;
        assert_eq!(ids(&found["hits"]), [format!("{n:05}")]);
        assert!(found["hits"][0]["score"].as_f64().unwrap() < 1e-3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_without_a_direction_are_found_beside_the_graph() {
    let bench = Bench::new();
    bench.vectors("z", 2).await;
    for batch in 0..6 {
        let zero = |n: u64| json!({ "id": format!("{batch}-{n:03}"), "vector": [0.0, 0.0] });
        let items: Vec<Value> = (0..250).map(zero).collect();
        bench.ok("upsert", json!({ "collection": "z", "items": items })).await;
    }
    bench.ok("upsert", json!({ "collection": "z", "items": [{ "id": "one", "vector": [1.0, 0.0] }] })).await;
    let found = bench.ok("search", json!({ "collection": "z", "vector": [1.0, 0.5], "limit": 2 })).await;
    assert_eq!(ids(&found["hits"]), ["one", "0-000"]);
}
