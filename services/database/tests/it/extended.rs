//! What PostgreSQL can tell with the extensions hypopg and `pg_stat_statements`.

use serde_json::json;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, SHOP, ok, postgres, refused};

/// A database with both extensions and a table of some size, owned by a role that may do nothing special.
async fn desk() -> Option<(Desk, Admin, String)> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let server = weft_testkit::extended_postgres()?;
    let name = format!("extended_{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let admin = Admin::of(&server.url("postgres")).await;
    admin.run(&format!("CREATE ROLE {name} LOGIN")).await;
    admin.run(&format!("CREATE DATABASE {name} OWNER {name}")).await;
    let admin = Admin::of(&server.url(&name)).await;
    admin.run("CREATE EXTENSION hypopg; CREATE EXTENSION pg_stat_statements").await;
    let url = server.url_as(&name, &name);
    let desk = Desk::of(Settings { postgres: vec![postgres(&url, Rights::Migrate)], ..Settings::default() });
    ok(desk.call("migrate", json!({"name": "shop", "up": SHOP, "down": "DROP TABLE orders"})).await);
    admin.run("INSERT INTO orders SELECT n, 1, 'day ' || n, n FROM generate_series(10, 20000) n; ANALYZE orders").await;
    Some((desk, admin, url))
}

#[tokio::test]
async fn an_index_is_tried_that_nobody_made() {
    let Some((desk, admin, _)) = desk().await else { return };
    let sql = "SELECT * FROM orders WHERE day = 'day 15000'";
    let tried = desk.call("explain", json!({"sql": sql, "indexes": ["CREATE INDEX ON orders (day)"]})).await;
    let tried = ok(tried).data().clone();
    let (without, with) = (tried["cost"]["without"].as_f64().unwrap(), tried["cost"]["with"].as_f64().unwrap());
    assert!(with * 10.0 < without, "{tried}");
    assert!(tried.to_string().contains("Index Scan"), "{tried}");
    let made = "SELECT count(*)::text FROM pg_indexes WHERE tablename = 'orders'";
    assert_eq!(admin.text(made).await, "2", "the key and the index of the shop");
    // No planner of a later call believes in any, whichever connection it gets.
    for _ in 0..5 {
        let plain = ok(desk.call("explain", json!({"sql": sql})).await).data().clone();
        assert_eq!(plain["plan"]["cost"].as_f64(), Some(without));
    }
    for wrong in
        ["DROP TABLE orders", "CREATE INDEX ON orders (day); DROP TABLE orders", "CREATE INDEX ON absent (day)"]
    {
        let tried = desk.call("explain", json!({"sql": sql, "indexes": [wrong]})).await;
        assert!(tried.is_error, "{wrong}: {}", tried.text);
    }
}

#[tokio::test]
async fn the_statements_that_cost_most_are_listed() {
    let Some((desk, _admin, url)) = desk().await else { return };
    for number in 0..7 {
        desk.rows(&format!("SELECT count(*) FROM orders WHERE total > {number} AND day <> 'counted'")).await;
    }
    let top = ok(desk.call("top_queries", json!({"by": "calls", "limit": 50})).await).data().clone();
    let ours =
        top.as_array().unwrap().iter().find(|one| one["query"].as_str().unwrap().contains("count(*) FROM orders"));
    let ours = ours.unwrap_or_else(|| panic!("{top}"));
    assert!(ours["calls"].as_u64().unwrap() >= 7 && ours["total_ms"].as_f64().unwrap() > 0.0, "{ours}");
    assert!(!ours["query"].as_str().unwrap().contains("counted"), "values are not told: {ours}");
    let one = ok(desk.call("top_queries", json!({"limit": 1})).await);
    assert_eq!(one.data().as_array().unwrap().len(), 1);
    refused(&desk.call("top_queries", json!({"by": "luck"})).await, &["invalid_arguments"]);
    // Where only some tables may be used, statements on others are not told.
    desk.rows("SELECT count(*) FROM customers").await;
    let mut narrow = postgres(&url, Rights::ReadOnly);
    narrow.tables = vec!["public.customers".to_owned()];
    let narrow = Desk::of(Settings { postgres: vec![narrow], ..Settings::default() });
    let top = ok(narrow.call("top_queries", json!({"limit": 50})).await).data().to_string();
    assert!(top.contains("FROM customers") && !top.contains("orders"), "{top}");
}
