//! Snapshots and copies: what arrives is what was there.

use serde_json::{Value, json};
use weft_kit::{Confirm, Direct, Rules};
use weft_vectorstore::{EmbeddedSettings, Settings, StoreSettings, service};

use crate::bench::{Bench, refused};

fn two_stores() -> Settings {
    let store = |name: &str, read_only| {
        StoreSettings::Embedded(EmbeddedSettings { name: name.to_owned(), read_only, path: None, max_gib: 1 })
    };
    Settings { stores: vec![store("one", false), store("two", false), store("old", true)], ..Settings::default() }
}

async fn filled(bench: &Bench) {
    bench.ok("create_collection", json!({ "name": "src", "dimensions": 3, "fields": { "n": "integer" } })).await;
    for batch in 0..3_u16 {
        let item = |n: u16| {
            let n = batch * 200 + n;
            json!({ "id": format!("{n:04}"), "vector": [f64::from(n) / 7.0, 0.1, -1.0], "text": format!("text {n}"), "metadata": { "n": n } })
        };
        let items: Vec<Value> = (0..200).map(item).collect();
        bench.ok("upsert", json!({ "collection": "src", "items": items })).await;
    }
}

#[tokio::test]
async fn a_snapshot_brings_back_what_was_there() {
    let bench = Bench::new();
    filled(&bench).await;
    let taken = bench.ok("snapshot_collection", json!({ "collection": "src", "name": "before" })).await;
    assert_eq!(taken["points"], 600);
    bench.ok("delete_points", json!({ "collection": "src", "filter": { "field": "n", "lt": 500 } })).await;
    let restored = bench.ok("restore_collection", json!({ "snapshot": "before" })).await;
    assert_eq!(
        (restored["result"]["points"].as_u64(), restored["result"]["replaces"].as_u64()),
        (Some(600), Some(100))
    );
    let got = bench
        .ok("get", json!({ "collection": "src", "ids": ["0123"], "include": ["vector", "text", "metadata"] }))
        .await;
    assert_eq!((got[0]["text"].as_str(), got[0]["metadata"]["n"].as_u64()), (Some("text 123"), Some(123)));
    let index = bench.ok("count", json!({ "collection": "src", "filter": { "field": "n", "lt": 5 } })).await;
    assert_eq!(index["count"], 5);
    bench.ok("restore_collection", json!({ "snapshot": "before", "collection": "twin" })).await;
    assert_eq!(bench.ok("count", json!({ "collection": "twin" })).await["count"], 600);
    assert_eq!(bench.by("other").call("list_snapshots", json!({})).await.data(), &json!([]));
    refused(&bench.by("other").call("restore_collection", json!({ "snapshot": "before" })).await, "not_found");
    bench.ok("delete_snapshot", json!({ "snapshot": "before" })).await;
    assert_eq!(bench.ok("list_snapshots", json!({})).await, json!([]));
}

#[tokio::test]
async fn a_snapshot_that_was_touched_is_refused_and_nothing_is_lost() {
    let bench = Bench::new();
    filled(&bench).await;
    bench.ok("snapshot_collection", json!({ "collection": "src" })).await;
    let folder = std::fs::read_dir(bench.path("snapshots")).unwrap().next().unwrap().unwrap().path();
    let path = folder.join("src.jsonl");
    let whole = std::fs::read(&path).unwrap();
    let changed = String::from_utf8(whole.clone()).unwrap().replace("text 17\"", "text 71\"");
    for damaged in [changed.as_bytes(), &whole[..whole.len() / 2], b"", &[whole.as_slice(), b"{}\n"].concat()] {
        std::fs::write(&path, damaged).unwrap();
        refused(&bench.call("restore_collection", json!({ "snapshot": "src" })).await, "damaged");
    }
    assert_eq!(bench.ok("count", json!({ "collection": "src" })).await["count"], 600);
}

#[tokio::test]
async fn a_copy_is_compared_point_by_point() {
    let bench = Bench::with(|_| two_stores());
    filled(&bench).await;
    let copied = bench.ok("copy_collection", json!({ "collection": "src", "to_store": "two" })).await;
    assert_eq!((copied["points"].as_u64(), copied["verified"].as_bool()), (Some(600), Some(true)));
    let there = json!({ "collection": "src", "store": "two", "items": [{ "id": "extra", "vector": [1.0, 2.0, 3.0] }] });
    bench.ok("upsert", there).await;
    let again = bench.ok("copy_collection", json!({ "collection": "src", "to_store": "two" })).await;
    assert_eq!((again["verified"].as_bool(), again["differing"][0].as_str()), (Some(false), Some("extra")));
    assert!(bench.call("copy_collection", json!({ "collection": "src" })).await.is_error, "onto itself");
    bench.ok("create_collection", json!({ "name": "other", "dimensions": 2 })).await;
    refused(&bench.call("copy_collection", json!({ "collection": "src", "to_collection": "other" })).await, "conflict");
}

#[tokio::test]
async fn a_read_only_store_is_never_written() {
    let bench = Bench::with(|_| two_stores());
    filled(&bench).await;
    bench.ok("snapshot_collection", json!({ "collection": "src" })).await;
    for (tool, args) in [
        ("create_collection", json!({ "name": "x", "dimensions": 2, "store": "old" })),
        ("copy_collection", json!({ "collection": "src", "to_store": "old" })),
        ("restore_collection", json!({ "snapshot": "src", "store": "old" })),
        ("upsert", json!({ "collection": "src", "store": "old", "items": [] })),
        ("delete_collection", json!({ "collection": "src", "store": "old" })),
        ("set_alias", json!({ "alias": "x", "store": "old" })),
    ] {
        refused(&bench.call(tool, args).await, "refused");
    }
}

#[tokio::test]
async fn destructive_acts_wait_for_a_plan_that_still_fits() {
    let folder = tempfile::tempdir().unwrap();
    let direct = Direct::new(
        service(Settings::default(), folder.path()).unwrap(),
        Rules { confirm: Confirm::Ask, ..Rules::default() },
    )
    .unwrap();
    direct.call("create_collection", json!({ "name": "v", "dimensions": 1 })).await;
    let write = |id: &str| json!({ "collection": "v", "items": [{ "id": id, "vector": [1.0] }] });
    direct.call("upsert", write("a")).await;
    let act = json!({ "collection": "v", "filter": { "all": [] } });
    let plan = direct.call("delete_points", act.clone()).await;
    assert_eq!(plan.data()["plan"]["effects"]["points"], 1, "{}", plan.text);
    direct.call("upsert", write("b")).await;
    let mut apply = act.clone();
    apply["plan_id"] = plan.data()["plan"]["plan_id"].clone();
    refused(&direct.call("delete_points", apply).await, "stale_plan");
    let every = json!({ "collection": "v", "filter": { "all": [] }, "set": { "mark": 1 } });
    let plan = direct.call("update_metadata", every.clone()).await;
    assert_eq!((&plan.data()["applied"], &plan.data()["plan"]["effects"]["points"]), (&json!(false), &json!(2)));
    let marked = json!({ "collection": "v", "filter": { "field": "mark", "eq": 1 } });
    assert_eq!(direct.call("count", marked.clone()).await.data()["count"], 0, "nothing was changed");
    let mut change = every;
    change["plan_id"] = plan.data()["plan"]["plan_id"].clone();
    assert_eq!(direct.call("update_metadata", change).await.data()["result"]["points"], 2);
    assert_eq!(direct.call("count", marked).await.data()["count"], 2);
    let plan = direct.call("delete_points", act.clone()).await;
    let mut apply = act;
    apply["plan_id"] = plan.data()["plan"]["plan_id"].clone();
    assert_eq!(direct.call("delete_points", apply).await.data()["result"]["points"], 2);
}
