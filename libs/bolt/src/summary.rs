//! What a server says about a query once its records are through: what kind it was, what it changed, how it was planned.

use crate::value::{Map, Value};

/// What a query did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only read.
    Read,
    /// It read and wrote.
    ReadWrite,
    /// It only wrote.
    Write,
    /// It changed the schema.
    Schema,
}

/// How much a query changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Nodes that were made.
    pub nodes_created: i64,
    /// Nodes that are gone.
    pub nodes_deleted: i64,
    /// Relationships that were made.
    pub relationships_created: i64,
    /// Relationships that are gone.
    pub relationships_deleted: i64,
    /// Properties that were set or removed.
    pub properties_set: i64,
    /// Labels that were given.
    pub labels_added: i64,
    /// Labels that were taken.
    pub labels_removed: i64,
    /// Indexes that were made or dropped.
    pub indexes_changed: i64,
    /// Constraints that were made or dropped.
    pub constraints_changed: i64,
    /// Changes to databases, users and rights.
    pub system_updates: i64,
}

impl Counters {
    fn of(stats: &Map) -> Self {
        // Some servers write `nodes_created` for the `nodes-created` of the specification.
        let count = |key: &str| {
            let found = stats.get(key).or_else(|| stats.get(&key.replace('-', "_")));
            found.and_then(Value::as_int).unwrap_or(0)
        };
        Self {
            nodes_created: count("nodes-created"),
            nodes_deleted: count("nodes-deleted"),
            relationships_created: count("relationships-created"),
            relationships_deleted: count("relationships-deleted"),
            properties_set: count("properties-set"),
            labels_added: count("labels-added"),
            labels_removed: count("labels-removed"),
            indexes_changed: count("indexes-added").saturating_add(count("indexes-removed")),
            constraints_changed: count("constraints-added").saturating_add(count("constraints-removed")),
            system_updates: count("system-updates"),
        }
    }
}

/// One operator of a plan and those that feed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `NodeByLabelScan@neo4j`.
    pub operator: String,
    /// What it works on.
    pub arguments: Map,
    /// The variables that it gives.
    pub identifiers: Vec<String>,
    /// Rows that it gave, when the query was profiled.
    pub rows: Option<i64>,
    /// Where its rows come from.
    pub children: Vec<Plan>,
}

impl Plan {
    /// As deep as the message that it came in, whose depth is bounded.
    fn of(plan: &Map) -> Option<Self> {
        let list = |key: &str| plan.get(key).and_then(Value::as_list).unwrap_or_default();
        Some(Self {
            operator: plan.get("operatorType").and_then(Value::as_str)?.to_owned(),
            arguments: plan.get("args").and_then(Value::as_map).cloned().unwrap_or_default(),
            identifiers: list("identifiers").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            rows: plan.get("rows").and_then(Value::as_int),
            children: list("children").iter().filter_map(Value::as_map).filter_map(Self::of).collect(),
        })
    }

    /// This operator and all below it.
    pub fn walk(&self) -> Vec<&Self> {
        let mut all = vec![self];
        let mut next = 0;
        while let Some(plan) = all.get(next).copied() {
            all.extend(&plan.children);
            next += 1;
        }
        all
    }
}

/// A remark of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// `Neo.ClientNotification.Statement.CartesianProduct`.
    pub code: String,
    /// A sentence.
    pub title: String,
    /// More of it.
    pub description: String,
}

/// What a server says about a finished query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// What it did, if the server says so.
    pub kind: Option<Kind>,
    /// What it changed.
    pub counters: Counters,
    /// How it was planned, after `EXPLAIN` and `PROFILE`.
    pub plan: Option<Plan>,
    /// Remarks.
    pub notifications: Vec<Notification>,
    /// The database that it ran in.
    pub database: Option<String>,
    /// A point in the history of the database, for who must read what was written here.
    pub bookmark: Option<String>,
}

impl Summary {
    pub(crate) fn of(about: &Map) -> Self {
        let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
        let plan = about.get("profile").or_else(|| about.get("plan")).and_then(Value::as_map);
        let remarks = about.get("notifications").and_then(Value::as_list).unwrap_or_default();
        Self {
            kind: about.get("type").and_then(Value::as_str).and_then(kind),
            counters: about.get("stats").and_then(Value::as_map).map(Counters::of).unwrap_or_default(),
            plan: plan.and_then(Plan::of),
            notifications: remarks.iter().filter_map(Value::as_map).map(notification).collect(),
            database: text("db"),
            bookmark: text("bookmark"),
        }
    }
}

fn kind(text: &str) -> Option<Kind> {
    match text {
        "r" => Some(Kind::Read),
        "rw" => Some(Kind::ReadWrite),
        "w" => Some(Kind::Write),
        "s" => Some(Kind::Schema),
        _ => None,
    }
}

fn notification(remark: &Map) -> Notification {
    let text = |key: &str| remark.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Notification { code: text("code"), title: text("title"), description: text("description") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn a_summary_tells_kind_counters_and_the_whole_plan() {
        let scan = map([("operatorType", "NodeByLabelScan".into()), ("rows", 3.into())]);
        let plan = map([("operatorType", "ProduceResults".into()), ("children", vec![scan].into())]);
        let about = map([
            ("type", "rw".into()),
            ("stats", map([("nodes-created", 2.into()), ("labels_added", 1.into())]).into()),
            ("plan", plan.into()),
        ]);
        let summary = Summary::of(&about);
        assert_eq!(summary.kind, Some(Kind::ReadWrite));
        assert_eq!((summary.counters.nodes_created, summary.counters.labels_added), (2, 1));
        let plan = summary.plan.unwrap();
        let operators: Vec<&str> = plan.walk().into_iter().map(|plan| plan.operator.as_str()).collect();
        assert_eq!(operators, ["ProduceResults", "NodeByLabelScan"]);
    }

    #[test]
    fn a_summary_of_nothing_known_is_empty() {
        assert_eq!(Summary::of(&map([("type", "x".into()), ("stats", 1.into())])), Summary::default());
    }
}
