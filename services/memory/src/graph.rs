//! Entities, their observations and relations, as the official memory server knows them → records of the same memory.
//!
//! Its nine tools and its file of JSON lines are both made of this. Where it lost writes, this does not: an observation is added to what
//! is there when it is written, not to what was read before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

use crate::{
    filter::{Filter, Which},
    guard,
    memory::{Memory, Present},
    model::{Entity, Kind, Link, Record, Source, Trust, node},
    moment::Moment,
    schema::terse,
    space::Space,
    tools::store::{NAMES, check_names, check_text, content_id},
};

// What it is, the official server says; here it would be said in three tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) entity_type: String,
    pub(crate) observations: Vec<String>,
}

// In the active voice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) struct Relation {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) relation_type: String,
}

/// All of it, or a part, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Whole {
    pub(crate) entities: Vec<Marked<Node>>,
    pub(crate) relations: Vec<Marked<Relation>>,
}

/// As the official server shows it, and how far it can be relied on where that is not far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Marked<T> {
    #[serde(flatten)]
    pub(crate) own: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust: Option<Trust>,
}

impl<T> Marked<T> {
    fn of(own: Option<T>, record: &Record) -> Option<Self> {
        Some(Self { own: own?, trust: Some(record.trust).filter(|trust| *trust <= Trust::Untrusted) })
    }
}

terse!(Whole, {"type": "object", "required": ["entities", "relations"]});

impl Whole {
    /// The entities that fit, and the relations with at least one end among them.
    pub(crate) fn around(self, fits: impl Fn(&Node) -> bool) -> Self {
        let entities: Vec<Marked<Node>> = self.entities.into_iter().filter(|node| fits(&node.own)).collect();
        let names: BTreeSet<&str> = entities.iter().map(|node| node.own.name.as_str()).collect();
        let at =
            |link: &Marked<Relation>| [&link.own.from, &link.own.to].iter().any(|end| names.contains(end.as_str()));
        let relations = self.relations.into_iter().filter(at).collect();
        Self { entities, relations }
    }
}

/// Entities by their id, while they are changed.
type Nodes = BTreeMap<String, Node>;

/// The graph of one partition.
pub(crate) struct Graph<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) call: &'a Call,
    pub(crate) space: Space,
    pub(crate) source: Source,
}

/// The id of an entity: two spellings are two entities, as in the official server.
pub(crate) fn entity_id(name: &str) -> String {
    content_id(Kind::Entity.name(), name, None)
}

/// The id of a relation: the same one has the same id, whoever makes it.
pub(crate) fn relation_id(link: &Link) -> String {
    let key = format!("{}\u{1}{}\u{1}{}", link.from, link.relation, link.to);
    content_id(Kind::Link.name(), &key, None)
}

/// The record of a relation.
pub(crate) fn link_record(link: Link, by: &str) -> Result<Record, ToolError> {
    check_names([&link.from, &link.relation, &link.to].into_iter())?;
    let said = format!("{} {} {}", link.from, link.relation, link.to);
    Ok(Record { link: Some(link.clone()), ..Record::new(relation_id(&link), Kind::Link, said, by) })
}

fn missing(name: &str) -> ToolError {
    ToolError::not_found(format!("Entity with name {name} not found")).hint("create_entities makes it")
}

fn as_node(record: &Record) -> Option<Node> {
    let Entity { name, entity_type, observations } = record.entity.clone()?;
    Some(Node { name, entity_type, observations })
}

fn as_relation(record: &Record) -> Option<Relation> {
    let Link { from, relation, to } = record.link.clone()?;
    Some(Relation { from, to, relation_type: relation })
}

impl Graph<'_> {
    /// Checks an entity and makes a record of it, as what follows `before`.
    fn entity(&self, node: &Node, before: Option<&Record>) -> Result<Record, ToolError> {
        check_names([&node.name, &node.entity_type].into_iter())?;
        if node.observations.len() > NAMES * 16 {
            return Err(ToolError::too_large(format!("{} has more than {} observations", node.name, NAMES * 16)));
        }
        node.observations.iter().try_for_each(|text| check_text(text))?;
        guard::screen_all(
            [&node.name, &node.entity_type].into_iter().chain(&node.observations),
            &self.memory.settings,
        )?;
        let all = node.observations.join("\n");
        let trust = guard::trust(self.call, &self.source, &all, &self.memory.settings);
        let Node { name, entity_type, observations } = node.clone();
        let mut record = Record::new(entity_id(&name), Kind::Entity, name.clone(), &self.call.caller().id);
        record.entity = Some(Entity { name, entity_type, observations });
        record.source = self.source.clone();
        record.trust = before.map_or(trust, |before| before.trust.min(trust));
        Ok(record)
    }

    async fn change<F>(&self, ids: BTreeSet<String>, make: F) -> Result<Vec<Record>, ToolError>
    where
        F: Fn(&Present) -> Result<Vec<Record>, ToolError>,
    {
        let ids: Vec<String> = ids.into_iter().collect();
        Ok(self.memory.change(self.call, &self.space, &ids, make).await?.written)
    }

    /// Adds those that are not there, in their order; gives them.
    pub(crate) async fn add_entities(&self, nodes: &[Node]) -> Result<Vec<Node>, ToolError> {
        let ids = nodes.iter().map(|node| entity_id(&node.name)).collect();
        let written = self.change(ids, |present| {
            let mut batch = Vec::new();
            for node in nodes {
                let id = entity_id(&node.name);
                if live(present, &id).is_none() && !has(&batch, &id) {
                    batch.push(self.entity(node, None)?);
                }
            }
            Ok(batch)
        });
        Ok(written.await?.iter().filter_map(as_node).collect())
    }

    /// Adds relations that are not there, in their order; gives them. Their ends need not be there, as in the official server.
    pub(crate) async fn add_relations(&self, relations: &[Relation]) -> Result<Vec<Relation>, ToolError> {
        let link =
            |own: &Relation| Link { from: own.from.clone(), relation: own.relation_type.clone(), to: own.to.clone() };
        let ids = relations.iter().map(|own| relation_id(&link(own))).collect();
        let written = self.change(ids, |present| {
            let mut batch = Vec::new();
            for own in relations {
                let mut record = link_record(link(own), &self.call.caller().id)?;
                guard::screen(&record.text, &self.memory.settings)?;
                record.trust = guard::trust(self.call, &self.source, &record.text, &self.memory.settings);
                record.source = self.source.clone();
                if live(present, &record.id).is_none() && !has(&batch, &record.id) {
                    batch.push(record);
                }
            }
            Ok(batch)
        });
        Ok(written.await?.iter().filter_map(as_relation).collect())
    }

    /// Changes the entities of these names by `make`, all of them or none. It is given those that are there.
    async fn rework<'n, T, F>(&self, names: impl Iterator<Item = &'n String>, make: F) -> Result<T, ToolError>
    where
        T: Default,
        F: Fn(&mut Nodes) -> Result<T, ToolError>,
    {
        let made = std::sync::Mutex::new(T::default());
        let ids: BTreeSet<String> = names.map(|name| entity_id(name)).collect();
        let wanted = ids.clone();
        let written = self.change(ids, |present| {
            let there = wanted.iter().filter_map(|id| Some((id.clone(), as_node(live(present, id)?)?)));
            let before: Nodes = there.collect();
            let mut nodes = before.clone();
            *made.lock().unwrap_or_else(PoisonError::into_inner) = make(&mut nodes)?;
            let moved = nodes.iter().filter(|(id, node)| before.get(*id) != Some(*node));
            moved.map(|(id, node)| self.entity(node, present.get(id))).collect()
        });
        written.await?;
        Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds observations that are not there; gives them. Fails on an entity that is not there, and then adds nothing.
    pub(crate) async fn add_all(&self, additions: &[(String, Vec<String>)]) -> Result<Vec<Vec<String>>, ToolError> {
        let add = |nodes: &mut Nodes, name: &str, contents: &[String]| {
            let own = nodes.get_mut(&entity_id(name)).ok_or_else(|| missing(name))?;
            let mut added = Vec::new();
            for text in contents {
                if !own.observations.contains(text) {
                    own.observations.push(text.clone());
                    added.push(text.clone());
                }
            }
            Ok(added)
        };
        let names = additions.iter().map(|(name, _)| name);
        self.rework(names, |nodes| additions.iter().map(|(name, contents)| add(nodes, name, contents)).collect()).await
    }

    /// The same for one entity.
    pub(crate) async fn add_observations(&self, name: &str, contents: &[String]) -> Result<Vec<String>, ToolError> {
        let added = self.add_all(&[(name.to_owned(), contents.to_vec())]).await?;
        Ok(added.into_iter().flatten().collect())
    }

    /// Removes observations; gives how many there were, and the entities that are not there.
    pub(crate) async fn remove_all(
        &self,
        removals: &[(String, Vec<String>)],
    ) -> Result<(usize, Vec<String>), ToolError> {
        let names = removals.iter().map(|(name, _)| name);
        let remove = |nodes: &mut Nodes| {
            let (mut removed, mut absent) = (0, Vec::new());
            for (name, texts) in removals {
                let Some(own) = nodes.get_mut(&entity_id(name)) else {
                    absent.push(name.clone());
                    continue;
                };
                let before = own.observations.len();
                own.observations.retain(|text| !texts.contains(text));
                removed += before - own.observations.len();
            }
            Ok((removed, absent))
        };
        self.rework(names, remove).await
    }

    /// Ends these records; their history stays. Gives how many there were.
    pub(crate) async fn end(&self, ids: BTreeSet<String>) -> Result<usize, ToolError> {
        let wanted = ids.clone();
        let written = self.change(ids, |present| {
            let ended = |own: &Record| Record { forgotten: true, by: self.call.caller().id.clone(), ..own.clone() };
            Ok(wanted.iter().filter_map(|id| live(present, id)).map(ended).collect())
        });
        Ok(written.await?.len())
    }

    /// Ids of the relations at these entities.
    pub(crate) async fn relations_at(&self, names: &[String]) -> Result<BTreeSet<String>, ToolError> {
        let nodes: Vec<String> = names.iter().map(|name| node(name)).collect();
        let which = Which { kinds: vec![Kind::Link], ..Which::default() };
        let filter = Filter::new(&which, Moment::now()).trusting(Trust::Quarantined);
        let store = &self.memory.store;
        let found =
            self.memory.observe(self.call, store.touching(&self.space.key(), &nodes, &filter, usize::MAX)).await?;
        let at = |link: &Link| names.contains(&link.from) || names.contains(&link.to);
        Ok(found.into_iter().filter(|record| record.link.as_ref().is_some_and(at)).map(|record| record.id).collect())
    }

    /// All entities and relations, in the order in which they were written last.
    pub(crate) async fn read(&self) -> Result<Whole, ToolError> {
        let which = Which { kinds: vec![Kind::Entity, Kind::Link], ..Which::default() };
        let filter = Filter::new(&which, Moment::now()).trusting(Trust::Quarantined);
        let store = &self.memory.store;
        let all = self.memory.observe(self.call, store.newest(&self.space.key(), None, &filter, usize::MAX)).await?;
        let entities = all.iter().rev().filter_map(|own| Marked::of(as_node(own), own)).collect();
        let relations = all.iter().rev().filter_map(|own| Marked::of(as_relation(own), own)).collect();
        Ok(Whole { entities, relations })
    }
}

fn has(batch: &[Record], id: &str) -> bool {
    batch.iter().any(|own| own.id == id)
}

fn live<'a>(present: &'a Present, id: &str) -> Option<&'a Record> {
    present.get(id).filter(|own| own.is_live(Moment::now()))
}
