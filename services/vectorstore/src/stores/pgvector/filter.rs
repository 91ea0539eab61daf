//! A filter into a condition on the columns of a points' table, with every value bound.
//!
//! A comparison with a missing field is NULL, which a `WHERE` takes for false; only `Not` has to say so. The expressions are those
//! that `catalogue` indexes: `metadata -> field` with `@>` for equality (a list contains its elements, and a scalar itself), and
//! with the order of jsonb for ranges, where every number lies between `null` and `false`, and every list above `true`.

use serde_json::{Map, Value, json};
use sqlx::{Postgres, QueryBuilder};

use crate::model::Filter;
use crate::stores::terms;

/// ` WHERE …`, or nothing.
pub(super) fn push_where(sql: &mut QueryBuilder<Postgres>, filter: Option<&Filter>) {
    if let Some(filter) = filter {
        sql.push(" WHERE ");
        push(sql, filter);
    }
}

/// The condition, in parentheses.
pub(super) fn push(sql: &mut QueryBuilder<Postgres>, filter: &Filter) {
    match filter {
        Filter::All(parts) => push_parts(sql, parts, " AND ", "true"),
        Filter::Any(parts) => push_parts(sql, parts, " OR ", "false"),
        Filter::Not(part) => {
            sql.push("(NOT coalesce(");
            push(sql, part);
            sql.push(", false))");
        }
        Filter::In { field, values } => push_in(sql, field, values),
        Filter::Words { field, words } => {
            let wanted = Map::from_iter([(field.clone(), json!([terms::distinct_words(words)]))]);
            sql.push("(tokens @> ").push_bind(Value::Object(wanted).to_string()).push("::text::jsonb)");
        }
        Filter::IsNull { field } => {
            // Not through the index: a missing field is in none.
            sql.push("(coalesce(metadata -> ").push_bind(field.clone()).push(", 'null') = 'null')");
        }
        Filter::Ids(ids) => {
            sql.push("(id = ANY(").push_bind(ids.clone()).push("))");
        }
        Filter::Range { field, gt, gte, lt, lte } => {
            push_range(sql, field, &[(">", gt), (">=", gte), ("<", lt), ("<=", lte)]);
        }
    }
}

fn push_parts(sql: &mut QueryBuilder<Postgres>, parts: &[Filter], joint: &str, none: &str) {
    sql.push("(");
    if parts.is_empty() {
        sql.push(none);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            sql.push(joint);
        }
        push(sql, part);
    }
    sql.push(")");
}

fn push_in(sql: &mut QueryBuilder<Postgres>, field: &str, values: &[Value]) {
    if values.is_empty() {
        sql.push("(false)");
        return;
    }
    sql.push("((metadata -> ").push_bind(field.to_owned()).push(") @> ANY(");
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    sql.push_bind(values).push("::text[]::jsonb[]))");
}

/// One element must lie within all bounds. A single value goes through the index; lists are looked into one by one.
fn push_range(sql: &mut QueryBuilder<Postgres>, field: &str, bounds: &[(&str, &Option<Value>)]) {
    let given = || bounds.iter().filter_map(|(order, bound)| Some((*order, bound.as_ref()?)));
    let dates = given().any(|(_, bound)| bound.is_string());
    let column = if dates { "times" } else { "metadata" };
    let number = |bound: &Value| match bound.as_str() {
        Some(text) => terms::instant(text).map_or(Value::Null, Value::from),
        None => bound.clone(),
    };
    let value = |sql: &mut QueryBuilder<Postgres>| {
        sql.push("(").push(column).push(" -> ").push_bind(field.to_owned()).push(")");
    };
    sql.push("((");
    value(sql);
    sql.push(" > 'null' AND ");
    value(sql);
    sql.push(" < 'false' AND ");
    let mut path = String::from("$[*] ? (true == true");
    let mut variables = Map::new();
    for ((order, bound), name) in given().zip(["a", "b", "c", "d"]) {
        value(sql);
        sql.push(" ").push(order).push(" ").push_bind(number(bound).to_string()).push("::text::jsonb AND ");
        path.push_str(&format!(" && @ {order} ${name}"));
        variables.insert(name.to_owned(), number(bound));
    }
    path.push(')');
    sql.push("jsonb_typeof(");
    value(sql);
    sql.push(") = 'number') OR (");
    value(sql);
    sql.push(" > 'true' AND jsonb_typeof(");
    value(sql);
    sql.push(") = 'array' AND jsonb_path_exists(");
    value(sql);
    sql.push(", ").push_bind(path).push("::text::jsonpath, ");
    sql.push_bind(Value::Object(variables).to_string()).push("::text::jsonb)))");
}
