//! The tool `import`: lines → records, beside what is there already.
//!
//! What comes in counts as from outside, whatever the lines say of themselves. Whoever has a role that may restore gets a backup back
//! as it was instead: who wrote what and when, how reliable it is, and every version. Both pass the same checks.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::line::{self, Kept, Line};
use crate::{
    fitness,
    graph::{Graph, entity_id, relation_id},
    guard,
    memory::Memory,
    model::{Kind, Origin, Record, Source},
    moment::Moment,
    schema::terse,
    space::{Space, Visibility, check_id},
    tools::store::{self, Item, NAMES, check_names, check_text},
};

/// Bytes of one import.
const BYTES: usize = 1 << 20;
/// Lines of one import.
const LINES: usize = 5_000;
/// Lines between two words of progress.
const BATCH: usize = 50;
/// What ends an import: with it no other line can come in either.
const ENDS: [&str; 4] = ["cancelled", "internal", "memory_full", "storage_full"];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// JSON lines, up to 1 MiB and 5000 of them.
    lines: String,
    #[serde(default)]
    #[schemars(with = "Visibility")]
    visibility: Option<Visibility>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Bad {
    line: usize,
    why: String,
}

terse!(Bad, {"type": "object", "required": ["line", "why"]});

/// What came of the lines.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Imported {
    entities: usize,
    relations: usize,
    memories: usize,
    /// Older versions of what came in.
    versions: usize,
    /// Lines that were there already.
    unchanged: usize,
    /// Lines that only a role that may restore brings in: older versions, turns, proofs.
    skipped: usize,
    /// Lines that were left out, the first 50.
    bad: Vec<Bad>,
}

terse!(Imported, {"type": "object", "required": ["entities", "relations", "memories", "versions", "unchanged", "skipped", "bad"]});

/// What one line did.
#[derive(Clone, Copy)]
enum Did {
    Nothing,
    Skip,
    Add(Kind),
    /// An older version.
    Version,
    /// Observations of an entity that was there.
    More,
}

impl Imported {
    fn count(&mut self, did: Did) {
        match did {
            Did::Nothing => self.unchanged += 1,
            Did::Skip => self.skipped += 1,
            Did::Version => self.versions += 1,
            Did::Add(Kind::Entity) => self.entities += 1,
            Did::Add(Kind::Link) => self.relations += 1,
            Did::Add(_) => self.memories += 1,
            Did::More => {}
        }
    }
}

/// One import.
struct Run<'a> {
    graph: Graph<'a>,
    visibility: Option<Visibility>,
    restores: bool,
}

pub(crate) async fn import(memory: Arc<Memory>, call: Call, args: Import) -> Result<Reply<Imported>, ToolError> {
    let texts: Vec<(usize, &str)> = (1..).zip(args.lines.lines()).filter(|(_, text)| !text.trim().is_empty()).collect();
    if args.lines.len() > BYTES || texts.len() > LINES {
        return Err(ToolError::too_large(format!("an import has at most {BYTES} bytes and {LINES} lines"))
            .hint("import the file in parts; what is there already is left as it is"));
    }
    let space = Space::of(&call, args.visibility.unwrap_or(memory.settings.visibility));
    let source = Source { origin: Origin::Import, ..Source::default() };
    let graph = Graph { memory: &memory, call: &call, space, source };
    let restores = memory.settings.restore_roles.iter().any(|role| call.caller().has_role(role));
    let run = Run { graph, visibility: args.visibility, restores };
    let mut done = Imported::default();
    let mut failed = 0;
    for (step, batch) in texts.chunks(BATCH).enumerate() {
        call.check()?;
        for (number, text) in batch {
            let outcome = match line::parse(text) {
                Ok(line) => run.one(line).await,
                Err(why) => Err(ToolError::invalid(why)),
            };
            match outcome {
                Ok(did) => done.count(did),
                Err(error) if error.is_retryable() || ENDS.contains(&error.code()) => return Err(error),
                Err(error) => {
                    failed += 1;
                    done.bad.push(Bad { line: *number, why: error.message().to_owned() });
                    done.bad.truncate(50);
                }
            }
        }
        let total = fitness::small(texts.len() as u64);
        call.progress(fitness::small(((step + 1) * BATCH) as u64).min(total), Some(total), None);
    }
    let Imported { entities, relations, memories, versions, unchanged, skipped, .. } = &done;
    let text = format!(
        "{entities} entities, {relations} relations, {memories} memories are new, with {versions} older versions; \
         {unchanged} were there; {skipped} need a role that may restore; {failed} lines were left out"
    );
    Ok(Reply::new(done).text(text))
}

impl Run<'_> {
    async fn one(&self, line: Line) -> Result<Did, ToolError> {
        let graph = &self.graph;
        match line {
            Line::Entity(node) => {
                if !graph.add_entities(std::slice::from_ref(&node)).await?.is_empty() {
                    return Ok(Did::Add(Kind::Entity));
                }
                let added = graph.add_observations(&node.name, &node.observations).await?;
                Ok(if added.is_empty() { Did::Nothing } else { Did::More })
            }
            Line::Relation(relation) => {
                let made = graph.add_relations(&[relation]).await?;
                Ok(if made.is_empty() { Did::Nothing } else { Did::Add(Kind::Link) })
            }
            Line::Memory(item) => {
                let source = self.outside(&item.source);
                let item = Item { source, ..*item };
                let record = store::record(graph.memory, graph.call, &item, &mut Vec::new())?;
                self.add(&graph.space, record).await
            }
            Line::Kept(kept) => self.kept(*kept).await,
        }
    }

    /// The source of what says that it is from there.
    fn outside(&self, said: &Source) -> Source {
        Source { name: said.name.clone(), uri: said.uri.clone(), ..self.graph.source.clone() }
    }

    /// Writes a record if there is none of its id.
    async fn add(&self, space: &Space, record: Record) -> Result<Did, ToolError> {
        let ids = std::slice::from_ref(&record.id);
        let new = |present: bool| if present { Vec::new() } else { vec![record.clone()] };
        let change = self.graph.memory.change(self.graph.call, space, ids, |present| Ok(new(!present.is_empty())));
        Ok(if change.await?.written.is_empty() { Did::Nothing } else { Did::Add(record.kind) })
    }

    /// A version that this server wrote to a file.
    async fn kept(&self, kept: Kept) -> Result<Did, ToolError> {
        let Graph { memory, call, .. } = self.graph;
        let record = &kept.record;
        check(memory, record)?;
        if record.expires_at.is_some_and(|until| until <= Moment::now()) {
            return Ok(Did::Skip);
        }
        if self.restores {
            let visibility = self.visibility.or(kept.visibility).unwrap_or(memory.settings.visibility);
            return self.restore(&Space::of(call, visibility), kept).await;
        }
        if kept.replaced_at.is_some() || matches!(record.kind, Kind::Turn | Kind::Erasure) {
            return Ok(Did::Skip);
        }
        // A file opens nothing wider than what is written without saying so.
        let own = kept.visibility.unwrap_or_default().min(memory.settings.visibility);
        let space = Space::of(call, self.visibility.unwrap_or(own));
        let source = self.outside(&record.source);
        let trust = guard::trust(call, &source, &record.searched(), &memory.settings).min(record.trust);
        let by = call.caller().id.clone();
        self.add(&space, Record { trust, source, by, merged: Vec::new(), ..kept.record }).await
    }

    /// Writes a version as it was, if it is the first of its id or follows the one that is there.
    async fn restore(&self, space: &Space, kept: Kept) -> Result<Did, ToolError> {
        let Graph { memory, call, .. } = self.graph;
        let Kept { record, follows, replaced_at, .. } = kept;
        let ids = std::slice::from_ref(&record.id);
        let there = memory.observe(call, memory.store.get(&space.key(), ids)).await?.into_iter().next();
        let is_next = |there: &Record| follows == Some(there.recorded_at) && record.version == there.version + 1;
        if there.as_ref().is_some_and(|there| !is_next(there)) {
            return Ok(Did::Nothing);
        }
        let expected = there.as_ref().map_or(0, |there| there.version);
        let kind = record.kind;
        let written = memory.put(call, space, record, (expected, replaced_at.is_none())).await?;
        Ok(match (written, replaced_at) {
            (false, _) => Did::Nothing,
            (true, Some(_)) => Did::Version,
            (true, None) => Did::Add(kind),
        })
    }
}

/// Fails on what could not have been written here.
fn check(memory: &Memory, own: &Record) -> Result<(), ToolError> {
    let merged = own.merged.iter().map(|part| part.rsplit_once('@').map_or("", |(id, _)| id));
    let ids = [&own.id].into_iter().chain(&own.superseded_by).chain(&own.replaces).map(String::as_str);
    ids.chain(merged).try_for_each(check_id)?;
    let id = match (own.kind, &own.entity, &own.link) {
        (Kind::Entity, Some(entity), None) => entity_id(&entity.name),
        (Kind::Link, None, Some(link)) => relation_id(link),
        (Kind::Entity | Kind::Link, ..) | (_, Some(_), _) | (_, _, Some(_)) => {
            return Err(ToolError::invalid("kind is not what the line is"));
        }
        _ => own.id.clone(),
    };
    let is_timely = own.valid_from.zip(own.valid_to).is_none_or(|(from, to)| from <= to);
    if id != own.id || !(0.0..=1.0).contains(&own.importance) || !is_timely {
        return Err(ToolError::invalid("the id, the importance or the time is none that could be written here"));
    }
    let observations = own.entity.as_ref().map_or(&[][..], |entity| &entity.observations);
    if own.topics.len() > NAMES || own.entities.len() > NAMES || observations.len() > NAMES * 16 {
        return Err(ToolError::invalid("it has too many topics, entities or observations"));
    }
    let link = own.link.iter().flat_map(|link| [&link.from, &link.relation, &link.to]);
    let entity = own.entity.iter().flat_map(|entity| [&entity.name, &entity.entity_type]);
    let said = own.project.iter().chain(&own.session).chain(&own.reason).chain(&own.source.name);
    let names: Vec<&String> = own.topics.iter().chain(&own.entities).chain(said).chain(link).chain(entity).collect();
    check_names(names.iter().copied())?;
    let texts = std::iter::once(&own.text).chain(observations);
    texts.clone().try_for_each(|text| check_text(text))?;
    for text in texts.chain(names).chain(&own.source.uri) {
        guard::screen(text, &memory.settings)?;
    }
    Ok(())
}
