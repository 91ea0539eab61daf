//! Every tool with made-up arguments: whatever is sent, the answer is a result or a refusal that says why, never a failure of ours.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::harness::Weft;

/// For each tool.
const CALLS: usize = 12;
/// One seed, so that what failed fails again.
const SEED: u64 = 7;

const TEXTS: [&str; 24] = [
    "",
    "a",
    " ",
    "\0",
    "\u{202e}",
    "..",
    "/etc/passwd",
    "*",
    "%",
    "'",
    "\"; drop table t;--",
    "\u{e9}",
    "{}",
    "null",
    "-1",
    "quick brown",
    "\"quick brown\"~2",
    "fox OR (",
    "NOT NOT fox",
    "t",
    "docs",
    "select 1",
    "1970-01-01T00:00:00Z",
    "\u{1f98a}",
];

/// What is there, so that calls get further than to a name that is unknown.
fn there(argument: &str) -> Vec<Value> {
    let nowhere = json!({ "ids": ["a", ""] });
    let some = json!({ "any": [{ "ids": ["a"] }, { "not": { "field": "n", "gte": 1 } }] });
    let one = match argument {
        "collection" | "index" => json!("docs"),
        "indices" => json!(["docs"]),
        "connection" => json!("main"),
        "table" => json!("t"),
        "path" => json!("hello.txt"),
        "paths" => json!(["hello.txt"]),
        "sql" => json!("select * from t"),
        "id" => json!("b"),
        "ids" => return vec![json!(["a", "b"]), json!(["a", ""])],
        "vector" => json!([0.1, 0.2, 0.3]),
        "field" => json!("n"),
        "filter" => return vec![some, nowhere],
        _ => return Vec::new(),
    };
    vec![one]
}

struct Maker {
    dice: Rng,
}

impl Maker {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.dice.usize(..of.len())].clone()
    }

    fn value(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        // Now and then, what the schema does not allow.
        if self.dice.u8(..) < 16 {
            return self.one(&[json!(null), json!(-1), json!("x"), json!([]), json!({}), json!([[]]), json!(1e300)]);
        }
        if let Some(place) = schema["$ref"].as_str() {
            return self.value(root.pointer(&place[1..]).unwrap(), root, depth);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        for several in ["enum", "oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[several].as_array() {
                let choice = self.one(choices);
                return if several == "enum" { choice } else { self.value(&choice, root, depth) };
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.one(kinds),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("object") => Value::Object(self.object(schema, root, depth)),
            Some("array") => {
                let count = if depth > 3 { 1 } else { self.one(&[0, 1, 2, 5]) };
                (0..count).map(|_| self.value(&schema["items"], root, depth + 1)).collect()
            }
            Some("integer") => self.one(&[0, 1, 2, 100, -1, i64::from(u32::MAX), i64::MAX]).into(),
            Some("number") => self.one(&[0.0, 0.5, 1.0, -1.0, 1e38, 1e300]).into(),
            Some("boolean") => self.dice.bool().into(),
            Some("null") => Value::Null,
            _ => self.one(&TEXTS).into(),
        }
    }

    fn object(&mut self, schema: &Value, root: &Value, depth: usize) -> Map<String, Value> {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut made = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let odds = if depth > 3 { 0.1 } else { 0.3 };
            if required.iter().any(|needed| needed == name) || self.dice.f64() < odds {
                let known = there(name);
                let known = (!known.is_empty() && self.dice.f64() < 0.8).then(|| self.one(&known));
                let value = known.unwrap_or_else(|| self.value(schema, root, depth + 1));
                made.insert(name.clone(), value);
            }
        }
        made
    }
}

fn furnish(weft: &Weft) {
    let documents =
        json!([{ "id": "a", "text": "the quick brown fox", "n": 1 }, { "id": "b", "text": "a fox", "n": 2 }]);
    let points: Value =
        ["a", "b"].map(|id| json!({ "id": id, "vector": [0.1, 0.2, 0.3], "metadata": { "n": 1 } })).into();
    let records =
        json!([{ "id": "a", "text": "Ann likes foxes", "entities": ["a", "b"] }, { "id": "b", "text": "Bob" }]);
    for (tool, arguments) in [
        (
            "search_create_index",
            json!({ "name": "docs", "fields": [{ "name": "text", "kind": "text" }, { "name": "n", "kind": "integer" }] }),
        ),
        ("search_index_documents", json!({ "index": "docs", "documents": documents })),
        ("vectorstore_create_collection", json!({ "name": "docs", "dimensions": 3, "fields": { "n": "integer" } })),
        ("vectorstore_upsert", json!({ "collection": "docs", "items": points })),
        ("memory_store", json!({ "items": records })),
        (
            "database_migrate",
            json!({ "connection": "main", "name": "1", "up": "create table t (n integer)", "down": "drop table t" }),
        ),
        ("database_execute", json!({ "connection": "main", "sql": "insert into t values (1), (null)" })),
    ] {
        let result = weft.call(tool, &arguments);
        assert_eq!(result["isError"], false, "{tool}: {result}");
    }
}

#[test]
fn made_up_arguments_end_in_a_result_or_a_refusal() {
    let weft = Weft::up(&[]);
    furnish(&weft);
    let tools = weft.stateless("/mcp", "tools/list", &json!({})).message()["result"]["tools"].clone();
    let mut maker = Maker { dice: Rng::with_seed(SEED) };
    let (mut done, mut refused) = (0, 0);
    for tool in tools.as_array().unwrap() {
        let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
        for _ in 0..CALLS {
            let arguments = Value::Object(maker.object(schema, schema, 0));
            let params = json!({ "name": name, "arguments": arguments });
            let answer = weft.stateless("/mcp", "tools/call", &params).message();
            let (error, result) = (&answer["error"], &answer["result"]);
            assert!(error.is_null() || error["code"] == -32602, "{name} {arguments}: {answer}");
            assert_ne!(result["structuredContent"]["error"]["code"], "internal", "{name} {arguments}: {answer}");
            let told = !error.is_null() || result["isError"] == true;
            (done, refused) = (done + usize::from(!told), refused + usize::from(told));
        }
    }
    eprintln!("{done} calls were done, {refused} refused");
    assert!(done > 200 && refused > 200, "{done} done, {refused} refused");
}
