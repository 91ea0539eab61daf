//! Tools of the graph: making and ending relations, looking around a node, finding a way between two.
//!
//! Nodes are names of people and things, or `#` and the id of a record. A record is joined to what it names without being told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError, Truncated};

use crate::{
    filter::Filter,
    graph::link_record,
    guard,
    memory::Memory,
    model::{Link, Record, Source, node},
    moment::Moment,
    schema::terse,
    space::{Space, Visibility},
};

/// Records at one node that are followed.
const FAN: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkArgs {
    /// A name, or # and an id.
    from: String,
    relation: String,
    to: String,
    valid_from: Option<Moment>,
    /// Ends it: it was true until then.
    valid_to: Option<Moment>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    #[schemars(with = "Visibility")]
    visibility: Option<Visibility>,
}

/// A relation as it is kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Linked {
    id: String,
    version: u64,
    /// It was there already.
    existed: bool,
}

pub(crate) async fn link(memory: Arc<Memory>, call: Call, args: LinkArgs) -> Result<Reply<Linked>, ToolError> {
    for end in [&args.from, &args.to] {
        if let Some(id) = end.strip_prefix('#') {
            memory.find(&call, id, false).await?;
        }
    }
    let space = Space::of(&call, args.visibility.unwrap_or(memory.settings.visibility));
    let link = Link { from: args.from, relation: args.relation, to: args.to };
    let record = link_record(link, &call.caller().id)?;
    let told = args.source.name.iter().chain(&args.source.uri);
    guard::screen_all(std::iter::once(&record.text).chain(told), &memory.settings)?;
    let trust = guard::trust(&call, &args.source, &record.text, &memory.settings);
    let (valid_from, valid_to) = (args.valid_from, args.valid_to);
    if valid_from.zip(valid_to).is_some_and(|(from, to)| to < from) {
        return Err(ToolError::invalid("valid_to is before valid_from"));
    }
    // What has ended is no part of the graph of now; its history has it.
    let record = Record { valid_from, valid_to, source: args.source, trust, forgotten: valid_to.is_some(), ..record };
    let ids = [record.id.clone()];
    let changed = memory
        .change(&call, &space, &ids, |present| {
            let kept = present.get(&record.id);
            let same = |own: &Record| match record.valid_to {
                Some(until) => own.forgotten && own.valid_to == Some(until),
                None => own.is_live(Moment::now()),
            };
            let valid_from = record.valid_from.or(kept.and_then(|own| own.valid_from));
            Ok(if kept.is_some_and(same) { Vec::new() } else { vec![Record { valid_from, ..record.clone() }] })
        })
        .await?;
    let written = changed.written.first().map(|own| own.version);
    let version = match written {
        Some(version) => version,
        None => memory.find(&call, &record.id, true).await?.1.version,
    };
    let text = format!("{} ({})", record.text, record.id);
    Ok(Reply::new(Linked { id: record.id, version, existed: written.is_none() }).text(text))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Graph {
    /// A name, or # and an id.
    node: String,
    /// 1 to 3; 1 if not said.
    depth: Option<u8>,
    as_of: Option<Moment>,
    /// Edges, 1 to 200; 50 if not said.
    limit: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Edge {
    from: String,
    /// `names` joins a record to what it names.
    relation: String,
    to: String,
    /// The record that says so.
    id: String,
}

terse!(Edge, {"type": "object", "required": ["from", "relation", "to", "id"]});

/// A part of the graph.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Part {
    /// Steps from where it began, by node.
    nodes: BTreeMap<String, u8>,
    edges: Vec<Edge>,
}

/// The edges that a record stands for.
fn edges(record: &Record) -> Vec<Edge> {
    if let Some(link) = &record.link {
        let (from, to) = (node(&link.from), node(&link.to));
        return vec![Edge { from, relation: link.relation.clone(), to, id: record.id.clone() }];
    }
    let name = |to: &String| Edge {
        from: format!("#{}", record.id),
        relation: "names".to_owned(),
        to: node(to),
        id: record.id.clone(),
    };
    record.entities.iter().map(name).collect()
}

/// The edges at a node, from all that the caller can read.
async fn around(memory: &Memory, call: &Call, at: &str, as_of: Option<Moment>) -> Result<Vec<Edge>, ToolError> {
    let filter = Filter::new(&crate::filter::Which::default(), as_of.unwrap_or_else(Moment::now));
    let mut found = BTreeSet::new();
    for space in memory.readable(call) {
        let (key, store) = (space.key(), &memory.store);
        let mut records = match as_of {
            Some(as_of) => memory.observe(call, store.believed(&key, as_of, &filter)).await?,
            None => memory.observe(call, store.touching(&key, &[at.to_owned()], &filter, FAN)).await?,
        };
        if let Some(id) = at.strip_prefix('#')
            && as_of.is_none()
        {
            records.extend(
                memory
                    .observe(call, store.get(&key, &[id.to_owned()]))
                    .await?
                    .into_iter()
                    .filter(|own| filter.admits(own)),
            );
        }
        found.extend(records.iter().flat_map(edges).filter(|edge| edge.from == at || edge.to == at));
    }
    Ok(found.into_iter().collect())
}

pub(crate) async fn graph(memory: Arc<Memory>, call: Call, args: Graph) -> Result<Reply<Part>, ToolError> {
    let (depth, limit) = (args.depth.unwrap_or(1), args.limit.unwrap_or(50));
    if !(1..=3).contains(&depth) || !(1..=200).contains(&limit) {
        return Err(ToolError::invalid("depth is from 1 to 3, limit from 1 to 200"));
    }
    let begin = node(&args.node);
    let mut nodes = BTreeMap::from([(begin.clone(), 0)]);
    let mut open = VecDeque::from([begin]);
    let mut edges = BTreeSet::new();
    let mut cut = false;
    while let Some(at) = open.pop_front() {
        call.check()?;
        let steps = nodes.get(&at).copied().unwrap_or_default();
        if steps >= depth {
            continue;
        }
        for edge in around(&memory, &call, &at, args.as_of).await? {
            if edges.len() >= limit && !edges.contains(&edge) {
                cut = true;
                break;
            }
            for end in [&edge.from, &edge.to] {
                if !nodes.contains_key(end) {
                    nodes.insert(end.clone(), steps + 1);
                    open.push_back(end.clone());
                }
            }
            edges.insert(edge);
        }
    }
    let edges: Vec<Edge> = edges.into_iter().collect();
    let text = lines(&edges);
    let truncated = cut.then(|| Truncated::new("edges", limit as u64));
    Ok(Reply::new(Part { nodes, edges }).text(text).truncated(truncated).label("private"))
}

fn lines(edges: &[Edge]) -> String {
    let line = |edge: &Edge| format!("{} -[{}]-> {}", edge.from, edge.relation, edge.to);
    let lines: Vec<String> = edges.iter().map(line).collect();
    if lines.is_empty() { "nothing is joined to it".to_owned() } else { lines.join("\n") }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Path {
    from: String,
    to: String,
    /// 1 to 6; 4 if not said.
    max_steps: Option<u8>,
}

/// The shortest way, empty if there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Way {
    found: bool,
    edges: Vec<Edge>,
}

pub(crate) async fn path(memory: Arc<Memory>, call: Call, args: Path) -> Result<Reply<Way>, ToolError> {
    let most = args.max_steps.unwrap_or(4);
    if !(1..=6).contains(&most) {
        return Err(ToolError::invalid("max_steps is from 1 to 6"));
    }
    let (begin, end) = (node(&args.from), node(&args.to));
    let mut came: BTreeMap<String, Option<(String, Edge)>> = BTreeMap::from([(begin.clone(), None)]);
    let mut open = VecDeque::from([(begin, 0)]);
    while let Some((at, steps)) = open.pop_front() {
        call.check()?;
        if at == end || steps >= most {
            continue;
        }
        for edge in around(&memory, &call, &at, None).await? {
            let other = if edge.from == at { edge.to.clone() } else { edge.from.clone() };
            if !came.contains_key(&other) {
                came.insert(other.clone(), Some((at.clone(), edge)));
                open.push_back((other, steps + 1));
            }
        }
        if came.contains_key(&end) || came.len() > 5_000 {
            break;
        }
    }
    let mut edges = Vec::new();
    let mut at = &end;
    while let Some(Some((before, edge))) = came.get(at) {
        edges.push(edge.clone());
        at = before;
    }
    edges.reverse();
    let text = lines(&edges);
    Ok(Reply::new(Way { found: came.contains_key(&end), edges }).text(text).label("private"))
}
