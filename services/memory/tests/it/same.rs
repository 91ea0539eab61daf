//! One property over all stores: the same calls get the same answers, and nothing acknowledged is lost.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};
use weft_memory::Settings;

use crate::{desk::Desk, stores};

const TEXTS: [&str; 7] = [
    "Ada leads the platform team",
    "The platform team meets on Tuesday",
    "Deploys need two reviews",
    "Bob owns the billing database",
    "The billing database runs PostgreSQL",
    "日本語のメモ",
    "Nothing is deployed on Friday",
];
const NAMES: [&str; 4] = ["Ada", "Bob", "billing", "platform"];

#[derive(Debug, Clone)]
enum Act {
    Store { id: usize, text: usize, name: usize, private: bool, dated: bool, how: How },
    Update { id: usize, text: usize, if_match: u64 },
    Supersede { id: usize, text: usize, if_match: u64, later: bool },
    Forget { id: usize, erase: bool },
    ForgetTopic { topic: usize },
    Link { from: usize, to: usize, ends: bool },
    Reinforce { id: usize, misled: bool },
    Consolidate,
}

/// What a store says besides its text.
#[derive(Debug, Clone)]
struct How {
    if_match: Option<u64>,
    tool: bool,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (id, text, name) = (0..5_usize, 0..TEXTS.len(), 0..NAMES.len());
    let how = (prop::option::weighted(0.3, 1..4_u64), prop::bool::weighted(0.2));
    let how = how.prop_map(|(if_match, tool)| How { if_match, tool });
    let act = prop_oneof![
        6 => (id.clone(), text.clone(), name.clone(), (prop::bool::weighted(0.2), any::<bool>()), how)
            .prop_map(|(id, text, name, (private, dated), how)| Act::Store { id, text, name, private, dated, how }),
        4 => (id.clone(), text.clone(), 1..4_u64).prop_map(|(id, text, if_match)| Act::Update { id, text, if_match }),
        4 => (id.clone(), text, 1..3_u64, any::<bool>())
            .prop_map(|(id, text, if_match, later)| Act::Supersede { id, text, if_match, later }),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, erase)| Act::Forget { id, erase }),
        1 => (0..3_usize).prop_map(|topic| Act::ForgetTopic { topic }),
        3 => (name.clone(), name, prop::bool::weighted(0.3)).prop_map(|(from, to, ends)| Act::Link { from, to, ends }),
        2 => (id, any::<bool>()).prop_map(|(id, misled)| Act::Reinforce { id, misled }),
        1 => Just(Act::Consolidate),
    ];
    prop::collection::vec(act, 1..25)
}

/// The tool and arguments of an act.
fn call(act: &Act) -> (&'static str, Value) {
    let id = |id: &usize| format!("r{id}");
    match act {
        Act::Store { id: own, text, name, private, dated, how } => {
            let visibility = if *private { "private" } else { "team" };
            let mut item = json!({"id": id(own), "text": TEXTS[*text], "entities": [NAMES[*name]], "topics": [(format!("t{}", text % 3))],
                "visibility": visibility, "event_time": (format!("2026-01-0{}", text + 1))});
            if *dated {
                item["valid_from"] = json!("2010-01-01");
            }
            if let Some(if_match) = how.if_match {
                item["if_match"] = json!(if_match);
            }
            if how.tool {
                item["source"] = json!({"origin": "tool"});
            }
            ("store", json!({"items": [item]}))
        }
        Act::Update { id: own, text, if_match } => {
            ("update", json!({"id": id(own), "if_match": if_match, "patch": {"text": TEXTS[*text], "restore": true}}))
        }
        Act::Supersede { id: own, text, if_match, later } => {
            let since = if *later { "2099-05-01" } else { "2020-05-01" };
            ("supersede", json!({"id": id(own), "if_match": if_match, "text": TEXTS[*text], "valid_from": since}))
        }
        Act::Forget { id: own, erase } => {
            ("forget", json!({"ids": [id(own)], "mode": (if *erase { "erase" } else { "expire" })}))
        }
        Act::ForgetTopic { topic } => ("forget", json!({"filter": {"topics": [(format!("t{topic}"))]}})),
        Act::Link { from, to, ends } => {
            let mut link = json!({"from": NAMES[*from], "relation": "knows", "to": NAMES[*to]});
            if *ends {
                link["valid_to"] = json!("2026-06-01");
            }
            ("link", link)
        }
        Act::Reinforce { id: own, misled } => ("reinforce", json!({"ids": [id(own)], "misled": misled})),
        Act::Consolidate => ("consolidate", json!({"threshold": 0.8})),
    }
}

/// What does not depend on the store: no times, no random ids, numbers to three digits.
pub(crate) fn plain(value: &Value) -> Value {
    const OWN: [&str; 8] =
        ["recorded_at", "believed_until", "expires_in_s", "plan_id", "store", "proofs", "follows", "replaced_at"];
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Number(number) if number.is_f64() => json!((number.as_f64().unwrap() * 500.0).round() / 500.0),
        Value::String(text) if text.starts_with("erasure-") => json!("erasure"),
        Value::String(text) if text.contains("days without use") => json!("importance"),
        other => other.clone(),
    }
}

/// Makes a call, the second half of a planned one too.
pub(crate) async fn act(desk: &Desk, tool: &str, mut arguments: Value) -> Value {
    let shown = desk.call(tool, arguments.clone()).await;
    let Some(plan) = shown.data()["plan"]["plan_id"].as_str() else {
        assert!(!["internal", "unavailable"].contains(&shown.code()), "{tool}: {}", shown.structured);
        return if shown.is_error { json!(shown.code()) } else { plain(shown.data()) };
    };
    arguments["plan_id"] = json!(plan);
    let done = desk.call(tool, arguments).await;
    assert!(!done.is_error, "{tool}: {}", done.structured);
    json!([plain(&shown.data()["plan"]["effects"]), plain(&done.data()["result"])])
}

/// What a search finds, by id.
async fn hits(desk: &Desk, arguments: Value) -> Value {
    let mut hits = desk.ok("search", arguments).await["hits"].as_array().unwrap().clone();
    hits.sort_by_key(|hit| hit["record"]["id"].to_string());
    plain(&json!(hits))
}

/// Everything that can be asked. Hits are compared by id: those that are as good as each other may come in any order of thousandths.
pub(crate) async fn ask(desk: &Desk, then: &Value) -> Value {
    let mut said = Vec::new();
    for (tool, arguments) in [
        ("list", json!({"all": true, "limit": 200})),
        ("list", json!({"filter": {"topics": ["T1"], "text": "the"}})),
        ("timeline", json!({})),
        ("graph", json!({"node": "ada", "depth": 3, "limit": 200})),
        ("path", json!({"from": "Ada", "to": "billing", "max_steps": 6})),
        ("stats", json!({})),
        ("get", json!({"ids": ["r0", "r1", "r2", "r3", "r4"]})),
    ] {
        said.push(plain(&desk.ok(tool, arguments).await));
    }
    for all in [false, true] {
        let lines = desk.ok("export", json!({"visibility": "team", "all": all})).await["lines"].clone();
        let line = |line: &str| plain(&serde_json::from_str(line).unwrap());
        said.push(lines.as_str().unwrap().lines().map(line).collect());
    }
    for (query, mode) in [
        ("who leads the platform", "hybrid"),
        ("billing database", "text"),
        ("deploying", "meaning"),
        ("日本", "hybrid"),
    ] {
        for as_of in [None, Some(then)] {
            let mut arguments = json!({"query": query, "mode": mode, "limit": 50});
            if let Some(as_of) = as_of {
                arguments["as_of"] = as_of.clone();
            }
            said.push(hits(desk, arguments).await);
        }
    }
    for (from, to) in [("2012-01-01", "2013-01-01"), ("2030-01-01", "2031-01-01"), ("2100-01-01", "2101-01-01")] {
        let during = json!({"from": from, "to": to});
        said.push(hits(desk, json!({"query": "platform billing", "valid_during": during, "limit": 50})).await);
    }
    for id in 0..5 {
        let history = desk.call("history", json!({"id": (format!("r{id}"))})).await;
        if let Some(versions) = history.data()["versions"].as_array() {
            let numbers: Vec<u64> = versions.iter().map(|own| own["record"]["version"].as_u64().unwrap()).collect();
            let expected: Vec<u64> = (1..=numbers.len() as u64).rev().collect();
            assert_eq!(numbers, expected, "a version of r{id} is lost");
        }
        said.push(plain(history.data()));
    }
    Value::Array(said)
}

async fn run(settings: &[Settings], acts: &[Act]) {
    let mut said: Vec<Vec<Value>> = Vec::new();
    for settings in settings {
        let desk = Desk::of(settings.clone());
        let mut own = Vec::new();
        let mut then = json!("2020-01-01");
        for (step, one) in acts.iter().enumerate() {
            let (tool, arguments) = call(one);
            own.push(act(&desk, tool, arguments).await);
            if step == acts.len() / 2 {
                let newest =
                    desk.ok("list", json!({"all": true, "limit": 1})).await["records"][0]["recorded_at"].clone();
                then = if newest.is_null() { then } else { newest };
            }
        }
        own.push(ask(&desk, &then).await);
        said.push(own);
    }
    for other in &said[1..] {
        for (step, (left, right)) in said[0].iter().zip(other).enumerate() {
            assert_eq!(left, right, "step {step}: {:?}", acts.get(step));
        }
    }
}

#[test]
fn all_stores_answer_alike() {
    let defaults = Config { failure_persistence: None, ..Config::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { 40 };
    let mut runner = TestRunner::new(Config { cases, ..defaults });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runner
        .run(&acts(), |acts| {
            // Each case begins with empty stores.
            runtime.block_on(async { run(&stores::all(), &acts).await });
            Ok(())
        })
        .unwrap();
}
