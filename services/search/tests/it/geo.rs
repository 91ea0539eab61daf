//! Points: the embedded index, what a cluster is sent, and the plain arithmetic of the haversine agree about which lie where.

use axum::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    cluster::{Fake, elasticsearch, opensearch},
    desk::{Desk, ids, refused},
};

type Point = (f64, f64);

/// Points all over the earth, and many near each other, the poles and the 180th meridian.
fn point() -> impl Strategy<Value = Point> {
    let near = (52.4..52.6, 13.3..13.5);
    let pole = prop_oneof![89.0..=90.0, -90.0..=-89.0];
    let line = prop_oneof![179.0..=180.0, -180.0..=-179.0];
    prop_oneof![near, (-90.0..=90.0, -180.0..=180.0), (pole, -180.0..=180.0), (-20.0..20.0, line)]
}

#[derive(Debug, Clone)]
enum Asked {
    Within(Point, f64),
    Box { north: f64, west: f64, south: f64, east: f64 },
}

fn asked() -> impl Strategy<Value = Asked> {
    let metres = prop_oneof![1.0..20_000.0, 20_000.0..20_000_000.0];
    let within = (point(), metres).prop_map(|(centre, metres)| Asked::Within(centre, metres));
    let area = (point(), point()).prop_map(|((one, west), (other, east))| Asked::Box {
        north: one.max(other),
        west,
        south: one.min(other),
        east,
    });
    prop_oneof![within, area]
}

impl Asked {
    fn filter(&self) -> Value {
        let (op, value) = match self {
            Self::Within((lat, lon), metres) => ("within", json!({"lat": lat, "lon": lon, "metres": metres})),
            Self::Box { north, west, south, east } => {
                ("box", json!({"north": north, "west": west, "south": south, "east": east}))
            }
        };
        json!({"field": "place", "op": op, "value": value})
    }

    /// Whether a point lies in it; nothing where it is so near to the border that the way it is kept decides.
    fn holds(&self, point: Point) -> Option<bool> {
        match self {
            Self::Within(centre, metres) => {
                let far = metres_between(*centre, point) - metres;
                (far.abs() > 0.1).then_some(far < 0.0)
            }
            Self::Box { north, west, south, east } => {
                let edges = [point.0 - north, point.0 - south, point.1 - west, point.1 - east];
                let lat = (*south..=*north).contains(&point.0);
                let lon =
                    if west > east { point.1 >= *west || point.1 <= *east } else { (*west..=*east).contains(&point.1) };
                edges.iter().all(|edge| edge.abs() > 1e-6).then_some(lat && lon)
            }
        }
    }

    /// The same question out of the body that a cluster is sent, in the words of its reference.
    fn of_cluster(filter: &Value) -> Self {
        let number = |value: &Value, key: &str| value[key].as_f64().unwrap();
        if let Value::Object(near) = &filter["geo_distance"] {
            let metres = near["distance"].as_str().unwrap().strip_suffix('m').unwrap().parse().unwrap();
            return Self::Within((number(&near["place"], "lat"), number(&near["place"], "lon")), metres);
        }
        let area = &filter["geo_bounding_box"]["place"];
        let (north, south) = (number(area, "top"), number(area, "bottom"));
        Self::Box { north, west: number(area, "left"), south, east: number(area, "right") }
    }
}

/// The law of haversines, written from its formula.
fn metres_between(one: Point, other: Point) -> f64 {
    let hav = |degrees: f64| (1.0 - degrees.to_radians().cos()) / 2.0;
    let (one_lat, other_lat) = (one.0.to_radians(), other.0.to_radians());
    let whole = hav(other.0 - one.0) + one_lat.cos() * other_lat.cos() * hav(other.1 - one.1);
    2.0 * 6_371_008.771_4 * whole.clamp(0.0, 1.0).sqrt().asin()
}

fn document((number, (lat, lon)): (usize, &Point)) -> Value {
    json!({"id": format!("p{number}"), "title": "place", "place": {"lat": lat, "lon": lon}})
}

async fn placed(points: &[Point]) -> Desk {
    let desk = Desk::new();
    let fields = json!([{"name": "title", "kind": "text"}, {"name": "place", "kind": "point"}]);
    desk.done("create_index", json!({"name": "books", "fields": fields})).await;
    let documents: Vec<Value> = points.iter().enumerate().map(document).collect();
    let written = desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    assert_eq!(written["indexed"], points.len());
    desk
}

/// What a cluster is sent for a search.
async fn sent(fake: &Fake, search: Value) -> Value {
    fake.desk().call("search", search).await;
    fake.last("/_search").json()
}

async fn cluster(greeting: Value) -> Fake {
    let fake = Fake::start(greeting).await;
    let schema = json!({"fields": [{"name": "title", "kind": "text"}, {"name": "place", "kind": "point"}]});
    fake.on(Method::GET, "_mapping", 200, json!({"x": {"mappings": {"_meta": {"weft": schema}}}}));
    fake
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn all_agree_about_which_points_lie_where(
        points in prop::collection::vec(point(), 1..60),
        questions in prop::collection::vec(asked(), 6),
        from in point(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (desk, fake) = (placed(&points).await, cluster(elasticsearch()).await);
            for question in &questions {
                let search = json!({"indices": ["books"], "filters": [question.filter()], "limit": 100});
                let found = ids(&desk.done("search", search.clone()).await);
                let of_cluster = Asked::of_cluster(&sent(&fake, search).await["query"]["bool"]["filter"][0]);
                for (number, point) in points.iter().enumerate() {
                    let Some(expected) = question.holds(*point) else { continue };
                    assert_eq!(found.contains(&format!("p{number}")), expected, "{question:?} {point:?}");
                    assert_eq!(of_cluster.holds(*point), Some(expected), "{question:?} {point:?}");
                }
            }
            let sort = json!({"field": "place", "near": {"lat": from.0, "lon": from.1}});
            let sorted = desk.done("search", json!({"indices": ["books"], "sort": sort, "limit": 100})).await;
            let hits = sorted["hits"].as_array().unwrap();
            assert_eq!(hits.len(), points.len());
            let mut last = 0.0;
            for hit in hits {
                let number: usize = hit["id"].as_str().unwrap()[1..].parse().unwrap();
                let metres = metres_between(from, points[number]);
                assert!(metres > last - 0.1, "{metres} {last}");
                assert!((hit["metres"].as_f64().unwrap() - metres).abs() < 1.0, "{hit} {metres}");
                last = metres;
            }
        });
    }
}

#[tokio::test]
async fn points_are_filtered_and_sorted_beside_words() {
    let desk = placed(&[(52.52, 13.405), (48.8566, 2.3522), (51.5074, -0.1278)]).await;
    let more = json!([{"id": "none", "title": "place without a point"}]);
    desk.done("index_documents", json!({"index": "books", "documents": more})).await;
    let near = json!({"field": "place", "near": {"lat": 48.0, "lon": 2.0}});
    assert_eq!(desk.found(json!({"query": "place", "sort": near})).await, ["p1", "p2", "p0", "none"]);
    let within = json!([{"field": "place", "op": "within", "value": {"lat": 52.5, "lon": 13.4, "metres": 5_000}}]);
    assert_eq!(desk.found(json!({"query": "place", "filters": within})).await, ["p0"]);
    let there = json!([{"field": "place", "op": "exists", "value": false}]);
    assert_eq!(desk.found(json!({"filters": there})).await, ["none"]);
    let deleted = json!({"index": "books", "filters": within});
    let plan = desk.done("delete_documents", deleted.clone()).await;
    assert_eq!(plan["plan"]["effects"]["documents"], 1);
    let copied = desk.done("reindex", json!({"from": "books", "to": "copy"})).await;
    assert_eq!(copied["copied"], 4);
    let found = desk.done("search", json!({"indices": ["copy", "books"], "sort": near, "limit": 3})).await;
    assert_eq!(ids(&found), ["p1", "p1", "p2"]);
}

#[tokio::test]
async fn what_is_no_place_is_refused() {
    let desk = placed(&[(1.0, 1.0)]).await;
    for value in [json!("1,1"), json!({"lat": 91, "lon": 0}), json!([{"lat": 1, "lon": 1}, {"lat": 2, "lon": 2}])] {
        let documents = json!([{"id": "bad", "place": value}]);
        let written = desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
        assert_eq!(written["failed"].as_array().unwrap().len(), 1, "{value}");
    }
    for search in [
        json!({"filters": [{"field": "place", "op": "eq", "value": {"lat": 1, "lon": 1}}]}),
        json!({"filters": [{"field": "place", "op": "within", "value": {"lat": 1, "lon": 1, "metres": -1}}]}),
        json!({"filters": [{"field": "place", "op": "box", "value": {"north": 1, "south": 2, "west": 0, "east": 1}}]}),
        json!({"filters": [{"field": "title", "op": "within", "value": {"lat": 1, "lon": 1, "metres": 5}}]}),
        json!({"query": "place:berlin"}),
        json!({"sort": {"field": "place"}}),
        json!({"sort": {"field": "title", "near": {"lat": 1, "lon": 1}}}),
        json!({"sort": {"field": "place", "near": {"lat": 1, "lon": 1}, "order": "desc"}}),
        json!({"facets": ["place"]}),
    ] {
        let mut search = search;
        search["indices"] = json!(["books"]);
        refused(&desk.call("search", search).await, &["invalid_arguments"]);
    }
}

#[tokio::test]
async fn a_cluster_is_asked_in_its_own_words() {
    let fake = cluster(opensearch()).await;
    let hits = json!({"hits": {"total": {"value": 2, "relation": "eq"}, "hits": [
        {"_id": "a", "_score": null, "_source": {"title": "x"}, "sort": [1234.5]},
        {"_id": "b", "_score": null, "_source": {"title": "y"}, "sort": ["Infinity"]}]}});
    fake.on(Method::POST, "/_search", 200, hits);
    fake.on(Method::PUT, "/weft-", 200, json!({"acknowledged": true}));
    let desk = fake.desk();
    let near = json!({"field": "place", "near": {"lat": 1.0, "lon": 2.0}});
    let found = desk.done("search", json!({"indices": ["books"], "sort": near})).await;
    assert_eq!(found["hits"][0]["metres"], 1235.0);
    assert_eq!(found["hits"][1].get("metres"), None);
    let sort = json!([{"_geo_distance": {"place": {"lat": 1.0, "lon": 2.0}, "order": "asc", "unit": "m", "distance_type": "arc"}}]);
    assert_eq!(fake.last("/_search").json()["sort"], sort);
    let fields = json!([{"name": "place", "kind": "point"}]);
    desk.done("create_index", json!({"name": "places", "fields": fields})).await;
    assert_eq!(fake.last("-places").json()["mappings"]["properties"]["place"], json!({"type": "geo_point"}));
}
