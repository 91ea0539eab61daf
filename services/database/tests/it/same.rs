//! The same operations give the same results on SQLite and PostgreSQL.

use serde_json::{Value, json};

use crate::desk::{Desk, ok};

/// A small generator with a seed (xorshift), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }
}

/// A statement that both understand; `?` stands for a parameter.
fn statement(dice: &mut Dice, next: &mut u64) -> (&'static str, String, Vec<Value>) {
    match dice.roll(8) {
        0 | 1 => {
            *next += 1;
            let city = if dice.roll(3) == 0 { Value::Null } else { json!(dice.pick(&["Rome", "Oslo", "Bern"])) };
            ("execute", "INSERT INTO customers (id, name, city) VALUES (?, ?, ?)".to_owned(), vec![json!(*next), json!(format!("n{next}")), city])
        }
        2 => ("execute", "UPDATE customers SET rating = ? WHERE id % 3 = ?".to_owned(), vec![json!(1.5), json!(dice.roll(3))]),
        3 => ("execute", "DELETE FROM customers WHERE id = ?".to_owned(), vec![json!(dice.roll(*next + 1))]),
        4 => ("execute", "INSERT INTO orders (id, customer, total) SELECT id + ?, id, 10 FROM customers WHERE id % 4 = 1 AND id + ? NOT IN (SELECT id FROM orders)".to_owned(), {
            let by = dice.roll(1_000) * 100;
            vec![json!(by), json!(by)]
        }),
        5 => ("query", "SELECT city, count(*) AS n, max(name) FROM customers GROUP BY city ORDER BY n DESC, city IS NULL, city".to_owned(), vec![]),
        6 => ("query", "SELECT c.id, upper(c.name), coalesce(sum(o.total), 0) AS s FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id, c.name ORDER BY c.id".to_owned(), vec![]),
        _ => ("query", "WITH r AS (SELECT id, row_number() OVER (ORDER BY name) AS n FROM customers) SELECT * FROM r WHERE n <= ? ORDER BY id".to_owned(), vec![json!(dice.roll(9) + 1)]),
    }
}

fn numbered(sql: &str) -> String {
    let mut number = 0;
    sql.split('?').enumerate().fold(String::new(), |mut out, (place, part)| {
        if place > 0 {
            number += 1;
            out.push_str(&format!("${number}"));
        }
        out.push_str(part);
        out
    })
}

/// Numbers are compared by value: one has 10.0 where the other has 10.
fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        Value::Number(number) => number.as_f64().unwrap().to_string(),
        Value::String(text) => text.parse::<f64>().map_or_else(|_| text.clone(), |number| number.to_string()),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn both_engines_answer_alike() {
    let Some(postgres) = Desk::postgres().await else { return };
    let sqlite = Desk::sqlite().await;
    let mut dice = Dice(0x5eed_cafe);
    let mut next = 10;
    for round in 0..150 {
        let (tool, sql, params) = statement(&mut dice, &mut next);
        let left = sqlite.call(tool, json!({"sql": sql, "params": params})).await;
        let right = postgres.call(tool, json!({"sql": numbered(&sql), "params": params})).await;
        assert_eq!(
            left.code(),
            right.code(),
            "round {round}: {sql} {params:?}\n{}\n{}",
            left.structured,
            right.structured
        );
        if left.is_error {
            continue;
        }
        if tool == "query" {
            assert_eq!(plain(&left.data()["rows"]), plain(&right.data()["rows"]), "round {round}: {sql}");
        }
    }
    let left = ok(sqlite.call("profile_table", json!({"table": "customers", "columns": ["city"]})).await);
    let right = ok(postgres.call("profile_table", json!({"table": "customers", "columns": ["city"]})).await);
    assert_eq!(left.data()["columns"][0]["top"], right.data()["columns"][0]["top"]);
}
