//! A question → the records that answer it best, each with the parts of its score.
//!
//! Candidates come by terms and by vector; those that share a node with the best of them join. Each part is between 0 and 1:
//! `text` is BM25 (k1 1.2, b 0.75) over the candidates, divided by the best; `meaning` the likeness of the vectors (without a model:
//! spelling, not sense; with `as_of` always); `graph` half of the score of the best neighbour; `recency` 2^(-age/half-life); `fitness` as in `fitness.rs`.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

mod meant;

use self::meant::Meant;
use crate::{
    filter::Filter,
    fitness::{self, Fitness, round, small},
    memory::Memory,
    model::Record,
    moment::Moment,
    schema::terse,
    space::Space,
    store::Store,
    words,
};

/// Candidates of one partition by each way.
const CANDIDATES: usize = 256;
/// How many of the best bring their neighbours.
const SEEDS: usize = 5;

/// How it is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Mode {
    #[default]
    Hybrid,
    Text,
    Meaning,
}

/// How much newness counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Recency {
    /// 0 to 1; 0.1 if not said.
    pub(crate) weight: f64,
    pub(crate) half_life_days: f64,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) query: String,
    pub(crate) mode: Mode,
    pub(crate) as_of: Option<Moment>,
    pub(crate) recency: Recency,
    pub(crate) filter: Filter,
    pub(crate) min_score: f64,
}

/// The parts of a score.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Parts {
    pub(crate) text: f64,
    pub(crate) meaning: f64,
    pub(crate) graph: f64,
    pub(crate) recency: f64,
    pub(crate) fitness: f64,
}

terse!(Parts, {"type": "object"});

/// A record that was found.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) space: Space,
    pub(crate) record: Record,
    pub(crate) score: f64,
    pub(crate) parts: Parts,
    pub(crate) fitness: Fitness,
}

/// All hits, and what a caller should know about how they were found.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) hits: Vec<Hit>,
    pub(crate) notes: Vec<String>,
}

/// A record that may be an answer.
struct Candidate {
    space: Space,
    record: Record,
    parts: Parts,
}

/// Candidates by partition and id.
type Pool = BTreeMap<(Space, String), Candidate>;

impl Question {
    /// Fails on numbers that cannot be meant.
    pub(crate) fn check(&self) -> Result<(), ToolError> {
        let Recency { weight, half_life_days } = self.recency;
        if !(half_life_days.is_finite() && half_life_days > 0.0) {
            return Err(ToolError::invalid("half_life_days must be more than 0"));
        }
        if !(0.0..=1.0).contains(&weight) || !(0.0..=1.0).contains(&self.min_score) {
            return Err(ToolError::invalid("weight and min_score are from 0 to 1"));
        }
        Ok(())
    }

    /// How much text, meaning, graph and fitness count.
    fn weights(&self) -> [f64; 4] {
        match self.mode {
            Mode::Hybrid => [0.45, 0.35, 0.1, 0.1],
            Mode::Text => [1.0, 0.0, 0.0, 0.0],
            Mode::Meaning => [0.0, 1.0, 0.0, 0.0],
        }
    }

    fn score(&self, parts: &Parts) -> f64 {
        let [text, meaning, graph, fitness] = self.weights();
        let said = text * parts.text + meaning * parts.meaning + graph * parts.graph + fitness * parts.fitness;
        let recency = self.recency.weight;
        round(said * (1.0 - recency) + recency * parts.recency)
    }
}

/// All hits, best first.
pub(crate) async fn search(memory: &Memory, call: &Call, question: &Question) -> Result<Answered, ToolError> {
    question.check()?;
    let now = question.as_of.unwrap_or_else(Moment::now);
    let mut pool = Pool::new();
    let mut meant = Meant::of(memory, call, question).await?;
    for space in memory.readable(call) {
        call.check()?;
        let vector = meant.fitting(memory, call, question, &space).await?;
        gather(memory, call, question, (&space, vector), &mut pool).await?;
    }
    score_text(&question.query, &mut pool);
    if question.mode == Mode::Hybrid && question.as_of.is_none() {
        join_neighbours(memory, call, question, &mut pool).await?;
    }
    let mut hits = weigh(memory, call, question, pool, now).await?;
    hits.sort_by(|left, right| {
        right
            .score
            .total_cmp(&left.score)
            .then_with(|| (&left.space, &left.record.id).cmp(&(&right.space, &right.record.id)))
    });
    Ok(Answered { hits, notes: meant.notes })
}

/// The candidates of one partition.
async fn gather(
    memory: &Memory,
    call: &Call,
    question: &Question,
    (space, vector): (&Space, Option<&[f32]>),
    pool: &mut Pool,
) -> Result<(), ToolError> {
    let (store, key) = (memory.store.as_ref(), space.key());
    let mut add = |record: Record, meaning: f64| {
        let fresh = Candidate { space: space.clone(), record, parts: Parts::default() };
        let own = pool.entry((space.clone(), fresh.record.id.clone())).or_insert(fresh);
        own.parts.meaning = own.parts.meaning.max(meaning);
    };
    let terms = words::terms(&question.query);
    let lexical = words::embed(&question.query);
    if let Some(at) = question.as_of {
        let believed = memory.observe(call, store.believed(&key, at, &question.filter)).await?;
        for record in believed {
            let searched = record.searched();
            let own = words::terms(&searched);
            let alike = words::similarity(&lexical, &words::embed(&searched));
            if alike > 0.0 || terms.keys().any(|term| own.contains_key(term)) {
                add(record, alike);
            }
        }
        return Ok(());
    }
    let tokens = words::query_tokens(&terms);
    if question.mode != Mode::Meaning && !tokens.is_empty() {
        for record in memory.observe(call, store.matching(&key, &tokens, &question.filter, CANDIDATES)).await? {
            // Of another embedder, what is alike at all is among the nearest.
            let alike = if memory.is_lexical() && vector.is_some() {
                words::similarity(&lexical, &words::embed(&record.searched()))
            } else {
                0.0
            };
            add(record, alike);
        }
    }
    if let Some(vector) = vector {
        for (record, alike) in memory.observe(call, store.nearest(&key, vector, &question.filter, CANDIDATES)).await? {
            add(record, alike);
        }
    }
    Ok(())
}

/// BM25 over the candidates: those that have a term are all among them unless there are very many.
fn score_text(query: &str, pool: &mut Pool) {
    let asked = words::terms(query);
    let telling: Vec<&String> = asked.keys().filter(|term| !words::is_stop(term)).collect();
    let telling = if telling.is_empty() { asked.keys().collect() } else { telling };
    let texts: Vec<BTreeMap<String, u32>> = pool.values().map(|own| words::terms(&own.record.searched())).collect();
    let mut frequency: HashMap<&str, u64> = HashMap::new();
    for term in texts.iter().flat_map(BTreeMap::keys) {
        *frequency.entry(term).or_default() += 1;
    }
    let length = |text: &BTreeMap<String, u32>| text.values().map(|times| f64::from(*times)).sum::<f64>();
    let documents = small(texts.len() as u64);
    let mean = (texts.iter().map(length).sum::<f64>() / documents.max(1.0)).max(1.0);
    let score = |text: &BTreeMap<String, u32>| {
        let part = |term: &&String| {
            let times = text.get(*term).copied().map_or(0.0, f64::from);
            let having = small(frequency.get(term.as_str()).copied().unwrap_or_default());
            let rare = (1.0 + (documents - having + 0.5) / (having + 0.5)).ln();
            rare * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length(text) / mean))
        };
        telling.iter().map(part).sum::<f64>()
    };
    let scores: Vec<f64> = texts.iter().map(score).collect();
    let most = scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (own, score) in pool.values_mut().zip(scores) {
        own.parts.text = score / most;
    }
}

/// What shares a node with the best of the candidates.
async fn join_neighbours(memory: &Memory, call: &Call, question: &Question, pool: &mut Pool) -> Result<(), ToolError> {
    let mut seeds: Vec<(f64, Space, Vec<String>, String)> = pool
        .values()
        .map(|own| (question.score(&own.parts), own.space.clone(), own.record.nodes(), own.record.id.clone()))
        .collect();
    seeds.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.3.cmp(&right.3)));
    seeds.truncate(SEEDS);
    for (score, space, mut nodes, id) in seeds {
        nodes.push(format!("#{id}"));
        let found = memory.observe(call, memory.store.touching(&space.key(), &nodes, &question.filter, 32)).await?;
        for record in found.into_iter().filter(|record| record.id != id) {
            let fresh = Candidate { space: space.clone(), record, parts: Parts::default() };
            let own = pool.entry((space.clone(), fresh.record.id.clone())).or_insert(fresh);
            own.parts.graph = own.parts.graph.max(score / 2.0);
        }
    }
    Ok(())
}

/// Fitness and newness, and the sum of all.
async fn weigh(
    memory: &Memory,
    call: &Call,
    question: &Question,
    pool: Pool,
    now: Moment,
) -> Result<Vec<Hit>, ToolError> {
    let mut ids: BTreeMap<Space, Vec<String>> = BTreeMap::new();
    for (space, id) in pool.keys() {
        ids.entry(space.clone()).or_default().push(id.clone());
    }
    let mut uses = BTreeMap::new();
    for (space, ids) in ids {
        let found = memory.observe(call, Store::uses(memory.store.as_ref(), &space.key(), &ids)).await?;
        uses.insert(space, found);
    }
    let weighed = |own: Candidate| {
        let used = uses.get(&own.space).and_then(|uses| uses.get(&own.record.id)).copied().unwrap_or_default();
        let fitness = fitness::of(&own.record, used, memory.settings.half_life_days, now);
        let when = own.record.event_time.unwrap_or(own.record.recorded_at).max(own.record.recorded_at);
        let recency = fitness::decay(now.days_since(when), question.recency.half_life_days);
        let Parts { text, meaning, graph, .. } = own.parts;
        let parts = Parts {
            text: round(text),
            meaning: round(meaning),
            graph: round(graph),
            recency: round(recency),
            fitness: fitness.score,
        };
        Hit { score: question.score(&parts), space: own.space, record: own.record, parts, fitness }
    };
    let relevant = |hit: &Hit| hit.parts.text > 0.0 || hit.parts.meaning > 0.05 || hit.parts.graph > 0.0;
    Ok(pool.into_values().map(weighed).filter(|hit| relevant(hit) && hit.score >= question.min_score).collect())
}
