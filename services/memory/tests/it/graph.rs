//! The graph: links, what records name, ways, and the nine tools of the official memory server with its file.

use serde_json::json;
use weft_memory::Settings;

use crate::{desk::Desk, stores};

#[tokio::test]
async fn nodes_are_joined_by_links_and_by_what_records_name() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let id = desk.store(json!({"text": "Ada wrote the scheduler", "entities": ["Ada"]})).await;
        let link = desk.ok("link", json!({"from": "ada", "relation": "works_on", "to": "Weft"})).await;
        let again = desk.ok("link", json!({"from": "ada", "relation": "works_on", "to": "Weft"})).await;
        assert_eq!((&again["existed"], &again["id"]), (&json!(true), &link["id"]));
        desk.ok("link", json!({"from": "Weft", "relation": "written_in", "to": "Rust"})).await;
        let near = desk.ok("graph", json!({"node": "Ada"})).await;
        assert_eq!(near["nodes"], json!({"ada": 0, "weft": 1, (format!("#{id}")): 1}));
        let far = desk.ok("graph", json!({"node": "Ada", "depth": 2})).await;
        assert_eq!(far["nodes"]["rust"], 2);
        let way = desk.ok("path", json!({"from": (format!("#{id}")), "to": "Rust"})).await;
        let steps: Vec<&str> =
            way["edges"].as_array().unwrap().iter().map(|edge| edge["relation"].as_str().unwrap()).collect();
        assert_eq!(steps, ["names", "works_on", "written_in"]);
        let before = desk.ok("get", json!({"ids": [link["id"]]})).await["records"][0]["record"]["recorded_at"].clone();
        desk.ok("link", json!({"from": "ada", "relation": "works_on", "to": "Weft", "valid_to": "2099-01-01"})).await;
        assert_eq!(desk.ok("path", json!({"from": "Ada", "to": "Rust"})).await["found"], false);
        let then = desk.ok("graph", json!({"node": "Ada", "as_of": before})).await;
        assert_eq!(then["nodes"]["weft"], 1, "what was believed then is still known");
        assert_eq!(desk.code("link", json!({"from": "#nothing", "relation": "x", "to": "y"})).await, "not_found");
    }
}

#[tokio::test]
async fn what_is_near_in_the_graph_is_found_with_it() {
    let desk = Desk::embedded();
    desk.store(json!({"text": "The scheduler crashed on Friday", "kind": "event", "entities": ["scheduler"]})).await;
    desk.store(json!({"text": "Call Bob when it breaks", "entities": ["scheduler"]})).await;
    let data = desk.ok("search", json!({"query": "crashed on friday"})).await;
    let near = &data["hits"][1];
    assert_eq!(near["record"]["text"], "Call Bob when it breaks");
    assert!(near["parts"]["graph"].as_f64().unwrap() > 0.0 && near["parts"]["text"] == 0.0, "{near}");
}

fn official() -> Settings {
    Settings { graph_tools: true, ..Settings::default() }
}

#[tokio::test]
async fn the_nine_tools_do_what_they_do_in_the_official_server() {
    for settings in stores::all() {
        let desk = Desk::of(Settings { graph_tools: true, ..settings });
        let (ada, bob) = (
            json!({"name": "Ada", "entityType": "person", "observations": ["likes tea"]}),
            json!({"name": "Bob", "entityType": "person", "observations": []}),
        );
        let made = desk.ok("create_entities", json!({"entities": [ada, ada, bob]})).await;
        assert_eq!(made["entities"], json!([ada, bob]));
        assert_eq!(desk.ok("create_entities", json!({"entities": [ada]})).await["entities"], json!([]));
        let knows = json!({"from": "Ada", "to": "Bob", "relationType": "knows"});
        assert_eq!(
            desk.ok("create_relations", json!({"relations": [knows, knows]})).await["relations"],
            json!([knows])
        );
        let lost = json!({"from": "Ada", "to": "Eve", "relationType": "knows"});
        assert_eq!(desk.ok("create_relations", json!({"relations": [lost]})).await["relations"], json!([lost]));
        let added = json!({"observations": [{"entityName": "Ada", "contents": ["likes tea", "writes Rust"]}]});
        let added = desk.ok("add_observations", added).await;
        assert_eq!(added["results"], json!([{"entityName": "Ada", "addedObservations": ["writes Rust"]}]));
        let found = desk.ok("search_nodes", json!({"query": "RUST"})).await;
        assert_eq!((&found["entities"][0]["name"], &found["relations"]), (&json!("Ada"), &json!([knows, lost])));
        assert_eq!(desk.ok("open_nodes", json!({"names": ["Bob"]})).await["relations"], json!([knows]));
        desk.ok("delete_observations", json!({"deletions": [{"entityName": "Ada", "observations": ["likes tea"]}]}))
            .await;
        let opened = desk.ok("open_nodes", json!({"names": ["Ada"]})).await;
        assert_eq!(opened["entities"][0]["observations"], json!(["writes Rust"]));
        desk.ok("delete_entities", json!({"entityNames": ["Bob"]})).await;
        let left = desk.ok("read_graph", json!({})).await;
        assert_eq!((left["entities"].as_array().unwrap().len(), &left["relations"]), (1, &json!([lost])));
        desk.ok("create_entities", json!({"entities": [bob]})).await;
        assert_eq!(desk.ok("read_graph", json!({})).await["entities"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn twenty_five_observations_at_once_are_all_kept() {
    for settings in stores::all() {
        let settings = Settings { graph_tools: true, ..settings };
        let one = std::sync::Arc::new(Desk::of(settings.clone()));
        let two = std::sync::Arc::new(Desk::on(settings, one.folder.clone()));
        one.ok("create_entities", json!({"entities": [{"name": "log", "entityType": "thing", "observations": []}]}))
            .await;
        let mut adding = tokio::task::JoinSet::new();
        for number in 0..25 {
            let desk = if number % 2 == 0 { one.clone() } else { two.clone() };
            adding.spawn(async move {
                let contents = [format!("line {number}")];
                desk.ok("add_observations", json!({"observations": [{"entityName": "log", "contents": contents}]}))
                    .await;
            });
        }
        adding.join_all().await;
        let opened = two.ok("open_nodes", json!({"names": ["log"]})).await;
        assert_eq!(opened["entities"][0]["observations"].as_array().unwrap().len(), 25);
    }
}

#[tokio::test]
async fn the_file_of_the_official_server_comes_back_as_it_was() {
    let file = concat!(
        r#"{"type":"entity","name":"Ada","entityType":"person","observations":["likes \"green\" tea","日本語"]}"#,
        "\n",
        r#"{"type":"entity","name":"Weft","entityType":"project","observations":[]}"#,
        "\n",
        r#"{"type":"relation","from":"Ada","to":"Weft","relationType":"works_on"}"#,
        "\n",
    );
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let done = desk.ok("import", json!({"lines": (format!("{file}not json\n{{\"type\":\"entity\"}}\n"))})).await;
        assert_eq!((&done["entities"], &done["relations"]), (&json!(2), &json!(1)), "{done}");
        assert_eq!(
            done["bad"].as_array().unwrap().iter().map(|bad| bad["line"].as_u64().unwrap()).collect::<Vec<_>>(),
            [4, 5]
        );
        let again = desk.ok("import", json!({"lines": file})).await;
        assert_eq!((&again["entities"], &again["unchanged"]), (&json!(0), &json!(3)));
        let out = desk.ok("export", json!({"official": true})).await;
        let sorted = |text: &str| {
            let mut lines: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            lines.sort_by_key(ToString::to_string);
            lines
        };
        assert_eq!(sorted(out["lines"].as_str().unwrap()), sorted(file));
    }
}

#[tokio::test]
async fn everything_else_survives_a_move_too() {
    let (old, new) = (Desk::embedded(), Desk::of(official()));
    old.store(json!({"text": "Bob moved to Oslo", "kind": "event", "event_time": "2026-02-01", "topics": ["people"], "entities": ["Bob"], "importance": 0.9, "pinned": true})).await;
    let lines = old.ok("export", json!({})).await["lines"].clone();
    assert_eq!(new.ok("import", json!({"lines": lines})).await["memories"], 1);
    let moved = new.ok("list", json!({})).await["records"][0].clone();
    assert_eq!(
        (&moved["event_time"], &moved["pinned"], &moved["entities"]),
        (&json!("2026-02-01T00:00:00Z"), &json!(true), &json!(["Bob"]))
    );
    assert_eq!((&moved["trust"], &moved["source"]["origin"]), (&json!("untrusted"), &json!("import")));
}
