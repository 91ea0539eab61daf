//! A version of a record ↔ a line of JSON.
//!
//! Entities and relations are lines that the official memory server reads, with the rest of the record under `record`, which it leaves
//! alone. Everything else is a line `memory`: what `store` takes, or all that a record has, known by its `version`.

use serde_json::{Map, Value, json};

use crate::{
    graph::{Node, Relation},
    model::{Entity, Link, Record},
    moment::Moment,
    space::Visibility,
    tools::store::Item,
};

/// One version, as a file keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) record: Record,
    pub(super) visibility: Option<Visibility>,
    /// When the version before it was recorded; none for the first, and for one that stands alone.
    pub(super) follows: Option<Moment>,
    /// Until when it was believed; none for the current one.
    pub(super) replaced_at: Option<Moment>,
}

/// A line that was understood.
pub(super) enum Line {
    Entity(Node),
    Relation(Relation),
    Memory(Box<Item>),
    Kept(Box<Kept>),
}

fn official(record: &Record) -> Option<Value> {
    if let Some(Entity { name, entity_type, observations }) = &record.entity {
        return Some(json!({"type": "entity", "name": name, "entityType": entity_type, "observations": observations}));
    }
    let Link { from, relation, to } = record.link.as_ref()?;
    Some(json!({"type": "relation", "from": from, "to": to, "relationType": relation}))
}

/// The line; none for what the official server has no word for, if it is for that.
pub(super) fn write(kept: &Kept, for_official: bool) -> Option<Value> {
    let line = official(&kept.record);
    if for_official {
        return line;
    }
    let Ok(Value::Object(mut all)) = serde_json::to_value(&kept.record) else { return None };
    all.insert("visibility".to_owned(), json!(kept.visibility));
    let times = [("follows", kept.follows), ("replaced_at", kept.replaced_at)];
    all.extend(times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), json!(time?)))));
    let Some(mut line) = line else {
        all.insert("type".to_owned(), json!("memory"));
        return Some(Value::Object(all));
    };
    all.retain(|name, _| name != "entity" && name != "link");
    line["record"] = Value::Object(all);
    Some(line)
}

/// What a line says.
pub(super) fn parse(text: &str) -> Result<Line, String> {
    let mut value: Map<String, Value> = serde_json::from_str(text).map_err(|_| "it is no JSON object".to_owned())?;
    let kind = value.remove("type");
    let record = value.remove("record");
    let said = || Value::Object(value.clone());
    let wrong = |error: serde_json::Error| error.to_string();
    match (kind.as_ref().and_then(Value::as_str), record) {
        (Some("entity"), None) => serde_json::from_value(said()).map(Line::Entity).map_err(wrong),
        (Some("relation"), None) => serde_json::from_value(said()).map(Line::Relation).map_err(wrong),
        (Some("entity"), Some(Value::Object(mut all))) => {
            let Node { name, entity_type, observations } = serde_json::from_value(said()).map_err(wrong)?;
            all.insert("entity".to_owned(), json!(Entity { name, entity_type, observations }));
            kept(all)
        }
        (Some("relation"), Some(Value::Object(mut all))) => {
            let Relation { from, to, relation_type } = serde_json::from_value(said()).map_err(wrong)?;
            all.insert("link".to_owned(), json!(Link { from, relation: relation_type, to }));
            kept(all)
        }
        (Some("memory"), None) if value.contains_key("version") => kept(value),
        (Some("memory"), None) => {
            serde_json::from_value(said()).map(|item| Line::Memory(Box::new(item))).map_err(wrong)
        }
        _ => Err("type is none of entity, relation and memory, or its record is none".to_owned()),
    }
}

fn kept(mut all: Map<String, Value>) -> Result<Line, String> {
    fn part<T: serde::de::DeserializeOwned>(all: &mut Map<String, Value>, name: &str) -> Result<Option<T>, String> {
        all.remove(name).map(serde_json::from_value).transpose().map_err(|error| error.to_string())
    }
    let visibility = part::<Option<Visibility>>(&mut all, "visibility")?.flatten();
    let (follows, replaced_at) = (part(&mut all, "follows")?, part(&mut all, "replaced_at")?);
    let record = serde_json::from_value(Value::Object(all)).map_err(|error| error.to_string())?;
    Ok(Line::Kept(Box::new(Kept { record, visibility, follows, replaced_at })))
}
